"""What commands print that is no table: lines and JSON, escaped for a terminal.

Nothing else in `cli/` writes to stdout or stderr. Names, titles, logs and reasons are strangers' words, and a terminal
acts on some characters: it would move its cursor, change its title, or show a text backwards.
"""

import json
import sys
from typing import Any

from soulcaster.domain.text.normalize import escaped


def say(text: str, *, err: bool = False, end: str = "\n") -> None:
    """Print text on stdout, or on stderr."""
    stream = sys.stderr if err else sys.stdout
    if stream is not None:  # a program that was started with neither has nowhere to write
        stream.write(escaped(text) + end)


def say_json(value: Any) -> None:
    """Print a JSON value with indentation; what JSON has no form for, such as a time, is printed as a string."""
    say(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def say_json_line(value: Any) -> None:
    """Print a JSON value on one line."""
    say(json.dumps(value, ensure_ascii=False, default=str))
