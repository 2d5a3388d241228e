"""The intake with whatever JSON there is: never a 5xx, and a 2xx is exactly what was sent."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soulcaster.ports.messaging import Record
from soulcaster.services.intake import read
from soulcaster.wire.feedback import form_of
from tests.support.anything import anything, text
from tests.support.make import NOW_MS
from tests.support.web import Client, World

odd = st.sampled_from(
    ["", " ", "\x00", "\ud800", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", 1e300, 10**40]
)
likely = st.fixed_dictionaries(
    {},
    optional={
        "source": st.sampled_from(["github", "manual", "X.y", "reddit"]) | odd | anything,
        "title": text | odd,
        "body": text | odd | anything,
        "metadata": st.dictionaries(text, anything, max_size=4) | anything,
        "external_id": text | odd | anything,
        "id": text | odd,
        "created_at": st.datetimes().map(str) | st.integers() | odd,
        "author": text | anything,
        "url": text | anything,
        "project_id": st.sampled_from(["p2", "jobs"]) | text | anything,
        "repo": text | st.just("a/b"),
        "github_issue_number": st.integers() | anything,
        "status": text | anything,
        "raw_text": text,
        "items": st.lists(st.fixed_dictionaries({"sku": text}), max_size=2) | anything,
        "vendor": text | anything,
        "payload": anything,
        "headers": anything,
    },
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(["/ingest/feedback", "/ingest/reddit"]),
    body=likely | anything | st.fixed_dictionaries({"items": st.lists(likely, max_size=40) | anything}),
    in_query=st.booleans(),
    key=st.none() | st.text("ab", max_size=2),
)
async def test_anything(world: World, client: Client, path: str, body: Any, in_query: bool, key: str | None) -> None:
    await world.empty()
    answer = await client.post(
        path,
        params={"project_id": "p1"} if in_query else {},
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"} | ({} if key is None else {"Idempotency-Key": key}),
    )
    assert answer.status < 500, await answer.text()
    if answer.status < 300:
        read_back = [read(Record(m.topic, 0, 0, NOW_MS, m.key, m.value)) for m in world.publisher.sent]
        assert [contents.refused for contents in read_back] == [[]] * len(read_back)
        there = [(one.item.id, one.item.project_id) for contents in read_back for one in contents.items]
        told = await answer.json()
        is_batch = form_of(body) == "envelope"
        assert ("items" in told) == is_batch
        assert sorted(there) == sorted((one["id"], one["project_id"]) for one in told.get("items", [told]))
        assert len(there) == (len(body["items"]) if is_batch else 1)
    else:
        assert world.publisher.sent == []
        assert answer.content_type == "application/problem+json"
        details = await answer.json(content_type=None)
        assert details.get("errors") or answer.status != 422 or key == ""
