"""What a command prints, as lines that people may see."""

import re
from collections import deque
from collections.abc import Callable

from soulcaster.domain.text.normalize import visible

LINE_BYTES = 16 * 1024
TAIL_BYTES = 16 * 1024

_RAW_BYTES = 4 * LINE_BYTES
"""How much of a line is kept before it is cleaned, which makes it shorter."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Lines:
    """Takes output as it comes, and gives lines without control characters, each cut at `LINE_BYTES`.

    A lone carriage return ends a line too: a progress bar becomes a line for each of its states. What is kept does not
    grow with the output. `count` is the number of lines so far.
    """

    def __init__(self, on_line: Callable[[str], None] | None = None) -> None:
        self.count = 0
        self._on_line = on_line
        self._line = bytearray()
        self._after_return = False
        self._last: deque[tuple[str, int]] = deque()
        self._last_bytes = 0

    def take(self, data: bytes) -> None:
        """Take a piece of output."""
        if not data:
            return
        if self._after_return and data.startswith(b"\n"):
            data = data[1:]
        self._after_return = data.endswith(b"\r")
        *whole, rest = _LINE_END.split(data)
        for part in whole:
            self._add(part)
            self._give()
        self._add(rest)

    def end(self) -> None:
        """Give the last line, if it did not end."""
        if self._line:
            self._give()

    def tail(self) -> str:
        """Return the last lines, at most `TAIL_BYTES`."""
        text = "\n".join(line for line, _ in self._last)
        return text.encode()[-TAIL_BYTES:].decode(errors="ignore")

    def _add(self, part: bytes) -> None:
        room = _RAW_BYTES - len(self._line)
        if room > 0:
            self._line += part[:room]

    def _give(self) -> None:
        line = _clean(bytes(self._line))
        self._line.clear()
        self.count += 1
        size = len(line.encode()) + 1
        self._last.append((line, size))
        self._last_bytes += size
        while self._last_bytes - self._last[0][1] > TAIL_BYTES:
            self._last_bytes -= self._last.popleft()[1]
        if self._on_line is not None:
            self._on_line(line)


def _clean(line: bytes) -> str:
    text = line.decode(errors="replace")
    if not (text.isascii() and text.isprintable()):
        text = _CONTROL.sub("", visible(text))
    return text.encode()[:LINE_BYTES].decode(errors="ignore")
