"""Documents that jobs refer to: briefs and plans, kept by id as they were when a job was ordered."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

DocumentKind = Literal["brief", "plan"]


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a cluster. One id always has the same text.

    `item_ids` are the items that a brief quotes, or those of the brief that a model wrote a plan from.
    """

    id: str
    project_id: str
    cluster_id: str
    kind: DocumentKind
    text: str
    at: datetime
    item_ids: tuple[str, ...] = ()


def content_id(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hex: the id of a brief."""
    return hashlib.sha256(text.encode()).hexdigest()
