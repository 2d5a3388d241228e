"""What the clusterer reports, in Redis: its state, its settings, proposals, themes, outcomes of commands."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from pydantic import TypeAdapter

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.adapters.redis.history import add_entry
from soulcaster.adapters.redis.typed import Pipeline
from soulcaster.domain.commands import PullRequestNews
from soulcaster.domain.events import (
    ClusterEvent,
    ClusteringConfigured,
    ClusteringStatus,
    ClusterPullRequest,
    ClusterRegressed,
    ClusterReopened,
    ClusterSplit,
    CommandDone,
    Proposal,
    ProposalsChanged,
    Theme,
    ThemesChanged,
)
from soulcaster.ports.clusters import Happening, HistoryEntry
from soulcaster.ports.commands import CommandView

COMMAND_EXPIRES = timedelta(days=30)

_HAPPENINGS: dict[str | None, Happening] = {
    "move": "move", "rename": "rename", "pin": "pin", "mute": "mute", "resolve": "resolve", "reopen": "reopen",
}  # fmt: skip
"""Kinds of commands that are in a cluster's history by their outcome alone; the others have events."""

_NEWS: Mapping[PullRequestNews, Happening] = {
    "opened": "pr_opened",
    "reopened": "pr_reopened",
    "merged": "pr_merged",
    "released": "pr_released",
    "closed": "pr_closed",
}

_COMMAND: TypeAdapter[CommandView] = TypeAdapter(CommandView)
_PROPOSALS: TypeAdapter[tuple[Proposal, ...]] = TypeAdapter(tuple[Proposal, ...])
_THEMES: TypeAdapter[tuple[Theme, ...]] = TypeAdapter(tuple[Theme, ...])
_STATUS: TypeAdapter[ClusteringStatus] = TypeAdapter(ClusteringStatus)
_CONFIGURED: TypeAdapter[ClusteringConfigured] = TypeAdapter(ClusteringConfigured)


class RedisClustering:
    """ClusteringReader over Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def status(self, project_id: str) -> ClusteringStatus | None:
        """Return the state of the project's clustering, or None before the first report."""
        async with self._connection.commands() as redis:
            text = await redis.get(keys.clustering_status(project_id))
        return None if text is None else _STATUS.validate_json(text)

    async def config(self, project_id: str) -> ClusteringConfigured | None:
        """Return threshold and granularity as the clusterer uses them, or None before the first report."""
        async with self._connection.commands() as redis:
            text = await redis.get(keys.clustering_config(project_id))
        return None if text is None else _CONFIGURED.validate_json(text)

    async def proposals(self, project_id: str) -> tuple[Proposal, ...]:
        """Return merges and splits to offer to a person, the likeliest first."""
        async with self._connection.commands() as redis:
            text = await redis.get(keys.proposals(project_id))
        return () if text is None else _PROPOSALS.validate_json(text)

    async def themes(self, project_id: str) -> tuple[Theme, ...]:
        """Return the themes, the largest first."""
        async with self._connection.commands() as redis:
            text = await redis.get(keys.themes(project_id))
        return () if text is None else _THEMES.validate_json(text)


class RedisCommands:
    """CommandReader over Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def get(self, project_id: str, command_id: str) -> CommandView | None:
        """Return the outcome of a command, or None."""
        async with self._connection.commands() as redis:
            text = await redis.get(keys.command(project_id, command_id))
        return None if text is None else _COMMAND.validate_json(text)


def add_reports(pipe: Pipeline, project_id: str, events: Iterable[ClusterEvent]) -> None:
    """Write the events that change neither items nor clusters: reports, outcomes of commands, and history."""
    for event in events:
        match event:
            case ClusterSplit():
                at, by, why, command_id = event.at, event.by, event.reason, event.command_id
                parent = HistoryEntry("split_off", by, why, at, event.cluster_id, command_id)
                add_entry(pipe, project_id, event.parent_id, parent)
                new = HistoryEntry("split_from", by, why, at, event.parent_id, command_id)
                add_entry(pipe, project_id, event.cluster_id, new)
            case CommandDone():
                _add_outcome(pipe, project_id, event)
            case ClusterRegressed() | ClusterReopened():
                entry = HistoryEntry(event.type, "consolidation", event.reason, event.at)
                add_entry(pipe, project_id, event.cluster_id, entry)
            case ClusterPullRequest():
                add_entry(pipe, project_id, event.cluster_id, _pull_request_entry(event))
            case ProposalsChanged():
                pipe.set(keys.proposals(project_id), _PROPOSALS.dump_json(event.proposals))
            case ThemesChanged():
                pipe.set(keys.themes(project_id), _THEMES.dump_json(event.themes))
            case ClusteringStatus():
                pipe.set(keys.clustering_status(project_id), _STATUS.dump_json(event))
            case ClusteringConfigured():
                pipe.set(keys.clustering_config(project_id), _CONFIGURED.dump_json(event))


def _pull_request_entry(event: ClusterPullRequest) -> HistoryEntry:
    kind = _NEWS[event.news]
    return HistoryEntry(kind, "github", event.reason, event.at, command_id=event.command_id, url=event.url)


def _add_outcome(pipe: Pipeline, project_id: str, event: CommandDone) -> None:
    outcome = CommandView(event.command_id, event.outcome, event.reason, event.at)
    pipe.set(keys.command(project_id, event.command_id), _COMMAND.dump_json(outcome), expires=COMMAND_EXPIRES)
    if event.outcome == "applied" and (happening := _HAPPENINGS.get(event.kind)):
        entry = HistoryEntry(happening, "person", event.reason, event.at, command_id=event.command_id)
        for cluster_id in event.cluster_ids:
            add_entry(pipe, project_id, cluster_id, entry)
