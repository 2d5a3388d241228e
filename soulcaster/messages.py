"""The wire: every message on every topic, as pydantic models.

Each message carries `schema_version`, the major version: fields are only ever added under one; a message of a version
this program does not speak is dead-lettered. Messages travel in envelopes: what is at hand for one project, up to
`topics.ENVELOPE_BYTES`. docs/messages.md documents what a producer of one's own may send.
"""

import base64
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    Tag,
    TypeAdapter,
    model_serializer,
    model_validator,
)

from soulcaster.domain.commands import (
    Cleanup,
    Command,
    CommandKind,
    Configure,
    Fix,
    Granularity,
    Merge,
    Move,
    Mute,
    Pin,
    Rebalance,
    Rename,
    Reopen,
    Reset,
    Resolve,
    RoundFinished,
    Split,
    StartFix,
    Undo,
)
from soulcaster.domain.events import ClusterEvent, ProposalsChanged
from soulcaster.domain.feedback import Brief, Deleted, FeedbackItem, Words
from soulcaster.domain.ids import step_id_for
from soulcaster.domain.keys import MAX_NAME, SCOPES, ApiKey, KeyScope
from soulcaster.domain.lifecycle import JobStatus, JobStep
from soulcaster.domain.normalize import clean
from soulcaster.domain.people import Membership, Role, User
from soulcaster.domain.runs import split_by_bytes
from soulcaster.domain.source_state import (
    MAX_CURSOR_BYTES,
    MAX_ERROR,
    Position,
    RepositoryState,
    SourceReport,
    SourceStatus,
)
from soulcaster.domain.webhooks import WebhookSecret
from soulcaster.project_config import ProjectConfig, Repository, StoredConfig
from soulcaster.topics import ENVELOPE_BYTES

SCHEMA_VERSION: Literal[1] = 1

MAX_IDS = 1000
"""Ids that a command may name at once."""

MAX_PROPOSALS = 200
"""Proposals that travel: the likeliest. A reason has at most 500 characters, so they stay below `ENVELOPE_BYTES`."""

ENVELOPE_ITEMS = 500
"""Items that travel in one envelope of feedback.raw at most."""

MAX_ITEM_BYTES = 256 * 1024
"""An item larger than this, as JSON, is not feedback a person can read; it goes to the dead letters."""

_TOMBSTONE_BYTES = 512
"""More than a tombstone takes as JSON."""

RESERVED = frozenset({"all", "cluster", "created", "external", "items", "jobs", "source", "sources", "unclustered"})
"""Words that stand where a project's id stands in the read model's other keys."""


def _not_reserved(project_id: str) -> str:
    if project_id in RESERVED:
        raise ValueError(f"{project_id!r} is a word of Soulcaster's own; choose another id")
    return project_id


ProjectId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$"), AfterValidator(_not_reserved)]
"""A UUID or a CUID; any short word of letters, digits, hyphen and underscore that is not reserved is accepted."""

SOURCE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$"

Source = Annotated[str, StringConstraints(pattern=SOURCE_PATTERN, to_lower=True)]
"""Where an item is from, in lower case; the pattern is held against what was given, before it is lowered."""

OTHER_SOURCE = "generic"
"""The source of an item that says it is from where no `Source` is; intake.py keeps what it says."""


def _given_source(value: str) -> str:
    """Return a source cleaned, in lower case where it is a `Source`."""
    value = clean(value)
    if not value:
        raise ValueError("there is nothing to read in it")
    return value.lower() if re.fullmatch(SOURCE_PATTERN, value) else value


GivenSource = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_given_source)]
"""Where an item is said to be from: a `Source`, or any other words."""

MAX_EXTERNAL_ID = 512
"""Characters of an item's id at its source."""

ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_EXTERNAL_ID)]


