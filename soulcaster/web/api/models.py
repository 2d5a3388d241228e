"""The shapes of the JSON API: bodies it takes and answers it gives.

They keep the fields of the predecessor's API, so that its clients go on working.
"""

import base64
import codecs
import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass

from soulcaster.domain.api_keys import ApiKey, KeyScope
from soulcaster.domain.assignment import Assignment
from soulcaster.domain.commands import MAX_IDS, Granularity, Threshold, Title
from soulcaster.domain.events import By, ClusteringStatus, CommandOutcome, Proposal
from soulcaster.domain.feedback.items import FeedbackItem, TextOrigin
from soulcaster.domain.lifecycle import ClusterStatus, Job, JobStatus
from soulcaster.domain.members import Role, User
from soulcaster.domain.text.normalize import title_and_body
from soulcaster.ports.clusters import ClusterView, Happening, HistoryEntry
from soulcaster.ports.commands import CommandView
from soulcaster.ports.dead_letters import DeadLetter
from soulcaster.ports.feedback import FeedbackView
from soulcaster.ports.members import MemberView
from soulcaster.ports.paging import Page
from soulcaster.ports.projects import Project, Stats
from soulcaster.web.parameters import BatchBody, Id, OneOrBatch
from soulcaster.wire.feedback import RawFeedback
from soulcaster.wire.fields import (
    Email,
    ExternalId,
    GitHubLogin,
    GivenSource,
    KeyName,
    KeyScopes,
    Metadata,
    PersonName,
    ProjectId,
    ProjectName,
    Time,
)

METADATA_DEPTH = 16

MAX_ITEMS = 1000
"""Items of one batch."""

_PREDECESSOR_SOURCES = ("github", "manual", "reddit", "sentry")

_OWNER_AND_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def _repo_url(repo: str | None) -> str | None:
    """Return the address of a repository given as "owner/name"."""
    return f"https://github.com/{repo}" if repo and _OWNER_AND_NAME.fullmatch(repo) else None


def _not_too_deep(value: dict[str, Any] | None) -> dict[str, Any] | None:
    if _deeper_than(value, METADATA_DEPTH):
        raise ValueError(f"may be nested {METADATA_DEPTH} levels deep at most")
    return value


class Body(BaseModel):
    """Base of what the API takes; unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ManualIn(Body):
    """POST /ingest/manual: what somebody typed."""

    text: str
    title: str | None = None
    github_repo_url: str | None = None


class FeedbackIn(Body):
    """One item of any source; the predecessor's FeedbackItem is one too.

    `external_id` is the item's id at its source: the same one sent again is the same item, its newest version. Its
    `id` stands in where there is none, and then the Idempotency-Key with the item's place; with none of them, every
    request is an item of its own.
    """

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

    _depth = field_validator("metadata")(_not_too_deep)

    def to_raw(self, project_id: str, external_id: str) -> RawFeedback:
        """Return the message for feedback.raw; what only the predecessor had fields for goes into the metadata.

        Its reader has the last word on it, here nothing is checked again.
        """
        theirs = self.model_dump(include=set(_IN_METADATA), exclude_none=True)
        repo_url = self.github_repo_url
        if repo_url is None:
            repo_url = _repo_url(self.repo)
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
            metadata={**theirs, **self.metadata},
            updated_at=self.updated_at,
            occurrence_id=self.occurrence_id,
            words=self.words,
        )


class EditIn(Body):
    """PUT /feedback/{id}: what is to be different; what is left out stays, and null takes a field away.

    `metadata` is replaced as a whole. A title that was made from the body is made anew from a new one.
    """

    title: str | None = None
    body: str | None = None
    github_repo_url: str | None = None
    metadata: dict[str, Any] | None = None
    raw_text: str | None = None
    repo: str | None = None
    status: str | None = None

    _depth = field_validator("metadata")(_not_too_deep)

    def changed(self, item: FeedbackItem) -> dict[str, Any] | None:
        """Return the fields of the item's RawFeedback as they are to be, or None where nothing changes."""
        given = self.model_dump(exclude_unset=True)
        title, body = given.get("title", item.title), given.get("body", item.body)
        if "title" not in given and item.title == title_and_body(None, item.body)[0]:
            title = None
        metadata = dict(given["metadata"] or {}) if "metadata" in given else dict(item.metadata)
        for name in given.keys() & _IN_METADATA.keys():
            metadata.pop(name, None)
            if given[name] is not None:
                metadata[name] = given[name]
        repo_url = given.get("github_repo_url", item.github_repo_url)
        if repo_url is None and "github_repo_url" not in given:
            repo_url = _repo_url(self.repo)
        said = (*title_and_body(title, body), repo_url, metadata)
        if said == (item.title, item.body, item.github_repo_url, item.metadata):
            return None
        return {
            "project_id": item.project_id,
            "source": item.source,
            "title": title,
            "body": body,
            "external_id": item.external_id,
            "created_at": item.created_at,
            "author": item.author,
            "url": item.url,
            "github_repo_url": repo_url,
            "metadata": metadata,
        }


