"""A Reddit on loopback, and time that the test turns."""

from collections.abc import AsyncIterator

import pytest

from tests.support.reddit_server import Reddit


class Turned:
    """A clock in seconds that stands until the test turns it."""

    def __init__(self) -> None:
        self.at = 1_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
async def reddit() -> AsyncIterator[Reddit]:
    async with Reddit() as reddit:
        yield reddit


@pytest.fixture
def clock() -> Turned:
    return Turned()
