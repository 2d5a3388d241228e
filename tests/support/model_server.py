"""A scripted model on loopback: the APIs of OpenAI (chat completions and responses), Anthropic and Gemini.

A script says what the model does, one step an answer: it calls one tool, or it says its last word. A step knows no
names of tools: the server chooses among the tools that the program offers in its request, and fills in the arguments
that the schema of that tool asks for. The step of an answer follows from how many calls the conversation has, so a
request that comes again gets the same answer.
"""

import json
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.test_utils import TestServer

from soulcaster.fixer.sandbox.doors import Door
from soulcaster.ports.sandbox import MODEL_URL

TOKENS_IN, TOKENS_OUT = 1_000, 100
"""What every answer says that it took."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace a text in a file; with an empty `old`, write the whole file."""

    path: str
    new: str
    old: str = ""


@dataclass(frozen=True, slots=True)
class Shell:
    """Run a shell command."""

    command: str


@dataclass(frozen=True, slots=True)
class Say:
    """End with these words."""

    text: str
    refusal: bool = False


@dataclass(frozen=True, slots=True)
class Fail:
    """Answer with this HTTP status, always."""

    status: int
    message: str = "the scripted model fails"


Step = Edit | Shell | Say | Fail


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as a request offers it."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool, as an answer makes it."""

    id: str
    name: str
    arguments: Mapping[str, Any]


_EDIT = ("edit", "Edit", "replace", "str_replace_based_edit_tool", "search_and_replace")
_WRITE = ("write", "Write", "write_file", "write_to_file", "create_file")
_SHELL = ("bash", "Bash", "shell", "run_shell_command", "exec_command", "shell_command", "execute_command")

_MEANINGS = {
    "path": ("filePath", "file_path", "path", "filename"),
    "old": ("oldString", "old_string", "old_str", "search"),
    "new": ("newString", "new_string", "new_str", "replace", "content", "contents", "text"),
    "command": ("command", "cmd", "script"),
}


def choose(step: Edit | Shell, tools: Sequence[Tool], folder: str) -> tuple[str, dict[str, Any]]:
    """Return the name of the tool that does a step, and its arguments; without a tool for files, by the shell.

    Raises:
        LookupError: no tool fits.
    """
    by_name = {tool.name: tool for tool in tools}
    if isinstance(step, Edit):
        path = step.path if step.path.startswith("/") else f"{folder}/{step.path}"
        words = {"path": path, "old": step.old, "new": step.new}
        for name in _EDIT if step.old else _WRITE:
            if name in by_name:
                return name, _arguments(by_name[name], words)
        return choose(Shell(_by_shell(path, step)), tools, folder)
    for name in _SHELL:
        if name in by_name:
            return name, _arguments(by_name[name], {"command": step.command})
    raise LookupError(f"no tool runs a command: {sorted(by_name)}")


def _by_shell(path: str, step: Edit) -> str:
    if not step.old:
        return (
            f"mkdir -p {shlex.quote(path.rpartition('/')[0])}; printf %s {shlex.quote(step.new)} > {shlex.quote(path)}"
        )
    program = (
        "import sys; p, a, b = sys.argv[1:]; t = open(p).read(); assert a in t; open(p, 'w').write(t.replace(a, b))"
    )
    return shlex.join(["python3", "-c", program, path, step.old, step.new])


def _arguments(tool: Tool, words: Mapping[str, str]) -> dict[str, Any]:
    properties: Mapping[str, Any] = tool.schema.get("properties", {})
    found: dict[str, Any] = {}
    for meaning, text in words.items():
        name = next((name for name in _MEANINGS[meaning] if name in properties), None)
        if name is not None:
            array = properties[name].get("type") == "array"
            found[name] = ["bash", "-c", text] if array else text
    for name in tool.schema.get("required", []):
        found.setdefault(
            name, 30_000 if properties[name].get("type") in ("number", "integer") else "what the task needs"
        )
    return found


