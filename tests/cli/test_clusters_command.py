"""`soulcaster clusters`, with a Redis that has a cluster."""

import asyncio
import json
from pathlib import Path

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner

from soulcaster.adapters.redis.client import RedisAccess
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.cli.main import app
from soulcaster.domain.events import ClusterChanged, ItemAssigned, Theme, ThemesChanged
from tests.conftest import RedisServer
from tests.support.make import NOW, item
from tests.support.upstash import TOKEN, Upstash

FULL = ClusterChanged(
    "c1",
    "Late [b]card",
    "S",
    1,
    (),
    NOW,
    NOW,
    terms=("late", "[red]card", "x", "y", "z"),
    coherence=0.514,
    titled_by="person",
    pinned=True,
    parent_id="c0",
    theme_id="t1",
)
THEMES = ThemesChanged((Theme("t1", "Cards", ("cards",), "Why.", 1, 1),))


@pytest.fixture(params=["redis", "upstash"])
def environment(request: pytest.FixtureRequest, redis_server: RedisServer) -> dict[str, str | None]:
    """Return the environment for each way to reach Redis."""
    names = ("REDIS_URL", "UPSTASH_REDIS_URL", "UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN")
    unset: dict[str, str | None] = dict.fromkeys(names)
    if request.param == "redis":
        return unset | {"REDIS_URL": redis_server.url}
    upstash: Upstash = request.getfixturevalue("upstash_server")
    return unset | {"UPSTASH_REDIS_REST_URL": upstash.rest_url, "UPSTASH_REDIS_REST_TOKEN": TOKEN}


def clusters(redis: RedisServer, environment: dict[str, str | None], folder: Path, *more: str) -> str:
    async def fill() -> None:
        async with Redis.from_url(redis.url) as server:
            await server.flushall()
        model = RedisReadModel(RedisAccess(redis.url))
        await model.writer.apply(
            "p1", [ItemAssigned(item(1).id, NOW, "c1", change="joined", score=0.9, threshold=0.5), FULL, THEMES]
        )
        await model.close()

    asyncio.run(fill())
    arguments = ["clusters", "-p", "p1", "--data-dir", str(folder), *more]
    done = CliRunner().invoke(app, arguments, env=environment)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_table_has_theme_coherence_and_terms(
    redis_server: RedisServer, environment: dict[str, str | None], tmp_path: Path
) -> None:
    head, row, _ = clusters(redis_server, environment, tmp_path).splitlines()
    assert head.split() == ["Items", "Title", "Status", "Sources", "Theme", "Coherence", "Terms", "Id"]
    assert "Late [b]card" in row
    assert " Cards " in row
    assert "0.51" in row
    assert "late, [red]card, x, y " in row


def test_a_narrow_one_has_not(
    redis_server: RedisServer, environment: dict[str, str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soulcaster.cli.clusters.WIDE_COLUMNS", 161)
    assert "Coherence" not in clusters(redis_server, environment, tmp_path)


def test_json_has_every_field(redis_server: RedisServer, environment: dict[str, str | None], tmp_path: Path) -> None:
    [cluster] = json.loads(clusters(redis_server, environment, tmp_path, "--json"))
    told = {"terms": list(FULL.terms), "coherence": 0.514, "titled_by": "person", "pinned": True, "parent_id": "c0"}
    assert cluster.items() >= told.items()
