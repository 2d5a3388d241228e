"""Embedding with Gemini: batches, Google's limits, the costs, and a cache so that no text is embedded twice.

Google's rate limit counts each text of a batch as a request, so the pace here is in texts. A vector is rounded to
float16 at once, as it travels in Kafka, so it is the same whether it comes from Google, memory or Redis.

If Google refuses every call (a wrong key, a removed model), the error is `EmbedderRefuses`. Callers treat it like an
outage: items stay in Kafka until a person fixes the cause, and the log says so meanwhile.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import stamina
import structlog
from google.genai import types

from soulcaster.adapters.gemini.client import GeminiClient, GeminiFailure
from soulcaster.adapters.redis.vector_cache import RedisVectorCache
from soulcaster.errors import EmbedderRefuses, EmbedderUnavailable, InvalidMessage
from soulcaster.telemetry.metrics import EMBEDDING_COST

MODEL = "gemini-embedding-001"
TASK = "CLUSTERING"

DOLLARS_PER_TOKEN = 0.15 / 1_000_000
"""Price of the paid tier, from ai.google.dev/gemini-api/docs/pricing in 2026; Google's bill decides."""

CHARS_PER_TOKEN = 4
"""Approximate, for English; other languages have fewer characters per token, so they cost more than estimated."""

MAX_CHARS = 2_048 * CHARS_PER_TOKEN
"""The model reads 2,048 tokens of a text; sending more costs money for nothing."""

BATCH = 100
"""Texts in one call, Google's maximum."""

AT_ONCE = 4
"""Calls under way at the same time."""

REQUEST_SECONDS = 15.0
GIVE_UP_SECONDS = 45.0
"""`embed` ends within this time, so that a shutdown does not wait longer; vectors received by then are cached."""

ATTEMPTS = 5

REMEMBERED = 20_000
"""Vectors cached in memory, 30 MB at 768 dimensions. This is more than the texts of one batch of the embed agent (5 MB
of items), so a call that ran out of time continues where it stopped."""

REFUSED_SECONDS = 30.0
"""Pause after Google has refused, because only a person can fix the cause."""

LONGEST_HOLD_SECONDS = 600.0
"""Longest pause at Google's request. It may ask for hours (a daily quota), but the quota may be raised sooner."""

USAGE_SECONDS = 60.0
"""Time between two log entries about usage."""