def _aware(value: Any) -> Any:
    """Read a time without a zone as UTC; leave everything else to pydantic."""
    if isinstance(value, str):
        value = value.strip()
        if "T" in value or " " in value:
            time = value[11:]
            return value if time.endswith(("Z", "z")) or "+" in time or "-" in time else value + "Z"
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.astimezone()
    return value


def _in_utc(value: datetime) -> datetime:
    """Refuse a time that is before the year 1 or after 9999 in UTC: it could be read, but not worked with."""
    try:
        value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the time is out of range in UTC") from error
    return value


Time = Annotated[AwareDatetime, BeforeValidator(_aware), AfterValidator(_in_utc)]


MAX_DEPTH = 64
"""Lists and objects in one another in an item's metadata; JSON readers give up at some depth, pydantic's at 200."""


def _storable(value: Any, depth: int = 0) -> Any:
    """Refuse what was read as JSON but could not be read again: too deep, or a number beyond a float's range."""
    if isinstance(value, dict | list):
        if depth >= MAX_DEPTH:
            raise ValueError(f"lists and objects may be {MAX_DEPTH} deep in one another, no deeper")
        for part in value.values() if isinstance(value, dict) else value:
            _storable(part, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number in it is not finite, or larger than a float can be")
    return value


Metadata = Annotated[dict[str, Any], AfterValidator(_storable)]


def _short(cursor: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(cursor, ensure_ascii=False).encode("utf-8", "surrogatepass")) > MAX_CURSOR_BYTES:
        raise ValueError(f"may have {MAX_CURSOR_BYTES:,} bytes as JSON")
    return cursor


MAX_ETAG = 256
"""Characters of an ETag that is kept."""

PollCursor = Annotated[dict[str, Any], AfterValidator(_storable), AfterValidator(_short)]
"""Where a poller goes on; a small document of its own."""


class Message(BaseModel):
    """Base of all: frozen, unknown fields ignored (they may be of a newer minor version)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: Literal[1] = SCHEMA_VERSION

    def to_bytes(self) -> bytes:
        """Return the message as it travels: UTF-8 JSON."""
        return self.__pydantic_serializer__.to_json(self)


class RawFeedback(BaseModel):
    """One item on feedback.raw, as any producer may send it.

    `external_id` is the item's id at its source: the same one sent twice is one item, newest version wins. Without it
    each message is an item of its own, so two people's identical words stay two items. `updated_at`, `occurrence_id`
    and `words` are those of `FeedbackItem`: with a time, a version that comes late does not count.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    project_id: ProjectId
    source: GivenSource
    title: str | None = None
    body: str | None = None
    external_id: ExternalId | None = None
    created_at: Time | None = None
    author: str | None = None
    url: str | None = None
    github_repo_url: str | None = None
    metadata: Metadata = Field(default_factory=dict)
    updated_at: Time | None = None
    occurrence_id: ExternalId | None = None
    words: Words = "own"

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.title or self.body):
            raise ValueError("give a title or a body")
        return self


class RawEnvelope(Message):
    """Many items at once on feedback.raw; they may be of several projects."""

    items: tuple[RawFeedback, ...]


class Delivery(Message):
    """feedback.raw: what a vendor sent, as it was; agents/normalize parses it, and can do so again.

    `vendor` names the parser (`domain.sources.SOURCES`), `headers` are those that it reads, in lower case.
    """

    project_id: ProjectId
    vendor: Source
    headers: dict[str, str]
    payload: Any


class ItemsEnvelope(Message):
    """feedback.items: cleaned items of one project, and tombstones of items that are gone for good.

    A tombstone holds wherever it stands: what comes of its item later counts no more.
    """

    project_id: ProjectId
    items: tuple[FeedbackItem, ...]
    deleted: tuple[Deleted, ...] = ()