_IN_METADATA: dict[str, type] = {
    "raw_text": str,
    "repo": str,
    "github_issue_number": int,
    "github_issue_url": str,
    "status": str,
}
"""Fields of the predecessor's FeedbackItem that no other source has, and their type."""


def _deeper_than(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return levels == 0 or any(_deeper_than(part, levels - 1) for part in value)


class RedditIn(FeedbackIn):
    """One item of Reddit's, as the predecessor's poller posts it."""

    source: GivenSource = "reddit"


class FeedbackBatchIn(BatchBody):
    """Many items at once: all of them are taken, or none."""

    items: Annotated[tuple[FeedbackIn, ...], Field(min_length=1, max_length=MAX_ITEMS)]


class RedditBatchIn(BatchBody):
    """Many items of Reddit's at once: all of them are taken, or none."""

    items: Annotated[tuple[RedditIn, ...], Field(min_length=1, max_length=MAX_ITEMS)]


def _one_or_batch(value: Any) -> Literal["one", "batch"] | None:
    """Tell what has `items` from one item, as on feedback.raw."""
    if isinstance(value, dict):
        return "batch" if "items" in value else "one"
    return None


_KINDS = Discriminator(
    _one_or_batch, custom_error_type="not_an_object", custom_error_message="Input should be an object"
)
_ONE = Field(json_schema_extra={"not": {"required": ["items"]}})


class FeedbackOrBatchIn(
    OneOrBatch[
        Annotated[
            Annotated[FeedbackIn, _ONE, Tag("one")] | Annotated[FeedbackBatchIn, Tag("batch")],
            _KINDS,
        ]
    ]
):
    """POST /ingest/feedback: one item, or a batch."""


class RedditOrBatchIn(
    OneOrBatch[
        Annotated[
            Annotated[RedditIn, _ONE, Tag("one")] | Annotated[RedditBatchIn, Tag("batch")],
            _KINDS,
        ]
    ]
):
    """POST /ingest/reddit: one item, or a batch."""


Ids = Annotated[tuple[Id, ...], Field(min_length=1, max_length=MAX_IDS)]


class MergeIn(Body):
    """POST /clusters/{id}/merge: the clusters that become part of the path's."""

    cluster_ids: Ids


class SplitIn(Body):
    """POST /clusters/{id}/split: the items that become a cluster of their own, and its title."""

    item_ids: Ids
    title: Title | None = None


class MoveIn(Body):
    """POST /clusters/{id}/move: the items that belong to the path's cluster."""

    item_ids: Ids


class RenameIn(Body):
    """POST /clusters/{id}/rename: the title; null gives it back to the machine."""

    title: Title | None


class PinIn(Body):
    """POST /clusters/{id}/pin."""

    pinned: bool = True


class UndoIn(Body):
    """POST /clusters/{id}/undo: the command that is taken back."""

    command_id: Id


class CleanupIn(Body):
    """POST /clusters/cleanup: the proposals that are applied."""

    proposal_ids: Ids


class ConfigureIn(Body):
    """PUT /clustering/config; a threshold that is null is calibrated."""

    threshold: Threshold | None = None
    granularity: Granularity = "auto"


class JobIn(Body):
    """POST /jobs: the cluster that the job is for."""

    cluster_id: Id


class JobPatchIn(Body):
    """PATCH /jobs/{id}: what is to be told; `logs` is added to what there is."""

    status: JobStatus | None = None
    logs: Annotated[str, StringConstraints(max_length=100_000)] | None = None
    pr_url: Annotated[str, StringConstraints(pattern=r"^https?://[!-~]{1,2000}$")] | None = None
    error: Annotated[str, StringConstraints(max_length=2_000)] | None = None


class KeyIn(Body):
    """POST /keys: what a key is called, what it may do, and until when."""

    name: KeyName
    scopes: KeyScopes
    expires_at: Time | None = None


class IngestOut(BaseModel):
    """202 of /ingest/*: Kafka has the item; it shows in /feedback a moment later, under this id."""

    status: Literal["ok"] = "ok"
    id: str
    project_id: str


class PlaceOut(BaseModel):
    """Under which id an item of a batch shows, and in which project."""

    id: str
    project_id: str


class IngestBatchOut(BaseModel):
    """202 of a batch: Kafka has all its items, here in their order."""

    status: Literal["ok"] = "ok"
    items: list[PlaceOut]


class IngestedOut(RootModel[IngestOut | IngestBatchOut]):
    """202 of one item or of a batch, as it was sent."""


class DeliveryOut(BaseModel):
    """Of a webhook: 202, Kafka has what the vendor sent; 200, it is no feedback, or its source is off in the project.

    `ids` are the items that it tells of, `id` the first. There are none where `reason` says why it cannot be read yet
    (it is kept, as a dead letter), or why nothing was kept.
    """

    status: Literal["ok", "ignored", "skipped"]
    id: str | None = None
    ids: list[str] = Field(default_factory=list)
    reason: str | None = None
    project_id: str

    @classmethod
    def taken(cls, project_id: str, ids: Sequence[str], refusal: str | None) -> "DeliveryOut":
        """Return the answer to what Kafka has."""
        return cls(status="ok", id=ids[0] if ids else None, ids=list(ids), reason=refusal, project_id=project_id)


@dataclass(frozen=True, kw_only=True, config=ConfigDict(json_schema_serialization_defaults_required=True))
class AssignmentOut(Assignment):
    """Why an item was put into its cluster; docs/messages.md says what the fields are."""


class FeedbackOut(BaseModel):
    """One item; it is `clustered` once it has a `cluster_id`, and `assignment` says why it is there.

    `occurrences` counts the events that are this one item, within about 1%; `updated_at` is its source's time.
    """

    id: str
    project_id: str
    source: str
    external_id: str
    title: str
    body: str
    raw_text: str | None = None
    metadata: dict[str, Any]
    created_at: datetime
    received_at: datetime
    author: str | None
    url: str | None
    github_repo_url: str | None
    language: str | None
    updated_at: datetime | None
    occurrences: int
    clustered: bool
    cluster_id: str | None
    assignment: AssignmentOut | None
    repo: str | None = None
    github_issue_number: int | None = None
    github_issue_url: str | None = None
    status: str | None = None

    @classmethod
    def of(cls, view: FeedbackView) -> "FeedbackOut":
        """Return an item as it is read."""
        item = view.item
        theirs: dict[str, Any] = {
            name: item.metadata[name]
            for name, kind in _IN_METADATA.items()
            if isinstance(item.metadata.get(name), kind)
        }
        return cls(
            id=item.id,
            project_id=item.project_id,
            source=item.source,
            external_id=item.external_id,
            title=item.title,
            body=item.body,
            metadata=item.metadata,
            created_at=item.created_at,
            received_at=item.received_at,
            updated_at=item.updated_at,
            occurrences=view.occurrences,
            author=item.author,
            url=item.url,
            github_repo_url=item.github_repo_url,
            language=item.language,
            clustered=view.cluster_id is not None,
            cluster_id=view.cluster_id,
            assignment=None if view.assignment is None else AssignmentOut(**asdict(view.assignment)),
            **theirs,
        )


class EditedOut(BaseModel):
    """202 of PUT /feedback/{id}: Kafka has the item's new version, `item`; it can be read a moment later."""

    status: Literal["ok"] = "ok"
    id: str
    project_id: str
    item: FeedbackOut


class FeedbackListOut(BaseModel):
    """GET /feedback: a part of the items, newest first; `total` is null where not all were looked at."""

    items: list[FeedbackOut]
    total: int | None
    limit: int
    offset: int
    next_cursor: str | None
    project_id: str


class ClusterOut(BaseModel):
    """One cluster in GET /clusters; `count` is how many items it holds."""

    id: str
    title: str
    summary: str
    count: int
    status: ClusterStatus
    sources: list[str]
    github_repo_url: str | None
    github_branch: str | None = None
    github_pr_url: str | None
    issue_title: str | None = None
    issue_description: str | None = None
    error_message: str | None
    project_id: str
    created_at: datetime
    updated_at: datetime
    terms: list[str]
    coherence: float | None
    titled_by: Literal["machine", "person"]
    pinned: bool
    parent_id: str | None

    @classmethod
    def of(cls, view: ClusterView) -> "ClusterOut":
        """Return a cluster as it is read."""
        return cls(**_cluster_fields(view))


class HistoryOut(BaseModel):
    """What happened to a cluster; `other_id` is the cluster it happened with."""

    model_config = ConfigDict(from_attributes=True)

    kind: Happening
    by: By
    reason: str
    at: datetime | None
    other_id: str | None
    command_id: str | None


class ClusterDetailOut(ClusterOut):
    """GET /clusters/{id}: a cluster and a part of its items, newest first; `total` is how many it holds.

    Asked for a cluster that was merged, it is the one that was merged into: `id` says which.
    """

    feedback_ids: list[str]
    feedback_items: list[FeedbackOut]
    total: int
    limit: int
    offset: int
    next_cursor: str | None
    history: list[HistoryOut]

    @classmethod
    def with_items(
        cls,
        view: ClusterView,
        page: Page[FeedbackView],
        history: Sequence[HistoryEntry],
        *,
        limit: int,
        offset: int,
    ) -> "ClusterDetailOut":
        """Return a cluster with a part of its items, and its history."""
        return cls(
            **_cluster_fields(view),
            feedback_ids=[item.item.id for item in page.items],
            feedback_items=[FeedbackOut.of(item) for item in page.items],
            total=page.total,
            next_cursor=page.next,
            limit=limit,
            offset=offset,
            history=[HistoryOut.model_validate(entry) for entry in history],
        )


def _cluster_fields(view: ClusterView) -> dict[str, Any]:
    return {
        "id": view.id,
        "title": view.title,
        "summary": view.summary,
        "count": view.size,
        "status": view.status,
        "sources": list(view.sources),
        "github_repo_url": view.github_repo_url,
        "github_pr_url": view.github_pr_url,
        "error_message": view.error_message,
        "project_id": view.project_id,
        "created_at": view.created_at,
        "updated_at": view.updated_at,
        "terms": list(view.terms),
        "coherence": view.coherence,
        "titled_by": view.titled_by,
        "pinned": view.pinned,
        "parent_id": view.parent_id,
    }


class StatsOut(BaseModel):
    """GET /stats: a project in figures."""

    total_feedback: int
    by_source: dict[str, int]
    unclustered: int
    total_clusters: int
    by_status: dict[str, int]
    jobs: int
    project_id: str

    @classmethod
    def of(cls, project_id: str, stats: Stats) -> "StatsOut":
        """Return the figures; the predecessor's sources are always named, at zero where there is nothing of them."""
        return cls(
            total_feedback=stats.total_feedback,
            by_source=dict.fromkeys(_PREDECESSOR_SOURCES, 0) | dict(stats.by_source),
            unclustered=stats.unclustered,
            total_clusters=stats.total_clusters,
            by_status=dict(stats.by_status),
            jobs=stats.jobs,
            project_id=project_id,
        )


class StartFixOut(BaseModel):
    """202 of start_fix: Kafka has the command; the job shows in /jobs a moment later, under `job_id`."""

    status: Literal["ok"] = "ok"
    message: str
    job_id: str
    command_id: str
    cluster_id: str
    project_id: str


class AskedOut(BaseModel):
    """202 of a command: Kafka has it. 200, where the caller waited: it was applied.

    `cluster_id` is the cluster it was asked of, where it was asked of one; `outcome` and `reason` are what is known of
    it so far.
    """

    status: Literal["ok"] = "ok"
    message: str
    command_id: str
    cluster_id: str | None
    project_id: str
    outcome: CommandOutcome | None
    reason: str | None


class CommandOut(BaseModel):
    """GET /commands/{id}: what became of a command."""

    command_id: str
    outcome: CommandOutcome
    reason: str
    at: datetime
    project_id: str

    @classmethod
    def of(cls, project_id: str, view: CommandView) -> "CommandOut":
        """Return what became of a command."""
        return cls(command_id=view.id, outcome=view.outcome, reason=view.reason, at=view.at, project_id=project_id)


class StatusOut(BaseModel):
    """How a project's clustering stands; docs/messages.md says what the fields are."""

    model_config = ConfigDict(from_attributes=True)

    state: Literal["idle", "pending", "running"]
    round: int
    outcome: str
    at: datetime
    seconds: float
    items: int
    groups: int
    clusters: int
    moved_share: float
    threshold: float
    calibration: int


class ProposalOut(BaseModel):
    """What a person may want to do."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    kind: Literal["merge", "split"]
    cluster_ids: list[str]
    score: float
    reason: str


class ClusteringOut(BaseModel):
    """GET /clustering/status: the status, null before there is one, and the proposals, the likeliest first."""

    status: StatusOut | None
    proposals: list[ProposalOut]
    project_id: str

    @classmethod
    def of(cls, project_id: str, status: ClusteringStatus | None, proposals: Sequence[Proposal]) -> "ClusteringOut":
        """Return how a project's clustering stands."""
        return cls(
            status=None if status is None else StatusOut.model_validate(status),
            proposals=[ProposalOut.model_validate(proposal) for proposal in proposals],
            project_id=project_id,
        )


class JobOut(BaseModel):
    """A job; `logs`, one line an entry, is null in lists."""

    id: str
    project_id: str
    cluster_id: str
    status: JobStatus
    logs: str | None
    pr_url: str | None
    error: str | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, job: Job, logs: Sequence[str] | None = None) -> "JobOut":
        """Return a job as it is read."""
        return cls(
            id=job.id,
            project_id=job.project_id,
            cluster_id=job.cluster_id,
            status=job.status,
            logs=None if logs is None else "\n".join(logs),
            pr_url=job.pr_url,
            error=job.error,
            created_at=job.created_at,
            updated_at=job.updated_at,
        )


