"""Embedding with Gemini: batches, Google's limits, what it costs, and nothing asked twice.

Google counts each text of a batch as a request of its rate limit, so the pace here is in texts. A text's vector is
rounded to float16 at once, as it travels in Kafka, so that it is the same whether Google, memory or Redis gave it.

Who may not call at all (a wrong key, a model that is gone) is told `EmbedderRefuses`, which is an outage like another
to whoever waits for it: the items stay in Kafka until somebody has put it right, and the log says so meanwhile.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np
import numpy.typing as npt
import stamina
import structlog
from google import genai
from google.genai import types
from google.genai.errors import APIError
from yarl import URL

from soulcaster.adapters.redis.vector_cache import RedisVectorCache
from soulcaster.errors import EmbedderRefuses, EmbedderUnavailable, InvalidMessage

MODEL = "gemini-embedding-001"
TASK = "CLUSTERING"
GOOGLE = "https://generativelanguage.googleapis.com"

DOLLARS_PER_TOKEN = 0.15 / 1_000_000
"""Of the paid tier, by ai.google.dev/gemini-api/docs/pricing in 2026; what counts is Google's bill."""

CHARS_PER_TOKEN = 4
"""About, in English; other languages need fewer characters a token, so they cost more than is estimated."""

MAX_CHARS = 2_048 * CHARS_PER_TOKEN
"""The model reads 2,048 tokens of a text, and nobody should pay for sending more."""

BATCH = 100
"""Texts in one call; Google takes no more."""

AT_ONCE = 4

REQUEST_SECONDS = 15.0
GIVE_UP_SECONDS = 45.0
"""`embed` ends within this, done or not, so that no drain at shutdown waits longer; what was done is remembered."""

ATTEMPTS = 5

REMEMBERED = 20_000
"""Vectors in memory, 30 MB of them at 768 dimensions. More than a batch of the embed agent has texts (5 MB of items),
so a call that was given up goes on where it was."""

REFUSED_SECONDS = 30.0
"""How long Google is left alone after it refused; it is a person who has to do something."""

LONGEST_HOLD_SECONDS = 600.0
"""Google may ask for hours (a quota of the day); we look again sooner, for the quota may have been raised."""

USAGE_SECONDS = 60.0