Vector = npt.NDArray[np.float16]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage of Google since the start. A request counts when it is sent, a text when its vector arrives."""

    requests: int = 0
    texts: int = 0
    characters: int = 0
    cached: int = 0
    """Texts for which memory or Redis had the vector."""

    @property
    def tokens(self) -> int:
        """Estimated, because Google does not report it."""
        return self.characters // CHARS_PER_TOKEN

    @property
    def dollars(self) -> float:
        """What the tokens cost by `DOLLARS_PER_TOKEN`."""
        return self.tokens * DOLLARS_PER_TOKEN


class GeminiEmbedder:
    """Embedder over gemini-embedding-001; safe to use from many tasks of one event loop."""

    name = MODEL

    def __init__(
        self,
        key: str,
        *,
        dimensions: int = 768,
        per_minute: int = 3_000,
        url: str = "",
        cache: RedisVectorCache | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Prepare; the first call connects. At most `per_minute` texts are sent; an empty `url` is Google's own."""
        self.dimensions = dimensions
        self.languages: frozenset[str] | None = None
        self.version = f"{dimensions}-{TASK.lower()}"
        self._client = GeminiClient(key, url=url, seconds=REQUEST_SECONDS)
        self._config = types.EmbedContentConfig(task_type=TASK, output_dimensionality=dimensions)
        self._batch = min(BATCH, per_minute)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._pace = _Pace(per_minute, clock, sleep)
        self._remembered: OrderedDict[bytes, Vector] = OrderedDict()
        self._cache = cache
        self._clock = clock
        self._usage = self._logged = Usage()
        self._logged_at = clock()

    @property
    def usage(self) -> Usage:
        """Usage of Google since the start."""
        return self._usage

    async def close(self) -> None:
        """Close the connections and log the usage."""
        self._log_usage()
        await self._client.close()
        if self._cache is not None:
            await self._cache.close()

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit vectors, shape (len(texts), dimensions); see `ports.Embedder`."""
        sent = {row: text[:MAX_CHARS] for row, text in enumerate(texts) if text.strip()}
        keys = {row: _key(text) for row, text in sent.items()}
        found = await self._vectors({keys[row]: text for row, text in sent.items()})
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for row, key in keys.items():
            vectors[row] = found[key]
        if self._clock() - self._logged_at >= USAGE_SECONDS:
            self._log_usage()
        return _scaled(vectors)  # rounding to float16 has changed the lengths a little

    async def check(self) -> None:
        """Embed one word without a cache, to test whether Gemini accepts our key and settings.

        Raises:
            EmbedderUnavailable: Gemini does not answer.
            EmbedderRefuses: Gemini does not accept them.
        """
        try:
            await self._call(["word"])
        except InvalidMessage as error:  # this text is harmless, so the settings are wrong
            raise self._refusal(str(error), "see SOULCASTER_GEMINI_DIMENSIONS and SOULCASTER_GEMINI_URL") from None

    # ---- caches ------------------------------------------------------------------------------------------------------

    async def _vectors(self, asked: Mapping[bytes, str]) -> dict[bytes, Vector]:
        """Return the vector of each text by its key, from memory, Redis or Google."""
        found = {}
        for key in asked:
            if key in self._remembered:
                self._remembered.move_to_end(key)
                found[key] = self._remembered[key]
        if self._cache is not None and (missing := [key for key in asked if key not in found]):
            for key, value in zip(missing, await self._cache.get(self._names(missing)), strict=True):
                if value is not None and len(value) == self.dimensions * 2:
                    found[key] = np.frombuffer(value, "<f2")
                    self._remember(key, found[key])
        self._count(cached=len(found))
        missing = [key for key in asked if key not in found]
        if missing:
            await self._ask([(key, asked[key]) for key in missing], found)
        return found

    def _remember(self, key: bytes, vector: Vector) -> None:
        self._remembered[key] = vector
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)

    def _names(self, keys: Sequence[bytes]) -> list[str]:
        return [f"embedding:{self.name}:{self.version}:{key.hex()}" for key in keys]

    # ---- asking Google -----------------------------------------------------------------------------------------------

    async def _ask(self, wanted: Sequence[tuple[bytes, str]], found: dict[bytes, Vector]) -> None:
        """Add the vectors of the wanted texts to `found`, several batches at once, within GIVE_UP_SECONDS."""
        before = len(found)
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS), asyncio.TaskGroup() as group:
                for at in range(0, len(wanted), self._batch):
                    group.create_task(self._ask_batch(wanted[at : at + self._batch], found))
        except TimeoutError:
            raise EmbedderUnavailable(
                f"Gemini at {self._client.address} has embedded {len(found) - before} of {len(wanted)} texts in "
                f"{GIVE_UP_SECONDS:.0f} s; those are cached, the others are retried"
            ) from None
        except BaseExceptionGroup as failed:
            error = failed.exceptions[0]
            if isinstance(error, EmbedderRefuses):
                log.error(str(error))
            raise error from None

    async def _ask_batch(self, wanted: Sequence[tuple[bytes, str]], found: dict[bytes, Vector]) -> None:
        texts = [text for _, text in wanted]
        async with self._slots:
            vectors = await self._call_with_retries(texts)
        self._count(texts=len(texts), characters=sum(map(len, texts)))
        keys = [key for key, _ in wanted]
        for key, vector in zip(keys, vectors, strict=True):
            found[key] = vector
            self._remember(key, vector.copy())  # a view of one row would keep the whole batch in memory
        if self._cache is not None:
            await self._cache.put(dict(zip(self._names(keys), (v.tobytes() for v in vectors), strict=True)))

    async def _call_with_retries(self, texts: Sequence[str]) -> Vector:
        async for attempt in stamina.retry_context(
            on=EmbedderUnavailable, attempts=ATTEMPTS, timeout=None, wait_initial=0.5, wait_max=8.0
        ):
            with attempt:
                await self._pace.take(len(texts))
                try:
                    return await self._call(texts)
                except InvalidMessage:
                    await self.check()  # raises if Google refuses everything, not only these texts
                    raise
        raise AssertionError("stamina ended without a result or an error")

    async def _call(self, texts: Sequence[str]) -> Vector:
        """Call Google once.

        Raises:
            EmbedderUnavailable: Google does not answer, or asks to try later.
            EmbedderRefuses: Google refuses, and only a person can fix the cause.
            InvalidMessage: Google rejects these texts.
        """
        self._count(requests=1)
        # One Content per text: some of Google's models turn a plain list into a single vector.
        contents: list[Any] = [types.Content(parts=[types.Part(text=text)]) for text in texts]
        answer = await self._client.call(
            lambda models: models.embed_content(model=MODEL, contents=contents, config=self._config)
        )
        if isinstance(answer, GeminiFailure):
            raise self._error(answer)
        return self._checked([e.values or [] for e in answer.embeddings or []], len(texts))

    def _checked(self, rows: Sequence[Sequence[float]], expected: int) -> Vector:
        """Return the rows as unit vectors; below 3,072 dimensions Google does not scale them itself."""
        if len(rows) != expected:
            raise self._refusal(
                f"Gemini at {self._client.address} returned {len(rows)} vectors for {expected} texts",
                f"check that the server is {MODEL}",
            )
        if any(len(row) != self.dimensions for row in rows) or not np.isfinite(rows).all():
            raise self._refusal(
                f"Gemini at {self._client.address} returned vectors that are not of {self.dimensions} numbers",
                "see SOULCASTER_GEMINI_DIMENSIONS",
            )
        return _scaled(np.array(rows, np.float32)).astype("<f2")

    # ---- failures ----------------------------------------------------------------------------------------------------

    def _error(self, failure: GeminiFailure) -> Exception:
        """Return our error for a failure, and pause for as long as Google asks."""
        if failure.kind == "unavailable":
            self._pace.hold(min(failure.wait, LONGEST_HOLD_SECONDS))
            return EmbedderUnavailable(failure.text)
        if failure.kind == "rejects":
            return InvalidMessage(failure.text)
        return self._refusal(
            failure.text,
            "set GEMINI_API_KEY to a key that may use the Gemini API, and start the worker again"
            if failure.about_the_key
            else "see the cause, and SOULCASTER_GEMINI_URL",
        )

    def _refusal(self, what: str, advice: str) -> EmbedderRefuses:
        self._pace.hold(REFUSED_SECONDS)
        return EmbedderRefuses(f"{what}; {advice}. Until then nothing is embedded, and nothing is lost")

    # ---- usage -------------------------------------------------------------------------------------------------------

    def _count(self, *, requests: int = 0, texts: int = 0, characters: int = 0, cached: int = 0) -> None:
        u = self._usage
        EMBEDDING_COST.labels(self.name).inc(characters / CHARS_PER_TOKEN * DOLLARS_PER_TOKEN)
        self._usage = Usage(u.requests + requests, u.texts + texts, u.characters + characters, u.cached + cached)

    def _log_usage(self) -> None:
        u = self._usage
        if (u.texts, u.cached) != (self._logged.texts, self._logged.cached):
            log.info(
                "usage of Gemini since the start",
                requests=u.requests,
                texts=u.texts,
                characters=u.characters,
                estimated_tokens=u.tokens,
                estimated_dollars=round(u.dollars, 4),
                cached=u.cached,
            )
        self._logged, self._logged_at = u, self._clock()


class _Pace:
    """Limits the texts sent in any minute, first come first served; sends none while Google asks for a pause."""

    def __init__(self, per_minute: int, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._sleep = sleep
        self._turn = asyncio.Lock()
        self._taken: deque[tuple[float, int]] = deque()  # (time, count) of the last minute
        self._sum = 0
        self._held_until = 0.0

    def hold(self, seconds: float) -> None:
        """Pause for at least `seconds`."""
        self._held_until = max(self._held_until, self._clock() + seconds)

    async def take(self, count: int) -> None:
        """Wait until `count` texts may be sent; `count` is at most `per_minute`."""
        async with self._turn:
            while (wait := self._wait(count)) > 0:
                await self._sleep(wait)
            self._taken.append((self._clock(), count))
            self._sum += count

    def _wait(self, count: int) -> float:
        now = self._clock()
        while self._taken and self._taken[0][0] + 60.0 <= now:
            self._sum -= self._taken.popleft()[1]
        room = 0.0 if self._sum + count <= self._per_minute else self._taken[0][0] + 60.0 - now
        return max(room, self._held_until - now)


def _scaled(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the rows, scaled in place to length one; zero rows stay zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float32)
    lengths[lengths == 0] = 1
    vectors /= lengths
    return vectors


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
