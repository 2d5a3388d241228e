"""What a request may ask of a model: words in, words out, and calls of tools that the coding agent itself carries out.

Vendors also offer tools that they carry out (web search, fetching an address, MCP servers, code), fetch pictures and
files from an address or from the account, answer in the background, and charge more for a faster answer. Through these
a fooled coding agent reaches the internet, and spends money that nobody counts. So a request is made anew from the
fields that are known here. A field or tool that is left out is missing to the coding agent; an address in what the
model is to read is refused.

Sources: the references of OpenAI's chat completions and responses, Anthropic's messages, Gemini's generateContent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from soulcaster.domain.fixes.order import ModelApi
from soulcaster.errors import BadInput


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CHAT = _words(
    "chat_template_kwargs enable_thinking frequency_penalty function_call functions logit_bias logprobs"
    " max_completion_tokens max_tokens messages metadata min_p model parallel_tool_calls presence_penalty"
    " prompt_cache_key prompt_cache_retention reasoning reasoning_effort repetition_penalty response_format"
    " safety_identifier seed stop store stream stream_options temperature thinking tool_choice tools top_k"
    " top_logprobs top_p user verbosity"
)
_RESPONSES = _words(
    "include input instructions max_output_tokens max_tool_calls metadata model parallel_tool_calls"
    " previous_response_id prompt_cache_key prompt_cache_retention reasoning safety_identifier store stream"
    " stream_options temperature text tool_choice tools top_logprobs top_p truncation user"
)
_MESSAGES = _words(
    "cache_control context_management max_tokens messages metadata model output_config output_format"
    " stop_sequences stream system temperature thinking tool_choice tools top_k top_p"
)
_GEMINI = _words(
    "contents generationConfig generation_config labels safetySettings safety_settings systemInstruction"
    " system_instruction toolConfig tool_config tools"
)
_FIELDS: Mapping[str, frozenset[str]] = {
    "/v1/chat/completions": _CHAT,
    "/v1/responses": _RESPONSES,
    "/v1/messages": _MESSAGES,
    "/v1/messages/count_tokens": _MESSAGES,
}
_READ = ("messages", "input", "system", "contents", "systemInstruction", "system_instruction")
"""The fields that a model reads, which may hold pictures and files."""

_CLIENT_TOOLS: Mapping[ModelApi, tuple[str, ...]] = {
    "openai": ("function", "custom", "local_shell"),
    "anthropic": ("custom", "bash_", "text_editor_", "memory_", "tool_search_tool_"),
    "gemini": ("functionDeclarations", "function_declarations"),
}
"""Types of tools that the coding agent carries out, or their beginnings."""

_FETCHED = ("image_url", "video_url", "audio_url", "file_url")
_OF_ACCOUNT = ("file_id", "fileData", "file_data_uri", "file_uri", "fileUri")
_SOURCES = ("base64", "text", "content")
_ARGUMENTS = ("tool_use", "server_tool_use")

_BETAS = ("code-execution", "fast-mode", "files-api", "mcp-client", "skills", "web-fetch", "web-search")
"""Beginnings of Anthropic's betas that are not passed on."""


class AddressRefused(BadInput):
    """The request has the vendor fetch something by its address."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the vendor may get it, and the names of what was left out of it."""

    body: dict[str, Any]
    left_out: tuple[str, ...] = field(default=())


def permitted(api: ModelApi, path: str, body: Mapping[str, Any]) -> Asked:
    """Return what of a request is permitted.

    Raises:
        AddressRefused: what the model is to read has an address, or a file of the account.
    """
    known = _GEMINI if api == "gemini" else _FIELDS[path]
    kept = {name: value for name, value in body.items() if name in known}
    left_out = [name for name in body if name not in known]
    for name in _READ:
        _check_read(kept.get(name))
    if "tools" in kept:
        kept["tools"] = _client_tools(api, kept["tools"], left_out)
        if not kept["tools"]:  # vendors refuse an empty list
            del kept["tools"]
    return Asked(kept, tuple(left_out))


def betas(value: str) -> str:
    """Return the value of the header `anthropic-beta` without those that give the model tools of the vendor."""
    words = (word.strip() for word in value.split(","))
    return ",".join(word for word in words if word and not word.startswith(_BETAS))


def _client_tools(api: ModelApi, tools: object, left_out: list[str]) -> list[dict[str, Any]]:
    """Return the tools that the coding agent carries out, and note the others as left out."""
    kept = []
    for tool in tools if isinstance(tools, list) else ():
        if not isinstance(tool, dict):
            continue
        if api == "gemini":
            left_out += [f"tool {name}" for name in tool if name not in _CLIENT_TOOLS[api]]
            if ours := {name: value for name, value in tool.items() if name in _CLIENT_TOOLS[api]}:
                kept.append(ours)
            continue
        kind = str(tool.get("type") or ("custom" if api == "anthropic" else ""))
        if kind == "namespace":  # a group of tools with a name, at OpenAI
            kept.append({**tool, "tools": _client_tools(api, tool.get("tools"), left_out)})
        elif any(kind == one or (one.endswith("_") and kind.startswith(one)) for one in _CLIENT_TOOLS[api]):
            kept.append(tool)
        else:
            left_out.append(f"tool {kind}")
    return kept


def _check_read(value: object) -> None:
    """Refuse addresses and files of the account, at any depth, but not in arguments and results of tools."""
    waiting: list[object] = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        if not isinstance(part, dict):
            continue
        _check_part(part)
        hidden = "input" if part.get("type") in _ARGUMENTS else None
        waiting += [
            inner for name, inner in part.items() if name not in (hidden, "functionCall", "function_call", "args")
        ]


def _check_part(part: Mapping[str, Any]) -> None:
    for name in _FETCHED:
        if (given := part.get(name)) is not None:
            address = given.get("url") if isinstance(given, dict) else given
            if not (isinstance(address, str) and address.startswith("data:")):
                raise AddressRefused(f"{name} must be a data: address; Soulcaster lets the model fetch nothing.")
    for name in _OF_ACCOUNT:
        if part.get(name):
            raise AddressRefused(f"{name} is not permitted; Soulcaster lets the model read no file of its vendor's.")
    source = part.get("source")
    if isinstance(source, dict) and "type" in source and source["type"] not in _SOURCES:
        raise AddressRefused("A source must be in the request; Soulcaster lets the model fetch nothing.")
