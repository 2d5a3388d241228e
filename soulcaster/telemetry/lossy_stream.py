"""Output that may be lost: what cannot be written, as on a full disk, is counted, and never fails who writes it."""

import io
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, TextIO

Name = Literal["stdout", "stderr"]


class LossyStream(io.TextIOBase):
    """Writes to another stream as far as that takes it; `lost` is called for each write that fails."""

    def __init__(self, stream: TextIO | None, lost: Callable[[], None]) -> None:
        """`stream` is None where the process was started without one: then all is lost, and nothing counted."""
        self.inner = stream
        self._lost = lost

    def write(self, text: str) -> int:
        """Write what can be written; return its whole length in any case."""
        try:
            if self.inner is not None:
                self.inner.write(text)
        except (OSError, ValueError):  # ValueError: it was closed
            self._lost()
        return len(text)

    def flush(self) -> None:
        """Write what waits, if that can be written; a line that waits was counted as lost already."""
        with suppress(OSError, ValueError):
            if self.inner is not None:
                self.inner.flush()

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return whether the other stream is a terminal."""
        return self.inner is not None and not self.inner.closed and self.inner.isatty()

    def fileno(self) -> int:
        """Return the file descriptor of the other stream."""
        return super().fileno() if self.inner is None else self.inner.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the other stream."""
        return "utf-8" if self.inner is None else self.inner.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """What the other stream does with characters that its encoding has not."""
        return None if self.inner is None else self.inner.errors


def may_lose(*names: Name, lost: Callable[[], None] = lambda: None) -> None:
    """Let these streams of this process lose what cannot be written; also when Python flushes them at its end."""
    for name in names:
        stream: TextIO | None = getattr(sys, name)
        inner = stream.inner if isinstance(stream, LossyStream) else stream
        if isinstance(inner, io.TextIOWrapper):
            inner.reconfigure(line_buffering=True)
        setattr(sys, name, LossyStream(inner, lost))
