"""Answers to questions what is near, from the worker that has the clusters to whoever asked."""

from datetime import timedelta
from typing import Protocol

from soulcaster.domain.near import NearAnswer

WAITED = timedelta(seconds=5)
"""How long somebody waits for an answer; an older question is not answered any more."""

KEPT = timedelta(minutes=1)
"""How long an answer is kept."""


class NearAnswers(Protocol):
    """Passes answers on, each by the id of its question.

    Every method raises RedisUnavailable (an Unavailable) when the store does not answer.
    """

    async def put(self, query_id: str, answer: NearAnswer) -> None:
        """Keep an answer for `KEPT`."""

    async def get(self, query_id: str) -> NearAnswer | None:
        """Return the answer to a question, None while there is none."""
