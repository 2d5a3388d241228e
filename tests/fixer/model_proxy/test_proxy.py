"""The proxy with a model on loopback: what it lets through, what it keeps, and where it stops."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from soulcaster.domain.fixes.order import AgentOrder, Credential, ModelApi
from soulcaster.errors import AgentUnusable
from soulcaster.fixer.model_proxy.proxy import ModelProxy

KEY = "sk-canary-of-the-model"
MODEL = "some-model"

CALLS: dict[ModelApi, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "openai": (
        "/v1/chat/completions",
        {"model": "another", "messages": []},
        {"usage": {"prompt_tokens": 1_000_000, "completion_tokens": 500_000}},
    ),
    "anthropic": (
        "/v1/messages",
        {"model": "another", "messages": []},
        {"usage": {"input_tokens": 1_000_000, "output_tokens": 500_000}},
    ),
    "gemini": (
        "/v1beta/models/another:generateContent",
        {"contents": []},
        {"usageMetadata": {"promptTokenCount": 1_000_000, "candidatesTokenCount": 500_000}},
    ),
}
"""A call of each API, and a response that says what it took: three dollars."""


@dataclass
class Vendor:
    """A model on loopback: `answers` come in turn, the last one again and again."""

    answers: list[web.Response] = field(default_factory=list)
    calls: list[tuple[str, Any, dict[str, str]]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.calls.append((request.path_qs, await request.json(), dict(request.headers)))
        await asyncio.sleep(0.01)
        self.at_once -= 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(body=answer.body, status=answer.status, headers=answer.headers)


@dataclass
class Spending:
    totals: list[tuple[float, int, int]] = field(default_factory=list)

    def __call__(self, usd: float, tokens_in: int, tokens_out: int) -> None:
        self.totals.append((usd, tokens_in, tokens_out))


@asynccontextmanager
async def proxied(
    api: ModelApi,
    vendor: Vendor,
    tmp_path: Path,
    *,
    budget: float = 0,
    spent: float = 0,
    model: str = MODEL,
    prices: tuple[float, float] | None = (1.0, 4.0),
) -> AsyncIterator[tuple[aiohttp.ClientSession, Spending]]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", vendor.handle)
    spending = Spending()
    async with TestServer(app) as server:
        base = str(server.make_url("/v1" if api == "openai" else "")).rstrip("/")

        async def credential() -> Credential:
            return Credential("model", KEY, base)

        agent = AgentOrder("opencode", model, api, usd_per_million=prices)
        proxy = ModelProxy(credential, agent, budget_usd=budget, spent_usd=spent, on_spent=spending)
        async with proxy.door(tmp_path / "socket") as door:
            assert door.environment == {}
            connector = aiohttp.UnixConnector(str(tmp_path / "socket"))
            async with aiohttp.ClientSession("http://model", connector=connector) as session:
                yield session, spending


@pytest.mark.parametrize("api", CALLS)
async def test_a_call_goes_to_the_ordered_model_with_the_key_and_is_counted(api: ModelApi, tmp_path: Path) -> None:
    path, body, answer = CALLS[api]
    vendor = Vendor([web.json_response(answer)])
    async with proxied(api, vendor, tmp_path) as (session, spending):
        dummy = {"Authorization": "Bearer dummy", "x-api-key": "dummy", "Cookie": "a=b", "X-Other": "x"}
        async with session.post(path, json=body, headers=dummy) as response:
            assert await response.json() == answer
            assert KEY not in str(response.headers)
    [(at, asked, headers)] = vendor.calls
    sent = at + json.dumps(asked)
    assert MODEL in sent
    assert "another" not in sent
    assert KEY in headers.get("Authorization", "") + headers.get("x-api-key", "") + headers.get("x-goog-api-key", "")
    assert "dummy" not in str(headers)
    assert "Cookie" not in headers
    assert "X-Other" not in headers
    assert spending.totals == [(3.0, 1_000_000, 500_000)]


@pytest.mark.parametrize("api", CALLS)
async def test_when_the_budget_is_spent_no_call_goes_through(api: ModelApi, tmp_path: Path) -> None:
    path, body, answer = CALLS[api]
    vendor = Vendor([web.json_response(answer)])
    async with proxied(api, vendor, tmp_path, budget=5.0, spent=1.0) as (session, spending):
        answers = await asyncio.gather(*(session.post(path, json=body) for _ in range(6)))
        statuses = sorted(one.status for one in answers)
        said = [await one.text() for one in answers if one.status == 402]
    assert statuses == [200, 200, 402, 402, 402, 402]
    assert all("budget" in text for text in said)
    assert spending.totals[-1][0] == 6.0, "at most one call too much"
    assert vendor.most_at_once == 1


@pytest.mark.parametrize(
    ("api", "method", "path"),
    [
        ("openai", "POST", "/v1/files"),
        ("openai", "GET", "/v1/chat/completions"),
        ("openai", "POST", "/v1/messages"),
        ("openai", "POST", "/v1/chat/../files"),
        ("anthropic", "POST", "/v1/messages/batches"),
        ("anthropic", "POST", "/v1/chat/completions"),
        ("gemini", "POST", "/v1beta/files"),
        ("gemini", "POST", "/v1beta/models/x:embedContent"),
        ("gemini", "DELETE", "/v1beta/models/x:generateContent"),
    ],
)
async def test_nothing_else_of_the_vendor_is_reached(api: ModelApi, method: str, path: str, tmp_path: Path) -> None:
    vendor = Vendor([web.json_response({})])
    async with (
        proxied(api, vendor, tmp_path) as (session, spending),
        session.request(method, path, json={}) as response,
    ):
        assert response.status == 404
    assert vendor.calls == []
    assert spending.totals == []


async def test_a_stream_is_asked_to_say_what_it_took(tmp_path: Path) -> None:
    events = (
        b'data: {"choices": []}\n\ndata: {"usage": {"prompt_tokens": 10, "completion_tokens": 5}}\n\ndata: [DONE]\n\n'
    )
    vendor = Vendor([web.Response(body=events, headers={"Content-Type": "text/event-stream"})])
    async with proxied("openai", vendor, tmp_path) as (session, spending):
        body = {"messages": [], "stream": True, "stream_options": {"other": 1}}
        async with session.post("/v1/chat/completions", json=body) as response:
            assert await response.read() == events
            assert response.content_type == "text/event-stream"
    assert vendor.calls[0][1]["stream_options"] == {"other": 1, "include_usage": True}
    assert spending.totals[0][1:] == (10, 5)


async def test_an_error_of_the_vendor_shows_no_key(tmp_path: Path) -> None:
    said = {"error": {"message": f"Incorrect API key provided: {KEY}."}}
    vendor = Vendor([web.json_response(said, status=401)])
    async with (
        proxied("openai", vendor, tmp_path) as (session, spending),
        session.post("/v1/chat/completions", json={}) as response,
    ):
        text = await response.text()
        assert response.status == 401
    assert KEY not in text
    assert "[secret]" in text
    assert spending.totals == []


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    vendor = Vendor([web.Response(status=307, headers={"Location": "http://127.0.0.1:9/steal"})])
    async with (
        proxied("openai", vendor, tmp_path) as (session, _),
        session.post("/v1/chat/completions", json={}) as response,
    ):
        assert response.status == 502
        assert "Location" not in response.headers


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 100_000])
async def test_a_request_that_is_no_object(tmp_path: Path, body: bytes) -> None:
    vendor = Vendor([web.json_response({})])
    async with (
        proxied("openai", vendor, tmp_path) as (session, _),
        session.post("/v1/chat/completions", data=body) as response,
    ):
        assert response.status == 400
    assert vendor.calls == []


async def test_a_model_whose_price_nobody_knows_is_not_called(tmp_path: Path) -> None:
    with pytest.raises(AgentUnusable, match="SOULCASTER_MODEL_PRICES"):
        async with proxied("openai", Vendor(), tmp_path, model="nobody-knows-this", prices=None):
            pass


async def test_a_known_model_has_its_price(tmp_path: Path) -> None:
    path, body, answer = CALLS["anthropic"]
    vendor = Vendor([web.json_response(answer)])
    async with proxied("anthropic", vendor, tmp_path, model="claude-sonnet-4-5", prices=None) as (session, spending):
        await (await session.post(path, json=body)).read()
    assert spending.totals[0][0] > 1


async def settled(spending: Spending, calls: int) -> None:
    async with asyncio.timeout(60):
        while len(spending.totals) < calls:
            await asyncio.sleep(0.01)


@dataclass
class Slow(Vendor):
    """Answers once `go` is set; a stream begins before, and ends after."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    stream: bool = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.calls.append((request.path, await request.json(), {}))
        if not self.stream:
            await self.go.wait()
            return web.json_response(CALLS["openai"][2])
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"choices": [{"delta": {"content": "begun"}}]}\n\n')
        await self.go.wait()
        usage = {"prompt_tokens": 1_000_000, "completion_tokens": 500_000}
        await response.write(f"data: {json.dumps({'usage': usage})}\n\n".encode())
        return response