class EmbedderId(BaseModel):
    """Which embedder made a vector; vectors of two never meet in one index."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    dimensions: Annotated[int, Field(ge=1)]


class EmbeddedEnvelope(Message):
    """feedback.embedded: briefs of one project and their vectors, row by row; and tombstones, as they came.

    `vectors` is base64 of float16, little-endian, shape (len(items), embedder.dimensions), unit length.
    """

    project_id: ProjectId
    embedder: EmbedderId
    items: tuple[Brief, ...]
    vectors: str
    deleted: tuple[Deleted, ...] = ()

    @model_validator(mode="after")
    def _one_vector_each(self) -> Self:
        expected = len(self.items) * self.embedder.dimensions * 2
        if len(self.vectors) != (expected + 2) // 3 * 4:
            raise ValueError(f"vectors must hold {expected} bytes as base64, one float16 row an item")
        return self

    def matrix(self) -> npt.NDArray[np.float32]:
        """Return the vectors as float32, shape (items, dimensions).

        Raises:
            ValueError: they are not base64.
        """
        halves = np.frombuffer(base64.b64decode(self.vectors, validate=True), dtype="<f2")
        return halves.reshape(len(self.items), self.embedder.dimensions).astype(np.float32)


def pack_vectors(matrix: npt.NDArray[np.float32]) -> str:
    """Return a matrix as `EmbeddedEnvelope.vectors` wants it."""
    return base64.b64encode(matrix.astype("<f2").tobytes()).decode()


_Event = Annotated[ClusterEvent, Field(discriminator="type")]
_EVENT: TypeAdapter[ClusterEvent] = TypeAdapter(_Event)


class ClusterEvents(Message):
    """cluster.events: what happened in one project, in order."""

    project_id: ProjectId
    events: tuple[_Event, ...]


ShortId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Ids = Annotated[tuple[ShortId, ...], Field(min_length=1, max_length=MAX_IDS)]
KeyName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME)]
KeyScopes = Annotated[tuple[KeyScope, ...], Field(min_length=1, max_length=len(SCOPES))]
UserId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
ProjectName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
PersonName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, to_lower=True, pattern=r"^[^@\s<>:,;]{1,64}@[^@\s<>:,;]{1,189}$"),
]
"""An e-mail address, in small letters; only a message to it would show whether it is one."""
GitHubLogin = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_-]{1,64}$")]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Threshold = Annotated[float, Field(ge=0, le=1)]

_NEEDED: Mapping[CommandKind, tuple[str, ...]] = {
    "start_fix": ("cluster_id",),
    "merge": ("cluster_id", "cluster_ids"),
    "split": ("cluster_id", "item_ids"),
    "move": ("cluster_id", "item_ids"),
    "rename": ("cluster_id",),
    "pin": ("cluster_id", "pinned"),
    "mute": ("cluster_id",),
    "resolve": ("cluster_id",),
    "reopen": ("cluster_id",),
    "undo": ("command_id",),
    "rebalance": (),
    "cleanup": ("proposal_ids",),
    "reset": (),
    "configure": ("granularity",),
    "round_finished": (),
}


class ClusterCommand(Message):
    """cluster.commands: what a person asked of clusters. `id` makes a second delivery harmless.

    `type` says which of the fields below `requested_at` it has; a field that is null is left out.
    """

    id: ShortId
    type: CommandKind
    project_id: ProjectId
    requested_by: Annotated[str, StringConstraints(max_length=200)]
    requested_at: Time
    cluster_id: ShortId | None = None
    cluster_ids: Ids | None = None
    item_ids: Ids | None = None
    title: Title | None = None
    pinned: bool | None = None
    command_id: ShortId | None = None
    proposal_ids: Ids | None = None
    threshold: Threshold | None = None
    granularity: Granularity | None = None

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        missing = [name for name in _NEEDED[self.type] if getattr(self, name) is None]
        if missing:
            raise ValueError(f"{self.type} needs {' and '.join(missing)}")
        return self

    @model_serializer(mode="wrap")
    def _without_nulls(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}

    def command(self) -> Command | RoundFinished:
        """Return the command as the domain takes it."""
        asked: dict[str, Any] = {
            "id": self.id,
            "requested_by": self.requested_by,
            "requested_at": self.requested_at,
        }
        cluster_id, items = self.cluster_id or "", self.item_ids or ()  # the validator has seen to what is needed
        match self.type:
            case "start_fix":
                return StartFix(**asked, cluster_id=cluster_id)
            case "merge":
                return Merge(**asked, cluster_id=cluster_id, others=self.cluster_ids or ())
            case "split":
                return Split(**asked, cluster_id=cluster_id, items=items, title=self.title)
            case "move":
                return Move(**asked, items=items, into=cluster_id)
            case "rename":
                return Rename(**asked, cluster_id=cluster_id, title=self.title)
            case "pin":
                return Pin(**asked, cluster_id=cluster_id, pinned=bool(self.pinned))
            case "mute":
                return Mute(**asked, cluster_id=cluster_id)
            case "resolve":
                return Resolve(**asked, cluster_id=cluster_id)
            case "reopen":
                return Reopen(**asked, cluster_id=cluster_id)
            case "undo":
                return Undo(**asked, command_id=self.command_id or "")
            case "rebalance":
                return Rebalance(**asked)
            case "cleanup":
                return Cleanup(**asked, proposals=self.proposal_ids or ())
            case "reset":
                return Reset(**asked)
            case "round_finished":
                return RoundFinished(**asked)
            case "configure":
                return Configure(**asked, threshold=self.threshold, granularity=self.granularity or "auto")


class FixCommand(Message):
    """fix.commands: launch a coding agent for a cluster; only after a person said so. `job_id` is deterministic."""

    job_id: str
    project_id: ProjectId
    cluster_id: str
    cluster_title: str
    requested_by: str
    requested_at: Time

    def fix(self) -> Fix:
        """Return the command as the domain takes it."""
        return Fix(self.job_id, self.cluster_id, self.cluster_title, self.requested_by, self.requested_at)


class JobEvent(Message):
    """job.events: a step of a job. `id` makes a second delivery harmless; without one it is known by what it says."""

    id: ShortId | None = None
    job_id: str
    project_id: ProjectId
    cluster_id: str
    seq: Annotated[int, Field(ge=0)]
    status: JobStatus
    at: Time
    log: str | None = None
    pr_url: str | None = None
    error: str | None = None

    def step(self) -> JobStep:
        """Return the step as the state machine takes it."""
        said = (str(self.seq), self.status, self.log or "", self.pr_url or "", self.error or "")
        known_by = self.id or step_id_for(self.job_id, *said)
        return JobStep(**{**self.model_dump(exclude={"schema_version"}), "id": known_by})


class ProjectDefined(Message):
    """control: a project, its name and who made it, where that was a user; the newest counts."""

    type: Literal["project"] = "project"
    id: ProjectId
    name: ProjectName
    created_at: Time
    created_by: UserId | None = None


class KeyDefined(Message):
    """control: an API key, of which only the hash is known; the newest counts, so a revoked one is sent again so."""

    type: Literal["key"] = "key"
    id: ShortId
    project_id: ProjectId
    name: KeyName
    hash: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    scopes: KeyScopes
    created_at: Time
    created_by: Annotated[str, StringConstraints(max_length=200)]
    expires_at: Time | None = None
    revoked_at: Time | None = None

    def key(self) -> ApiKey:
        """Return the key as the domain takes it."""
        return ApiKey(**self.model_dump(exclude={"schema_version", "type"}))


class UserDefined(Message):
    """control: a user; the newest counts."""

    type: Literal["user"] = "user"
    id: UserId
    email: Email | None = None
    name: PersonName | None = None
    github_id: ShortId | None = None
    github_login: GitHubLogin | None = None
    created_at: Time

    def user(self) -> User:
        """Return the user as the domain takes it."""
        return User(**self.model_dump(exclude={"schema_version", "type"}))


class MemberDefined(Message):
    """control: what a user is in a project; the newest counts, so who was removed is sent again so."""

    type: Literal["member"] = "member"
    project_id: ProjectId
    user_id: UserId
    role: Role
    at: Time
    removed_at: Time | None = None

    def membership(self) -> Membership:
        """Return the membership as the domain takes it."""
        return Membership(**self.model_dump(exclude={"schema_version", "type"}))


class ProjectConfigured(Message):
    """control: all of a project's settings; the newest counts. `version` counts them."""

    type: Literal["config"] = "config"
    project_id: ProjectId
    version: Annotated[int, Field(ge=1)]
    config: ProjectConfig
    updated_at: Time
    updated_by: Annotated[str, StringConstraints(max_length=200)]

    def stored(self) -> StoredConfig:
        """Return the settings as they are kept."""
        return StoredConfig(self.version, self.config, self.updated_at, self.updated_by)


