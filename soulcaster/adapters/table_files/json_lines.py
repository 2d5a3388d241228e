"""Reading the rows of JSON lines."""

import json
from collections.abc import Iterable, Iterator

from soulcaster.ports.rows import Row


def json_rows(lines: Iterable[str]) -> Iterator[Row]:
    """Yield a row for each line that is not blank; one that is no JSON object has a problem."""
    number = 0
    for line_number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        number += 1
        try:
            value = json.loads(line, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            yield Row(number, line_number, problem=f"is not JSON: {error}")
            continue
        if isinstance(value, dict):
            yield Row(number, line_number, value)
        else:
            yield Row(number, line_number, problem="is not a JSON object")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")
