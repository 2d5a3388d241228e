"""Answers to questions what is near, from the worker that has the clusters to whoever asked."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Protocol

from soulcaster.domain.near import NearAnswer

WAITED = timedelta(seconds=5)
"""How long somebody waits for an answer; afterwards the question is not answered any more."""

KEPT = timedelta(minutes=1)
"""How long an answer is kept."""


class NearAnswers(Protocol):
    """Says which questions are open, and passes answers on, each by the id of its question.

    The store's clock alone says how long a question is open: those of web server and worker may differ.
    Every method raises RedisUnavailable (an Unavailable) when the store does not answer.
    """

    async def ask(self, query_id: str) -> None:
        """Open a question for `WAITED`."""

    async def open(self, query_ids: Sequence[str]) -> Collection[str]:
        """Return those questions that somebody waits for and nobody has answered."""

    async def put(self, query_id: str, answer: NearAnswer) -> None:
        """Keep the answer to a question for `KEPT`; one to a question that nobody waits for is not kept."""

    async def get(self, query_id: str) -> NearAnswer | None:
        """Return the answer to a question, None while there is none."""