class WebhookSecretDefined(Message):
    """control: a webhook secret, sealed; the newest counts, so a removed one is sent again so, with nothing sealed."""

    type: Literal["webhook"] = "webhook"
    id: ShortId
    project_id: ProjectId
    source: Source
    sealed: Annotated[str, StringConstraints(max_length=4096)]
    last4: Annotated[str, StringConstraints(max_length=4)]
    created_at: Time
    created_by: Annotated[str, StringConstraints(max_length=200)]
    removed_at: Time | None = None

    def secret(self) -> WebhookSecret:
        """Return the secret as the domain takes it."""
        return WebhookSecret(**self.model_dump(exclude={"schema_version", "type"}))


class SourceReported(Message):
    """control: what a source's poller says of itself; the newest of a project and source counts."""

    type: Literal["source"] = "source"
    project_id: ProjectId
    source: Source
    cursor: PollCursor
    status: SourceStatus
    reported_at: Time
    polled_at: Time | None = None
    last_error: Annotated[str, StringConstraints(max_length=MAX_ERROR)] | None = None
    last_error_at: Time | None = None

    def report(self) -> SourceReport:
        """Return the report as the domain takes it."""
        return SourceReport(**self.model_dump(exclude={"schema_version", "type", "project_id", "source"}))


class RepositorySynced(Message):
    """control: how far a repository at GitHub was read for a project; the newest of each counts.

    `connected_at`, `since`, `whole` and `etag` are those of `domain.source_state.Position`.
    """

    type: Literal["repository"] = "repository"
    project_id: ProjectId
    repository: Repository
    connected_at: Time
    since: Time | None = None
    whole: bool = False
    etag: Annotated[str, StringConstraints(max_length=MAX_ETAG)] | None = None
    status: SourceStatus
    reported_at: Time
    synced_at: Time | None = None
    last_error: Annotated[str, StringConstraints(max_length=MAX_ERROR)] | None = None
    last_error_at: Time | None = None

    def state(self) -> RepositoryState:
        """Return the state as the domain takes it."""
        position = Position(self.connected_at, self.since, self.whole, self.etag)
        told = (self.status, self.reported_at, self.synced_at, self.last_error, self.last_error_at)
        return RepositoryState(self.repository, position, *told)


