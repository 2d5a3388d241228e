"""Every topic: its name, its key, the message it carries, and how long it is kept and why.

All topics have one partition count (`Settings.partitions`), because Faust puts partition n of every topic and
every table of a worker together. From `feedback.items` on the key is the project, so all of a project is in
one partition. Broker auto-creation stays off: `soulcaster topics` creates the topics declared here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""The largest message a topic accepts; our own producers stay under `ENVELOPE_BYTES`."""

ENVELOPE_BYTES = 512 * 1024
"""Our producers split an envelope before it grows beyond this size."""

DAY_MS = 24 * 3600 * 1000

COMPACTION_LAG = timedelta(hours=1)
"""A record that is this new makes compaction remove none: a backup can be taken while newer values are written."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `retention_ms` None keeps records for ever; `reason` explains the retention.

    Kafka refuses a record whose time is further `ahead` of its own, where that is set. It stores records in the
    `compression` of the topic, or as they come.
    """

    name: str
    key: str
    message: str
    retention_ms: int | None
    reason: str
    cleanup: Literal["delete", "compact"] = "delete"
    max_bytes: int = MAX_MESSAGE_BYTES
    ahead: timedelta | None = None
    compression: Literal["gzip"] | None = None

    def config(self) -> Mapping[str, str]:
        """Return the broker settings of this topic."""
        config = {"cleanup.policy": self.cleanup, "max.message.bytes": str(self.max_bytes)}
        if self.cleanup == "delete":
            config["retention.ms"] = str(-1 if self.retention_ms is None else self.retention_ms)
            config["retention.bytes"] = "-1"
        else:
            config["min.compaction.lag.ms"] = str(COMPACTION_LAG // timedelta(milliseconds=1))
        if self.compression is not None:
            config["compression.type"] = self.compression
        if self.ahead is not None:
            config["message.timestamp.after.max.ms"] = str(self.ahead // timedelta(milliseconds=1))
        return MappingProxyType(config)


FEEDBACK_RAW = Topic(
    "feedback.raw",
    "any",
    "RawFeedback, Delivery",
    30 * DAY_MS,
    "What came in, unchanged: kept so that a better parser can read it again; after a month only items matter.",
    ahead=timedelta(hours=1),  # any program may write to it, and the time of a record is that of intake
)
FEEDBACK_ITEMS = Topic(
    "feedback.items",
    "project id",
    "ItemsEnvelope",
    None,
    "The record of what we know: it is kept as long as the items themselves, and the read model is rebuilt from it.",
)
FEEDBACK_EMBEDDED = Topic(
    "feedback.embedded",
    "project id",
    "EmbeddedEnvelope",
    30 * DAY_MS,
    "Vectors can be made again from items, but a paid embedder makes that expensive: a month to cluster again from.",
)
CLUSTER_COMMANDS = Topic(
    "cluster.commands",
    "project id",
    "ClusterCommand",
    None,
    "What people asked for: corrections are permanent, and commands are short.",
)
CLUSTER_EVENTS = Topic(
    "cluster.events",
    "project id",
    "ClusterEvents",
    None,
    "Every change of every cluster with its reason: the history of the product, which other programs follow too.",
)
FIX_COMMANDS = Topic(
    "fix.commands",
    "project id",
    "FixCommand",
    30 * DAY_MS,
    "A command older than a month must not launch an agent any more.",
)
JOB_EVENTS = Topic(
    "job.events",
    "project id",
    "JobEvent",
    None,
    "The history of every job; the read model of jobs is rebuilt from it.",
)
JOB_LOGS = Topic(
    "job.logs",
    "project id",
    "JobLog",
    30 * DAY_MS,
    "What jobs print, for those who watch: the archive has every log whole, and Redis the newest part.",
)
JOB_DOCUMENTS = Topic(
    "job.documents",
    "project id",
    "JobDocument",
    None,
    "What coding agents were given: a job's brief and plan stay what they were, as long as the job is known.",
)
NEAR_QUERIES = Topic(
    "near.queries",
    "project id",
    "NearQuery",
    30 * DAY_MS,
    "Questions for which somebody waits a few seconds; kept as long as a worker may be away and go on where it was.",
)
CONTROL = Topic(
    "control",
    "kind and id",
    "ProjectDefined, KeyDefined, UserDefined, MemberDefined, ProjectConfigured, WebhookSecretDefined, SourceReported, "
    "SourceKicked, RepositorySynced",
    None,
    "Projects, API keys, users, members, settings and the state of sources: only the newest of each counts, so it is "
    "compacted.",
    cleanup="compact",
)
DEAD_LETTERS = Topic(
    "dead-letters",
    "the key of the original",
    "the original bytes; origin and reason in the headers",
    None,
    "Nothing accepted is lost: dead letters are kept until a person has looked.",
    max_bytes=MAX_MESSAGE_BYTES + 256 * 1024,
    compression="gzip",  # megabytes of blanks come as a few bytes, and are no more for ever
)

TOPICS: tuple[Topic, ...] = (
    FEEDBACK_RAW, FEEDBACK_ITEMS, FEEDBACK_EMBEDDED, CLUSTER_COMMANDS, CLUSTER_EVENTS,
    FIX_COMMANDS, JOB_EVENTS, JOB_LOGS, JOB_DOCUMENTS, NEAR_QUERIES, CONTROL, DEAD_LETTERS,
)  # fmt: skip

AGENTS: Mapping[str, tuple[Topic, ...]] = {
    "normalize": (FEEDBACK_RAW,),
    "embed": (FEEDBACK_ITEMS,),
    "cluster": (FEEDBACK_EMBEDDED, CLUSTER_COMMANDS, JOB_EVENTS),
    "near": (NEAR_QUERIES,),
    "project": (FEEDBACK_ITEMS, CLUSTER_EVENTS, JOB_EVENTS, JOB_LOGS, JOB_DOCUMENTS, CONTROL),
}
"""The worker's agents, and what each reads."""

TABLES: Mapping[str, tuple[Topic, ...]] = {"seen": AGENTS["embed"], "clusters": AGENTS["cluster"]}
"""The Faust tables, and the topics that each is made from; tables/ declares them and each has a changelog topic."""


def changelog(app_id: str, table: str) -> Topic:
    """Return the changelog topic of a table, by Faust's naming."""
    return Topic(
        f"{app_id}-{table}-changelog", "table key", "a segment, see soulcaster/domain/segments.py", None,
        "The state itself. Compaction only: recovery hangs on a changelog with time or size retention.",
        cleanup="compact",
    )  # fmt: skip


def changelog_mark(partition: int) -> bytes:
    """Return the key of the first record of a changelog's partition.

    It is there from before anything is stored, so a changelog without any record was deleted.
    """
    return f"{partition}||begun".encode()


def all_topics(app_id: str) -> tuple[Topic, ...]:
    """Return the topics and the tables' changelogs."""
    return (*TOPICS, *(changelog(app_id, table) for table in TABLES))


def launcher_group(app_id: str) -> str:
    """Return the consumer group of the launchers; that of the workers is `app_id` itself."""
    return f"{app_id}-launcher"
