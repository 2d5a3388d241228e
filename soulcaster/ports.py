"""What Soulcaster needs of the world, as small protocols; soulcaster/adapters has one file a system.

Every adapter raises `errors.Unavailable` when its system does not answer within its time limit, and nothing else for
that; a caller may then try the same call again.
"""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from soulcaster.domain.commands import Fix
from soulcaster.domain.events import (
    By,
    Change,
    ClusterEvent,
    ClusteringConfigured,
    ClusteringStatus,
    Outcome,
    Proposal,
    Rule,
)
from soulcaster.domain.feedback import FeedbackItem
from soulcaster.domain.keys import ApiKey
from soulcaster.domain.lifecycle import ClusterStatus, Job, JobStatus, JobStep, Triage
from soulcaster.domain.people import Membership, User
from soulcaster.domain.source_state import RepositoryState, SourceReport, SourceState
from soulcaster.domain.webhooks import WebhookSecret
from soulcaster.project_config import StoredConfig

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Record:
    """A message as it came from a topic."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be sent; its key chooses the partition."""

    topic: str
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Publisher(Protocol):
    """Sends messages to Kafka."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Send all, in order a topic and key, and return when the brokers have acknowledged every one.

        Raises:
            KafkaUnavailable: at least one was not acknowledged in time; some may have been, so send all again.
            InvalidMessage: one is larger than its topic takes.
        """


class KeyedPublisher(Publisher, Protocol):
    """A publisher that can tell where a key leads."""

    async def partitions(self, topic: str, keys: Sequence[bytes]) -> Sequence[int]:
        """Return the partition of each key: what is sent to a topic with keys of one partition stays in order there.

        Raises:
            KafkaUnavailable: it cannot be told, for Kafka does not answer.
        """


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was set aside at `at`: the one there was, or one item of it, and why.

    `partition` and `offset` are its own place among the dead letters. `original` is the message, with the place that it
    was at; its value may be the beginning alone, `size` is how many bytes there are. `index` is the item's place in its
    envelope, None where all of it was set aside. `project_id` is None where it cannot be told whose it is.
    """

    partition: int
    offset: int
    at: datetime
    original: Record
    size: int
    reason: str
    index: int | None
    project_id: str | None

    @property
    def id(self) -> str:
        """Return its id: partition and offset, as "3-17"."""
        return f"{self.partition}-{self.offset}"


@dataclass(frozen=True, slots=True)
class LettersPage:
    """A part of a project's dead letters, newest first; `before` is where older ones go on, None at the end."""

    items: tuple[DeadLetter, ...]
    before: tuple[int, ...] | None


class DeadLetters(Protocol):
    """Reads what was set aside.

    Every method raises KafkaUnavailable (an Unavailable) when Kafka does not answer in time.
    """

    async def newest(self, project_id: str, *, limit: int, before: Sequence[int] | None) -> LettersPage:
        """Return a project's letters, newest first; of long ones the beginning.

        `before` is that of the page before. So much is read and no more, of all projects: a page may hold fewer than
        `limit`, or none, and still have a `before`.
        """

    async def letter(self, letter_id: str) -> DeadLetter | None:
        """Return one whole letter, whosever it is, or None."""


@dataclass(frozen=True, slots=True)
class IssuesPage:
    """A page of issues and pull requests as GitHub gave them; `next` is where the next one is, None at the end."""

    issues: tuple[Any, ...]
    next: str | None
    etag: str | None


class Issues(Protocol):
    """Reads the issues of GitHub's repositories."""

    def first(self, repository: str, *, state: Literal["open", "all"], since: datetime | None) -> str:
        """Return where the issues of "owner/name" changed at or after `since` begin, those longest unchanged first."""

    async def page(self, at: str, *, token: str | None, etag: str | None = None) -> IssuesPage | None:
        """Return the page at an address, or None where it is still the one of this `etag`.

        Raises:
            SourceRefuses: there is no such repository, or the token may not read it.
            SourceLimited: too many requests; it says until when.
            SourceUnavailable: GitHub does not answer, or not as documented.
        """