Vector = npt.NDArray[np.float16]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Usage:
    """What was asked of Google since the start. A request counts when it is sent, a text once it is answered."""

    requests: int = 0
    texts: int = 0
    characters: int = 0
    cached: int = 0
    """Texts for which memory or Redis had the vector."""

    @property
    def tokens(self) -> int:
        """An estimate: Google does not tell."""
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
        """Prepare; the first call connects. `per_minute` texts are sent at most; `url` empty is Google's own."""
        self.dimensions = dimensions
        self.version = f"{dimensions}-{TASK.lower()}"
        self._key = key.strip()
        self._address = URL(url or GOOGLE).with_password(None).human_repr()  # what an error may name
        self._client = genai.Client(
            vertexai=False,
            api_key=self._key,
            http_options=types.HttpOptions(
                base_url=url or GOOGLE,
                api_version="v1beta",
                timeout=int(REQUEST_SECONDS * 1000),
                # Trying again is ours: the client's own retries do not heed Retry-After, and without this it would
                # sleep up to ten seconds and try once more by itself.
                retry_options=types.HttpRetryOptions(attempts=1),
            ),
        )
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
        """What was asked of Google since the start."""
        return self._usage

    async def close(self) -> None:
        """Close the connections, and log what it cost."""
        self._log_usage()
        await self._client.aio.aclose()
        self._client.close()
        if self._cache is not None:
            await self._cache.close()

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit vectors, shape (len(texts), dimensions); see `ports.Embedder`."""
        said = {row: text[:MAX_CHARS] for row, text in enumerate(texts) if text.strip()}
        keys = {row: _key(text) for row, text in said.items()}
        found = await self._vectors({keys[row]: text for row, text in said.items()})
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for row, key in keys.items():
            vectors[row] = found[key]
        if self._clock() - self._logged_at >= USAGE_SECONDS:
            self._log_usage()
        return _scaled(vectors)  # float16 has left them a little longer or shorter

    async def check(self) -> None:
        """Embed one word, past every cache, to see whether Gemini takes our key and our settings.

        Raises:
            EmbedderUnavailable: it does not answer.
            EmbedderRefuses: it does not take them.
        """
        try:
            await self._call(["word"])
        except InvalidMessage as error:  # no text is more harmless, so it is not the text
            raise self._refusal(str(error), "see SOULCASTER_GEMINI_DIMENSIONS and SOULCASTER_GEMINI_URL") from None

    # ---- what is known already ---------------------------------------------------------------------------------------

    async def _vectors(self, asked: Mapping[bytes, str]) -> dict[bytes, Vector]:
        """Return the vector of each, from memory, Redis or Google."""
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
        """Add the vectors of the wanted to those found, several batches at once, within GIVE_UP_SECONDS."""
        before = len(found)
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS), asyncio.TaskGroup() as group:
                for at in range(0, len(wanted), self._batch):
                    group.create_task(self._ask_batch(wanted[at : at + self._batch], found))
        except TimeoutError:
            raise EmbedderUnavailable(
                f"Gemini at {self._address} has embedded {len(found) - before} of {len(wanted)} texts in "
                f"{GIVE_UP_SECONDS:.0f} s; those are kept, and the others are next"
            ) from None
        except BaseExceptionGroup as failed:
            error = failed.exceptions[0]
            if isinstance(error, EmbedderRefuses):
                log.error(str(error))
            raise error from None

    async def _ask_batch(self, wanted: Sequence[tuple[bytes, str]], found: dict[bytes, Vector]) -> None:
        texts = [text for _, text in wanted]
        async with self._slots:
            vectors = await self._call_again_and_again(texts)
        self._count(texts=len(texts), characters=sum(map(len, texts)))
        keys = [key for key, _ in wanted]
        for key, vector in zip(keys, vectors, strict=True):
            found[key] = vector
            self._remember(key, vector.copy())  # a row alone would keep its whole batch in memory
        if self._cache is not None:
            await self._cache.put(dict(zip(self._names(keys), (v.tobytes() for v in vectors), strict=True)))

    async def _call_again_and_again(self, texts: Sequence[str]) -> Vector:
        async for attempt in stamina.retry_context(
            on=EmbedderUnavailable, attempts=ATTEMPTS, timeout=None, wait_initial=0.5, wait_max=8.0
        ):
            with attempt:
                await self._pace.take(len(texts))
                try:
                    return await self._call(texts)
                except InvalidMessage:
                    await self.check()  # raises where everything is refused, not only these texts
                    raise
        raise AssertionError("stamina ended without a result or an error")

    async def _call(self, texts: Sequence[str]) -> Vector:
        """Ask once.

        Raises:
            EmbedderUnavailable: no answer, or "later".
            EmbedderRefuses: an answer that only a person can do something about.
            InvalidMessage: Google finds fault with what was sent.
        """
        self._count(requests=1)
        # One Content a text: of a plain list, other models of Google's make a single vector.
        contents: list[Any] = [types.Content(parts=[types.Part(text=text)]) for text in texts]
        failure: Exception
        try:
            answer = await self._client.aio.models.embed_content(model=MODEL, contents=contents, config=self._config)
        except APIError as error:
            failure = self._failure(error)
        except TimeoutError:
            failure = EmbedderUnavailable(f"Gemini at {self._address} did not answer within {REQUEST_SECONDS:.0f} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: what came is no JSON
            said = self._without_key(str(getattr(error, "os_error", error)))  # which is why, without aiohttp's objects
            failure = EmbedderUnavailable(f"Gemini at {self._address} does not answer ({said})")
        else:
            return self._checked([e.values or [] for e in answer.embeddings or []], len(texts))
        raise failure  # here, where Google's error, which may quote the key, is not its context

    def _checked(self, rows: Sequence[Sequence[float]], expected: int) -> Vector:
        """Return the rows as unit vectors; below 3,072 dimensions Google does not scale them itself."""
        if len(rows) != expected:
            raise self._refusal(
                f"Gemini at {self._address} gave {len(rows)} vectors for {expected} texts",
                f"is it {MODEL} that answers there?",
            )
        if any(len(row) != self.dimensions for row in rows) or not np.isfinite(rows).all():
            raise self._refusal(
                f"Gemini at {self._address} gave vectors that are not of {self.dimensions} numbers",
                "see SOULCASTER_GEMINI_DIMENSIONS",
            )
        return _scaled(np.array(rows, np.float32)).astype("<f2")

    # ---- when it fails -----------------------------------------------------------------------------------------------

    def _failure(self, error: APIError) -> Exception:
        """Return what an error of Google's means to us, and leave Google alone for as long as it asks."""
        said = self._without_key(f"{error.code} {error.status}: {error.message}")
        if error.code in {408, 429} or error.code >= 500:
            self._pace.hold(min(_asked_to_wait(error), LONGEST_HOLD_SECONDS))
            return EmbedderUnavailable(f"Gemini at {self._address} does not embed now ({said})")
        about_the_key = error.code in {401, 403} or _detail(error, "ErrorInfo").get("reason") == "API_KEY_INVALID"
        if error.status == "INVALID_ARGUMENT" and not about_the_key:
            return InvalidMessage(f"Gemini at {self._address} does not take this ({said})")
        return self._refusal(
            f"Gemini at {self._address} refuses us ({said})",
            "set GEMINI_API_KEY to a key that may use the Gemini API, and start the worker again"
            if about_the_key
            else "see what it says, and SOULCASTER_GEMINI_URL",
        )

    def _refusal(self, what: str, advice: str) -> EmbedderRefuses:
        self._pace.hold(REFUSED_SECONDS)
        return EmbedderRefuses(f"{what}; {advice}. Until then nothing is embedded, and nothing is lost")

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "…")[:500]

    # ---- what it costs -----------------------------------------------------------------------------------------------

    def _count(self, *, requests: int = 0, texts: int = 0, characters: int = 0, cached: int = 0) -> None:
        u = self._usage
        self._usage = Usage(u.requests + requests, u.texts + texts, u.characters + characters, u.cached + cached)

    def _log_usage(self) -> None:
        u = self._usage
        if (u.texts, u.cached) != (self._logged.texts, self._logged.cached):
            log.info(
                "asked of Gemini since the start",
                requests=u.requests,
                texts=u.texts,
                characters=u.characters,
                estimated_tokens=u.tokens,
                estimated_dollars=round(u.dollars, 4),
                cached=u.cached,
            )
        self._logged, self._logged_at = u, self._clock()


