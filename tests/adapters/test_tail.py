import json
from dataclasses import dataclass
from typing import Any

import pytest

from soulcaster.adapters.kafka.tail import json_line


@dataclass
class Consumed:
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int = 3
    offset: int = 7
    timestamp: int = 1_700_000_000_123


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (Consumed(b"k", b'{"a": [1, "\xc3\xbc"]}'), {"key": "k", "headers": [], "value": {"a": [1, "ü"]}}),
        (Consumed(b"\xff", b"no json"), {"key_base64": "/w==", "headers": [], "value_base64": "bm8ganNvbg=="}),
        (Consumed(value=b'{"n": 1e999}'), {"key": None, "headers": [], "value_base64": "eyJuIjogMWU5OTl9"}),
        (Consumed(value=b"[NaN]"), {"key": None, "headers": [], "value_base64": "W05hTl0="}),
        (Consumed(), {"key": None, "headers": [], "value": None}),
        (Consumed(value=b""), {"key": None, "headers": [], "value_base64": ""}),
        (
            Consumed(value=b"1", headers=(("why", b"bad"), ("raw", b"\xff"))),
            {
                "key": None,
                "headers": [{"name": "why", "value": "bad"}, {"name": "raw", "value_base64": "/w=="}],
                "value": 1,
            },
        ),
    ],
)
def test_a_message_is_one_line_of_json(message: Any, shown: dict[str, Any]) -> None:
    text = json_line(message)
    assert text.count("\n") == 1
    place = {"partition": 3, "offset": 7, "timestamp": "2023-11-14T22:13:20.123+00:00"}
    assert json.loads(text) == {**place, **shown}