class Embedder(Protocol):
    """Turns texts into vectors that are near each other when the texts mean the same."""

    @property
    def name(self) -> str:
        """Which model."""

    @property
    def version(self) -> str:
        """Which version of it: other weights, other version."""

    @property
    def dimensions(self) -> int:
        """Length of a vector."""

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit vectors, shape (len(texts), dimensions); an empty text gives the zero vector.

        Raises:
            EmbedderUnavailable: it does not answer in time; what it has done so far may be quicker the next time.
            EmbedderRefuses: it needs somebody's help before it takes the same call.
            InvalidMessage: it will never take one of these texts.
        """


@dataclass(frozen=True, slots=True)
class Project:
    """A project; one that only its items made known is named by its id. `created_by` is a user's id."""

    id: str
    name: str
    created_at: datetime | None = None
    created_by: str | None = None


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member as it is read; of a user that was never defined there is only the id."""

    membership: Membership
    user: User | None = None


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key as it is read."""

    key: ApiKey
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """Why an item was put where it is, as `ItemAssigned` said it; a merge of its cluster since then changes nothing."""

    change: Change
    score: float
    threshold: float
    runner_up_id: str | None = None
    runner_up_score: float | None = None
    rule: Rule = "near"
    calibration: int = 0
    round: int = 0
    embedder: str = ""
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class FeedbackView:
    """An item as it is read: with the cluster it is in, if it is in one yet, and why; and how often it has occurred."""

    item: FeedbackItem
    cluster_id: str | None
    assignment: Assignment | None = None
    occurrences: int = 1


@dataclass(frozen=True, slots=True)
class Versions:
    """Of some items: when each that is known was changed last at its source, if that was told, and which are deleted.

    An item that is neither known nor deleted is in neither.
    """

    known: Mapping[str, datetime | None]
    deleted: frozenset[str]


@dataclass(frozen=True, slots=True)
class ClusterView:
    """A cluster as it is read; the fields of `ClusterChanged` mean what they mean there.

    One whose title is empty there is called by its newest item.
    """

    project_id: str
    id: str
    title: str
    summary: str
    status: ClusterStatus
    size: int
    sources: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    github_pr_url: str | None = None
    error_message: str | None = None
    terms: tuple[str, ...] = ()
    coherence: float | None = None
    titled_by: Literal["machine", "person"] = "machine"
    pinned: bool = False
    parent_id: str | None = None
    github_repo_url: str | None = None
    triage: Triage = "open"


ClusterOrder = Literal["largest", "newest", "updated"]
"""What clusters are listed by: their size, the newer first among equals; when they were opened; when they changed."""

Happening = Literal[
    "merged", "merged_into", "split_off", "split_from", "restored", "move", "rename", "pin", "mute", "resolve",
    "reopen", "reopened",
]  # fmt: skip
"""What a cluster's history tells of: another was merged into it, or it into another; another was split off it, or it
off another; its merge was undone; a person moved items to it, renamed, (un)pinned, muted, resolved or reopened it; it
was reopened because of newer feedback."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """What happened to a cluster, with the cluster it happened with and the command that asked for it, if any."""

    kind: Happening
    by: By
    reason: str
    at: datetime | None = None
    other_id: str | None = None
    command_id: str | None = None


@dataclass(frozen=True, slots=True)
class CommandView:
    """What became of a command."""

    id: str
    outcome: Outcome
    reason: str
    at: datetime


NO_NOTICE = "0-0"
"""The id before that of any notice. Ids grow: two numbers with a hyphen, compared as numbers."""


@dataclass(frozen=True, slots=True)
class JobNotice:
    """A job has got to a status."""

    id: str
    cluster_id: str
    status: JobStatus


@dataclass(frozen=True, slots=True)
class CommandNotice:
    """Something became of a command."""

    id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Notice:
    """What changed in a project, for whoever shows it: no more than where to look.

    `items` is how many items came in or came anew. `clusters` are those that changed, were emptied or merged; with
    `more_clusters` there were more than are named. `clustering` is its state, where its status was told.
    """

    items: int = 0
    clusters: tuple[str, ...] = ()
    more_clusters: bool = False
    jobs: tuple[JobNotice, ...] = ()
    commands: tuple[CommandNotice, ...] = ()
    clustering: Literal["idle", "pending", "running"] | None = None


@dataclass(frozen=True, slots=True)
class Stats:
    """A project in figures."""

    total_feedback: int
    unclustered: int
    total_clusters: int
    by_source: Mapping[str, int]
    by_status: Mapping[str, int]
    jobs: int


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Part of a list, how long the whole of it is, and the cursor of what follows, None where it ends.

    Where not all was looked at, `counted` is false and `total` is what was found so far.
    """

    items: tuple[T, ...]
    total: int
    next: str | None = None
    counted: bool = True


