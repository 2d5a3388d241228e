"""Rounds of consolidation beside the stream: they compute in their own threads, and the single writer carries them out.

A table can be written only while an event of its partition is being processed. So a round that has decided sends a
command (`RoundFinished`) to the project's own partition of cluster.commands, and is carried out when that comes back. A
round that gets lost on the way is due again.
"""

import asyncio
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4
from weakref import WeakKeyDictionary

import structlog

from agents.runtime.memory import give_back
from soulcaster.domain.clustering.consolidation.identity import Decision
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.round_schedule import Round
from soulcaster.domain.clustering.project.steps import Step
from soulcaster.domain.commands import Rebalance, RoundFinished
from soulcaster.ports.clock import Clock
from soulcaster.ports.messaging import Outgoing, Publisher
from soulcaster.services.retrying import until_available
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.topics import CLUSTER_COMMANDS
from tables.segmented import ProjectPartition

SETTLE_SECONDS = 0.5
"""After so long without items and commands a project that is not settled gets a round, as at the end of an import; but
not before it has waited as long as the last one took."""

QUIET_SECONDS = 20.0
"""After so long without items and commands any project gets a round, however little is new."""

QUIET_ROUNDS = 50
"""Where rounds take long, the wait is so many times what the last one took."""

LONG_GROUPS = 5_000
"""A round over more micro-clusters is long, a matter of seconds or minutes."""

REQUESTED_BY = "soulcaster"
"""Who asks for these commands."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FinishedRound:
    """A round that has decided, or, where `decision` is None, failed with `error`; `seconds` is what it took."""

    round: Round
    decision: Decision | None
    error: str
    seconds: float


class BackgroundRounds:
    """The rounds of all projects of one clustering agent, at most one a project at a time.

    One short and one long round compute at a time, in turn: so they take no thread that the stream needs, and a large
    project's round does not hold up those of others.
    """

    def __init__(self, publisher: Publisher, clock: Clock) -> None:
        """Start with none; `publisher` sends the commands, `clock` gives their time."""
        self._publisher = publisher
        self._clock = clock
        self._tasks: dict[ProjectPartition, asyncio.Task[None]] = {}
        self._finished: WeakKeyDictionary[ProjectClusters, FinishedRound] = WeakKeyDictionary()
        """By the state that the round worked on: if the partition moves to another worker, both are dropped."""
        self._timers: dict[ProjectPartition, asyncio.TimerHandle] = {}
        self._last_seconds: dict[ProjectPartition, float] = {}
        self._worked_on: set[ProjectPartition] = set()
        self._short = ThreadPoolExecutor(1, "short-round")
        self._long = ThreadPoolExecutor(1, "long-round")

    @contextmanager
    def working_on(self, places: Collection[ProjectPartition]) -> Iterator[None]:
        """Ask for no round of these projects meanwhile: something of them has come, however long it takes.

        Whoever works on others at the same time has other projects.
        """
        self._worked_on.update(places)
        try:
            yield
        finally:
            self._worked_on.difference_update(places)

    async def start_due(self, place: ProjectPartition, project: ProjectClusters) -> list[Step]:
        """Start a round if one is due and none is running; return the step that says so.

        The caller has the turn of the project's state, of which a thread takes a snapshot.
        """
        if place in self._tasks or not project.is_round_due():
            return []
        self._stop_timer(place)  # it would ask for a round meanwhile
        begun = await asyncio.to_thread(_begin, project, self._clock())
        if begun is None:
            return []
        due, running = begun
        self._tasks[place] = asyncio.create_task(self._run(place, project, due))
        return [running]

    def rebalance_when_quiet(self, place: ProjectPartition, project: ProjectClusters) -> None:
        """Ask for a round once nothing has come for a while; a later call starts the wait again."""
        self._stop_timer(place)
        # The command that carries a round out comes here, too.
        on_its_way = place in self._tasks or project in self._finished
        if project.stale() and not on_its_way:
            last = self._last_seconds.get(place, 0.0)
            settled = project.settled()
            seconds = max(QUIET_SECONDS, QUIET_ROUNDS * last) if settled else max(SETTLE_SECONDS, last)
            self._timers[place] = asyncio.get_running_loop().call_later(seconds, self._rebalance, place)

    def take_finished(self, project: ProjectClusters) -> FinishedRound | None:
        """Return the round that has finished, once; None if it worked on a state that was thrown away since."""
        return self._finished.pop(project, None)

    def stop(self) -> None:
        """Cancel what runs."""
        for timer in self._timers.values():
            timer.cancel()
        for task in self._tasks.values():
            task.cancel()
        for threads in (self._short, self._long):
            threads.shutdown(wait=False, cancel_futures=True)

    def _stop_timer(self, place: ProjectPartition) -> None:
        timer = self._timers.pop(place, None)
        if timer is not None:
            timer.cancel()

    def _rebalance(self, place: ProjectPartition) -> None:
        if place in self._worked_on:
            self._timers[place] = asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._rebalance, place)
        elif place not in self._tasks:
            self._tasks[place] = asyncio.create_task(self._send(place, Rebalance))

    async def _run(self, place: ProjectPartition, project: ProjectClusters, due: Round) -> None:
        decision, error, seconds = None, "", 0.0
        threads = self._long if due.groups > LONG_GROUPS else self._short
        try:
            decision, seconds = await asyncio.get_running_loop().run_in_executor(threads, _decide, due)
        except Exception as failure:
            log.exception("a round of consolidation failed", project=place[1])
            error = repr(failure)
        self._last_seconds[place] = seconds
        self._finished[project] = FinishedRound(due, decision, error, seconds)
        try:
            await self._send(place, RoundFinished)
        except Exception:
            log.exception("the command that carries out a round could not be sent", project=place[1])
            del self._finished[project]
            project.give_up()
            self.rebalance_when_quiet(place, project)

    async def _send(self, place: ProjectPartition, kind: type[Rebalance | RoundFinished]) -> None:
        """Send a command; the task is over then, so another round may start before the command comes back."""
        _, project_id = place
        try:
            command = ClusterCommand(project_id=project_id, command=kind(str(uuid4()), REQUESTED_BY, self._clock()))
            message = Outgoing(CLUSTER_COMMANDS.name, project_id.encode(), command.to_bytes())
            await until_available(lambda: self._publisher.publish([message]))
        finally:
            del self._tasks[place]


def _begin(project: ProjectClusters, at: datetime) -> tuple[Round, Step] | None:
    """Return the round that is due, and the step that says that it is running."""
    due = project.round_due()
    return None if due is None else (due, project.running(at))


def _decide(due: Round) -> tuple[Decision, float]:
    """Return what a round decides, and how many seconds that took."""
    started = time.perf_counter()
    decision = due.decide()
    give_back()
    return decision, time.perf_counter() - started
