"""The payloads under fixtures/, and outcomes as they are written there."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from soulcaster.domain.sources import SOURCES, SourceChange

FIXTURES = Path(__file__).with_name("fixtures")

PRIVATE = ("private@example.com", "Pat Private", "pat-private", "203.0.113.7")
"""What stands in fixtures for personal data: none of it may be in an outcome."""


@dataclass(frozen=True)
class Captured:
    """What a vendor sent, and what is expected to come of it: outcomes, or {"error": the reason}."""

    source: str
    name: str
    about: str
    headers: dict[str, str]
    payload: Any
    expected: Any

    def outcomes(self) -> Sequence[SourceChange]:
        return SOURCES[self.source].parse(self.headers, self.payload)


def load(source: str, name: str) -> Captured:
    return Captured(source, name, **json.loads((FIXTURES / source / f"{name}.json").read_text("utf-8")))


CAPTURED = [load(path.parent.name, path.stem) for path in sorted(FIXTURES.glob("*/*.json"))]


def as_written(outcomes: Sequence[SourceChange]) -> list[dict[str, Any]]:
    """Return outcomes as fixtures have them: named, times as ISO 8601, without what is None or empty."""
    written = []
    for outcome in outcomes:
        values = {field.name: getattr(outcome, field.name) for field in fields(outcome)}
        said = {name: value for name, value in values.items() if value not in (None, {})}
        as_json = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in said.items()}
        written.append({type(outcome).__name__.lower(): as_json})
    return written
