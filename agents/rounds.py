"""Rounds of consolidation beside the stream: they compute in a thread and are carried out by the single writer.

A table can be written only while an event of its partition is at hand, so a round that has decided says so on
cluster.commands, in the project's own partition, and is carried out when that comes back. Nothing is lost with one that
does not: it is due again.
"""

import asyncio
import time
from dataclasses import dataclass
from uuid import uuid4

import structlog

from agents.runtime.memory import give_back
from soulcaster.domain.clustering.identity import Decision
from soulcaster.domain.clustering.project import ProjectClusters, Round
from soulcaster.domain.commands import Rebalance, RoundFinished
from soulcaster.ports.clock import Clock
from soulcaster.ports.messaging import Outgoing, Publisher
from soulcaster.services.retrying import until_available
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.topics import CLUSTER_COMMANDS

QUIET_SECONDS = 20.0
"""After this long without an item or a command a project is put in order, however little is new; or, where rounds take
long, after `QUIET_ROUNDS` times as long as the last one took."""

QUIET_ROUNDS = 50

log = structlog.get_logger(__name__)

ProjectPartition = tuple[int, str]
"""A partition and a project."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A round that has decided, or why it has not."""

    project: ProjectClusters
    round: Round
    decision: Decision | None
    error: str
    seconds: float


def _decide(due: Round) -> Decision:
    decision = due.decide()
    give_back()
    return decision


class Rounds:
    """The rounds of all projects this agent is the writer of."""

    def __init__(self, publisher: Publisher, clock: Clock) -> None:
        """Start with none."""
        self._publisher = publisher
        self._clock = clock
        self._tasks: dict[ProjectPartition, asyncio.Task[None]] = {}
        self._finished: dict[ProjectPartition, Finished] = {}
        self._quiet: dict[ProjectPartition, asyncio.TimerHandle] = {}
        self._seconds: dict[ProjectPartition, float] = {}

    def begin(self, place: ProjectPartition, project: ProjectClusters) -> bool:
        """Start a round if one is due; return whether it is."""
        due = project.round_due() if place not in self._tasks else None
        if due is None:
            return False
        self._tasks[place] = asyncio.create_task(self._run(place, project, due))
        return True

    def rest(self, place: ProjectPartition, project: ProjectClusters) -> None:
        """See to it that a round is asked for when the project has become quiet."""
        timer = self._quiet.pop(place, None)
        if timer is not None:
            timer.cancel()
        if project.stale():
            wait = max(QUIET_SECONDS, QUIET_ROUNDS * self._seconds.get(place, 0.0))
            self._quiet[place] = asyncio.get_running_loop().call_later(wait, self._ask, place)

    def take(self, place: ProjectPartition, project: ProjectClusters) -> Finished | None:
        """Return the round that has decided on this state, once; None where it was thrown away meanwhile."""
        finished = self._finished.pop(place, None)
        return finished if finished is not None and finished.project is project else None

    def stop(self) -> None:
        """Give up what runs."""
        for timer in self._quiet.values():
            timer.cancel()
        for task in self._tasks.values():
            task.cancel()

    def _ask(self, place: ProjectPartition) -> None:
        if place not in self._tasks:
            self._tasks[place] = asyncio.create_task(self._say(place, Rebalance))

    async def _run(self, place: ProjectPartition, project: ProjectClusters, due: Round) -> None:
        begin = time.perf_counter()
        decision, error = None, ""
        try:
            decision = await asyncio.to_thread(_decide, due)
        except Exception as failure:
            log.exception("a round of consolidation failed", project=place[1])
            error = repr(failure)
        self._seconds[place] = time.perf_counter() - begin
        self._finished[place] = Finished(project, due, decision, error, self._seconds[place])
        try:
            await self._say(place, RoundFinished)
        except Exception:
            log.exception("a round that has decided could not be told of", project=place[1])
            self._finished.pop(place)
            project.give_up()

    async def _say(self, place: ProjectPartition, kind: type[Rebalance | RoundFinished]) -> None:
        try:
            command = ClusterCommand(project_id=place[1], command=kind(str(uuid4()), "soulcaster", self._clock()))
            message = Outgoing(CLUSTER_COMMANDS.name, place[1].encode(), command.to_bytes())
            await until_available(lambda: self._publisher.publish([message]))
        finally:
            del self._tasks[place]
