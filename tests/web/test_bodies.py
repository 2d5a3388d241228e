"""How large a body may be, as it is sent and decompressed."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from soulcaster.web import bodies
from soulcaster.web.api.ingest.models import MAX_ITEMS
from soulcaster.web.bodies import MAX_BATCH_BYTES, MAX_BODY_BYTES, check_parts
from soulcaster.web.problems import Problem
from tests.support.answers import problem
from tests.support.web import Client, World

HERE = {"project_id": "p1"}
JSON = {"Content-Type": "application/json"}


ZIPPED = gzip.compress(b"{}", mtime=0)
ENCODINGS = [("gzip", 31), ("deflate", 15), ("deflate", -15)]
"""With zlib's window bits: deflate comes with zlib's header and without."""


def compressed(wbits: int, *parts: bytes) -> bytes:
    writer = zlib.compressobj(wbits=wbits)
    return b"".join([*map(writer.compress, parts), writer.flush()])


def of_size(body: dict[str, Any], size: int) -> bytes:
    """Return the body as JSON of so many bytes, by white space."""
    data = json.dumps(body).encode()
    return data + b" " * (size - len(data))


ONE = {"source": "app", "text": "It crashes", "body": "It crashes"}
MANY = {"items": [ONE] * 10}


@pytest.mark.parametrize(
    ("path", "body", "limit"),
    [
        ("/ingest/manual", ONE, MAX_BODY_BYTES),
        ("/ingest/feedback", ONE, MAX_BODY_BYTES),
        ("/ingest/reddit", ONE, MAX_BODY_BYTES),
        ("/ingest/feedback", MANY, MAX_BATCH_BYTES),
        ("/ingest/reddit", MANY, MAX_BATCH_BYTES),
        ("/clusters/c1/rename", {"title": "x"}, MAX_BODY_BYTES),
    ],
)
@pytest.mark.parametrize("encode", [None, *ENCODINGS], ids=str)
async def test_a_body_has_a_limit(
    world: World,
    client: Client,
    path: str,
    body: dict[str, Any],
    limit: int,
    encode: tuple[str, int] | None,
) -> None:
    await world.fill()
    headers = JSON if encode is None else JSON | {"Content-Encoding": encode[0]}
    for size, status in ((limit, 202), (limit + 1, 413)):
        data = of_size(body, size)
        answer = await client.post(
            path, params=HERE, data=data if encode is None else compressed(encode[1], data), headers=headers
        )
        assert answer.status == status, await answer.text()
    details = await problem(answer, 413)
    assert f"{limit:,} bytes" in details["detail"]


async def test_a_whole_batch_may_be_a_megabyte(world: World, client: Client) -> None:
    batch = {"items": [{"source": "app", "body": f"{n} " + "x" * 1000} for n in range(MAX_ITEMS)]}
    assert 1_000_000 < len(json.dumps(batch)) < MAX_BATCH_BYTES
    assert (await client.post("/ingest/feedback", params=HERE, json=batch)).status == 202


async def test_a_body_without_a_length_has_a_limit_too(world: World, client: Client) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65536

    await problem(await client.post("/ingest/feedback", params=HERE, data=endless(), headers=JSON), 413)
    assert world.publisher.sent == []


@pytest.mark.parametrize(("encoding", "wbits"), ENCODINGS)
async def test_a_bomb_is_not_inflated(world: World, client: Client, encoding: str, wbits: int) -> None:
    """A megabyte that would be a gigabyte: no more than the limit is made of it, whoever sends it to what."""
    bomb = compressed(wbits, *[b"[" * 1_000_000] * 900)
    assert len(bomb) < MAX_BATCH_BYTES
    headers = JSON | {"Content-Encoding": encoding}
    tracemalloc.start()
    try:
        for path in ("/ingest/feedback", "/ingest/manual"):
            answer = await client.post(path, params=HERE, data=bomb, headers=headers)
            assert answer.status == 413
        answer = await client.post("/clusters/rebalance", params=HERE, data=bomb, headers=headers)  # reads no body
        assert answer.status == 202
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * MAX_BATCH_BYTES
    await problem(await client.post("/ingest/feedback", params=HERE, data=bomb, headers=headers), 413)


async def test_all_members_of_gzip_are_read(world: World, client: Client) -> None:
    data = json.dumps({"text": "It crashes, " + "and crashes, " * 2_000}).encode()
    parts = [data[at : at + 1_000] for at in range(0, len(data), 1_000)]
    members = b"".join(gzip.compress(part) for part in [b"", *parts, b""])
    answer = await client.post("/ingest/manual", params=HERE, data=members, headers=JSON | {"Content-Encoding": "gzip"})
    assert answer.status == 202
    [message] = world.publisher.sent
    assert json.loads(data)["text"] in message.value.decode()


@pytest.mark.parametrize("part", [b"", b" " * 200])
async def test_a_bomb_of_many_members_is_not_inflated(client: Client, part: bytes) -> None:
    member = gzip.compress(part)
    data = member * (MAX_BATCH_BYTES // len(member))
    answer = await client.post("/ingest/feedback", params=HERE, data=data, headers=JSON | {"Content-Encoding": "gzip"})
    assert answer.status == (413 if part else 400), "there is no JSON in nothing"


BODIES = [
    ("/ingest/manual", "application/json", b'{"text": "sp\xe4t"}'),
    ("/ingest/feedback", "application/json", b'{"source": "x", "body": "sp\xe4t"}'),
    ("/ingest/github", "application/json", b'{"action": "sp\xe4t"}'),
    ("/jobs/j1/logs", "application/json", b'{"text": "sp\xe4t"}'),
    ("/jobs/j1/logs", "text/plain", b"sp\xe4t"),
]
"""Bodies in Latin-1."""


@pytest.mark.parametrize(("path", "kind", "body"), BODIES)
@pytest.mark.parametrize("charset", [None, "iso-8859-1", "utf-16", "nope"])
async def test_what_is_not_utf_8_is_refused_and_not_half_read(
    world: World, client: Client, path: str, kind: str, body: bytes, charset: str | None
) -> None:
    await world.job("j1", "running")
    headers = {"Content-Type": kind if charset is None else f"{kind}; charset={charset}"}
    await problem(await client.post(path, params=HERE, data=body, headers=headers), 400 if charset is None else 415)
    assert world.publisher.sent == []


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize(
    "data",
    [b"", b"not compressed", ZIPPED[:-3], ZIPPED + b"x", zlib.compress(b"{}")[:-1]],
)
async def test_a_body_that_is_not_what_its_encoding_says(client: Client, encoding: str, data: bytes) -> None:
    headers = JSON | {"Content-Encoding": encoding}
    await problem(await client.post("/ingest/manual", params=HERE, data=data, headers=headers), 400)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "nope"])
async def test_an_encoding_that_is_not_taken_is_told_those_that_are(client: Client, encoding: str) -> None:
    headers = JSON | {"Content-Encoding": encoding}
    answer = await client.post("/ingest/manual", params=HERE, data=b"{}", headers=headers)
    await problem(answer, 415)
    assert answer.headers["Accept-Encoding"] == "gzip, deflate"


EMPTY_LISTS = b"[],"
"""Three bytes that cost the parser a hundred times as many."""


@pytest.mark.parametrize("path", ["/ingest/feedback", "/ingest/github", "/ingest/sentry"])
async def test_a_body_of_too_many_parts_is_refused(client: Client, path: str) -> None:
    body = b'{"items":[{"source":"app","body":"x","a":[%s0]}]}' % (EMPTY_LISTS * (MAX_BATCH_BYTES // 4))
    answer = await client.post(path, params=HERE, data=body, headers=JSON)
    assert "objects, lists and values" in (await problem(answer, 413))["detail"]


async def test_what_a_text_is_made_of_is_no_part(client: Client) -> None:
    body = {"items": [{"source": "app", "body": '[{,"\\' * (bodies.MAX_PARTS // 5)}] * 2}
    assert (await client.post("/ingest/feedback", params=HERE, json=body)).status == 202


_VALUES = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[{,"\\ a\u00e9'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet='[{,"\\ab'), inner),
)


def _without_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(number): _without_texts(part) for number, part in enumerate(value.values())}
    return [*map(_without_texts, value)] if isinstance(value, list) else 0


@given(_VALUES, st.integers(0, 20))
@example("[", 0)
def test_the_parts_of_json_are_counted(value: Any, most: int) -> None:
    bare = json.dumps(_without_texts(value))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bodies, "MAX_PARTS", most)
        try:
            check_parts(json.dumps(value).encode())
        except Problem:
            assert sum(map(bare.count, "[{,")) > most
        else:
            assert sum(map(bare.count, "[{,")) <= most
