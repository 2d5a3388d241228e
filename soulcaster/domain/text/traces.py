"""Of every stack trace the frames that say most: the application's own, nearest to the fault."""

import re
from dataclasses import dataclass, field, replace

from soulcaster.domain.text.frames import Frame, is_furniture, is_theirs, read_frame, read_symbol

FRAMES = 3
"""Frames kept of a stack trace."""

_NEWEST_LAST = "most recent call last"
_UNDERLINE = re.compile(r"[\s^~|]+$")
_IN_GROUP = re.compile(r"\s{0,80}(?:\| ?|\+ (?=Exception Group))")
_RULE_OF_GROUP = re.compile(r"\s{0,80}\+[-+]{2,}(?: \d{1,6} -+)?\s*$")


@dataclass(slots=True)
class _Trace:
    """Frames that follow each other, in the order they are printed."""

    frames: list[Frame] = field(default_factory=list)
    is_newest_last: bool = False
    indent: int | None = None
    """How far in the last frame is, if its source follows on lines that are further in, as Python prints it."""

    def kept(self) -> list[str]:
        """Return the frames to keep, in the order they are printed; equal ones once."""
        newest_first = self.frames[::-1] if self.is_newest_last else self.frames
        texts = list(dict.fromkeys(frame.text for frame in newest_first if frame.is_ours))[:FRAMES]
        texts = texts or [frame.text for frame in newest_first[:1]]
        return texts[::-1] if self.is_newest_last else texts

    def has_source(self, line: str) -> bool:
        """Return whether a line is the source of the last frame, or underlines it."""
        return self.indent is not None and (_indent(line) > self.indent or _UNDERLINE.match(line) is not None)


def without_frames(lines: list[str]) -> list[str]:
    """Return the lines with at most `FRAMES` frames of each stack trace; all that is no frame stays.

    What is thrown and what it says are no frames, so of a chain or a group of exceptions each one stays.
    """
    if any("Exception Group Traceback" in line for line in lines):
        lines = [_IN_GROUP.sub("", line, count=1) for line in lines if not _RULE_OF_GROUP.match(line)]
    lines = [*lines, ""]
    frames = [*map(read_frame, lines), None]
    if not any(frames):
        return lines[:-1]
    kept: list[str] = []
    trace = _Trace()
    at = 0
    while at < len(lines) - 1:
        line = lines[at]
        if trace.has_source(line):
            at += 1
            continue
        frame, used = _frame_at(lines, frames, at, is_beside=bool(trace.frames))
        if frame is not None:
            trace.frames.append(frame)
            trace.indent = _indent(line) if line.lstrip().startswith('File "') else None
            trace.is_newest_last = trace.is_newest_last or trace.indent is not None
        elif is_furniture(line) and (trace.frames or _frame_at(lines, frames, at + 1, is_beside=True)[0] is not None):
            trace.is_newest_last = trace.is_newest_last or _NEWEST_LAST in line
        else:
            kept += trace.kept()
            trace = _Trace()
            kept.append(line)
        at += used
    return kept + trace.kept()


def _frame_at(lines: list[str], frames: list[Frame | None], at: int, *, is_beside: bool) -> tuple[Frame | None, int]:
    """Return the frame that begins on a line, if one does, and how many lines it takes.

    `is_beside` says whether the line before belongs to a trace.
    """
    frame, following = frames[at], frames[at + 1]
    symbol = read_symbol(lines[at])
    if symbol is not None and following is not None and not following.symbol:
        is_ours = following.is_ours and not is_theirs(symbol)
        return replace(following, symbol=symbol, is_ours=is_ours), 2
    if frame is not None and (frame.is_marked or is_beside or following is not None):
        return frame, 1
    if symbol is not None and is_beside and frame is None:
        return Frame(symbol, "", not is_theirs(symbol), is_marked=False), 1
    return None, 1


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
