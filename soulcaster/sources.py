"""How a project's sources stand, and what there is to do about each: for the API and the command line alike."""

from dataclasses import dataclass

from soulcaster.domain.source_state import SourceState
from soulcaster.ports import ReadModel
from soulcaster.project_config import SourcesConfig

SIGNED = frozenset({"sentry", "github"})
"""Sources whose webhooks prove by a signature whose they are."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A source: `connected` once anything has come of it or it was polled, `to_do` empty where all is well."""

    state: SourceState
    enabled: bool
    connected: bool
    to_do: str


async def sources_of(read_model: ReadModel, project_id: str) -> tuple[Standing, ...]:
    """Return every source that can be set or that something came from, by name.

    Raises:
        Unavailable: Redis does not answer.
    """
    config = (await read_model.config(project_id)).config.sources
    known = {state.source: state for state in await read_model.sources(project_id)}
    signed = {secret.source for secret in await read_model.webhook_secrets(project_id)}
    return tuple(
        standing(known.get(name, SourceState(name)), config, has_secret=name in signed)
        for name in sorted(known.keys() | SourcesConfig.model_fields.keys())
    )


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
