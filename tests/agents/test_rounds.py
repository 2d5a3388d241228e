"""Rounds beside the stream: they decide in a thread, send a command, and are carried out when that comes back."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from weakref import ref

import numpy as np
import pytest

from agents import rounds as rounds_module
from agents.cluster import Cluster
from agents.runtime.batches import Batch
from agents.runtime.meter import Meter
from agents.runtime.runner import run_agent
from soulcaster.domain.clustering.consolidation.identity import Decision
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.item_records import RECORD_BYTES
from soulcaster.domain.clustering.project.round_schedule import Round
from soulcaster.domain.commands import Configure, Rebalance, RoundFinished
from soulcaster.domain.embedder import EmbedderKey
from soulcaster.domain.events import ClusteringStatus, CommandDone
from soulcaster.ports.messaging import Record
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.cluster_events import ClusterEvents
from tables.segmented import SegmentedTable
from tests.agents.test_cluster import COMMANDS, embedded, words
from tests.support.agents import Flaky, HashEmbedder, Rows, record, records, stored
from tests.support.make import NOW


@pytest.fixture(autouse=True)
def never_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No project becomes quiet by itself, however slow the machine is."""
    monkeypatch.setattr(rounds_module, "SETTLE_SECONDS", 3600.0)
    monkeypatch.setattr(rounds_module, "QUIET_SECONDS", 3600.0)


class Writer:
    """The agent at work: it takes batches one after the other, as they are given."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.publisher = Flaky()
        self.batches: asyncio.Queue[list[Record] | None] = asyncio.Queue()
        self.taken = 0

    async def stream(self) -> AsyncIterator[Batch]:
        while (some := await self.batches.get()) is not None:
            yield Batch(tuple(some), self.rows.enter)
            self.taken += 1

    async def give(self, *some: Record) -> None:
        """Give a batch and wait until it is acknowledged."""
        before = self.taken
        self.batches.put_nowait(list(some))
        async with asyncio.timeout(60):
            while self.taken == before:
                await asyncio.sleep(0.001)

    async def commands(self, count: int) -> list[Record]:
        """Wait until the agent has sent so many commands; return them as records."""
        async with asyncio.timeout(60):
            while len(self.publisher.of(COMMANDS)) < count:
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)  # more of them would come about now
        found = records(self.publisher.sent, COMMANDS)
        assert len(found) == count
        return found

    def events(self) -> list[object]:
        sent = self.publisher.of("cluster.events")
        return [event for m in sent for event in ClusterEvents.model_validate_json(m.value).events]

    def done(self) -> list[tuple[str, str]]:
        return [(e.command_id, e.outcome) for e in self.events() if isinstance(e, CommandDone)]

    def statuses(self) -> list[ClusteringStatus]:
        """The statuses of rounds that have ended; each follows one that says it is running."""
        said = [e for e in self.events() if isinstance(e, ClusteringStatus)]
        ended = [e for e in said if e.state != "running"]
        assert len(said) - len(ended) >= len([e for e in ended if e.seconds])
        return ended


@asynccontextmanager
async def writing(rows: Rows, clusters: SegmentedTable[ProjectClusters] | None = None) -> AsyncIterator[Writer]:
    writer = Writer(rows)
    agent = Cluster(clusters=clusters or rows.clusters(), stored=stored, publisher=writer.publisher, clock=lambda: NOW)
    running = asyncio.create_task(
        run_agent(agent, [writer.stream()], publisher=writer.publisher, meter=Meter(agent.name))
    )
    yield writer
    writer.batches.put_nowait(None)
    await running


def command(name: str, kind: type[Rebalance | RoundFinished] = Rebalance) -> Record:
    asked = ClusterCommand(project_id="p1", command=kind(name, "owner", NOW))
    return record(COMMANDS, asked.to_bytes())


def please(project: str) -> Record:
    """A request for a round of a project, which is the request's name."""
    asked = ClusterCommand(project_id=project, command=Rebalance(project, "owner", NOW))
    return record(COMMANDS, asked.to_bytes(), key=project.encode())


def kind(of: Record) -> str:
    return ClusterCommand.model_validate_json(of.value or b"").command.type


async def test_a_rebalance_runs_beside_the_stream_and_ends_when_it_was_carried_out() -> None:
    rows = Rows()
    async with writing(rows) as writer:
        await writer.give(embedded(*words("card late", "login slow", "card gone")), command("please"))
        assert writer.done() == []
        [finished] = await writer.commands(1)
        assert (kind(finished), finished.key) == ("round_finished", b"p1")
        await writer.give(embedded(*words("fee high")))  # the stream goes on meanwhile
        assert writer.statuses() == []
        before = dict(rows)
        await writer.give(finished)
        assert writer.done() == [("please", "applied")]
        [status] = writer.statuses()
        assert (status.round, status.items, status.at) == (1, 4, NOW)
        assert rows != before
        await writer.give(finished)  # delivered twice
        await writer.commands(1)
        assert len(writer.done()) == len(writer.statuses()) == 1
    state = await rows.clusters().state(0, "p1")
    assert state.stale()  # because of the item that came in between
    assert state.round_due() is None


