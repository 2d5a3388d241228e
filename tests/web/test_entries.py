"""A list in a body, a form or a query has a limit that holds before its entries are validated.

Otherwise a small body of many invalid entries makes an error of each: 340,000 times `{}` were 10 s and 2.8 GB.
"""

import asyncio
import gzip
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.domain.entries import Entries
from soulcaster.services.fair_turns import FairTurns, Turn
from soulcaster.web.api import OPERATIONS
from soulcaster.web.api.ingest.models import MAX_ITEMS
from soulcaster.web.problems import MAX_FAULTS
from soulcaster.web.turns import TURNS, Turns
from tests.support.answers import problem
from tests.support.models import models_of_requests
from tests.support.web import Client, World

_LISTS = {"list", "tuple", "set", "frozenset", "generator"}


def _unlimited(schema: Any, path: str, *, counted: bool = False) -> Iterator[str]:
    """Yield each list, and each object with entries to validate, that no limit holds for."""
    if isinstance(schema, list | tuple):
        for index, part in enumerate(schema):
            yield from _unlimited(part, f"{path}.{index}")
    elif isinstance(schema, dict):
        kind = schema.get("type")
        if kind in _LISTS and not counted and not schema.get("fail_fast"):
            yield path
        if kind == "dict" and schema.get("values_schema", {"type": "any"})["type"] != "any":
            yield path
        function = schema["function"]["function"] if kind == "function-before" else None
        counts = isinstance(getattr(function, "__self__", None), Entries)
        for name, part in schema.items():
            if name not in ("metadata", "function"):
                yield from _unlimited(part, f"{path}.{name}", counted=counts and name == "schema")


def test_every_list_has_a_limit_that_holds_first() -> None:
    models = models_of_requests()
    assert len(models) > 40
    found = [path for model in models for path in _unlimited(model.__pydantic_core_schema__, model.__name__)]
    assert not found


def test_who_sends_a_body_has_a_place() -> None:
    """Parsing waits for its turn."""
    assert not [operation.id for operation in OPERATIONS if operation.body is not None and operation.scope is None]


@pytest.mark.parametrize("path", ["/ingest/feedback", "/ingest/reddit"])
@pytest.mark.parametrize("entry", ["{}", "0", "null"])
async def test_too_many_invalid_entries_are_one_fault(world: World, client: Client, path: str, entry: str) -> None:
    body = f'{{"items":[{",".join([entry] * 40_000)}]}}'.encode()
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = await client.post(path, params={"project_id": "p1"}, data=gzip.compress(body), headers=headers)
    [fault] = (await problem(answer, 422))["errors"]
    assert fault == {"field": "items", "message": "This has 40,000 entries; it may have 1,000"}
    assert world.publisher.sent == []


async def test_of_many_invalid_fields_the_first_are_told_and_all_counted(client: Client) -> None:
    batch = {"items": [{"source": "app", "title": 1, "body": 2} for _ in range(MAX_ITEMS)]}
    details = await problem(await client.post("/ingest/feedback?project_id=p1", json=batch), 422)
    assert [fault["field"] for fault in details["errors"]] == [
        f"items.{n}.{name}" for n in range(MAX_FAULTS // 2) for name in ("title", "body")
    ]
    assert f"; {2 * MAX_ITEMS - MAX_FAULTS:,} more are not listed" in details["detail"]


class Asked(FairTurns):
    """Turns that count who asked for one."""

    def __init__(self, places: int, *, each: int) -> None:
        super().__init__(places, each=each)
        self.asked: Counter[str] = Counter()

    async def take(self, project_id: str) -> Turn:
        self.asked[project_id] += 1
        return await super().take(project_id)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        (
            "POST",
            "/ingest/feedback",
            {"items": [{"source": "app", "title": n, "body": "slow " * 20} for n in range(500)]},
        ),
        ("POST", "/clusters/c1/merge", {"cluster_ids": ["not an id " * 20] * 500}),
        ("PUT", "/feedback/i1", {"body": "slow " * 10_000}),
        ("POST", "/ingest/sentry", {"project": "slow " * 10_000}),
    ],
)
async def test_reading_bodies_of_a_project_leaves_threads_to_others(
    world: World, method: str, path: str, body: dict[str, Any]
) -> None:
    """Bodies that are refused as well: each waits for its project's turn."""
    app = world.app()
    threads = Asked(6, each=2)
    app[TURNS] = Turns(threads=threads)
    async with TestClient(TestServer(app)) as client:
        busy = [await threads.take("greedy") for _ in range(2)]
        greedy = [asyncio.create_task(client.request(method, f"{path}?project_id=greedy", json=body)) for _ in range(8)]
        async with asyncio.timeout(60):
            while threads.asked["greedy"] < len(busy) + len(greedy):
                assert not any(task.done() for task in greedy)
                await asyncio.sleep(0.01)
        answer = await client.request(method, f"{path}?project_id=neighbour", json=body)
        assert answer.status < 500
        assert not any(task.done() for task in greedy)
        for turn in busy:
            turn.end()
        assert {other.status for other in await asyncio.gather(*greedy)} == {answer.status}