@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_that_nobody_waits_for_is_counted_whole_and_holds_the_next_one_up(
    tmp_path: Path, stream: bool
) -> None:
    vendor = Slow(stream=stream)
    async with proxied("openai", vendor, tmp_path, budget=3.0) as (session, spending):
        left = asyncio.create_task(_begin(session))
        async with asyncio.timeout(60):
            while not vendor.calls:
                await asyncio.sleep(0.01)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        next_one = asyncio.create_task(_begin(session))
        await asyncio.sleep(0.2)
        assert len(vendor.calls) == 1
        vendor.go.set()
        assert await next_one == 402
        await settled(spending, 1)
    assert spending.totals == [(3.0, 1_000_000, 500_000)]


async def _begin(session: aiohttp.ClientSession) -> int:
    async with session.post("/v1/chat/completions", json={"messages": []}) as response:
        await response.read()
        return response.status


@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_under_way_when_the_launch_ends_is_counted(tmp_path: Path, stream: bool) -> None:
    vendor = Slow(stream=stream)
    async with proxied("openai", vendor, tmp_path) as (session, spending):
        running = asyncio.create_task(_begin(session))
        async with asyncio.timeout(60):
            while not vendor.calls:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        asyncio.get_running_loop().call_later(3, vendor.go.set)  # the vendor's server waits for it when it ends
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    [(_, tokens_in, tokens_out)] = spending.totals
    assert tokens_in > 0
    assert tokens_out > 0
