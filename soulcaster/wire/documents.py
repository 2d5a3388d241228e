"""job.documents: the briefs and plans that jobs refer to."""

from typing import Annotated

from pydantic import Field, model_validator

from soulcaster.domain.fixes.document import Document, DocumentKind, content_id
from soulcaster.domain.ids import ShortId, plan_id_for
from soulcaster.wire.fields import ProjectId, Time
from soulcaster.wire.message import Message

MAX_DOCUMENT_CHARS = 256 * 1024
"""Characters of a document; a brief is far smaller."""


class JobDocument(Message):
    """job.documents: one document; `item_ids` are the items that it is made from.

    The id of a brief is the SHA-256 of its text, that of a plan derives from its project, its cluster and its text.
    """

    document_id: ShortId
    project_id: ProjectId
    cluster_id: ShortId
    kind: DocumentKind
    text: Annotated[str, Field(max_length=MAX_DOCUMENT_CHARS)]
    at: Time
    item_ids: tuple[ShortId, ...] = ()

    @model_validator(mode="after")
    def _matches(self) -> "JobDocument":
        if self.kind == "brief" and self.document_id != content_id(self.text):
            raise ValueError("the id of a brief is the SHA-256 of its text")
        if self.kind == "plan" and self.document_id != plan_id_for(self.project_id, self.cluster_id, self.text):
            raise ValueError("the id of a plan derives from its project, its cluster and its text")
        return self

    @classmethod
    def of(cls, document: Document) -> "JobDocument":
        """Return the record of a document."""
        return cls(
            document_id=document.id,
            project_id=document.project_id,
            cluster_id=document.cluster_id,
            kind=document.kind,
            text=document.text,
            at=document.at,
            item_ids=document.item_ids,
        )

    def document(self) -> Document:
        """Return the document as the domain has it."""
        return Document(
            self.document_id, self.project_id, self.cluster_id, self.kind, self.text, self.at, self.item_ids
        )