@dataclass(slots=True)
class Exchange:
    """A request to the model, with the headers that authorise it."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]


@dataclass(slots=True)
class ModelServer:
    """The server; `folder` is where the program sees the tree. It keeps every request in `requests`.

    It answers `without_tools` where a request offers no tools.
    """

    script: Sequence[Step]
    folder: str = "/work"
    without_tools: str = "A title"
    requests: list[Exchange] = field(default_factory=list)
    url: str = ""
    _server: TestServer | None = None

    async def __aenter__(self) -> Self:
        self._server = TestServer(self._app(), host="127.0.0.1")
        await self._server.start_server()
        self.url = f"http://127.0.0.1:{self._server.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        await self._server.close()

    @asynccontextmanager
    async def door(self, socket: Path) -> AsyncIterator[Door]:
        """Serve commands of a sandbox, as the proxy of the model does, with no model behind it."""
        runner = web.AppRunner(self._app())
        await runner.setup()
        await web.UnixSite(runner, str(socket)).start()
        yield Door(urlsplit(MODEL_URL).port or 80, {})
        await runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/responses", self._responses)
        app.router.add_post("/v1/messages", self._messages)
        app.router.add_post("/v1/messages/count_tokens", self._counted)
        app.router.add_post("/v1beta/models/{call}", self._gemini)
        app.router.add_route("*", "/{path:.*}", self._unknown)
        return app

    @property
    def unknown(self) -> list[str]:
        """The paths that were asked for and are not there."""
        return [one.path for one in self.requests if one.path.startswith("unknown ")]

    async def _unknown(self, request: web.Request) -> web.Response:
        self.requests.append(Exchange(f"unknown {request.method} {request.path}", {}, dict(request.headers)))
        return web.json_response({"error": {"message": "not found", "type": "invalid_request_error"}}, status=404)

    async def _counted(self, request: web.Request) -> web.Response:
        await self._kept(request)
        return web.json_response({"input_tokens": TOKENS_IN})

    async def _kept(self, request: web.Request) -> dict[str, Any]:
        body = await request.json()
        self.requests.append(Exchange(request.path, body, dict(request.headers)))
        return body  # type: ignore[no-any-return]

    def _answer(self, calls: int, tools: Sequence[Tool]) -> Call | Say | Fail:
        """Return what the model does next. Without tools it is asked for a title or the like."""
        if not tools:
            first = self.script[0]
            return first if isinstance(first, Fail) else Say(self.without_tools)
        step = self.script[min(calls, len(self.script) - 1)]
        if isinstance(step, Say | Fail):
            return step
        name, arguments = choose(step, tools, self.folder)
        return Call(f"call_{calls}", name, arguments)

    # ---- OpenAI, chat completions

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await self._kept(request)
        tools = [Tool(t["function"]["name"], t["function"].get("parameters") or {}) for t in body.get("tools", [])]
        calls = sum(len(message.get("tool_calls") or []) for message in body["messages"])
        answer = self._answer(calls, tools)
        if isinstance(answer, Fail):
            return _openai_error(answer)
        message: dict[str, Any] = {"role": "assistant", "content": None}
        if isinstance(answer, Say):
            message["refusal" if answer.refusal else "content"] = answer.text
        else:
            function = {"name": answer.name, "arguments": json.dumps(answer.arguments)}
            message["tool_calls"] = [{"index": 0, "id": answer.id, "type": "function", "function": function}]
        finish = "tool_calls" if isinstance(answer, Call) else "stop"
        usage = {"prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT, "total_tokens": TOKENS_IN + TOKENS_OUT}
        common = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": finish}
            return web.json_response({**common, "object": "chat.completion", "choices": [choice], "usage": usage})

        async def chunks() -> AsyncIterator[tuple[str, Any]]:
            for delta, end in ((message, None), ({}, finish)):
                choice = {"index": 0, "delta": delta, "finish_reason": end}
                yield "", {**common, "object": "chat.completion.chunk", "choices": [choice]}
            yield "", {**common, "object": "chat.completion.chunk", "choices": [], "usage": usage}
            yield "", "[DONE]"

        return await _stream(request, chunks())

    # ---- OpenAI, responses

    async def _responses(self, request: web.Request) -> web.StreamResponse:
        body = await self._kept(request)
        tools = [Tool(t["name"], t.get("parameters") or {}) for t in body.get("tools", []) if t["type"] == "function"]
        calls = sum(item.get("type") == "function_call" for item in body["input"] if isinstance(item, dict))
        answer = self._answer(calls, tools)
        if isinstance(answer, Fail):
            return _openai_error(answer)
        if isinstance(answer, Say):
            kind = {"type": "refusal", "refusal": answer.text} if answer.refusal else _output_text(answer.text)
            item: dict[str, Any] = {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [kind],
            }
        else:
            item = {"type": "function_call", "id": f"fc_{calls}", "call_id": answer.id, "name": answer.name}
            item |= {"arguments": json.dumps(answer.arguments), "status": "completed"}
        usage: dict[str, Any] = {
            "input_tokens": TOKENS_IN,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": TOKENS_OUT,
        }
        usage |= {"output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": TOKENS_IN + TOKENS_OUT}
        response: dict[str, Any] = {"id": "resp_1", "object": "response", "created_at": 1, "model": body["model"]}
        ended = {**response, "status": "completed", "output": [item], "usage": usage}
        if not body.get("stream"):
            return web.json_response(ended)

        async def events() -> AsyncIterator[tuple[str, Any]]:
            begun: dict[str, Any] = {**response, "status": "in_progress", "output": []}
            added = {"output_index": 0, "item": {**item, "status": "in_progress"}}
            steps: tuple[tuple[str, dict[str, Any]], ...] = (
                ("response.created", {"response": begun}),
                ("response.output_item.added", added),
                ("response.output_item.done", {"output_index": 0, "item": item}),
                ("response.completed", {"response": ended}),
            )
            for number, (kind, more) in enumerate(steps):
                yield kind, {"type": kind, "sequence_number": number, **more}

        return await _stream(request, events())

    # ---- Anthropic

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        body = await self._kept(request)
        tools = [Tool(t["name"], t.get("input_schema") or {}) for t in body.get("tools", []) if "name" in t]
        parts = [part for message in body["messages"] for part in message["content"] if isinstance(part, dict)]
        answer = self._answer(sum(part.get("type") == "tool_use" for part in parts), tools)
        if isinstance(answer, Fail):
            error = {"type": "error", "error": {"type": _anthropic_kind(answer.status), "message": answer.message}}
            return web.json_response(error, status=answer.status)
        block: dict[str, Any]
        empty: dict[str, Any]
        if isinstance(answer, Say):
            block, reason = {"type": "text", "text": answer.text}, "refusal" if answer.refusal else "end_turn"
        else:
            block = {"type": "tool_use", "id": answer.id, "name": answer.name, "input": answer.arguments}
            reason = "tool_use"
        message: dict[str, Any] = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [],
        }
        message |= {"stop_reason": None, "stop_sequence": None}
        message["usage"] = {"input_tokens": TOKENS_IN, "output_tokens": 1}
        if not body.get("stream"):
            usage = {"input_tokens": TOKENS_IN, "output_tokens": TOKENS_OUT}
            return web.json_response({**message, "content": [block], "stop_reason": reason, "usage": usage})
        if isinstance(answer, Say):
            empty = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": answer.text}
        else:
            empty = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(answer.arguments)}

        async def events() -> AsyncIterator[tuple[str, Any]]:
            for event in (
                {"type": "message_start", "message": message},
                {"type": "content_block_start", "index": 0, "content_block": empty},
                {"type": "content_block_delta", "index": 0, "delta": delta},
                {"type": "content_block_stop", "index": 0},
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": reason, "stop_sequence": None},
                    "usage": {"output_tokens": TOKENS_OUT},
                },
                {"type": "message_stop"},
            ):
                yield str(event["type"]), event

        return await _stream(request, events())

    # ---- Gemini

    async def _gemini(self, request: web.Request) -> web.StreamResponse:
        body = await self._kept(request)
        method = request.match_info["call"].rpartition(":")[2]
        if method == "countTokens":
            return web.json_response({"totalTokens": TOKENS_IN})
        declared = [one for tool in body.get("tools", []) for one in tool.get("functionDeclarations", [])]
        tools = [Tool(d["name"], d.get("parametersJsonSchema") or d.get("parameters") or {}) for d in declared]
        parts = [part for content in body["contents"] for part in content["parts"]]
        answer = self._answer(sum("functionCall" in part for part in parts), tools)
        if isinstance(answer, Fail):
            error = {"code": answer.status, "message": answer.message, "status": "FAILED_PRECONDITION"}
            return web.json_response({"error": error}, status=answer.status)
        part: dict[str, Any] = {"text": answer.text} if isinstance(answer, Say) else {}
        if isinstance(answer, Call):
            part = {"functionCall": {"name": answer.name, "args": answer.arguments}, "thoughtSignature": "c2lnbmVk"}
        reason = "SAFETY" if isinstance(answer, Say) and answer.refusal else "STOP"
        candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": reason, "index": 0}
        usage = {"promptTokenCount": TOKENS_IN, "candidatesTokenCount": TOKENS_OUT}
        usage["totalTokenCount"] = TOKENS_IN + TOKENS_OUT
        response = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "scripted"}
        if method == "generateContent":
            return web.json_response(response)

        async def events() -> AsyncIterator[tuple[str, Any]]:
            yield "", response

        return await _stream(request, events())


def _output_text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def _openai_error(answer: Fail) -> web.Response:
    error = {"message": answer.message, "type": "invalid_request_error", "code": None, "param": None}
    return web.json_response({"error": error}, status=answer.status)


def _anthropic_kind(status: int) -> str:
    return {401: "authentication_error", 402: "billing_error", 429: "rate_limit_error"}.get(status, "api_error")


async def _stream(request: web.Request, events: AsyncIterator[tuple[str, Any]]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    async for kind, event in events:
        data = event if isinstance(event, str) else json.dumps(event)
        name = f"event: {kind}\n" if kind else ""
        await response.write(f"{name}data: {data}\n\n".encode())
    await response.write_eof()
    return response
