"""The query, bodies and responses of posting feedback."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, RootModel, Tag, field_validator, model_validator

from soulcaster.domain.entries import Entries
from soulcaster.domain.feedback.items import TextOrigin
from soulcaster.web.api.feedback.metadata import PREDECESSOR_FIELDS, check_depth, repository_url
from soulcaster.web.bodies import BatchBody, Body, OneOrBatch
from soulcaster.web.parameters import Query
from soulcaster.web.schemas import READABLE, at_least_one_of
from soulcaster.wire.feedback import RawFeedback, form_of
from soulcaster.wire.fields import ExternalId, GivenSource, Metadata, ProjectId, Time

T = TypeVar("T")

MAX_ITEMS = 1000
"""Items of one batch."""


class IngestQuery(Query):
    """Query of /ingest/feedback and /ingest/reddit: the project, unless each item names its own."""

    project_id: ProjectId | None = None


class ManualIn(Body):
    """POST /ingest/manual: what somebody typed; it needs readable text in `text` or `title`."""

    model_config = ConfigDict(json_schema_extra=at_least_one_of("text", "title", schema=READABLE))

    text: str
    title: str | None = None
    github_repo_url: str | None = None


class FeedbackIn(Body):
    """One item of any source, with readable text in `title` or `body`; the predecessor's FeedbackItem is one, too.

    `external_id` is the item's id at its source: sent again with the same one, it is a newer version of the same item.
    Without it, `id` is used instead, else the Idempotency-Key with the item's index; without any of them, every request
    creates a new item.
    """

    model_config = ConfigDict(json_schema_extra=at_least_one_of("title", "body", schema=READABLE))

    project_id: ProjectId | None = None
    source: GivenSource
    title: str | None = None
    body: str | None = None
    external_id: ExternalId | None = None
    id: ExternalId | None = None
    created_at: Time | None = None
    author: str | None = None
    url: str | None = None
    github_repo_url: str | None = None
    metadata: Metadata = Field(default_factory=dict)
    updated_at: Time | None = None
    occurrence_id: ExternalId | None = None
    words: TextOrigin = "own"
    raw_text: str | None = None
    repo: str | None = None
    github_issue_number: int | None = None
    github_issue_url: str | None = None
    status: str | None = None

    _depth = field_validator("metadata")(check_depth)

    def to_raw(self, project_id: str, external_id: str) -> RawFeedback:
        """Return the message for feedback.raw; fields that only the predecessor had go into the metadata.

        It is not validated here, because `services.intake` does so.
        """
        predecessors = self.model_dump(include=set(PREDECESSOR_FIELDS), exclude_none=True)
        repo_url = self.github_repo_url
        if repo_url is None:
            repo_url = repository_url(self.repo)
        return RawFeedback.model_construct(
            project_id=project_id,
            source=self.source,
            title=self.title,
            body=self.body,
            external_id=external_id,
            created_at=self.created_at,
            author=self.author,
            url=self.url or self.github_issue_url,
            github_repo_url=repo_url,
            metadata={**predecessors, **self.metadata},
            updated_at=self.updated_at,
            occurrence_id=self.occurrence_id,
            words=self.words,
        )


class RedditIn(FeedbackIn):
    """One item from Reddit, as the predecessor's poller posts it."""

    source: GivenSource = "reddit"


class FeedbackBatchIn(BatchBody):
    """Many items at once: all are accepted, or none."""

    items: Annotated[tuple[FeedbackIn, ...], Entries(MAX_ITEMS, least=1)]


class RedditBatchIn(BatchBody):
    """Many items from Reddit at once: all are accepted, or none."""

    items: Annotated[tuple[RedditIn, ...], Entries(MAX_ITEMS, least=1)]


def _kind_of_body(value: Any) -> Literal["one", "batch"] | None:
    """Return the kind of a body, as on feedback.raw."""
    if isinstance(value, dict):
        return "batch" if form_of(value) == "envelope" else "one"
    return None


_BY_KIND = Discriminator(
    _kind_of_body, custom_error_type="not_an_object", custom_error_message="Input should be an object"
)


class _ItemOrBatch(OneOrBatch[T]):
    """Base of a body that is one item or a batch of items."""

    @model_validator(mode="before")
    @classmethod
    def _is_one_of_the_two(cls, value: Any) -> Any:
        if isinstance(value, dict):
            form_of(value)  # raises a ValueError if it is both
        return value


class FeedbackOrBatchIn(
    _ItemOrBatch[
        Annotated[
            Annotated[FeedbackIn, Tag("one")] | Annotated[FeedbackBatchIn, Tag("batch")],
            _BY_KIND,
        ]
    ]
):
    """POST /ingest/feedback: one item, or a batch."""


class RedditOrBatchIn(
    _ItemOrBatch[
        Annotated[
            Annotated[RedditIn, Tag("one")] | Annotated[RedditBatchIn, Tag("batch")],
            _BY_KIND,
        ]
    ]
):
    """POST /ingest/reddit: one item, or a batch."""


class IngestOut(BaseModel):
    """202 of /ingest/*: Kafka has the item; a moment later /feedback has it under this id."""

    status: Literal["ok"] = "ok"
    id: str
    project_id: str


class IngestedItemOut(BaseModel):
    """The id and project of an item of a batch."""

    id: str
    project_id: str


class IngestBatchOut(BaseModel):
    """202 of a batch: Kafka has all its items; they are listed in the order of the batch."""

    status: Literal["ok"] = "ok"
    items: list[IngestedItemOut]


class IngestOrBatchOut(RootModel[IngestOut | IngestBatchOut]):
    """202 of one item or of a batch, whichever was sent."""