class ReadModel(Protocol):
    """What pages and API read; written by agents/project alone, and made again from Kafka whenever it is lost.

    Every write is idempotent, and the writes of one project may come in any order between items, events and jobs: an
    item whose assignment came first is clustered from the start. Events of a project come in order; whoever begins
    again with older ones, and goes on to the newest, ends where they would have ended without.

    A cluster that was merged is read as the one it is part of now, by every method that takes a cluster's id.

    Lists are read from an `offset` on, or `after` a cursor that an earlier part gave: what has come or gone meanwhile
    then shifts nothing. What one call looks at is bounded: where a list is narrowed down by several things or by words,
    a part may hold less than `limit`, or nothing, and still have a `next`. A cursor is good for the same question only.

    Every method raises RedisUnavailable (an Unavailable) when the store does not answer.
    """

    async def clear(self) -> None:
        """Forget everything that can be made again from Kafka, and nothing else."""

    async def put_items(self, project_id: str, items: Sequence[FeedbackItem]) -> None:
        """Store items, newest version wins; those not assigned to a cluster yet are unclustered."""

    async def delete_items(self, project_id: str, item_ids: Collection[str]) -> None:
        """Take items out for good: none of their versions comes back, whether it was before this or comes after it.

        What clusters say of themselves changes with the `ItemRemoved` and `ClusterChanged` that follow.
        """

    async def apply(self, project_id: str, events: Sequence[ClusterEvent]) -> None:
        """Apply cluster events in order; an assignment moves an item out of where it was.

        A cluster shows when its `ClusterChanged` comes, which is after it was given items, until the last item leaves.
        """

    async def put_job(self, step: JobStep) -> None:
        """Apply a step of a job, with its log line; the steps of a job may come in any order, and more than once."""

    async def put_project(self, project: Project) -> None:
        """Store a project's name."""

    async def put_key(self, key: ApiKey) -> None:
        """Store a key; the newest version of it counts."""

    async def put_user(self, user: User) -> None:
        """Store a user; the newest version counts."""

    async def put_member(self, membership: Membership) -> None:
        """Store what a user is in a project, or that they are nothing any more; the newest version counts."""

    async def user(self, user_id: str) -> User | None:
        """Return one user, or None."""

    async def member(self, project_id: str, user_id: str) -> Membership | None:
        """Return what a user is in a project, or None."""

    async def members(self, project_id: str) -> tuple[MemberView, ...]:
        """Return a project's members, those of longest standing first."""

    async def memberships(self, user_id: str) -> tuple[Membership, ...]:
        """Return what a user is in which projects, by project id."""

    async def projects_of(self, user_id: str) -> tuple[Project, ...]:
        """Return the projects that a user is a member of, by name."""

    async def key(self, hashed: str) -> ApiKey | None:
        """Return the key whose secret has this hash, or None."""

    async def keys(self, project_id: str) -> tuple[KeyView, ...]:
        """Return a project's keys, newest first."""

    async def key_used(self, key_id: str, at: datetime) -> None:
        """Note when a key was last used; the only write that is not of agents/project, and no loss if it is lost."""

    async def put_config(self, project_id: str, config: StoredConfig) -> None:
        """Store a project's settings; the newest count."""

    async def config(self, project_id: str) -> StoredConfig:
        """Return a project's settings, the defaults as version 0 where none were set."""

    async def claim_config(self, project_id: str, version: int) -> bool:
        """Return whether nobody else is about to set this version; a write of whoever sets it, and no loss if lost."""

    async def release_config(self, project_id: str, version: int) -> None:
        """Give up a claim, so that the version can be set after all."""

    async def put_webhook_secret(self, secret: WebhookSecret) -> None:
        """Store a webhook secret; one that was removed is forgotten."""

    async def webhook_secrets(self, project_id: str) -> tuple[WebhookSecret, ...]:
        """Return the webhook secrets of a project that stand, newest first."""

    async def put_source_report(self, project_id: str, source: str, report: SourceReport) -> None:
        """Store what a source's poller says; the newest report counts."""

    async def put_source_kick(self, project_id: str, source: str, at: datetime) -> None:
        """Store that somebody wants a source polled now."""

    async def sources(self, project_id: str) -> tuple[SourceState, ...]:
        """Return every source that something is known of, by name."""

    async def put_repository(self, project_id: str, state: RepositoryState) -> None:
        """Store how far a repository at GitHub was read; the newest state counts."""

    async def repository(self, project_id: str, repository: str) -> RepositoryState | None:
        """Return how far "owner/name", in capitals or not, was read, or None."""

    async def repositories(self, project_id: str) -> tuple[RepositoryState, ...]:
        """Return how far each repository was read, by name."""

    async def versions(self, project_id: str, item_ids: Sequence[str]) -> Versions:
        """Return what is known of these items' versions."""

    async def projects(self) -> tuple[Project, ...]:
        """Return every project, by name."""

    async def project(self, id_or_name: str) -> Project | None:
        """Return the project of that id, else the one of that name, else None."""

    async def feedback(
        self,
        project_id: str,
        *,
        source: str | None,
        cluster_id: str | None,
        repo: str | None = None,
        words: Sequence[str] = (),
        since: datetime | None = None,
        limit: int,
        offset: int,
        after: str | None = None,
    ) -> Page[FeedbackView]:
        """Return items, newest first: of one source, one cluster, one repository ("owner/name") where given.

        Title and body hold every one of `words`, in upper or lower case; nothing is older than `since`.
        """

    async def feedback_item(self, project_id: str, item_id: str) -> FeedbackView | None:
        """Return one item, or None."""

    async def clusters(
        self,
        project_id: str,
        *,
        status: ClusterStatus | None = None,
        source: str | None = None,
        words: Sequence[str] = (),
        order: ClusterOrder = "largest",
        limit: int,
        offset: int,
        after: str | None = None,
    ) -> Page[ClusterView]:
        """Return clusters: of one status, with items of one source where given.

        Title and summary hold every one of `words`, in upper or lower case.
        """

    async def cluster(self, project_id: str, cluster_id: str) -> ClusterView | None:
        """Return one cluster, or None."""

    async def history(self, project_id: str, cluster_id: str) -> tuple[HistoryEntry, ...]:
        """Return what happened to a cluster, newest first; of a long history the newest part."""

    async def command(self, project_id: str, command_id: str) -> CommandView | None:
        """Return what became of a command; None while nothing is known, and again a month after."""

    async def proposals(self, project_id: str) -> tuple[Proposal, ...]:
        """Return what a person may want to do, the likeliest first."""

    async def clustering_status(self, project_id: str) -> ClusteringStatus | None:
        """Return how the project's clustering stands, or None before it has said so."""

    async def clustering_config(self, project_id: str) -> ClusteringConfigured | None:
        """Return how the project is clustered, or None before anybody has said so."""

    async def notices(self, after: Mapping[str, str], *, limit: int) -> Mapping[str, Sequence[tuple[str, Notice]]]:
        """Return by project what was told after an id, oldest first, at most `limit` of each, and its own ids.

        Only of projects of which something was. The newest few hundred are kept, and stay when the rest is cleared.
        """

    async def notice_span(self, project_id: str) -> tuple[str, str]:
        """Return the ids of a project's oldest and newest notice; `NO_NOTICE` twice where there are none."""

    async def stats(self, project_id: str) -> Stats:
        """Return a project's figures."""

    async def jobs(
        self, project_id: str, *, cluster_id: str | None, limit: int, offset: int, after: str | None = None
    ) -> Page[Job]:
        """Return jobs, newest first, of one cluster where given."""

    async def job(self, job_id: str) -> Job | None:
        """Return one job, or None."""

    async def job_logs(self, job_id: str) -> tuple[str, ...]:
        """Return a job's log lines, by the time they were told."""

    async def ping(self) -> None:
        """Return when the store answers."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a launched job says of itself; the last one is a success or a failure."""

    status: JobStatus
    log: str | None = None
    pr_url: str | None = None
    error: str | None = None


class LaunchBackend(Protocol):
    """Where coding agents run."""

    @property
    def name(self) -> str:
        """What it is called in logs."""

    def launch(self, fix: Fix) -> AsyncGenerator[Progress, None]:
        """Run the job and yield its progress; launching the same job again must not do its work twice."""

    async def stop(self, fix: Fix) -> None:
        """Stop the job wherever it runs, also where a process that has died launched it; harmless where it does not.

        Raises:
            Unavailable: it cannot be told now; the same call may succeed later.
        """


class JobEnds(Protocol):
    """Tells of the ends of jobs, whoever ended them; what is on job.events, and no memory of its own.

    `asked` is the record of fix.commands that asks for the job: nothing ended it before.
    Every method raises KafkaUnavailable (an Unavailable) when Kafka does not answer in time.
    """

    async def has_ended(self, job_id: str, asked: Record) -> bool:
        """Tell whether the job has ended by what Kafka had acknowledged when this was called."""

    async def until_ended(self, job_id: str, asked: Record) -> None:
        """Return once the job has ended."""


class Clock(Protocol):
    """Tells the time, so that tests can."""

    def __call__(self) -> datetime:
        """Return now, with its time zone."""
