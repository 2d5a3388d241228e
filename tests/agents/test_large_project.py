"""A project of very many micro-clusters holds up neither the event loop nor other projects."""

import os
from functools import partial

import pytest

from agents import rounds as rounds_module
from agents.embed import Embed
from agents.near import Near
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.commands import Rebalance
from soulcaster.domain.ids import cluster_id_for
from soulcaster.processes.worker import used_embedders
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.embedded import EmbedderId, embedded_envelopes
from tests.agents.test_cluster import COMMANDS
from tests.agents.test_embed import envelope
from tests.agents.test_near import asked
from tests.agents.test_rounds import writing
from tests.support.agents import Flaky, HashEmbedder, OneEmbedder, Rows, record, run_batches
from tests.support.large_project import LARGE, large_items, large_project
from tests.support.loop_steps import measured_steps, too_long
from tests.support.make import NOW, item

MICRO_CLUSTERS = int(os.environ.get("LARGE_PROJECT", "12000"))


@pytest.fixture(autouse=True)
def never_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No project becomes quiet by itself, however slow the machine is."""
    monkeypatch.setattr(rounds_module, "SETTLE_SECONDS", 3600.0)
    monkeypatch.setattr(rounds_module, "QUIET_SECONDS", 3600.0)


@pytest.fixture(scope="module")
def table() -> Rows:
    """The table of clusters with a large project."""
    rows = Rows()
    rows.enter(0)
    rows.clusters().write(0, "p1", large_project("p1", MICRO_CLUSTERS))
    return rows


async def test_no_large_project_holds_up_the_loop(read_model: RedisReadModel, table: Rows) -> None:
    """Its first item is embedded, and it is asked; it gets items, a round, a batch that fails; and it moves away."""
    [known, *_] = large_items(range(1))[0]
    [new] = embedded_envelopes(
        "p1", EmbedderId(name="hash", version="1", dimensions=256), *large_items(range(10**6, 10**6 + 3))
    )

    async def work() -> None:
        rows, seen, publisher = table.copied(), Rows(), Flaky()
        clusters = rows.clusters()
        embed = Embed(
            seen=seen.seen(),
            embedders=OneEmbedder(HashEmbedder()),
            used=partial(used_embedders, clusters),
            publisher=publisher,
        )
        assert await run_batches(embed, [[envelope(item(1))]], publisher, seen) == [1]
        assert clusters.loaded(0, "p1") is None
        assert await used_embedders(clusters, (0, "p1")) == [LARGE]
        await read_model.near_answers.ask("q1")
        near = Near(clusters=clusters, answers=read_model.near_answers)
        assert await run_batches(near, [[asked("cluster", cluster_id_for("p1", known.id))]], publisher) == [1]
        async with writing(rows, clusters) as writer:
            await writer.give(record("feedback.embedded", new))
            await writer.give(record(COMMANDS, _rebalance()))
            await writer.give(*await writer.commands(1))
            assert writer.done() == [("please", "applied")]
            rows.fail = [ValueError("once")]
            await writer.give(record(COMMANDS, _rebalance("again")))
            await clusters.reload()

    with measured_steps() as steps:
        steps.own = None
        assert await too_long(steps, work) is None


def _rebalance(command_id: str = "please") -> bytes:
    return ClusterCommand(project_id="p1", command=Rebalance(command_id, "owner", NOW)).to_bytes()
