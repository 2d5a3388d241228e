"""The client of Google's Gemini API: what goes wrong in a call is a `GeminiFailure`, which never quotes the key."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import aiohttp
from google import genai
from google.genai import types
from google.genai.errors import APIError
from google.genai.models import AsyncModels
from yarl import URL

from soulcaster.http_client import http_session
from soulcaster.http_numbers import LONGEST_WAIT, read_number, read_retry_after
from soulcaster.telemetry.metrics import GEMINI_REQUESTS

GOOGLE = "https://generativelanguage.googleapis.com"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GeminiFailure:
    """Why a call failed.

    `kind` is "unavailable" where a later call may succeed, "rejects" where Google finds fault with what was sent,
    "refuses" where a person has to act first; `about_the_key` says whether it is the key. `wait` is how many seconds
    Google asks to wait, 0 where it does not.
    """

    kind: Literal["unavailable", "rejects", "refuses"]
    text: str
    about_the_key: bool = False
    wait: float = 0.0


class GeminiClient:
    """Calls Gemini; safe to use from many tasks of one event loop."""

    def __init__(self, key: str, *, url: str, seconds: float) -> None:
        """Prepare; the first call connects. A call ends within `seconds`; an empty `url` is Google's own."""
        self._key = key.strip()
        self._seconds = seconds
        self.address = URL(url or GOOGLE).with_password(None).human_repr()  # for errors: without secrets
        self._url = url or GOOGLE
        self._session: aiohttp.ClientSession | None = None
        self._client: genai.Client | None = None

    def _opened(self) -> genai.Client:
        if self._client is None:
            self._session = http_session(trust_env=True)
            self._client = genai.Client(
                vertexai=False,
                api_key=self._key,
                http_options=types.HttpOptions(
                    base_url=self._url,
                    api_version="v1beta",
                    timeout=int(self._seconds * 1000),
                    # We retry ourselves: the client's retries ignore Retry-After, and without this option it would
                    # sleep up to ten seconds and try once more.
                    retry_options=types.HttpRetryOptions(attempts=1),
                    # A redirect would take the key along.
                    async_client_args={"allow_redirects": False},
                    aiohttp_client=self._session,
                ),
            )
        return self._client

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        session, self._session = self._session, None
        if client is not None:
            await client.aio.aclose()
            client.close()
        if session is not None:
            await session.close()

    async def call(self, send: Callable[[AsyncModels], Awaitable[T]]) -> T | GeminiFailure:
        """Return the result of one call, or why it failed.

        A failure is returned and not raised: Google's error may quote the key, so it must not be its context.
        """
        answer = await self._answer(send)
        GEMINI_REQUESTS.labels(answer.kind if isinstance(answer, GeminiFailure) else "ok").inc()
        return answer

    async def _answer(self, send: Callable[[AsyncModels], Awaitable[T]]) -> T | GeminiFailure:
        try:
            return await send(self._opened().aio.models)
        except APIError as error:
            return self._failure(error)
        except TimeoutError:
            return GeminiFailure("unavailable", f"Gemini at {self.address} did not answer within {self._seconds:.0f} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: the response is not JSON
            cause = self._without_key(str(getattr(error, "os_error", error)))  # without aiohttp's objects
            return GeminiFailure("unavailable", f"Gemini at {self.address} does not answer ({cause})")

    def _failure(self, error: APIError) -> GeminiFailure:
        cause = self._without_key(f"{error.code} {error.status}: {error.message}")
        if error.code in {408, 429} or error.code >= 500:
            return GeminiFailure(
                "unavailable", f"Gemini at {self.address} does not answer now ({cause})", wait=_asked_to_wait(error)
            )
        about_the_key = error.code in {401, 403} or _detail(error, "ErrorInfo").get("reason") == "API_KEY_INVALID"
        if error.status == "INVALID_ARGUMENT" and not about_the_key:
            return GeminiFailure("rejects", f"Gemini at {self.address} rejects what it was sent ({cause})")
        return GeminiFailure("refuses", f"Gemini at {self.address} refuses requests ({cause})", about_the_key)

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "…")[:500]


def _asked_to_wait(error: APIError) -> float:
    """Return how many seconds Google asks us to wait: from its header, else from its RetryInfo, else 0."""
    asked = read_retry_after(getattr(error.response, "headers", {}), datetime.now(UTC))
    if asked is None:
        asked = read_number(str(_detail(error, "RetryInfo").get("retryDelay", "")).removesuffix("s"))
    return min(asked or 0.0, LONGEST_WAIT)


def _detail(error: APIError, kind: str) -> dict[str, Any]:
    """Return the part of Google's error that has this type, else an empty dict."""
    try:
        parts = error.details["error"]["details"]
        return next(part for part in parts if part["@type"] == f"type.googleapis.com/google.rpc.{kind}")
    except (LookupError, TypeError, StopIteration):  # an error from a proxy between Google and us
        return {}
