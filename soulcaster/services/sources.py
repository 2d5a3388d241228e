"""A project's sources: their state, what to do about each, and what pollers report."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from soulcaster.domain.source_state import SourceReport, SourceState, github_report
from soulcaster.ports.clock import Clock
from soulcaster.ports.messaging import Publisher
from soulcaster.ports.read_model import ReadModel
from soulcaster.services.control import control_record
from soulcaster.wire.control import SourceKicked, SourceReported
from soulcaster.wire.project_config import RedditPolling, SourcesConfig

GITHUB = "github"
REDDIT = "reddit"

SIGNED = frozenset({"sentry", GITHUB})
"""Sources whose webhooks are signed with a secret of the project."""


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source as it is read.

    It is `connected` once feedback has come from it or it was polled. `to_do` is a sentence for people; it is empty
    where all is well.
    """

    state: SourceState
    enabled: bool
    connected: bool
    to_do: str


@dataclass(frozen=True, slots=True)
class ProjectSources:
    """All that is known of a project's sources; `signed` are those that have a webhook secret."""

    states: Mapping[str, SourceState]
    config: SourcesConfig
    signed: frozenset[str]

    def get(self, name: str, report: SourceReport | None = None) -> SourceView:
        """Return one source; with a `report` that was just made, as the source will be once that can be read."""
        state = self.states.get(name, SourceState(name))
        state = state if report is None else replace(state, report=report)
        return source_view(state, self.config, has_secret=name in self.signed)

    def list(self) -> tuple[SourceView, ...]:
        """Return by name every source that can be configured or that feedback has come from."""
        return tuple(self.get(name) for name in sorted(self.states.keys() | SourcesConfig.model_fields.keys()))


async def read_sources(read_model: ReadModel, project_id: str) -> ProjectSources:
    """Return a project's sources; GitHub's state is made of the states of the repositories that are synced.

    Raises:
        Unavailable: Redis does not answer.
    """
    config = (await read_model.project_config.get(project_id)).config
    states = {state.source: state for state in await read_model.sources.list(project_id)}
    synced = github_report(await read_model.sources.repositories(project_id), config.repositories)
    if synced is not None:
        states[GITHUB] = replace(states.get(GITHUB, SourceState(GITHUB)), report=synced)
    signed = frozenset(secret.source for secret in await read_model.webhook_secrets.list(project_id))
    return ProjectSources(states, config.sources, signed)


def source_view(state: SourceState, config: SourcesConfig, *, has_secret: bool) -> SourceView:
    """Return a source by its state, the project's settings, and whether it has a webhook secret."""
    connected = state.last_received_at is not None or state.report is not None
    enabled = config.enabled(state.source)
    return SourceView(state, enabled, connected, _to_do(state, enabled, connected, has_secret))


def _to_do(state: SourceState, enabled: bool, connected: bool, has_secret: bool) -> str:
    if not enabled:
        return "It is off in the project's settings (PUT /config/project)."
    if state.report is not None and state.report.status == "blocked":
        return "Its vendor refuses requests: fix what the last error says, then poll again (docs/sources.md)."
    if state.report is not None and state.report.status == "failing":
        return "Nothing yet: it is tried again by itself."
    if not connected:
        if state.source in SIGNED and has_secret:
            return "Nothing has arrived yet: have the vendor send a test."
        return "Not connected: docs/sources.md has the steps."
    return ""


@dataclass(frozen=True, slots=True)
class PollRequest:
    """What came of a request to poll at once; `reason` says why there is nothing to poll."""

    subreddits: int
    reason: str = ""


class Pollers:
    """What pollers report, and requests to poll at once."""

    def __init__(self, publisher: Publisher, read_model: ReadModel, clock: Clock, reddit: RedditPolling) -> None:
        """`reddit` is what is polled where a project has no settings of its own."""
        self._publisher = publisher
        self._read_model = read_model
        self._clock = clock
        self._reddit = reddit

    async def report(self, report: SourceReported) -> SourceView:
        """Publish a poller's report, and return its source; the report replaces the previous one as a whole.

        Raises:
            Unavailable: Kafka or Redis does not answer.
        """
        await self._publisher.publish([control_record(report)])
        return (await read_sources(self._read_model, report.project_id)).get(report.source, report.report())

    async def poll_reddit(self, project_id: str) -> PollRequest:
        """Publish a request to poll Reddit at once, where there is anything to poll.

        Raises:
            Unavailable: Kafka or Redis does not answer.
        """
        reddit = (await self._read_model.project_config.get(project_id)).config.sources.reddit
        if not reddit.enabled:
            return PollRequest(0, "Reddit is off in this project")
        subreddits = len(self._reddit.of(reddit).subreddits)
        if not subreddits:
            return PollRequest(0, "No subreddits configured")
        request = SourceKicked(project_id=project_id, source=REDDIT, kicked_at=self._clock())
        await self._publisher.publish([control_record(request)])
        return PollRequest(subreddits)
