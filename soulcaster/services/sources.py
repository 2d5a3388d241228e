"""How a project's sources stand, and what there is to do about each: for the API and the command line alike."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from soulcaster.domain.source_state import SourceReport, SourceState, github_report
from soulcaster.ports.read_model import ReadModel
from soulcaster.wire.project_config import SourcesConfig

GITHUB = "github"

SIGNED = frozenset({"sentry", GITHUB})
"""Sources whose webhooks prove by a signature whose they are."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A source: `connected` once anything has come of it or it was polled, `to_do` empty where all is well."""

    state: SourceState
    enabled: bool
    connected: bool
    to_do: str


@dataclass(frozen=True, slots=True)
class Sources:
    """What is known of a project's sources, and how they are set; `signed` are those with a webhook secret."""

    states: Mapping[str, SourceState]
    config: SourcesConfig
    signed: frozenset[str]

    def of(self, name: str, reported: SourceReport | None = None) -> Standing:
        """Return how one stands, or will with a report that was just made."""
        state = self.states.get(name, SourceState(name))
        state = state if reported is None else replace(state, report=reported)
        return standing(state, self.config, has_secret=name in self.signed)

    def all(self) -> tuple[Standing, ...]:
        """Return every source that can be set or that something came from, by name."""
        return tuple(self.of(name) for name in sorted(self.states.keys() | SourcesConfig.model_fields.keys()))


async def sources_of(read_model: ReadModel, project_id: str) -> Sources:
    """Return what is known of a project's sources; GitHub stands as the repositories do that are synced.

    Raises:
        Unavailable: Redis does not answer.
    """
    config = (await read_model.project_config.get(project_id)).config
    states = {state.source: state for state in await read_model.sources.list(project_id)}
    synced = github_report(await read_model.sources.repositories(project_id), config.repositories)
    if synced is not None:
        states[GITHUB] = replace(states.get(GITHUB, SourceState(GITHUB)), report=synced)
    signed = frozenset(secret.source for secret in await read_model.webhook_secrets.list(project_id))
    return Sources(states, config.sources, signed)


def standing(state: SourceState, config: SourcesConfig, *, has_secret: bool) -> Standing:
    """Return how a source stands by what is known of it."""
    connected = state.last_received_at is not None or state.report is not None
    enabled = config.enabled(state.source)
    return Standing(state, enabled, connected, _to_do(state, enabled, connected, has_secret))


def _to_do(state: SourceState, enabled: bool, connected: bool, has_secret: bool) -> str:
    if not enabled:
        return "It is off in the project's settings (PUT /config/project)."
    if state.report is not None and state.report.status == "blocked":
        return "Its vendor refuses: mend what the last error says, then have it polled (docs/sources.md)."
    if state.report is not None and state.report.status == "failing":
        return "Nothing yet: it is tried again by itself."
    if not connected:
        if state.source in SIGNED and has_secret:
            return "Nothing has come yet: have its vendor send a test."
        return "Not connected: docs/sources.md has the steps."
    return ""
