"""Tokens of a call, from responses that come in pieces cut anywhere."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.fixes.order import ModelApi
from soulcaster.fixer.model_proxy.metering import BYTES_PER_TOKEN, Meter, Usage

CHAT: list[dict[str, Any]] = [
    {"choices": [{"delta": {"content": "é" * 40}}]},
    {"choices": [], "usage": None},
    {
        "choices": [],
        "usage": {"prompt_tokens": 120, "completion_tokens": 30, "prompt_tokens_details": {"cached_tokens": 100}},
    },
]
RESPONSES: list[dict[str, Any]] = [
    {"type": "response.output_text.delta", "delta": "x"},
    {
        "type": "response.completed",
        "response": {
            "usage": {"input_tokens": 120, "output_tokens": 30, "input_tokens_details": {"cached_tokens": 100}}
        },
    },
]
MESSAGES = [
    {
        "type": "message_start",
        "message": {
            "usage": {
                "input_tokens": 15,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 5,
                "output_tokens": 1,
            }
        },
    },
    {"type": "content_block_delta", "delta": {"text": "x"}},
    {"type": "message_delta", "usage": {"output_tokens": 30}},
]
GEMINI = [
    {"candidates": [], "usageMetadata": {"promptTokenCount": 120, "candidatesTokenCount": 3}},
    {
        "candidates": [],
        "usageMetadata": {
            "promptTokenCount": 120,
            "candidatesTokenCount": 10,
            "thoughtsTokenCount": 20,
            "cachedContentTokenCount": 100,
        },
    },
]
STREAMS: list[tuple[ModelApi, list[dict[str, Any]], Usage]] = [
    ("openai", CHAT, Usage(120, 30, 100)),
    ("openai", RESPONSES, Usage(120, 30, 100)),
    ("anthropic", MESSAGES, Usage(120, 30, 100, 5)),
    ("gemini", GEMINI, Usage(120, 30, 100)),
]


def sse(events: list[dict[str, Any]], end: str = "\n\n") -> bytes:
    lines = "".join(f"event: x{end[0]}data: {json.dumps(event, ensure_ascii=False)}{end}" for event in events)
    return (lines + f"data: [DONE]{end}").encode()


@pytest.mark.parametrize(("api", "events", "usage"), STREAMS)
@given(cuts=st.lists(st.integers(0, 900)), carriage=st.booleans())
def test_a_stream_cut_anywhere(
    api: ModelApi, events: list[dict[str, Any]], usage: Usage, cuts: list[int], carriage: bool
) -> None:
    data = sse(events).replace(b"\n", b"\r\n") if carriage else sse(events)
    meter = Meter(api, sse=True, asked_bytes=9)
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for begin, end in pairwise(places):
        meter.take(data[begin:end])
    meter.is_whole = True
    assert (meter.end(), meter.estimates) == (usage, False)


@pytest.mark.parametrize(
    ("api", "body", "usage"),
    [
        ("openai", {"usage": {"prompt_tokens": 7, "completion_tokens": 2}}, Usage(7, 2)),
        ("anthropic", {"usage": {"input_tokens": 7, "output_tokens": 2}}, Usage(7, 2)),
        ("gemini", GEMINI, Usage(120, 30, 100)),
    ],
)
def test_a_whole_response(api: ModelApi, body: object, usage: Usage) -> None:
    meter = Meter(api, sse=False, asked_bytes=9)
    meter.take(json.dumps(body).encode())
    meter.is_whole = True
    assert meter.end() == usage


@pytest.mark.parametrize("data", [b"", b"data: {", b"data: [1, 2]\n", b'data: {"usage": {"prompt_tokens": -1}}\n'])
@pytest.mark.parametrize("stream", [True, False])
def test_without_a_word_of_the_vendor_bytes_are_counted(data: bytes, stream: bool) -> None:
    meter = Meter("openai", sse=stream, asked_bytes=300)
    meter.take(data)
    meter.is_whole = True
    usage = meter.end()
    assert meter.estimates
    assert usage.tokens_in >= 300 // BYTES_PER_TOKEN
    assert usage.tokens_out >= (0 if stream else len(data) // BYTES_PER_TOKEN)


TEXT = "forty bytes of what the model has written"
PIECES: list[tuple[ModelApi, dict[str, Any]]] = [
    ("openai", {"choices": [{"delta": {"content": TEXT}}]}),
    ("openai", {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": TEXT}}]}}]}),
    ("openai", {"type": "response.output_text.delta", "delta": TEXT}),
    ("anthropic", {"type": "content_block_delta", "delta": {"type": "text_delta", "text": TEXT}}),
    ("anthropic", {"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": TEXT}}),
    ("gemini", {"candidates": [{"content": {"parts": [{"text": TEXT}]}}]}),
]


@pytest.mark.parametrize(("api", "piece"), PIECES)
@pytest.mark.parametrize("whole", [True, False])
def test_a_stream_that_ends_before_its_count_is_counted_by_its_text(
    api: ModelApi, piece: dict[str, Any], whole: bool
) -> None:
    meter = Meter(api, sse=True, asked_bytes=300)
    meter.take(sse([MESSAGES[0], *[piece] * 100]))
    meter.is_whole = whole
    assert len(TEXT) * 100 // BYTES_PER_TOKEN < meter.end().tokens_out < len(TEXT) * 200 // BYTES_PER_TOKEN


def test_an_early_count_of_a_stream_that_breaks_off_is_not_believed() -> None:
    meter = Meter("gemini", sse=True, asked_bytes=300)
    meter.take(sse([GEMINI[0], {"candidates": [{"content": {"parts": [{"text": TEXT * 100}]}}]}]))
    assert meter.end().tokens_out > 1_000
    assert meter.estimates


@given(st.binary(max_size=400), st.sampled_from(["openai", "anthropic", "gemini"]), st.booleans())
def test_no_response_makes_it_raise(data: bytes, api: ModelApi, stream: bool) -> None:
    meter = Meter(api, sse=stream, asked_bytes=1)
    meter.take(data)
    assert meter.end().tokens_in >= 0