class SourceKicked(Message):
    """control: somebody wants a source polled now; a message of its own, for its poller writes the other."""

    type: Literal["kick"] = "kick"
    project_id: ProjectId
    source: Source
    kicked_at: Time


ControlMessage = (
    ProjectDefined
    | KeyDefined
    | UserDefined
    | MemberDefined
    | ProjectConfigured
    | WebhookSecretDefined
    | SourceReported
    | SourceKicked
    | RepositorySynced
)

_CONTROL: TypeAdapter[ControlMessage] = TypeAdapter(
    Annotated[
        Annotated[ProjectDefined, Tag("project")]
        | Annotated[KeyDefined, Tag("key")]
        | Annotated[UserDefined, Tag("user")]
        | Annotated[MemberDefined, Tag("member")]
        | Annotated[ProjectConfigured, Tag("config")]
        | Annotated[WebhookSecretDefined, Tag("webhook")]
        | Annotated[SourceReported, Tag("source")]
        | Annotated[SourceKicked, Tag("kick")]
        | Annotated[RepositorySynced, Tag("repository")],
        Discriminator(lambda value: value.get("type", "project") if isinstance(value, dict) else None),
    ]
)


def control_message(value: bytes) -> ControlMessage:
    """Return what a record of control says; one without a type is a project.

    Raises:
        ValueError: it is none of what control carries.
    """
    return _CONTROL.validate_json(value)