async def test_nothing_new_needs_no_round() -> None:
    async with writing(Rows()) as writer:
        await writer.give(embedded(*words("card late")), command("first"))
        await writer.give(*await writer.commands(1))
        await writer.give(command("second"))
        assert writer.done() == [("first", "applied"), ("second", "applied")]
        await writer.commands(1)


async def test_a_round_whose_state_was_thrown_away_is_dropped_and_run_again() -> None:
    rows = Rows()
    async with writing(rows) as writer:
        await writer.give(embedded(*words("card late", "login slow")), command("please"))
        [finished] = await writer.commands(1)
        rows.fail = [RuntimeError("the changelog is away")]
        before = dict(rows)
        await writer.give(finished)
        assert dict(rows) == before
        _, again = await writer.commands(2)
        assert kind(again) == "round_finished"
        await writer.give(again)
        assert writer.statuses()[-1].round == 1
        assert (await rows.clusters().state(0, "p1")).round_due() is None
        assert not (await rows.clusters().state(0, "p1")).stale()


async def test_what_fails_in_a_project_costs_another_neither_its_round_nor_its_state() -> None:
    rows = Rows()
    async with writing(rows) as writer:
        await writer.give(embedded(*words("card late", "login slow")), command("please"))
        [finished] = await writer.commands(1)
        rows.fail = [RuntimeError("the changelog is away")]
        await writer.give(embedded(*words("card late"), project="p2", partition=3), finished)
        assert rows.fail == []
        assert writer.done() == [("please", "applied")]
        await writer.commands(1)
        assert (await rows.clusters().state(3, "p2")).stale()  # its item was added in a second try

        writer.publisher.refuses = b"p3"
        await writer.give(embedded(*words("fee high")), command("again"))
        _, finished = await writer.commands(2)
        await writer.give(embedded(*words("card late"), project="p3", partition=4), finished)
        assert writer.done()[1:] == [("again", "applied")]
        await writer.commands(2)


class Held(Round):
    """A round that does not end before it is freed."""

    freed = threading.Event()

    def decide(self) -> Decision:
        if self.groups > 2:
            self.freed.wait(60)
        return super().decide()


class Slow(ProjectClusters):
    """A project whose rounds of more than two micro-clusters are held."""

    def round_due(self) -> Round | None:
        due = super().round_due()
        return due and Held(due.embedder, due.snapshot)


async def test_a_round_that_takes_long_holds_up_no_other_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds_module, "LONG_GROUPS", 2)
    Held.freed.clear()
    rows = Rows()
    async with writing(rows, SegmentedTable(rows, RECORD_BYTES, Slow)) as writer:
        for n in range(10):  # more than the shared pool has threads
            project = f"large-{n}"
            await writer.give(embedded(*words("a", "b", "c"), project=project), please(project))
        await writer.give(embedded(*words("card late"), project="small"), please("small"))
        [finished] = await writer.commands(1)
        await writer.give(finished)
        assert writer.done() == [("small", "applied")]
        assert await asyncio.to_thread(lambda: "free") == "free"
        Held.freed.set()
        await writer.commands(11)


async def test_a_round_of_another_process_is_not_this_ones() -> None:
    rows = Rows()
    async with writing(rows) as writer:
        await writer.give(embedded(*words("card late", "login slow")), command("please"))
        [finished] = await writer.commands(1)
    async with writing(rows) as restarted:
        await restarted.give(finished)
        assert restarted.statuses() == []
        [again] = await restarted.commands(1)  # it was requested before the restart
        await restarted.give(again)
        assert restarted.done() == [("please", "applied")]


async def test_a_round_whose_partition_has_moved_to_another_worker_is_kept_no_longer_than_its_state() -> None:
    rows = Rows()
    clusters = rows.clusters()
    async with writing(rows, clusters) as writer:
        await writer.give(embedded(*words("card late", "login slow")), command("please"))
        await writer.commands(1)
        state = ref(await clusters.state(0, "p1"))
        rows.clear()
        await clusters.reload()
        async with asyncio.timeout(60):
            while state() is not None:
                await asyncio.sleep(0.001)
                gc.collect()


class Breaking(ProjectClusters):
    """A project whose rounds fail."""

    def round_due(self) -> Round | None:
        due = super().round_due()
        return due and Round(due.embedder, replace(due.snapshot, index=None))  # type: ignore[arg-type]


async def test_a_round_that_fails_says_so_once() -> None:
    rows = Rows()
    async with writing(rows, SegmentedTable(rows, RECORD_BYTES, Breaking)) as writer:
        await writer.give(embedded(*words("card late", "login slow")), command("please"))
        await writer.give(*await writer.commands(1))
        assert writer.done() == [("please", "refused")]
        [status] = writer.statuses()
        assert status.outcome.startswith("failed: AttributeError")
        assert (status.round, status.items) == (0, 2)
        await writer.commands(1)  # and is not tried again at once
        await writer.give(embedded(*words("card gone")))
        assert writer.publisher.letters == []
        await writer.give(command("again"))
        await writer.give((await writer.commands(2))[1])
        assert writer.done()[1:] == [("again", "refused")]