class _Pace:
    """Lets so many through in any minute, first come first served, and none while Google wants none."""

    def __init__(self, per_minute: int, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._sleep = sleep
        self._turn = asyncio.Lock()
        self._taken: deque[tuple[float, int]] = deque()  # when, how many; of the last minute
        self._sum = 0
        self._held_until = 0.0

    def hold(self, seconds: float) -> None:
        """Let none through for so long."""
        self._held_until = max(self._held_until, self._clock() + seconds)

    async def take(self, count: int) -> None:
        """Return when `count` may be sent; no more than a minute's worth."""
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
    """Return the rows, scaled in place to length one; zero stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float32)
    lengths[lengths == 0] = 1
    vectors /= lengths
    return vectors


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()


def _asked_to_wait(error: APIError) -> float:
    """Return how many seconds Google wants us to wait: by its header, else by its RetryInfo, else none."""
    header = getattr(error.response, "headers", {}).get("Retry-After", "")
    delay = header or str(_detail(error, "RetryInfo").get("retryDelay", "")).removesuffix("s")
    try:
        return max(0.0, float(delay))
    except ValueError:
        return 0.0


def _detail(error: APIError, kind: str) -> dict[str, Any]:
    """Return the part of an error of Google's that has this type, else nothing."""
    try:
        parts = error.details["error"]["details"]
        return next(part for part in parts if part["@type"] == f"type.googleapis.com/google.rpc.{kind}")
    except (LookupError, TypeError, StopIteration):  # an error of whoever stands between Google and us
        return {}
