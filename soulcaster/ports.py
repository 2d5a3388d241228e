"""What Soulcaster needs of the world, as small protocols; soulcaster/adapters has one file a system.

Every adapter raises `errors.Unavailable` when its system does not answer within its time limit, and nothing else for
that; a caller may then try the same call again.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from soulcaster.domain.commands import Fix
from soulcaster.domain.events import By, Change, ClusterEvent, ClusteringStatus, Outcome, Proposal, Rule
from soulcaster.domain.feedback import FeedbackItem
from soulcaster.domain.keys import ApiKey
from soulcaster.domain.lifecycle import ClusterStatus, Job, JobStatus, JobStep, Triage

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
    """A message to be sent. `partition` None leaves the choice to the key."""

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
    """A project; one that only its items made known is named by its id."""

    id: str
    name: str
    created_at: datetime | None = None


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
    """An item as it is read: with the cluster it is in, if it is in one yet, and why."""

    item: FeedbackItem
    cluster_id: str | None
    assignment: Assignment | None = None


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
    triage: Triage = "open"


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
    """Part of a list, how long the whole of it is, and the cursor after its last element, None where it ends."""

    items: tuple[T, ...]
    total: int
    next: str | None = None


class ReadModel(Protocol):
    """What pages and API read; written by agents/project alone, and made again from Kafka whenever it is lost.

    Every write is idempotent, and the writes of one project may come in any order between items, events and jobs: an
    item whose assignment came first is clustered from the start. Events of a project come in order; whoever begins
    again with older ones, and goes on to the newest, ends where they would have ended without.

    A cluster that was merged is read as the one it is part of now, by every method that takes a cluster's id.

    Lists are read from an `offset` on, or `after` a cursor that an earlier part gave: what has come or gone meanwhile
    then shifts nothing.

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
        """Apply a step of a job, with its log line; a step seen before or out of order changes nothing."""

    async def put_project(self, project: Project) -> None:
        """Store a project's name."""

    async def put_key(self, key: ApiKey) -> None:
        """Store a key; the newest version of it counts."""

    async def key(self, hashed: str) -> ApiKey | None:
        """Return the key whose secret has this hash, or None."""

    async def keys(self, project_id: str) -> tuple[KeyView, ...]:
        """Return a project's keys, newest first."""

    async def key_used(self, key_id: str, at: datetime) -> None:
        """Note when a key was last used; the only write that is not of agents/project, and no loss if it is lost."""

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
        limit: int,
        offset: int,
        after: str | None = None,
    ) -> Page[FeedbackView]:
        """Return items, newest first, of one source or one cluster where given."""

    async def feedback_item(self, project_id: str, item_id: str) -> FeedbackView | None:
        """Return one item, or None."""

    async def clusters(
        self, project_id: str, *, limit: int, offset: int, after: str | None = None
    ) -> Page[ClusterView]:
        """Return clusters, largest first, the newer first among equals."""

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

    async def stats(self, project_id: str) -> Stats:
        """Return a project's figures."""

    async def jobs(
        self, project_id: str, *, cluster_id: str | None, limit: int, offset: int, after: str | None = None
    ) -> Page[Job]:
        """Return jobs, newest first, of one cluster where given."""

    async def job(self, job_id: str) -> Job | None:
        """Return one job, or None."""

    async def job_logs(self, job_id: str) -> tuple[str, ...]:
        """Return a job's log lines in order."""

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

    def launch(self, fix: Fix) -> AsyncIterator[Progress]:
        """Run the job and yield its progress; launching the same job again must not do its work twice."""


class Clock(Protocol):
    """Tells the time, so that tests can."""

    def __call__(self) -> datetime:
        """Return now, with its time zone."""
