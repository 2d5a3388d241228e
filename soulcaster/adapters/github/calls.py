"""Calls of GitHub's API by githubkit: retries where they are safe, waits for rate limits, and what a refusal means."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from githubkit import GitHub
from githubkit.exception import GraphQLFailed, RequestFailed
from yarl import URL

from soulcaster.adapters.github.bounded import bounded_answers
from soulcaster.adapters.github.kit_errors import kit_errors
from soulcaster.adapters.github.rest import API_VERSION, MOST_BYTES, parsed
from soulcaster.domain.fixes.strangers import plain_line
from soulcaster.domain.text.secrets import without_secrets
from soulcaster.errors import SourceLimited, SourceRefuses, SourceUnavailable
from soulcaster.http_client import check_redirect
from soulcaster.ports.clock import Clock

TIMEOUT_SECONDS = 20.0
"""Time limit of one request; opening a pull request takes GitHub several seconds in a large repository."""

ATTEMPTS = 3
"""How often a call is made that gets no answer and that may be made twice."""

WAIT_SECONDS = 120.0
"""How long a call waits altogether until GitHub takes requests again. A limited call was not carried out."""

Sleep = Callable[[float], Awaitable[None]]


class Refused(SourceRefuses):
    """GitHub refuses a call; `status` is that of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Calls:
    """Calls with one token; use it by `async with`."""

    def __init__(self, url: str, token: str, clock: Clock, sleep: Sleep = asyncio.sleep) -> None:
        """Prepare; `url` is the API's address. Without a token (""), GitHub shows what is public."""
        self._url = url
        self._clock = clock
        self._sleep = sleep
        hooks = bounded_answers(MOST_BYTES)
        self._github: GitHub[Any] = GitHub(
            token or None,
            base_url=url,
            timeout=TIMEOUT_SECONDS,
            http_cache=False,
            auto_retry=False,
            user_agent="soulcaster",
            async_event_hooks={**hooks, "request": [*hooks["request"], self._stay]},
        )

    async def __aenter__(self) -> Self:
        await self._github.__aenter__()  # type: ignore[no-untyped-call]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._github.__aexit__(kind, error, trace)

    async def read(self, path: str, what: str, query: Mapping[str, str] | None = None) -> Any:
        """Return the JSON of what is at a path; `what` names it in errors.

        Raises:
            Refused: GitHub refuses.
            SourceLimited: it takes no more requests for now.
            SourceUnavailable: it does not answer, asked several times.
        """
        return await self._again(lambda: self._once("GET", path, what, query=query), ATTEMPTS)

    async def write(
        self, method: str, path: str, what: str, body: Mapping[str, object] | None = None, *, safe: bool = False
    ) -> Any:
        """Change something and return the JSON of the answer; `safe` if doing it twice is the same as once.

        Raises:
            Refused: GitHub refuses.
            SourceLimited: it takes no more requests for now.
            SourceUnavailable: it does not answer; whether it was done is unknown.
        """
        attempts = ATTEMPTS if safe or method == "DELETE" else 1
        return await self._again(lambda: self._once(method, path, what, body=body), attempts)

    async def viewer(self) -> str:
        """Return the login of whom the token is of.

        Raises:
            SourceRefuses, SourceLimited, SourceUnavailable: as `read`.
        """

        async def ask() -> Any:
            try:
                return await self._github.async_graphql("query { viewer { login } }")
            except GraphQLFailed as error:
                raise SourceUnavailable(f"GitHub at {self._url} does not say whose token this is") from error

        answer = await self._again(lambda: self._errors(ask(), "the account of the token"), ATTEMPTS)
        return str(answer["viewer"]["login"])

    async def _stay(self, request: Any) -> None:
        """Refuse a request, which a redirect has made, to another host."""
        check_redirect(URL(self._url), URL(str(request.url)))

    async def _again(self, call: Callable[[], Awaitable[Any]], attempts: int) -> Any:
        waited = 0.0
        made = 0
        while True:
            try:
                return await call()
            except SourceLimited as limit:
                wait = max(1.0, (limit.until - self._clock()).total_seconds())
                if waited + wait > WAIT_SECONDS:
                    raise
                waited += wait
                await self._sleep(wait)
            except SourceUnavailable:
                made += 1
                if made >= attempts:
                    raise
                await self._sleep(float(made))

    async def _once(
        self,
        method: str,
        path: str,
        what: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Any:
        async def ask() -> Any:
            asked = self._github.arequest(
                method, path, params=None if query is None else dict(query), json=body, headers=API_VERSION
            )
            response = await asked
            return None if response.status_code == 204 else await parsed(response.content)

        return await self._errors(ask(), what)

    async def _errors(self, call: Awaitable[Any], what: str) -> Any:
        with kit_errors(self._url, what, self._clock, lambda failed: self._refusal(failed, what)):
            return await call

    def _refusal(self, failed: RequestFailed, what: str) -> SourceRefuses | SourceUnavailable:
        status = failed.response.status_code
        told = _told(failed)
        if status in {403, 429} and "rate limit" in told.lower():
            return SourceLimited("GitHub takes no more requests for now", self._clock() + timedelta(minutes=1))
        if status == 429 or status >= 500:
            return SourceUnavailable(f"GitHub at {self._url} answered {status} about {what}")
        if status == 401:
            return Refused("GitHub refuses the token (401): it is wrong or expired. Give another one.", status)
        if status == 403:
            needs = "contents, pull requests and issues (read and write)"
            return Refused(
                f"GitHub does not allow {what} (403: {told}). The token needs the permissions {needs}.", status
            )
        if status == 404:
            hidden = "it does not exist, or the token has no access to it"
            return Refused(f"GitHub shows this token nothing of {what} (404): {hidden}.", status)
        return Refused(f"GitHub refuses {what} ({status}: {told}).", status)


def _told(failed: RequestFailed) -> str:
    """Return what GitHub says about a refusal: its message, and those of its errors."""
    try:
        body = failed.response.json()
    except ValueError:
        return "no reason given"
    if not isinstance(body, dict):
        return "no reason given"
    errors = body.get("errors")
    details = (
        [one.get("message") or f"{one.get('field')} is {one.get('code')}" for one in errors if isinstance(one, dict)]
        if isinstance(errors, list)
        else []
    )
    told = "; ".join(str(part) for part in dict.fromkeys([body.get("message"), *details]) if part)
    return plain_line(without_secrets(told), 500)
