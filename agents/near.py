"""near.queries -> Redis: what is near a cluster or an item, for somebody who waits for it."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple

from agents.runtime.batches import BATCH_BYTES, Batch
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.near import NearQuestion
from soulcaster.domain.near import NOTHING_NEAR
from soulcaster.ports.messaging import Record
from soulcaster.ports.near_answers import NearAnswers
from soulcaster.services.fair_turns import in_turn
from soulcaster.services.retrying import until_available
from soulcaster.wire.near import NearQuery
from tables.segmented import ProjectPartition, States

REST = 1.0
"""How long the agent rests after a search, in times that it took: all questions together take half of a core at most,
however many there are, and the rest of the worker goes on."""


class _Question(NamedTuple):
    """What is asked, perhaps by several."""

    kind: Literal["cluster", "item"]
    of_id: str


class Near:
    """Answers questions about the clusters that the agent `cluster` keeps in this process.

    It changes nothing, and nothing is lost with a question: one that nobody waits for any more is passed over. It reads
    topics of its own, so that an answer does not wait for all the items that have come before. Projects take turns, and
    what several ask is answered once.
    """

    name = "near"
    batch_bytes = BATCH_BYTES
    express = False

    def __init__(
        self,
        *,
        clusters: States[ProjectClusters],
        answers: NearAnswers,
        seconds: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`clusters` is the table of the agent `cluster`; `seconds` is a clock that measures searches."""
        self._clusters = clusters
        self._answers = answers
        self._seconds = seconds

    async def process(self, batch: Batch, records: Sequence[Record]) -> int:
        """Answer questions, one after the other; return how many were answered."""
        queries = [(record.partition, NearQuery.model_validate_json(record.value or b"")) for record in records]
        still_open = await self._open([query.id for _, query in queries])
        asked = _by_project((partition, query) for partition, query in queries if query.id in still_open)
        answered = 0
        for place, question, ids in in_turn(
            [(place, question, ids) for question, ids in of_project.items()] for place, of_project in asked.items()
        ):
            waiting = await self._open(ids)
            if waiting:
                await self._answer(place, question, waiting)
                answered += len(waiting)
        return answered

    async def close(self) -> None:
        """Do nothing: nothing runs besides `process`."""

    async def _open(self, query_ids: Sequence[str]) -> Collection[str]:
        return await until_available(partial(self._answers.open, query_ids))

    async def _answer(self, place: ProjectPartition, question: _Question, waiting: Iterable[str]) -> None:
        """Search, tell all who wait, and rest."""
        await self._clusters.state(*place)  # others have their turns while it is loaded
        async with self._clusters.turn(*place):  # until the search has its copy
            begun = self._seconds()
            project = await self._clusters.state(*place)
            search = await asyncio.to_thread(_search, project, question)
        answer = NOTHING_NEAR if search is None else await asyncio.to_thread(search.answer)
        seconds = self._seconds() - begun
        for query_id in waiting:
            await until_available(partial(self._answers.put, query_id, answer))
        await asyncio.sleep(REST * seconds)


def _by_project(
    queries: Iterable[tuple[int, NearQuery]],
) -> Mapping[ProjectPartition, Mapping[_Question, list[str]]]:
    """Return what each project asks, with the ids of all queries that ask it."""
    asked: dict[ProjectPartition, dict[_Question, list[str]]] = defaultdict(dict)
    for partition, query in queries:
        of_project = asked[partition, query.project_id]
        of_project.setdefault(_Question(query.kind, query.of_id), []).append(query.id)
    return asked


def _search(project: ProjectClusters, question: _Question) -> NearQuestion | None:
    kind, of_id = question
    return project.near_cluster(of_id) if kind == "cluster" else project.near_item(of_id)