class JobToldOut(BaseModel):
    """What was told of a job is on Kafka; `job` is the job with it."""

    status: Literal["ok"] = "ok"
    message: str
    job_id: str
    project_id: str
    job: JobOut

    @classmethod
    def of(cls, message: str, job: Job) -> "JobToldOut":
        """Return what was done with a job."""
        return cls(message=message, job_id=job.id, project_id=job.project_id, job=JobOut.of(job))


class JobLogsOut(BaseModel):
    """GET /jobs/{id}/logs: the log so far, a line with its end a chunk; the predecessor's clients join them."""

    job_id: str
    project_id: str
    source: Literal["memory"] = "memory"
    chunks: list[str]


class DeadLetterOut(BaseModel):
    """A message that was set aside, and why; `topic`, `partition` and `offset` say where it was.

    Of what is not text there is the base64 instead. `value` is the beginning of what has `value_bytes` bytes, where it
    is `cut`.
    """

    id: str
    at: datetime
    topic: str
    partition: int
    offset: int
    index: int | None
    reason: str
    key: str | None
    key_base64: str | None
    value: str | None
    value_base64: str | None
    value_bytes: int
    cut: bool

    @classmethod
    def of(cls, letter: DeadLetter) -> "DeadLetterOut":
        """Return a letter as it is read."""
        original = letter.original
        value = original.value or b""
        cut = len(value) < letter.size
        key_text, key_base64 = (None, None) if original.key is None else _text_or_base64(original.key, cut=False)
        text, in_base64 = _text_or_base64(value, cut=cut)
        return cls(
            id=letter.id,
            at=letter.at,
            topic=original.topic,
            partition=original.partition,
            offset=original.offset,
            index=letter.index,
            reason=letter.reason,
            key=key_text,
            key_base64=key_base64,
            value=text,
            value_base64=in_base64,
            value_bytes=letter.size,
            cut=cut,
        )


