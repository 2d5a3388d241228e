"""What only the REST API has: its responses, the values it can carry, and its limits of size."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import DataError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from soulcaster.adapters import upstash
from soulcaster.adapters.redis import connection as redis_connection
from soulcaster.adapters.redis.client import RedisAccess, redis_client
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.adapters.redis.sign_in_tokens import RedisSignIn
from soulcaster.adapters.redis.vector_cache import RedisVectorCache
from soulcaster.cli.checks import examine
from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.errors import RedisUnavailable
from soulcaster.processes.settings import Settings
from tests.conftest import RedisServer
from tests.support.make import item
from tests.support.upstash import BAD_GATEWAY, MAX_BYTES, TOKEN, Upstash


@pytest.fixture
def server(redis_server: RedisServer) -> Iterator[Upstash]:
    """A REST server of this test alone, over the Redis that all tests share."""
    with Upstash(redis_server.port) as server:
        yield server


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    """The same Redis over its own protocol, empty; its replies are bytes."""
    async with redis_client(RedisAccess(redis_server.url), timeout=5, decode=False) as redis:
        await redis.flushall()
        yield redis


@pytest.fixture
async def rest(server: Upstash) -> AsyncIterator[Redis]:
    async with redis_client(RedisAccess(server.url), timeout=5, decode=False) as redis:
        yield redis


@pytest.fixture
async def model(server: Upstash, redis: Redis) -> AsyncIterator[RedisReadModel]:
    model = RedisReadModel(RedisAccess(server.url))
    yield model
    await model.close()


def told(error: BaseException) -> str:
    """Everything that a log shows of an error."""
    causes = []
    cause: BaseException | None = error
    while cause is not None:
        causes.append(f"{cause!r} {cause}")
        cause = cause.__cause__ or cause.__context__
    return "\n".join(causes)


# ---- who answers, and how --------------------------------------------------------------------------------------------


async def test_a_token_that_is_not_taken(server: Upstash) -> None:
    model = RedisReadModel(RedisAccess(server.url.replace("fake", "another")))
    with pytest.raises(RedisUnavailable, match=r"token is not taken \(WRONGPASS") as raised:
        await model.ping()
    assert "another" not in told(raised.value)
    await model.close()


@pytest.mark.parametrize("host", ["127.0.0.1:1", "nowhere.invalid"])
async def test_a_server_that_is_not_there(host: str) -> None:
    model = RedisReadModel(RedisAccess(f"https://:secret@{host}"))
    with pytest.raises(RedisUnavailable, match=host) as raised:
        await model.ping()
    assert "secret" not in told(raised.value)
    await model.close()


async def test_a_server_that_is_slow(server: Upstash, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_connection, "TIMEOUT_SECONDS", 1)
    model = RedisReadModel(RedisAccess(server.url))
    await model.ping()
    server.delay = 5
    with pytest.raises(RedisUnavailable, match=r"no answer in 1 seconds"):
        await model.writer.put_items("p1", [item(1)])
    server.delay = 0
    await model.writer.put_items("p1", [item(1)])
    await model.close()


@pytest.mark.parametrize(
    ("status", "text"),
    [
        BAD_GATEWAY,
        (200, "<html>Sign in to this network</html>"),
        (200, '{"hello": 1}'),
        (200, "[]"),
        (200, '[{"result": "OK"}, {"result": "OK"}]'),
        (200, '["OK"]'),
        (200, '{"result": "OK"}'),
        (200, '[{"result": "no base64"}]'),
        (200, '[{"result": "Pz8_"}]'),
        (400, "[]"),
        (404, '{"error": "no such path"}'),
        (429, '{"error": "too many"}'),
        (500, '{"error": "of ours"}'),
        (400, '{"error": "ERR max requests limit exceeded. Limit: 500000"}'),
        (400, '{"error": "ERR max daily request limit exceeded"}'),
        (200, '[{"error": "ERR DB capacity quota exceeded"}]'),
        (200, '[{"error": "LOADING Redis is loading the dataset in memory"}]'),
    ],
)
async def test_an_answer_that_is_none(server: Upstash, model: RedisReadModel, status: int, text: str) -> None:
    server.answers = [(status, text)]
    with pytest.raises(RedisUnavailable, match="127") as raised:
        await model.commands.get("p1", "k")
    assert TOKEN not in told(raised.value)
    assert await model.commands.get("p1", "k") is None  # it works again as soon as the server does


async def test_commands_are_not_taken_elsewhere(
    server: Upstash, upstash_server: Upstash, model: RedisReadModel
) -> None:
    upstash_server.requests.clear()
    server.answers = [(307, f"{upstash_server.rest_url}/pipeline")]
    with pytest.raises(RedisUnavailable, match="answers 307"):
        await model.ping()
    assert upstash_server.requests == []


async def test_an_error_that_repeats_the_token(server: Upstash, rest: Redis) -> None:
    server.answers = [(400, json.dumps({"error": f"ERR what is {TOKEN}?"}))]
    with pytest.raises(ResponseError, match=r"what is …\?"):
        await rest.get("k")


async def test_the_token_is_not_shown(rest: Redis) -> None:
    await rest.ping()
    pool = rest.connection_pool
    [connection] = pool._available_connections
    assert TOKEN not in f"{rest!r} {pool!r} {connection!r}"


async def test_tasks_get_their_own_answers(rest: Redis) -> None:
    async def own(n: int) -> None:
        await rest.set(f"k{n}", n)
        assert await rest.get(f"k{n}") == str(n).encode()

    await asyncio.gather(*(own(n) for n in range(50)))


async def test_who_gives_up_leaves_nothing_to_the_next(server: Upstash, redis: Redis, rest: Redis) -> None:
    await redis.mset({"a": "of a", "b": "of b"})
    server.delay = 0.2
    given_up = asyncio.ensure_future(rest.get("a"))
    while not server.at_once:
        await asyncio.sleep(0.01)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    server.delay = 0
    assert await rest.get("b") == b"of b"


async def test_who_cannot_read_leaves_nothing_to_the_next(server: Upstash, redis: Redis) -> None:
    await redis.mset({"a": b"\xff", "b": "of b", "c": "of c"})
    async with redis_client(RedisAccess(server.url), timeout=5) as rest:
        pipe: Any = rest.pipeline(transaction=False)
        pipe.get("a").get("b")
        with pytest.raises(UnicodeDecodeError):
            await pipe.execute()
        assert await rest.get("c") == "of c"


# ---- commands and their answers --------------------------------------------------------------------------------------


def every_shape(pipe: Any) -> None:
    pipe.set("s", "text")
    pipe.get("s")
    pipe.get("none")
    pipe.set("OK", "OK", ex=60)
    pipe.get("OK")
    pipe.ttl("OK")
    pipe.set("s", "not set", nx=True)
    pipe.mget("s", "none", "OK")
    pipe.hset("h", mapping={"a": 1, "b": 2.5, "": ""})
    pipe.hgetall("h")
    pipe.hgetall("none")
    pipe.hmget("h", ["a", "none"])
    pipe.zadd("z", {"one": 1, "half": 0.5, "large": 1e300, "least": float("-inf")})
    pipe.zrange("z", 0, -1, withscores=True)
    pipe.zrevrange("z", 0, 1)
    pipe.zmscore("z", ["one", "none"])
    pipe.zscore("z", "half")
    pipe.zinter(["z", "z"], aggregate="MAX")
    pipe.zremrangebyrank("z", 0, 0)
    pipe.sadd("set", "a")
    pipe.smembers("set")
    pipe.sismember("set", "b")
    pipe.scan(match="none")
    pipe.config_get("maxmemory")
    pipe.getdel("s")
    pipe.delete("s", "h")
    pipe.ping()


@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize("transaction", [True, False])
async def test_answers_are_those_of_redis(
    server: Upstash, redis_server: RedisServer, redis: Redis, transaction: bool, decode: bool
) -> None:
    answers = []
    for url in (redis_server.url, server.url):
        await redis.flushall()
        async with redis_client(RedisAccess(url), timeout=5, decode=decode) as client:
            pipe = client.pipeline(transaction=transaction)
            every_shape(pipe)
            answers.append(await pipe.execute())
            answers[-1].append((await client.info("server"))["redis_version"])
    assert answers[0] == answers[1]
    assert [request.path for request in server.requests] == ["/multi-exec" if transaction else "/pipeline", "/pipeline"]


@pytest.mark.parametrize("transaction", [True, False])
async def test_one_command_that_fails(rest: Redis, redis: Redis, transaction: bool) -> None:
    pipe: Any = rest.pipeline(transaction=transaction)
    pipe.set("a", "text").incr("a").set("b", "text")
    with pytest.raises(ResponseError, match=r"Command # 2 \(INCRBY a 1\).*not an integer"):
        await pipe.execute()
    assert await redis.mget("a", "b") == [b"text", b"text"]
    pipe.set("a", "text").incr("a").get("b")
    first, second, third = await pipe.execute(raise_on_error=False)
    assert (first, third) == (True, b"text")
    assert isinstance(second, ResponseError)
    with pytest.raises(ResponseError, match="not an integer"):
        await rest.incr("a")
    assert await rest.get("b") == b"text"


async def test_a_transaction_that_is_refused(rest: Redis, redis: Redis) -> None:
    pipe: Any = rest.pipeline()
    pipe.set("a", "text").execute_command("NOSUCH", "a")
    with pytest.raises(ResponseError, match="unknown command"):
        await pipe.execute()
    assert await redis.exists("a") == 0
    assert await rest.get("a") is None


async def test_a_pipeline_that_is_refused_as_a_whole(server: Upstash, rest: Redis, redis: Redis) -> None:
    server.answers = [(400, '{"error": "ERR of the whole"}')]
    pipe: Any = rest.pipeline(transaction=False)
    pipe.set("a", 1).set("b", 1)
    assert [str(one) for one in await pipe.execute(raise_on_error=False)] == ["of the whole"] * 2
    assert await rest.get("a") is None


# ---- what it carries -------------------------------------------------------------------------------------------------

VALUES = (
    st.text()
    | st.binary()
    | st.sampled_from(
        ["OK", "", "null", "\0", "🙂\u2028", "0", b"\xff", b"\xc3", np.array([1, 0.1], np.float16).tobytes()]
    )
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(VALUES, min_size=1, max_size=40))
async def test_any_value_survives(rest: Redis, redis: Redis, values: list[str | bytes]) -> None:
    pipe: Any = rest.pipeline(transaction=False)
    for n, value in enumerate(values):
        pipe.set(f"key/{n} ?&%🙂", value, ex=60)
    for n in range(len(values)):
        pipe.get(f"key/{n} ?&%🙂")
    found = (await pipe.execute())[len(values) :]
    assert found == [value.encode() if isinstance(value, str) else value for value in values]
    assert await redis.ttl("key/0 ?&%🙂") > 0


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["text", b"\xfe", b"\xff"])), min_size=1))
async def test_the_last_write_counts(rest: Redis, redis: Redis, writes: list[tuple[str, str | bytes]]) -> None:
    pipe: Any = rest.pipeline(transaction=False)
    pipe.ping()
    for key, value in writes:
        pipe.set(key, value)
    assert await pipe.execute() == [True] * (1 + len(writes))
    for key, value in dict(writes).items():
        assert await redis.get(key) == (value.encode() if isinstance(value, str) else value)


async def test_of_one_key_one_after_the_other(server: Upstash, rest: Redis) -> None:
    server.delay = 0.05
    pipe: Any = rest.pipeline(transaction=False)
    pipe.set("a", b"\xfe").set("a", b"\xff").get("a")
    assert await pipe.execute() == [True, True, b"\xff"]
    assert server.most_at_once == 1


async def test_binary_values_that_have_no_way(server: Upstash, rest: Redis, redis: Redis) -> None:
    pipe: Any = rest.pipeline()
    pipe.set("a", b"\xff")
    with pytest.raises(DataError, match="in a transaction"):
        await pipe.execute()
    with pytest.raises(DataError, match="cannot send this binary value of 'MSET'"):
        await rest.mset({"a": b"\xff", "b": b"\xff"})
    with pytest.raises(DataError, match="cannot send this binary value of 'SET'"):
        await rest.set("a", b"\xff", nx=True)
    assert server.requests == []
    assert await rest.exists("a") == 0


async def test_vectors_are_kept(server: Upstash, redis: Redis) -> None:
    chance = np.random.default_rng(1)
    vectors = {f"embedding:gemini:1:{n}": chance.normal(size=768).astype(np.float16).tobytes() for n in range(100)}
    cache = RedisVectorCache(RedisAccess(server.url), days=2)
    await cache.put(vectors)
    assert await cache.get([*vectors, "none"]) == [*vectors.values(), None]
    assert await redis.get("embedding:gemini:1:7") == vectors["embedding:gemini:1:7"]
    assert 2 * 24 * 3600 - 60 < await redis.ttl("embedding:gemini:1:7") <= 2 * 24 * 3600
    assert 1 < server.most_at_once <= upstash.BINARY_AT_ONCE
    await cache.close()


async def test_a_sign_in_is_for_once(server: Upstash, redis: Redis) -> None:
    sign_in = RedisSignIn(RedisAccess(server.url))
    await sign_in.offer("token", "owner", seconds=60)
    assert await sign_in.consume("token") == "owner"
    assert await sign_in.consume("token") is None
    await sign_in.close()


# ---- how much at once ------------------------------------------------------------------------------------------------


async def test_a_long_pipeline_is_cut(server: Upstash, rest: Redis, redis: Redis) -> None:
    pipe: Any = rest.pipeline(transaction=False)
    for n in range(300):
        pipe.set(f"k{n}", f"{n}{'🙂' * 2_500}").get(f"k{n}")
    found = await pipe.execute()
    assert [len(value) for value in found[1::2]] == [10_000 + len(str(n)) for n in range(300)]
    assert len(server.requests) == 4
    assert all(len(request.body) <= upstash.REQUEST_BYTES + 2 for request in server.requests)
    assert [c[1] for request in server.requests for c in request.commands][::2] == [f"k{n}" for n in range(300)]


async def test_what_cannot_be_cut_goes_whole(server: Upstash, rest: Redis, redis: Redis) -> None:
    pipe: Any = rest.pipeline()
    for n in range(3):
        pipe.set(f"k{n}", "x" * upstash.REQUEST_BYTES)
    await pipe.execute()
    assert [request.path for request in server.requests] == ["/multi-exec"]
    await rest.set("large", "x" * (MAX_BYTES - 100))
    for transaction in (True, False):
        pipe = rest.pipeline(transaction=transaction)
        pipe.set("a", "x" * MAX_BYTES)
        with pytest.raises(ResponseError, match="max request size exceeded"):
            await pipe.execute()
    assert await redis.exists("large", "a") == 1


async def test_what_cannot_be_cut_has_the_time_for_it(server: Upstash, redis: Redis) -> None:
    async with redis_client(RedisAccess(server.url), timeout=0.3) as rest:
        server.delay = 0.4
        await rest.set("large", "x" * 5 * upstash.REQUEST_BYTES)
        with pytest.raises(RedisTimeoutError):
            await rest.ping()


async def test_many_items(server: Upstash, model: RedisReadModel) -> None:
    items = [item(n, minutes=n, body="x" * 1_000) for n in range(3_000)]
    await model.writer.put_items("p1", items)
    assert (await model.projects.stats("p1")).total_feedback == 3_000
    found: list[FeedbackItem] = []
    after = None
    while len(found) < 3_000:
        page = await model.feedback.list("p1", limit=3_000, offset=0, after=after)
        found += [view.item for view in page.items]
        after = page.next
    assert found == items[::-1]


# ---- doctor ----------------------------------------------------------------------------------------------------------


async def test_the_doctor_says_what_it_reaches(server: Upstash, tmp_path: Path) -> None:
    def of(token: str) -> Settings:
        rest = {"upstash_redis_rest_url": server.rest_url, "upstash_redis_rest_token": token}
        return Settings.model_validate({"kafka": "127.0.0.1:1", "port": 1, **rest})

    report = await examine(of(TOKEN), tmp_path)
    part = next(part for part in report.parts if part.name == "redis")
    assert part.reachable
    assert part.version.endswith(", by REST")
    assert part.address == server.rest_url.replace("//", "//…@")
    report = await examine(of("another token"), tmp_path)
    [problem] = [p for p in report.problems if p.what.startswith("Redis ")]
    assert "does not let us in" in problem.what
    assert "UPSTASH_REDIS_REST_TOKEN" in problem.advice
    assert "another token" not in report.model_dump_json()
