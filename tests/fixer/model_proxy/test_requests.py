"""What a request may ask of a model, and what never reaches the vendor."""

import json
from typing import Any

import pytest

from soulcaster.domain.fixes.order import ModelApi
from soulcaster.fixer.model_proxy.requests import AddressRefused, betas, permitted

FUNCTION = {"type": "function", "function": {"name": "bash", "parameters": {"properties": {"image_url": {}}}}}
DATA = "data:image/png;base64,AAAA"
EVIL = "https://evil.example/?q=code"

PASS: list[tuple[ModelApi, str, dict[str, Any]]] = [
    (
        "openai",
        "/v1/chat/completions",
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": DATA}}]},
                {"role": "user", "content": f"see {EVIL}"},
                {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": '{"file_id": "x"}'}}]},
            ],
            "tools": [FUNCTION],
            "stream": True,
        },
    ),
    (
        "openai",
        "/v1/responses",
        {
            "input": [{"role": "user", "content": [{"type": "input_image", "image_url": DATA}]}],
            "tools": [
                {"type": "function", "name": "f"},
                {"type": "custom", "name": "patch"},
                {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "g"}]},
            ],
            "reasoning": {"effort": "low"},
        },
    ),
    (
        "anthropic",
        "/v1/messages",
        {
            "system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": "AAAA"}}]},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "input": {"source": {"type": "url"}, "image_url": EVIL}}],
                },
            ],
            "tools": [{"name": "edit", "input_schema": {}}, {"type": "bash_20250124", "name": "bash"}],
            "thinking": {"type": "enabled"},
        },
    ),
    (
        "gemini",
        "",
        {
            "contents": [
                {"parts": [{"inlineData": {"data": "AAAA"}}, {"functionCall": {"args": {"fileUri": EVIL}}}]},
            ],
            "tools": [{"functionDeclarations": [{"name": "f"}]}],
            "generationConfig": {"temperature": 0},
        },
    ),
]


@pytest.mark.parametrize(("api", "path", "body"), PASS)
def test_what_coding_agents_ask_passes_as_it_is(api: ModelApi, path: str, body: dict[str, Any]) -> None:
    asked = permitted(api, path, body)
    assert (asked.body, asked.left_out) == (body, ())


LEFT_OUT: list[tuple[ModelApi, str, dict[str, Any], str]] = [
    ("openai", "/v1/responses", {"tools": [{"type": "mcp", "server_url": EVIL}]}, "tool mcp"),
    ("openai", "/v1/responses", {"tools": [{"type": "web_search"}]}, "tool web_search"),
    ("openai", "/v1/responses", {"tools": [{"type": "code_interpreter"}]}, "tool code_interpreter"),
    ("openai", "/v1/responses", {"tools": [{"type": "namespace", "tools": [{"type": "mcp"}]}]}, "tool mcp"),
    ("openai", "/v1/responses", {"background": True}, "background"),
    ("openai", "/v1/responses", {"prompt": {"id": "evil"}}, "prompt"),
    ("openai", "/v1/responses", {"conversation": "evil"}, "conversation"),
    ("openai", "/v1/responses", {"service_tier": "priority"}, "service_tier"),
    ("openai", "/v1/chat/completions", {"web_search_options": {}}, "web_search_options"),
    ("openai", "/v1/chat/completions", {"plugins": [{"id": "web"}]}, "plugins"),
    ("openai", "/v1/chat/completions", {"models": ["dear"]}, "models"),
    ("anthropic", "/v1/messages", {"mcp_servers": [{"url": EVIL}]}, "mcp_servers"),
    ("anthropic", "/v1/messages", {"container": "x"}, "container"),
    ("anthropic", "/v1/messages", {"tools": [{"type": "web_fetch_20250910"}]}, "tool web_fetch_20250910"),
    ("anthropic", "/v1/messages", {"tools": [{"type": "mcp_toolset"}]}, "tool mcp_toolset"),
    ("anthropic", "/v1/messages", {"tools": [{"type": "code_execution_20250825"}]}, "tool code_execution_20250825"),
    ("gemini", "", {"tools": [{"url_context": {}}]}, "tool url_context"),
    ("gemini", "", {"tools": [{"google_search": {}}]}, "tool google_search"),
    ("gemini", "", {"tools": [{"codeExecution": {}, "functionDeclarations": []}]}, "tool codeExecution"),
    ("gemini", "", {"cachedContent": "evil"}, "cachedContent"),
]


@pytest.mark.parametrize(("api", "path", "body", "name"), LEFT_OUT)
def test_what_the_vendor_would_carry_out_is_left_out_and_named(
    api: ModelApi, path: str, body: dict[str, Any], name: str
) -> None:
    asked = permitted(api, path, {"metadata": {}, **body} if api != "gemini" else body)
    assert asked.left_out == (name,)
    assert name.removeprefix("tool ") not in json.dumps(asked.body)


REFUSED: list[tuple[ModelApi, str, dict[str, Any]]] = [
    ("openai", "/v1/chat/completions", {"messages": [{"content": [{"image_url": {"url": EVIL}}]}]}),
    ("openai", "/v1/chat/completions", {"messages": [{"content": [{"image_url": EVIL}]}]}),
    ("openai", "/v1/chat/completions", {"messages": [{"content": [{"video_url": {"url": EVIL}}]}]}),
    ("openai", "/v1/chat/completions", {"messages": [{"content": [{"type": "file", "file": {"file_id": "x"}}]}]}),
    ("openai", "/v1/responses", {"input": [{"content": [{"type": "input_image", "image_url": EVIL}]}]}),
    ("openai", "/v1/responses", {"input": [{"content": [{"type": "input_file", "file_url": EVIL}]}]}),
    ("openai", "/v1/responses", {"input": [{"output": [{"type": "input_file", "file_id": "file-1"}]}]}),
    ("anthropic", "/v1/messages", {"messages": [{"content": [{"source": {"type": "url", "url": EVIL}}]}]}),
    ("anthropic", "/v1/messages", {"messages": [{"content": [{"source": {"type": "file", "file_id": "x"}}]}]}),
    (
        "anthropic",
        "/v1/messages",
        {"messages": [{"content": [{"type": "tool_result", "content": [{"source": {"type": "url", "url": EVIL}}]}]}]},
    ),
    ("anthropic", "/v1/messages/count_tokens", {"system": [{"source": {"type": "url", "url": EVIL}}]}),
    ("gemini", "", {"contents": [{"parts": [{"fileData": {"fileUri": EVIL}}]}]}),
    ("gemini", "", {"system_instruction": {"parts": [{"file_data": {"file_uri": EVIL}}]}}),
]


@pytest.mark.parametrize(("api", "path", "body"), REFUSED)
def test_what_the_vendor_would_fetch_is_refused(api: ModelApi, path: str, body: dict[str, Any]) -> None:
    with pytest.raises(AddressRefused):
        permitted(api, path, body)


def test_a_deep_request_is_read() -> None:
    deep: Any = {"image_url": EVIL}
    for _ in range(900):
        deep = {"content": [deep]}
    with pytest.raises(AddressRefused):
        permitted("openai", "/v1/responses", {"input": deep})


def test_betas_that_give_tools_of_the_vendor_are_left_out() -> None:
    given = (
        "claude-code-20250219, mcp-client-2025-11-20,interleaved-thinking-2025-05-14,web-fetch-2025-09-10,files-api-2"
    )
    assert betas(given) == "claude-code-20250219,interleaved-thinking-2025-05-14"
    assert betas("mcp-client-2025-11-20") == ""