def _text_or_base64(value: bytes, *, cut: bool) -> tuple[str | None, str | None]:
    """Return bytes as text, or else in base64; a character that is cut in two is left out."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(value, final=not cut), None
    except UnicodeDecodeError:
        return None, base64.b64encode(value).decode()


class DeadLettersOut(BaseModel):
    """GET /dead-letters: a part of the letters, newest first; `before` is given for the next, null at the end."""

    items: list[DeadLetterOut]
    before: str | None
    project_id: str


class ReplayedOut(BaseModel):
    """202 of replay: Kafka has the message again, on `topic`."""

    status: Literal["ok"] = "ok"
    id: str
    topic: str
    project_id: str


class KeyOut(BaseModel):
    """An API key, without its secret."""

    id: str
    project_id: str
    name: str
    scopes: list[KeyScope]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey, last_used_at: datetime | None = None) -> "KeyOut":
        """Return a key as it is read."""
        return cls(**_key_fields(key, last_used_at))


class NewKeyOut(KeyOut):
    """201 of POST /keys: the key, and its secret, which is shown this once."""

    secret: str

    @classmethod
    def with_secret(cls, key: ApiKey, secret: str) -> "NewKeyOut":
        """Return a new key."""
        return cls(**_key_fields(key, None), secret=secret)


def _key_fields(key: ApiKey, last_used_at: datetime | None) -> dict[str, Any]:
    return {**key.shown(), "scopes": list(key.scopes), "last_used_at": last_used_at}


class UserIn(Body):
    """POST /users: a person, by e-mail address or GitHub's number of their account."""

    email: Email | None = None
    github_id: Id | None = None
    name: PersonName | None = None

    @model_validator(mode="after")
    def _known_by_something(self) -> Self:
        if self.email is None and self.github_id is None:
            raise ValueError("email or github_id is needed")
        return self


