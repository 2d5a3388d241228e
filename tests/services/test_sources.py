"""What a source's state says there is to do."""

from dataclasses import replace

import pytest

from soulcaster.domain.source_state import SourceReport, SourceState, SourceStatus
from soulcaster.services.sources import source_view
from soulcaster.wire.project_config import GithubConfig, SourcesConfig
from tests.support.make import NOW


def reported(status: SourceStatus) -> SourceState:
    return SourceState("reddit", report=SourceReport({}, status, NOW, NOW, "403 from www.reddit.com", NOW))


@pytest.mark.parametrize(
    ("state", "has_secret", "connected", "to_do"),
    [
        (SourceState("github"), False, False, "docs/sources.md has the steps"),
        (SourceState("github"), True, False, "send a test"),
        (SourceState("github", last_received_at=NOW), True, True, ""),
        (reported("ok"), False, True, ""),
        (reported("failing"), False, True, "tried again by itself"),
        (reported("blocked"), False, True, "fix what the last error says"),
        (replace(reported("blocked"), last_received_at=NOW), False, True, "fix what the last error says"),
        (SourceState("app-store", last_received_at=NOW), False, True, ""),
    ],
)
def test_what_there_is_to_do(state: SourceState, has_secret: bool, connected: bool, to_do: str) -> None:
    found = source_view(state, SourcesConfig(), has_secret=has_secret)
    assert (found.enabled, found.connected) == (True, connected)
    assert to_do in found.to_do
    assert bool(to_do) == bool(found.to_do)


def test_what_is_off_says_where_it_is_put_on() -> None:
    off = SourcesConfig(github=GithubConfig(enabled=False))
    found = source_view(SourceState("github", last_received_at=NOW), off, has_secret=True)
    assert (found.enabled, found.connected) == (False, True)
    assert "PUT /config/project" in found.to_do