def raw_envelopes(items: Sequence[bytes]) -> Iterator[bytes]:
    """Yield RawEnvelope messages of items that are JSON already, each below ENVELOPE_BYTES and ENVELOPE_ITEMS."""
    head = b'{"schema_version":%d,"items":[' % SCHEMA_VERSION
    for run in split_by_bytes([(item, len(item) + 1) for item in items], ENVELOPE_BYTES - len(head) - 2):
        for start in range(0, len(run), ENVELOPE_ITEMS):
            yield head + b",".join(run[start : start + ENVELOPE_ITEMS]) + b"]}"


def items_envelopes(project_id: str, items: Sequence[bytes], deleted: Sequence[Deleted] = ()) -> Iterator[bytes]:
    """Yield ItemsEnvelope messages, each below `ENVELOPE_BYTES` where items allow; items are JSON already.

    Tombstones come after all items.
    """
    head = b'{"schema_version":%d,"project_id":"%s","items":[' % (SCHEMA_VERSION, project_id.encode())
    for run in split_by_bytes([(item, len(item) + 1) for item in items], ENVELOPE_BYTES - len(head)):
        yield head + b",".join(run) + b"]}"
    for gone in split_by_bytes([(one, _TOMBSTONE_BYTES) for one in deleted], ENVELOPE_BYTES):
        yield ItemsEnvelope(project_id=project_id, items=(), deleted=tuple(gone)).to_bytes()


def embedded_envelopes(
    project_id: str,
    embedder: EmbedderId,
    items: Sequence[Brief],
    vectors: npt.NDArray[np.float32],
    deleted: Sequence[Deleted] = (),
) -> Iterator[bytes]:
    """Yield EmbeddedEnvelope messages, each below `ENVELOPE_BYTES`; tombstones come after all items."""
    row = embedder.dimensions * 3 + 512
    sizes = [(i, row + 4 * (len(item.title) + len(item.text))) for i, item in enumerate(items)]
    for run in split_by_bytes(sizes, ENVELOPE_BYTES):
        yield EmbeddedEnvelope(
            project_id=project_id,
            embedder=embedder,
            items=tuple(items[i] for i in run),
            vectors=pack_vectors(vectors[run]),
        ).to_bytes()
    for gone in split_by_bytes([(one, _TOMBSTONE_BYTES) for one in deleted], ENVELOPE_BYTES):
        yield EmbeddedEnvelope(
            project_id=project_id, embedder=embedder, items=(), vectors="", deleted=tuple(gone)
        ).to_bytes()


def event_envelopes(project_id: str, events: Sequence[ClusterEvent]) -> Iterator[bytes]:
    """Yield ClusterEvents messages, each below `ENVELOPE_BYTES`; of proposals the likeliest `MAX_PROPOSALS` travel."""
    head = b'{"schema_version":%d,"project_id":"%s","events":[' % (SCHEMA_VERSION, project_id.encode())
    values = [_EVENT.dump_json(_bounded(event)) for event in events]
    for run in split_by_bytes([(value, len(value) + 1) for value in values], ENVELOPE_BYTES - len(head) - 1):
        yield head + b",".join(run) + b"]}"


def _bounded(event: ClusterEvent) -> ClusterEvent:
    if isinstance(event, ProposalsChanged):
        return replace(event, proposals=event.proposals[:MAX_PROPOSALS])
    return event
