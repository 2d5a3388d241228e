"""What is near a cluster or an item: the worker that has the project's clusters is asked, and answers in Redis.

What it says is told as the read model shows it: a cluster that was merged since is the one it was merged into, and what
was deleted since is left out.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, NamedTuple
from uuid import uuid4

from soulcaster.domain.near import NearAnswer
from soulcaster.errors import WorkerUnavailable
from soulcaster.ports.clusters import ClusterReader, ClusterView
from soulcaster.ports.feedback import FeedbackReader, FeedbackView
from soulcaster.ports.messaging import Outgoing, Publisher
from soulcaster.ports.near_answers import WAITED, NearAnswers
from soulcaster.services.fair_turns import FairTurns
from soulcaster.services.lookup import known_cluster, known_item
from soulcaster.services.waiting import until
from soulcaster.wire.near import NearQuery
from soulcaster.wire.topics import NEAR_QUERIES

POLL_SECONDS = 0.03

AT_ONCE = 32
"""Questions that wait for workers at the same time, of different projects."""

MOST_WAITING = 50
"""Callers of one project that wait for answers."""


@dataclass(frozen=True, slots=True)
class NearCluster:
    """A cluster that is near another one: the item of it that is nearest, and both scores (`domain.near`)."""

    cluster: ClusterView
    item_id: str
    meaning: float
    words: float


@dataclass(frozen=True, slots=True)
class NearItem:
    """An item that is near another one, with both scores (`domain.near`)."""

    view: FeedbackView
    meaning: float
    words: float


@dataclass(frozen=True, slots=True)
class NearItems:
    """What is near an item, the nearest first.

    `same` are items that say nearly the same: clustering keeps them as one with it.
    """

    asked: FeedbackView
    same: tuple[FeedbackView, ...]
    near: tuple[NearItem, ...]


class _Question(NamedTuple):
    project_id: str
    kind: Literal["cluster", "item"]
    of_id: str


class WhatIsNear:
    """Asks, and waits for the answer.

    An answer costs a worker up to 0.3 s. So a project asks one thing after the other, and callers who ask the same
    share the answer.
    """

    def __init__(
        self, publisher: Publisher, answers: NearAnswers, clusters: ClusterReader, feedback: FeedbackReader
    ) -> None:
        self._publisher = publisher
        self._answers = answers
        self._clusters = clusters
        self._feedback = feedback
        self._callers = FairTurns(AT_ONCE * MOST_WAITING, each=MOST_WAITING, waiting=0)
        self._turns = FairTurns(AT_ONCE, each=1)
        self._asked: dict[_Question, asyncio.Task[NearAnswer]] = {}

    async def cluster(
        self, project_id: str, cluster_id: str, waiting: AbstractAsyncContextManager[object]
    ) -> tuple[ClusterView, tuple[NearCluster, ...]]:
        """Return a cluster and what is near it, the nearest first, each cluster once.

        The answer is waited for inside the block `waiting`.

        Raises:
            NotFound: the project has no such cluster.
            LimitReached: too many callers of this project wait.
            WorkerUnavailable: no worker has answered in time.
            Unavailable: Redis or Kafka does not answer.
        """
        asked = await known_cluster(self._clusters, project_id, cluster_id)
        answer = await self._answer(_Question(project_id, "cluster", asked.id), waiting)
        views = await self._clusters.get_many(project_id, {near.cluster_id for near in answer.near})
        found: dict[str, NearCluster] = {}
        for near in answer.near:
            view = views.get(near.cluster_id)
            if view is not None and view.id != asked.id:
                found.setdefault(view.id, NearCluster(view, near.item_id, near.meaning, near.words))
        return asked, tuple(found.values())

    async def item(self, project_id: str, item_id: str, waiting: AbstractAsyncContextManager[object]) -> NearItems:
        """Return what is near an item; nothing while it is in no cluster.

        The answer is waited for inside the block `waiting`.

        Raises:
            NotFound: the project has no such item.
            LimitReached: too many callers of this project wait.
            WorkerUnavailable: no worker has answered in time.
            Unavailable: Redis or Kafka does not answer.
        """
        asked = await known_item(self._feedback, project_id, item_id)
        answer = await self._answer(_Question(project_id, "item", asked.item.id), waiting)
        views = await self._items(project_id, [*answer.same, *(near.item_id for near in answer.near)])
        same = tuple(views[other] for other in answer.same if other in views)
        near = tuple(
            NearItem(views[near.item_id], near.meaning, near.words) for near in answer.near if near.item_id in views
        )
        return NearItems(asked, same, near)

    async def _answer(self, question: _Question, waiting: AbstractAsyncContextManager[object]) -> NearAnswer:
        """Return the answer to a question that may be on its way already, because another caller has asked it."""
        async with waiting, self._callers.turn(question.project_id):
            asking = self._asked.get(question)
            if asking is None:
                asking = self._asked[question] = asyncio.create_task(self._ask(question))
                asking.add_done_callback(lambda _: self._asked.pop(question))
            return await asyncio.shield(asking)  # a caller that leaves takes the answer from no other one

    async def _ask(self, question: _Question) -> NearAnswer:
        project_id, kind, of_id = question
        query = NearQuery(project_id=project_id, id=str(uuid4()), kind=kind, of_id=of_id)
        async with self._turns.turn(project_id):
            await self._answers.ask(query.id)
            await self._publisher.publish([Outgoing(NEAR_QUERIES.name, project_id.encode(), query.to_bytes())])
            answer = await until(
                lambda: self._answers.get(query.id),
                lambda found: found is not None,
                seconds=WAITED.total_seconds(),
                poll_seconds=POLL_SECONDS,
            )
        if answer is None:
            raise WorkerUnavailable
        return answer

    async def _items(self, project_id: str, item_ids: Iterable[str]) -> Mapping[str, FeedbackView]:
        views = await asyncio.gather(*(self._feedback.get(project_id, item_id) for item_id in item_ids))
        return {view.item.id: view for view in views if view is not None}
