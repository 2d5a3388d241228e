"""Every topic: its name, what its key is, which message it carries, and how long it is kept and why.

All topics have one partition count (`Settings.partitions`), because Faust puts partition n of every topic and
every table of a worker together; from `feedback.items` on the key is the project, so that all of a project is in
one partition. Broker auto-creation stays off: `soulcaster topics` creates what is here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""What a topic accepts, one message; producers of our own stay under `ENVELOPE_BYTES`."""

ENVELOPE_BYTES = 512 * 1024
"""An envelope of ours is split before it grows beyond this many bytes."""

DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `retention_ms` None keeps for ever; `reason` says why it is what it is."""

    name: str
    key: str
    message: str
    retention_ms: int | None
    reason: str
    cleanup: Literal["delete", "compact"] = "delete"
    max_bytes: int = MAX_MESSAGE_BYTES

    def config(self) -> Mapping[str, str]:
        """Return the broker's settings for this topic."""
        config = {"cleanup.policy": self.cleanup, "max.message.bytes": str(self.max_bytes)}
        if self.cleanup == "delete":
            config["retention.ms"] = str(-1 if self.retention_ms is None else self.retention_ms)
            config["retention.bytes"] = "-1"
        return MappingProxyType(config)


FEEDBACK_RAW = Topic(
    "feedback.raw",
    "any",
    "RawFeedback, Delivery",
    30 * DAY_MS,
    "What came in, untouched: kept so that a better parser can be run over it again; after a month only items matter.",
)
FEEDBACK_ITEMS = Topic(
    "feedback.items",
    "project id",
    "ItemsEnvelope",
    None,
    "The record of what we know: its retention is the items' own, and the read model is rebuilt from it.",
)
FEEDBACK_EMBEDDED = Topic(
    "feedback.embedded",
    "project id",
    "EmbeddedEnvelope",
    30 * DAY_MS,
    "Vectors can be made again from the items, but not cheaply by a paid embedder: a month to cluster anew from.",
)
CLUSTER_COMMANDS = Topic(
    "cluster.commands",
    "project id",
    "ClusterCommand",
    None,
    "What people asked for; their word is law, and it is short.",
)
CLUSTER_EVENTS = Topic(
    "cluster.events",
    "project id",
    "ClusterEvents",
    None,
    "Every change of every cluster with its reason: the history of the product, and what other programs follow.",
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
CONTROL = Topic(
    "control",
    "kind and id",
    "ProjectDefined, KeyDefined, UserDefined, MemberDefined, ProjectConfigured, WebhookSecretDefined, SourceReported, "
    "SourceKicked, RepositorySynced",
    None,
    "Projects, keys, users, members, settings and how sources stand: the newest of each is what counts, so it is "
    "compacted.",
    cleanup="compact",
)
DEAD_LETTERS = Topic(
    "dead-letters",
    "that of the original",
    "the original bytes; where from and why in the headers",
    None,
    "Nothing accepted is lost: kept until a person has looked.",
    max_bytes=MAX_MESSAGE_BYTES + 256 * 1024,
)

TOPICS: tuple[Topic, ...] = (
    FEEDBACK_RAW, FEEDBACK_ITEMS, FEEDBACK_EMBEDDED, CLUSTER_COMMANDS, CLUSTER_EVENTS,
    FIX_COMMANDS, JOB_EVENTS, CONTROL, DEAD_LETTERS,
)  # fmt: skip

AGENTS: Mapping[str, tuple[Topic, ...]] = {
    "normalize": (FEEDBACK_RAW,),
    "embed": (FEEDBACK_ITEMS,),
    "cluster": (FEEDBACK_EMBEDDED, CLUSTER_COMMANDS),
    "project": (FEEDBACK_ITEMS, CLUSTER_EVENTS, JOB_EVENTS, CONTROL),
}
"""The worker's agents, and what each reads."""

TABLES: tuple[str, ...] = ("seen", "clusters")
"""The Faust tables; tables/ declares them and each has a changelog topic."""


def changelog(app_id: str, table: str) -> Topic:
    """Return the changelog topic of a table, by Faust's naming."""
    return Topic(
        f"{app_id}-{table}-changelog", "table key", "a segment, see soulcaster/domain/segments.py", None,
        "The state itself. Compaction only: recovery hangs on a changelog with time or size retention.",
        cleanup="compact",
    )  # fmt: skip


def all_topics(app_id: str) -> tuple[Topic, ...]:
    """Return the topics and the tables' changelogs."""
    return (*TOPICS, *(changelog(app_id, table) for table in TABLES))
