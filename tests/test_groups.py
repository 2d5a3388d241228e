"""Tests that share a server are a group of pytest-xdist, and one worker runs them."""

import pytest


@pytest.mark.xdist_group("known")
def test_the_scheduler_knows_groups(request: pytest.FixtureRequest) -> None:
    """It writes them into the ids of tests; with a pytest that it does not know, it does nothing and says nothing."""
    if request.config.getoption("loadgroup", False):
        assert request.node.nodeid.endswith("@known")