class UserOut(BaseModel):
    """A user."""

    id: str
    email: str | None
    name: str | None
    github_id: str | None
    github_login: str | None
    created_at: datetime

    @classmethod
    def of(cls, user: User) -> "UserOut":
        """Return a user as it is read."""
        return cls.model_validate(user, from_attributes=True)


class ProjectIn(Body):
    """POST /projects: a project for a user; without an id of yours, it has one that follows from user and name."""

    name: ProjectName
    user_id: Id
    project_id: ProjectId | None = None


class ProjectOut(BaseModel):
    """A project; `user_id` is who made it, null where no user did."""

    id: str
    user_id: str | None
    name: str
    created_at: datetime | None

    @classmethod
    def of(cls, project: Project) -> "ProjectOut":
        """Return a project as it is read."""
        return cls(id=project.id, user_id=project.created_by, name=project.name, created_at=project.created_at)


class MadeUserOut(BaseModel):
    """POST /users: the user, and the project of their own."""

    user: UserOut
    default_project: ProjectOut


class MadeProjectOut(BaseModel):
    """POST /projects: the project."""

    project: ProjectOut


class ProjectsOut(BaseModel):
    """GET /projects: projects by name."""

    projects: list[ProjectOut]


class MemberIn(Body):
    """POST /projects/{id}/members: one of a user's id, an e-mail address or a GitHub login, and the role."""

    user_id: Id | None = None
    email: Email | None = None
    github_login: GitHubLogin | None = None
    role: Role

    @model_validator(mode="after")
    def _one_person(self) -> Self:
        if sum(given is not None for given in (self.user_id, self.email, self.github_login)) != 1:
            raise ValueError("one of user_id, email and github_login is needed, and no more")
        return self


class MemberOut(BaseModel):
    """A member of a project since `since`; the address of who has signed in is not shown."""

    project_id: str
    user_id: str
    role: Role
    since: datetime
    name: str | None
    email: str | None
    github_login: str | None

    @classmethod
    def of(cls, view: MemberView) -> "MemberOut":
        """Return a member as it is read."""
        member, user = view.membership, view.user
        return cls(
            project_id=member.project_id,
            user_id=member.user_id,
            role=member.role,
            since=member.at,
            name=user and user.name,
            email=user.email if user is not None and user.github_id is None else None,
            github_login=user and user.github_login,
        )


class RootOut(BaseModel):
    """GET /: the server is up."""

    status: Literal["ok"] = "ok"
    service: Literal["soulcaster"] = "soulcaster"


class HealthOut(BaseModel):
    """GET /health: the server is up, and whether its storage answers."""

    status: Literal["healthy"] = "healthy"
    service: Literal["soulcaster"] = "soulcaster"
    storage: Literal["connected", "disconnected"]
    timestamp: datetime


class ReadyOut(BaseModel):
    """200 of GET /ready: all that requests need answers."""

    status: Literal["ready"] = "ready"
    checks: dict[str, str]
