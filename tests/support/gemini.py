"""A Gemini on loopback: it speaks `batchEmbedContents` and `generateContent` as Google does, as tests want it to."""

import asyncio
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from aiohttp import web
from aiohttp.test_utils import TestServer
from multidict import CIMultiDictProxy

KEY = "AIza-the-key-of-the-tests"
LENGTH = 3.0
"""Of its vectors: Google's are not of unit length either, below 3,072 dimensions."""


@dataclass(frozen=True)
class Call:
    path: str
    headers: CIMultiDictProxy[str]
    parts: list[dict[str, Any]]
    at: float

    @property
    def texts(self) -> list[str]:
        return [part["text"] for one in self.parts for part in one["content"]["parts"]]


@dataclass(frozen=True)
class Question:
    """A call of `generateContent`."""

    path: str
    headers: CIMultiDictProxy[str]
    body: dict[str, Any]

    @property
    def text(self) -> str:
        [content] = self.body["contents"]
        [part] = content["parts"]
        said: str = part["text"]
        return said


@dataclass
class Gemini:
    """Its vectors are bags of words, so texts that share words are near."""

    answers: list[web.Response] = field(default_factory=list)
    """What it answers first, one a call; after these it embeds, or writes `plan`."""

    plan: dict[str, str] = field(default_factory=lambda: {"title": "Pay late", "description": "Find where it waits."})
    questions: list[Question] = field(default_factory=list)

    clock: Callable[[], float] = lambda: 0.0
    refuses: str | None = None
    """It finds fault with texts that contain this."""

    hangs: str | None = None
    """It never answers when a text contains this."""

    calls: list[Call] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: int = 0
    most_at_once: int = 0

    async def __aenter__(self) -> Self:
        self.open.set()
        app = web.Application(client_max_size=10_000_000)
        app.router.add_post("/{path:.*}", self._serve)
        self._server = TestServer(app, host="127.0.0.1")
        await self._server.start_server()
        self.url = str(self._server.make_url("")).rstrip("/")
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._server.close()

    @property
    def texts(self) -> list[str]:
        return [text for call in self.calls for text in call.texts]

    async def _serve(self, request: web.Request) -> web.Response:
        if request.path.endswith(":generateContent"):
            return await self._generate(Question(request.path, request.headers, await request.json()))
        call = Call(request.path_qs, request.headers, (await request.json())["requests"], self.clock())
        self.calls.append(call)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await self.open.wait()
            if self.hangs is not None and any(self.hangs in text for text in call.texts):
                await asyncio.sleep(60)
            return self._answer(call)
        finally:
            self.at_once -= 1

    async def _generate(self, question: Question) -> web.Response:
        self.questions.append(question)
        await self.open.wait()
        if self.answers:
            return self.answers.pop(0)
        if request_key(question) != KEY:
            return wrong_key()
        return written(json.dumps(self.plan))

    def _answer(self, call: Call) -> web.Response:
        if self.answers:
            return self.answers.pop(0)
        if request_key(call) != KEY:
            return wrong_key()
        if len(call.parts) > 100:
            return error(400, "INVALID_ARGUMENT", "at most 100 requests can be in one batch")
        if not all(call.texts) or (self.refuses is not None and any(self.refuses in text for text in call.texts)):
            return error(400, "INVALID_ARGUMENT", "content is wrong")
        return vectors(*(bag_of_words(one) for one in call.parts))


def request_key(call: Call | Question) -> str | None:
    return call.headers.get("x-goog-api-key")


def wrong_key() -> web.Response:
    return error(400, "INVALID_ARGUMENT", "API key not valid.", ErrorInfo={"reason": "API_KEY_INVALID"})


def written(text: str | None, finish: str = "STOP", *, thought: str | None = None) -> web.Response:
    """An answer of `generateContent`; None is one whose candidate has no content, as when it is blocked."""
    parts = [*([{"text": thought, "thought": True}] if thought else []), {"text": text}]
    content = {} if text is None else {"content": {"parts": parts, "role": "model"}}
    usage = {"promptTokenCount": 900, "candidatesTokenCount": 60, "totalTokenCount": 1100, "thoughtsTokenCount": 140}
    return web.json_response(
        {
            "candidates": [{**content, "finishReason": finish, "index": 0}],
            "usageMetadata": usage,
            "modelVersion": "gemini-3.8-flash",
        }
    )


def bag_of_words(one: dict[str, Any]) -> list[float]:
    text = one["content"]["parts"][0]["text"].lower()
    row = np.zeros(one["outputDimensionality"])
    for word in re.findall(r"\w+", text) or [text]:
        row[int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "big") % len(row)] += 1
    scaled: list[float] = (LENGTH * row / np.linalg.norm(row)).tolist()
    return scaled


def vectors(*rows: list[float] | None) -> web.Response:
    return web.json_response({"embeddings": [{"values": row} for row in rows]})


def error(
    code: int, status: str, message: str, *, retry_after: str | None = None, **details: dict[str, Any]
) -> web.Response:
    """An error as Google tells it."""
    parts = [{"@type": f"type.googleapis.com/google.rpc.{kind}", **part} for kind, part in details.items()]
    said = {"code": code, "message": message, "status": status, "details": parts}
    headers = {"Retry-After": retry_after} if retry_after else {}
    return web.json_response({"error": said}, status=code, headers=headers)


@dataclass
class Time:
    """A clock that only sleeping moves on."""

    now: float = 1_000.0
    slept: list[float] = field(default_factory=list)
    may_pass: Callable[[], bool] = lambda: True
    """Sleep waits for this: what was sent has to arrive before the clock moves on."""

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        while not self.may_pass():
            await asyncio.sleep(0.001)
        self.slept.append(seconds)
        self.now += seconds
