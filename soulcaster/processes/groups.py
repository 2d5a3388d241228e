"""The consumer groups of an installation, and who of each reads which topic."""

from collections.abc import Mapping
from dataclasses import dataclass

from soulcaster.wire.topics import AGENTS, FIX_COMMANDS, Topic, launcher_group


@dataclass(frozen=True, slots=True)
class ConsumerGroup:
    """A consumer group, the command that starts a process of it, and which of its agents read which topic."""

    name: str
    command: str
    readers: Mapping[str, tuple[str, ...]]


def consumer_groups(app_id: str) -> tuple[ConsumerGroup, ...]:
    """Return the groups of the workers and of the launchers."""
    return (
        ConsumerGroup(app_id, "worker", _readers(AGENTS)),
        ConsumerGroup(launcher_group(app_id), "launcher", _readers({"launcher": (FIX_COMMANDS,)})),
    )


def _readers(agents: Mapping[str, tuple[Topic, ...]]) -> dict[str, tuple[str, ...]]:
    """Return the agents that read each topic."""
    readers: dict[str, tuple[str, ...]] = {}
    for agent, topics in agents.items():
        for topic in topics:
            readers[topic.name] = (*readers.get(topic.name, ()), agent)
    return readers
