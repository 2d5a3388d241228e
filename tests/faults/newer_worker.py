"""A worker of a newer minor version: all that it sends has fields that this version does not know."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.ports.messaging import Outgoing
from soulcaster.processes.settings import load_settings
from soulcaster.processes.worker import run_worker
from soulcaster.wire.topics import DEAD_LETTERS


def newer(value: Any) -> Any:
    """Return a JSON value with a field more in each object that travels as a whole."""
    if not isinstance(value, dict):
        return value
    parts = {name: [newer(one) for one in part] for name, part in value.items() if isinstance(part, list)}
    return {**value, **parts, "of_the_next_minor": {"more": [1, None]}}


_publish = KafkaPublisher.publish


async def publish(self: KafkaPublisher, messages: Sequence[Outgoing]) -> None:
    """Publish messages as the newer version makes them; dead letters stay as they came."""
    sent = [
        m
        if m.topic == DEAD_LETTERS.name or not m.value
        else dataclasses.replace(m, value=json.dumps(newer(json.loads(m.value))).encode())
        for m in messages
    ]
    await _publish(self, sent)


if __name__ == "__main__":
    KafkaPublisher.publish = publish  # type: ignore[method-assign]
    run_worker(load_settings(Path(sys.argv[1])))