async def test_a_command_in_between_makes_the_round_run_again() -> None:
    async with writing(Rows()) as writer:
        await writer.give(embedded(*words("card late", "login slow")), command("please"))
        [finished] = await writer.commands(1)
        asked = ClusterCommand(project_id="p1", command=Configure("finer", "owner", NOW, granularity="finer"))
        await writer.give(record(COMMANDS, asked.to_bytes()))
        await writer.give(finished)
        assert writer.statuses()[-1].outcome.startswith("given up")
        await writer.give((await writer.commands(2))[1])
        assert writer.statuses()[-1].round == 1
        assert writer.done() == [("finer", "applied"), ("please", "applied")]


async def test_a_round_on_the_way_is_what_was_asked_for() -> None:
    async with writing(Rows()) as writer:
        await writer.give(embedded(*words("card late", "login slow")), command("please"))
        [finished] = await writer.commands(1)
        await writer.give(embedded(*words(*(f"card {n}" for n in range(30)))))
        assert writer.done() == [("please", "applied")]
        await writer.give(finished)
        assert writer.statuses()[-1].outcome.startswith("given up")
        await writer.commands(1)  # nobody asks for another round


async def test_a_project_that_is_worked_on_is_not_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds_module, "SETTLE_SECONDS", 0.0)
    rows, publisher, place = Rows(), Flaky(), (0, "p1")
    project = await rows.clusters().state(*place)
    texts = words(*(f"card {n}" for n in range(60)))
    key = EmbedderKey("hash", "1", 8)
    project.add(key, texts, np.stack([HashEmbedder().vector(item.text) for item in texts]))
    rounds = rounds_module.BackgroundRounds(publisher, lambda: NOW)
    with rounds.working_on([place]):
        rounds.rebalance_when_quiet(place, project)
        await asyncio.sleep(0.05)
        assert not publisher.sent
    async with asyncio.timeout(60):
        while not publisher.sent:
            await asyncio.sleep(0.001)
    rounds.stop()


async def test_after_an_import_rounds_follow_until_nothing_is_left_to_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds_module, "SETTLE_SECONDS", 0.0)
    async with writing(Rows()) as writer:
        await writer.give(embedded(*words(*(f"card {n}" for n in range(60)))))
        [asks] = await writer.commands(1)
        assert kind(asks) == "rebalance"
        await writer.give(asks)
        await writer.give((await writer.commands(2))[1])
        assert [status.state for status in writer.statuses()][-1] == "idle"
        await writer.give(embedded(*words("card more")))  # one item is no import
        await writer.commands(2)
        await writer.give(embedded(*words("card even more", "card again")))
        await writer.commands(3)


async def test_a_round_that_fails_is_not_asked_for_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds_module, "SETTLE_SECONDS", 0.0)
    rows = Rows()
    async with writing(rows, SegmentedTable(rows, RECORD_BYTES, Breaking)) as writer:
        await writer.give(embedded(*words("card late", "login slow")))
        await writer.give(*await writer.commands(1))
        await writer.give((await writer.commands(2))[1])
        await writer.commands(2)


async def test_a_project_that_has_become_quiet_is_put_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds_module, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(rounds_module, "QUIET_ROUNDS", 0)
    async with writing(Rows()) as writer:
        await writer.give(embedded(*words(*(f"card {n}" for n in range(60)))), command("before"))
        await writer.give(*await writer.commands(1))
        writer.publisher.sent.clear()
        await writer.give(embedded(*words("card late")))
        [asks] = await writer.commands(1)
        assert kind(asks) == "rebalance"
        await writer.give(asks)
        asks, finished = await writer.commands(2)
        await writer.give(finished)
        assert [outcome for _, outcome in writer.done()] == ["applied"]
        await writer.commands(2)  # nothing is new, so nobody asks again


async def test_rounds_of_two_projects_are_apart() -> None:
    rows = Rows()
    async with writing(rows) as writer:
        other = ClusterCommand(project_id="p2", command=Rebalance("q", "owner", NOW))
        await writer.give(
            embedded(*words("card late")),
            embedded(*words("card late"), project="p2", partition=3),
            command("p"),
            record(COMMANDS, other.to_bytes(), partition=3, key=b"p2"),
        )
        finished = {m.key: m for m in await writer.commands(2)}
        assert finished.keys() == {b"p1", b"p2"}
        await writer.give(record(COMMANDS, finished[b"p2"].value, partition=3, key=b"p2"))
        assert writer.done() == [("q", "applied")]
        await writer.give(finished[b"p1"])
        assert writer.done() == [("q", "applied"), ("p", "applied")]
