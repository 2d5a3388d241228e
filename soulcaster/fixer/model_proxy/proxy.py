"""The proxy between a coding agent and its model: it alone has the key, counts what is spent, ends at the budget."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import structlog
from aiohttp import web
from yarl import URL

from soulcaster.domain.fixes.order import AgentOrder, Credential
from soulcaster.fixer.model_proxy.apis import PASSED_ON, Route, authorised, ordered, problem, route
from soulcaster.fixer.model_proxy.metering import Meter
from soulcaster.fixer.model_proxy.prices import Prices
from soulcaster.fixer.model_proxy.requests import AddressRefused, betas, permitted
from soulcaster.fixer.sandbox.doors import Door
from soulcaster.http_client import http_session
from soulcaster.ports.sandbox import MODEL_URL

MOST_BYTES = 32 * 2**20
"""A longer request is refused."""

ERROR_BYTES = 64 * 1024
CALL_SECONDS = 1_800.0
SILENT_SECONDS = 600.0
"""How long a call may take, and how long the model may be silent in it."""

MOST_LEFT_OUT = 50
"""How many names of what is left out of requests are logged."""

OnSpent = Callable[[float, int, int], None]

log = structlog.get_logger(__name__)


class ModelProxy:
    """A server behind a door (`doors.Server`) for the model of one launch.

    Paid calls follow each other, so the budget is passed by at most one call. Every call goes to the ordered model.
    A call goes on to its end when the coding agent does not wait for it: the vendor charges for it all the same.
    """

    def __init__(
        self,
        credential: Callable[[], Awaitable[Credential]],
        agent: AgentOrder,
        *,
        budget_usd: float,
        spent_usd: float,
        on_spent: OnSpent,
    ) -> None:
        """Prepare.

        `credential` gives the key and the address of the model when they are first needed. `budget_usd` is what the job
        may spend in all, 0 for no limit, `spent_usd` what earlier launches have spent. `on_spent` gets all that this
        launch has spent: US dollars, tokens in, tokens out.
        """
        self._ask = credential
        self._agent = agent
        self._budget = budget_usd
        self._earlier = spent_usd
        self._on_spent = on_spent
        self._spent = 0.0
        self._tokens_in = self._tokens_out = 0
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def door(self, socket: Path) -> AsyncIterator[Door]:
        """Serve at a unix socket while this is open.

        Raises:
            AgentUnusable: nobody knows what the model costs.
            SourceRefuses: there is no key.
        """
        credential = await self._ask()
        prices = Prices(self._agent, credential.url)
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS, sock_read=SILENT_SECONDS)
        async with http_session(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
            serving = _Serving(self, credential, prices, session)
            app = web.Application(client_max_size=MOST_BYTES)
            app.router.add_route("*", "/{path:.*}", serving.handle)
            runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
            await runner.setup()
            try:
                await web.UnixSite(runner, str(socket)).start()
                yield Door(URL(MODEL_URL).port or 80, {})
            finally:
                await runner.cleanup()
                await serving.end()

    @property
    def agent(self) -> AgentOrder:
        """Return the order."""
        return self._agent

    @property
    def exhausted(self) -> bool:
        """Whether the budget is spent."""
        return bool(self._budget) and self._earlier + self._spent >= self._budget

    @property
    def turn(self) -> asyncio.Lock:
        """Return the lock that each paid call holds."""
        return self._turn

    def spend(self, usd: float, tokens_in: int, tokens_out: int) -> None:
        """Note what a call cost."""
        self._spent += usd
        self._tokens_in += tokens_in
        self._tokens_out += tokens_out
        self._on_spent(self._spent, self._tokens_in, self._tokens_out)


class _Serving:
    """Carries out calls, with a key."""

    def __init__(
        self, proxy: ModelProxy, credential: Credential, prices: Prices, session: aiohttp.ClientSession
    ) -> None:
        self._proxy = proxy
        self._api = proxy.agent.api
        self._credential = credential
        self._prices = prices
        self._session = session
        self._calls: set[asyncio.Task[web.StreamResponse]] = set()
        self._left_out: set[str] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request of the coding agent."""
        found = route(self._api, request.path, self._proxy.agent.model) if request.method == "POST" else None
        if found is None:
            return self._problem(404, f"Soulcaster lets no {request.method} {request.path[:200]} through to the model.")
        try:
            body = json.loads(await request.read())
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            return self._problem(400, "The request is not a JSON object.")
        try:
            asked = permitted(self._api, request.path, body)
        except AddressRefused as error:
            return self._problem(400, str(error))
        self._say(asked.left_out)
        text = json.dumps(ordered(self._api, request.path, asked.body, self._proxy.agent.model)).encode()
        call = asyncio.create_task(self._call(request, found, text))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return await asyncio.shield(call)

    async def end(self) -> None:
        """End the calls that still go on, and count them."""
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def _say(self, left_out: Iterable[str]) -> None:
        """Log once what is left out of requests."""
        new = {name[:80] for name in left_out} - self._left_out
        if new and len(self._left_out) < MOST_LEFT_OUT:
            self._left_out |= new
            log.warning("requests to the model go on without what is not permitted", left_out=sorted(new))

    async def _call(self, request: web.Request, found: Route, text: bytes) -> web.StreamResponse:
        if not found.paid:
            return await self._forward(request, found, text)
        async with self._proxy.turn:
            if self._proxy.exhausted:
                return self._problem(402, "The budget of this job is spent.")
            return await self._forward(request, found, text)

    async def _forward(self, request: web.Request, found: Route, body: bytes) -> web.StreamResponse:
        url = URL(f"{self._credential.url.rstrip('/')}{found.path}", encoded=True)
        if request.query.get("alt") == "sse":
            url = url.with_query(alt="sse")
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        if beta := betas(headers.pop("anthropic-beta", "")):
            headers["anthropic-beta"] = beta
        headers |= {"Accept-Encoding": "identity", **authorised(self._api, self._credential.secret)}
        meter = None
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                if answer.status != 200:
                    return await self._refused(answer)
                meter = Meter(self._api, sse=answer.content_type == "text/event-stream", asked_bytes=len(body))
                return await self._passed_on(request, answer, meter)
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("the model does not answer", cause=type(error).__name__)
            return self._problem(502, "The model does not answer.")
        except asyncio.CancelledError:  # the launch ends while the model works
            meter = meter or Meter(self._api, sse=True, asked_bytes=len(body))
            raise
        finally:
            if meter is not None and found.paid:
                self._count(meter)

    async def _refused(self, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        """Pass an error on, without the key, which some vendors repeat."""
        if 300 <= answer.status < 400:
            return self._problem(502, "The address of the model redirects; set the one that it redirects to.")
        said = (await answer.content.read(ERROR_BYTES)).replace(self._credential.secret.encode(), b"[secret]")
        kept = {name: answer.headers[name] for name in ("Retry-After",) if name in answer.headers}
        return web.Response(body=said, status=answer.status, content_type="application/json", headers=kept)

    async def _passed_on(
        self, request: web.Request, answer: aiohttp.ClientResponse, meter: Meter
    ) -> web.StreamResponse:
        """Pass a response on while it comes, and read it to its end also when nobody waits for it."""
        response = web.StreamResponse(headers={"Content-Type": answer.headers.get("Content-Type", "application/json")})
        listening = await _wrote(response.prepare(request))
        try:
            async for data in answer.content.iter_any():
                meter.take(data)
                listening = listening and await _wrote(response.write(data))
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("the model broke off its answer", cause=type(error).__name__)
            response.force_close()  # what has begun cannot become an error
            return response
        meter.is_whole = True
        if listening:
            await _wrote(response.write_eof())
        return response

    def _count(self, meter: Meter) -> None:
        usage = meter.end()
        if meter.estimates:
            log.warning("the model did not say what a call took; it is estimated", tokens_in=usage.tokens_in)
        self._proxy.spend(self._prices.usd(usage), usage.tokens_in, usage.tokens_out)

    def _problem(self, status: int, message: str) -> web.Response:
        said: dict[str, Any] = problem(self._api, status, message)
        return web.json_response(said, status=status)


async def _wrote(writing: Awaitable[object]) -> bool:
    """Write to the coding agent; return whether it still listens."""
    try:
        await writing
    except ConnectionError:
        return False
    return True
