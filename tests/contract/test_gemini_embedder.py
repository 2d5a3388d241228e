"""What is Gemini's own: batches, limits, refusals, what it costs, and what is not asked twice."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest
import stamina
from aiohttp import web
from redis.asyncio import Redis
from structlog.testing import capture_logs

from soulcaster.adapters.embedders import gemini as gemini_embedder
from soulcaster.adapters.embedders.gemini import ATTEMPTS, GeminiEmbedder
from soulcaster.adapters.redis import vector_cache as redis_vector_cache
from soulcaster.adapters.redis.client import RedisAccess
from soulcaster.adapters.redis.vector_cache import RedisVectorCache
from soulcaster.errors import EmbedderRefuses, EmbedderUnavailable, InvalidMessage
from soulcaster.wire.embedded import EmbeddedEnvelope
from soulcaster.wire.feedback import ItemsEnvelope
from tests.conftest import RedisServer
from tests.support.agents import Flaky, Rows, embed_agent, record, run_batches
from tests.support.gemini import KEY, Gemini, Time, error, vectors
from tests.support.make import item

Make = Callable[..., GeminiEmbedder]

QUOTA = ("RESOURCE_EXHAUSTED", "Quota exceeded.")
SUSPENDED = f"Permission denied: Consumer 'api_key:{KEY}' has been suspended."


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """Retries as they are, without the time between them."""
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def make(gemini: Gemini, time: Time) -> AsyncIterator[Make]:
    """Makes an embedder that asks the Gemini of the test, by the clock of the test."""
    made: list[GeminiEmbedder] = []

    def make_one(key: str = KEY, **arguments: Any) -> GeminiEmbedder:
        made.append(GeminiEmbedder(key, **{"url": gemini.url, "clock": time, "sleep": time.sleep, **arguments}))
        return made[-1]

    yield make_one
    for one in made:
        await one.close()


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_server.url) as client:
        await client.flushall()
        yield client


def some(count: int) -> list[str]:
    return [f"text number{n} of many" for n in range(count)]


# ---- what is sent --------------------------------------------------------------------------------------------------


async def test_a_call_is_as_google_documents_it(make: Make, gemini: Gemini) -> None:
    await make().embed(["My card", "My login"])
    [call] = gemini.calls
    assert call.path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    assert call.headers["x-goog-api-key"] == KEY
    assert call.parts == [
        {
            "model": "models/gemini-embedding-001",
            "content": {"parts": [{"text": text}]},
            "taskType": "CLUSTERING",
            "outputDimensionality": 768,
        }
        for text in ("My card", "My login")
    ]


async def test_other_dimensions_are_another_version(make: Make, gemini: Gemini) -> None:
    one, other = make(), make(dimensions=1536)
    assert (one.name, one.version, one.dimensions) == ("gemini-embedding-001", "768-clustering", 768)
    assert (other.name, other.version, other.dimensions) == ("gemini-embedding-001", "1536-clustering", 1536)
    assert (await other.embed(["My card"])).shape == (1, 1536)
    assert gemini.calls[0].parts[0]["outputDimensionality"] == 1536


async def test_vectors_are_of_unit_length_whatever_google_sends(make: Make, gemini: Gemini) -> None:
    gemini.answers = [vectors([0.25] * 768, [1e6] * 768, [0.0] * 768)]
    short, long, nothing = await make().embed(["one", "two", "three"])
    assert np.linalg.norm([short, long], axis=1) == pytest.approx([1, 1], abs=1e-6)
    assert not nothing.any()


async def test_at_most_a_hundred_texts_a_call_and_each_gets_its_own_vector(make: Make, gemini: Gemini) -> None:
    texts = some(250)
    found = await make().embed(texts)
    assert sorted(len(call.texts) for call in gemini.calls) == [50, 100, 100]
    assert sorted(gemini.texts) == sorted(texts)
    alone = np.concatenate([await make().embed([text]) for text in texts[::50]])
    assert np.array_equal(found[::50], alone)


async def test_several_calls_at_once_but_not_all(make: Make, gemini: Gemini) -> None:
    gemini.open.clear()
    task = asyncio.create_task(make().embed(some(1_000)))
    async with asyncio.timeout(60):
        while gemini.at_once < gemini_embedder.AT_ONCE:
            await asyncio.sleep(0.01)
    gemini.open.set()
    await task
    assert gemini.most_at_once == gemini_embedder.AT_ONCE
    assert len(gemini.calls) == 10


async def test_empty_texts_are_not_sent_and_the_same_text_once(make: Make, gemini: Gemini) -> None:
    found = await make().embed(["", "My card", " \n\t", "My card", "\u3000"])
    assert gemini.texts == ["My card"]
    assert np.array_equal(found[1], found[3])
    assert found.any(axis=1).tolist() == [False, True, False, True, False]
    await make().embed(["", " "])
    assert len(gemini.calls) == 1


async def test_what_google_would_not_read_is_not_sent(make: Make, gemini: Gemini) -> None:
    await make().embed(["x" * 100_000])
    assert gemini.texts == ["x" * 8_192]


# ---- answers that are none -----------------------------------------------------------------------------------------

ONE = [1.0] * 768


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (vectors(ONE), "1 vectors for 2 texts"),  # as another model does, given a plain list
        (vectors(ONE, ONE, ONE), "3 vectors for 2 texts"),
        (web.json_response([]), "0 vectors for 2 texts"),
        (vectors([1.0] * 3072, [1.0] * 3072), "not of 768 numbers"),
        (vectors(ONE, None), "not of 768 numbers"),
        (vectors(ONE, [float("nan")] * 768), "not of 768 numbers"),
    ],
)
async def test_an_answer_that_does_not_fit_is_refused(
    make: Make, gemini: Gemini, answer: web.Response, says: str
) -> None:
    gemini.answers = [answer]
    embedder = make()
    with pytest.raises(EmbedderRefuses, match=says):
        await embedder.embed(["one", "two"])
    assert len(gemini.calls) == 1
    assert embedder.usage.texts == 0
    await embedder.embed(["one", "two"])  # nothing of it was kept
    assert len(gemini.calls) == 2


# ---- trying again --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (error(429, *QUOTA, retry_after="7"), 7),
        (error(429, *QUOTA, RetryInfo={"retryDelay": "37.5s"}), 37.5),
        (error(503, "UNAVAILABLE", "Overloaded.", retry_after="3"), 3),
        (error(429, *QUOTA, RetryInfo={"retryDelay": "86400s"}), gemini_embedder.LONGEST_HOLD_SECONDS),
        (error(429, *QUOTA, retry_after="Sat, 21 Nov 2026 16:05:13 GMT"), 0),  # dates are not Google's way
        (error(429, *QUOTA, RetryInfo={}), 0),
        (error(408, "TIMEOUT", "Slow."), 0),
        (web.Response(status=502, text="<html>Bad gateway", content_type="text/html"), 0),
        (web.Response(status=500, text="{oops", content_type="application/json"), 0),
        (web.Response(text="<html>Sign in to the hotel's wireless network", content_type="text/html"), 0),
    ],
)
async def test_it_tries_again_when_google_wants_it_to(
    make: Make, gemini: Gemini, time: Time, answer: web.Response, seconds: float
) -> None:
    gemini.answers = [answer]
    assert (await make().embed(["My card"])).any()
    assert len(gemini.calls) == 2
    assert sum(time.slept) == seconds


async def test_after_some_tries_it_is_unavailable(make: Make, gemini: Gemini) -> None:
    gemini.answers = [error(500, "INTERNAL", "Something broke.") for _ in range(ATTEMPTS)]
    embedder = make()
    with pytest.raises(EmbedderUnavailable, match="500 INTERNAL: Something broke"):
        await embedder.embed(["My card"])
    assert len(gemini.calls) == ATTEMPTS
    assert (await embedder.embed(["My card"])).any()


async def test_nobody_listens(make: Make) -> None:
    with pytest.raises(EmbedderUnavailable, match=r"127\.0\.0\.1:1") as raised:
        await make(url="http://user:secret@127.0.0.1:1").embed(["My card"])
    assert "secret" not in str(raised.value)


async def test_it_hangs(make: Make, gemini: Gemini, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemini_embedder, "REQUEST_SECONDS", 0.1)
    gemini.hangs = "card"
    with pytest.raises(EmbedderUnavailable, match="did not answer within"):
        await make().embed(["My card"])
    assert len(gemini.calls) == ATTEMPTS


async def test_what_was_done_before_it_gave_up_is_not_done_again(
    make: Make, gemini: Gemini, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = some(250)
    gemini.hangs = "number120 "
    embedder = make()
    monkeypatch.setattr(gemini_embedder, "GIVE_UP_SECONDS", 1.0)
    with pytest.raises(EmbedderUnavailable, match="150 of 250 texts"):
        await embedder.embed(texts)
    gemini.hangs = None
    gemini.calls.clear()
    assert (await embedder.embed(texts)).any(axis=1).all()
    assert gemini.texts == texts[100:200]


# ---- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status", "message", "reason"),
    [
        (403, "PERMISSION_DENIED", SUSPENDED, "CONSUMER_SUSPENDED"),
        (401, "UNAUTHENTICATED", f"The key {KEY} is unknown.", "UNKNOWN"),
        (400, "INVALID_ARGUMENT", f"API key {KEY} not valid.", "API_KEY_INVALID"),
    ],
)
@pytest.mark.parametrize("call", ["embed", "check"])
async def test_a_wrong_key_is_said_and_not_shown(
    make: Make, gemini: Gemini, code: int, status: str, message: str, reason: str, call: str
) -> None:
    gemini.answers = [error(code, status, message, ErrorInfo={"reason": reason})]
    embedder = make()
    with capture_logs() as logs, pytest.raises(EmbedderRefuses, match="GEMINI_API_KEY") as raised:
        await (embedder.embed(["My card"]) if call == "embed" else embedder.check())
    assert len(gemini.calls) == 1
    assert [entry["event"] for entry in logs] == ([str(raised.value)] if call == "embed" else [])
    shown = "".join(traceback.format_exception(raised.value)) + repr(logs) + repr(raised.value) + repr(embedder)
    assert f"{code} {status}" in shown
    assert KEY not in shown


async def test_the_key_is_not_in_the_log_of_a_retry(make: Make, gemini: Gemini) -> None:
    gemini.answers = [error(429, "RESOURCE_EXHAUSTED", f"Quota of 'api_key:{KEY}' exceeded.")]
    with capture_logs() as logs:
        await make().embed(["My card"])
    assert "RESOURCE_EXHAUSTED" in repr(logs)
    assert KEY not in repr(logs)


@pytest.mark.parametrize(
    ("code", "status"), [(400, "FAILED_PRECONDITION"), (404, "NOT_FOUND"), (405, "METHOD_NOT_ALLOWED")]
)
async def test_what_only_a_person_can_change_is_a_refusal(make: Make, gemini: Gemini, code: int, status: str) -> None:
    gemini.answers = [error(code, status, "Not here.")]
    with pytest.raises(EmbedderRefuses, match=f"{code} {status}: Not here"):
        await make().embed(["My card"])
    assert len(gemini.calls) == 1


async def test_a_text_that_google_never_takes_is_not_waited_for(make: Make, gemini: Gemini) -> None:
    gemini.refuses = "poison"
    with pytest.raises(InvalidMessage, match="content is wrong"):
        await make().embed(["My card", "poison"])
    assert gemini.calls[-1].texts == ["word"]


async def test_when_every_text_is_wrong_it_is_not_the_texts(make: Make, gemini: Gemini) -> None:
    gemini.refuses = ""
    with pytest.raises(EmbedderRefuses, match="content is wrong"):
        await make().embed(["My card"])


async def test_google_is_left_alone_after_a_refusal(make: Make, gemini: Gemini, time: Time) -> None:
    gemini.answers = [error(403, "PERMISSION_DENIED", "No.")]
    embedder = make()
    with pytest.raises(EmbedderRefuses):
        await embedder.embed(["My card"])
    await embedder.embed(["My card"])
    assert sum(time.slept) == gemini_embedder.REFUSED_SECONDS


async def test_the_agent_waits_for_a_key_that_works_and_loses_nothing(make: Make, gemini: Gemini) -> None:
    gemini.answers = [error(403, "PERMISSION_DENIED", "No.") for _ in range(3)]
    gemini.answers += [error(500, "INTERNAL", "Broken.") for _ in range(ATTEMPTS)]
    rows, publisher = Rows(), Flaky()
    value = ItemsEnvelope(project_id="p1", items=(item(1), item(2))).to_bytes()
    batch = [record("feedback.items", value)]
    agent = embed_agent(rows.seen(), make(), publisher)
    assert await run_batches(agent, [batch], publisher, rows) == [2]
    assert publisher.letters == []
    [sent] = publisher.of("feedback.embedded")
    envelope = EmbeddedEnvelope.model_validate_json(sent.value)
    assert [i.id for i in envelope.items] == [item(1).id, item(2).id]
    assert envelope.embedder.name == "gemini-embedding-001"
    assert np.array_equal(envelope.matrix(), (await make().embed([i.text for i in envelope.items])).astype(np.float16))


# ---- the rate limit ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("per_minute", "texts"), [(100, 450), (250, 1_000), (30, 100), (1, 3)])
async def test_no_minute_has_more_texts_than_allowed(
    make: Make, gemini: Gemini, time: Time, per_minute: int, texts: int
) -> None:
    gemini.clock = time
    embedder = make(per_minute=per_minute)
    time.may_pass = lambda: len(gemini.calls) == embedder.usage.requests
    assert (await embedder.embed(some(texts))).any(axis=1).all()
    assert (await embedder.embed(["one more"])).any()
    assert len(gemini.texts) == texts + 1
    for first in gemini.calls:
        minute = [call for call in gemini.calls if first.at <= call.at < first.at + 60]
        assert sum(len(call.texts) for call in minute) <= per_minute
    most = gemini_embedder.BATCH if per_minute >= gemini_embedder.BATCH else per_minute
    assert max(len(call.texts) for call in gemini.calls) == most


async def test_whoever_asks_little_does_not_wait(make: Make, time: Time) -> None:
    embedder = make(per_minute=100)
    await embedder.embed(some(100))
    assert time.slept == []
    time.now += 60
    await embedder.embed([f"other {n}" for n in range(100)])
    assert time.slept == []


# ---- not asked twice -----------------------------------------------------------------------------------------------


async def test_memory_is_asked_first(make: Make, gemini: Gemini) -> None:
    embedder = make()
    first = await embedder.embed(["My card", "My login"])
    again = await embedder.embed(["My login", "My card", "new"])
    assert np.array_equal(again[:2], first[::-1])
    assert gemini.texts == ["My card", "My login", "new"]


async def test_memory_is_bounded_and_keeps_what_is_used(
    make: Make, gemini: Gemini, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gemini_embedder, "REMEMBERED", 2)
    embedder = make()
    for text in ("one", "two", "one", "three"):
        await embedder.embed([text])
    gemini.calls.clear()
    await embedder.embed(["one", "three"])
    assert gemini.calls == []
    await embedder.embed(["two"])
    assert gemini.texts == ["two"]


async def test_a_replay_is_paid_once(make: Make, gemini: Gemini, redis: Redis, redis_url: str) -> None:
    texts = [*some(150), ""]
    first = await make(cache=RedisVectorCache(RedisAccess(redis_url), days=30)).embed(texts)
    asked = len(gemini.calls)
    later = make(cache=RedisVectorCache(RedisAccess(redis_url), days=30))
    assert np.array_equal(await later.embed(texts), first)
    assert np.array_equal(await later.embed(texts), first)
    assert len(gemini.calls) == asked
    assert (later.usage.requests, later.usage.cached, later.usage.dollars) == (0, 300, 0)
    keys = [key.decode() async for key in redis.scan_iter()]
    assert len(keys) == 150
    assert {key.rpartition(":")[0] for key in keys} == {"embedding:gemini-embedding-001:768-clustering"}
    assert 29 * 24 * 3600 < await redis.ttl(keys[0]) <= 30 * 24 * 3600


async def test_vectors_of_other_dimensions_are_not_taken(
    make: Make, gemini: Gemini, redis: Redis, redis_url: str
) -> None:
    await make(cache=RedisVectorCache(RedisAccess(redis_url), days=1)).embed(["My card"])
    other = make(dimensions=1536, cache=RedisVectorCache(RedisAccess(redis_url), days=1))
    assert (await other.embed(["My card"])).shape == (1, 1536)
    assert len(gemini.calls) == 2


async def test_what_is_no_vector_in_redis_is_embedded_anew(
    make: Make, gemini: Gemini, redis: Redis, redis_url: str
) -> None:
    first = await make(cache=RedisVectorCache(RedisAccess(redis_url), days=1)).embed(["one", "two", "three"])
    one, two, *_ = [key async for key in redis.scan_iter()]
    await redis.set(one, b"short")
    await redis.delete(two)
    await redis.lpush(two, "a list")
    again = await make(cache=RedisVectorCache(RedisAccess(redis_url), days=1)).embed(["one", "two", "three"])
    assert np.array_equal(again, first)
    assert len(gemini.texts) == 5


async def test_without_redis_it_goes_on_and_says_so_once(
    make: Make, gemini: Gemini, time: Time, redis_to_break: RedisServer
) -> None:
    embedder = make(cache=RedisVectorCache(RedisAccess(redis_to_break.url), days=1, clock=time))
    await embedder.embed(["one"])
    redis_to_break.kill()
    with capture_logs() as logs:
        for text in ("two", "three", "four"):
            time.now += redis_vector_cache.PAUSE_SECONDS / 2
            assert (await embedder.embed([text, "one"])).any(axis=1).all()
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["no cache of embeddings for now"]
    assert gemini.texts == ["one", "two", "three", "four"]


async def test_a_redis_that_hangs_or_is_full(
    make: Make, time: Time, redis_to_break: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_vector_cache, "TIMEOUT_SECONDS", 0.2)
    embedder = make(cache=RedisVectorCache(RedisAccess(redis_to_break.url), days=1, clock=time))
    async with Redis.from_url(redis_to_break.url) as redis:
        await redis.config_set("maxmemory", 1)
        with capture_logs() as logs:
            assert (await embedder.embed(["one"])).any()
            await redis.config_set("maxmemory", 0)
            time.now += redis_vector_cache.PAUSE_SECONDS
            assert (await embedder.embed(["two"])).any()
        assert await redis.dbsize() == 1
    assert [entry["event"] for entry in logs] == ["no cache of embeddings for now", "the cache of embeddings is back"]
    assert len(logs[0]["error"]) < 200
    redis_to_break.freeze()
    assert (await embedder.embed(["three"])).any()


# ---- what it costs -------------------------------------------------------------------------------------------------


async def test_usage_is_what_was_asked(make: Make, gemini: Gemini) -> None:
    embedder = make()
    gemini.answers = [error(500, "INTERNAL", "Broken.")]
    await embedder.embed(["x" * 4_000, ""])
    await embedder.embed([letter * 4_000 for letter in "xyz"])
    usage = embedder.usage
    assert (usage.requests, usage.texts, usage.characters, usage.cached) == (3, 3, 12_000, 1)
    assert usage.tokens == 3_000
    assert usage.dollars == pytest.approx(3_000 * 0.15 / 1_000_000)


async def test_usage_is_logged_now_and_then(make: Make, time: Time) -> None:
    embedder = make()
    with capture_logs() as logs:
        await embedder.embed(["x" * 400])
        assert logs == []
        time.now += gemini_embedder.USAGE_SECONDS
        await embedder.embed(["y" * 400])
        await embedder.close()
    [entry] = logs  # at the end nothing is new
    assert (entry["requests"], entry["texts"], entry["estimated_tokens"]) == (2, 2, 200)
    with capture_logs() as logs:
        await embedder.embed(["y" * 400])
        await embedder.close()
    assert [entry["cached"] for entry in logs] == [1]
