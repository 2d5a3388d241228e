"""A Reddit on loopback, and a clock that the test sets."""

from collections.abc import AsyncIterator

import pytest

from tests.support.reddit_server import Reddit


class Turned:
    """A clock in seconds that moves only when the test sets it."""

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
