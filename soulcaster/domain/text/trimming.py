"""Removing what an author did not write: quoted replies, signatures, most frames of a stack trace, dumps.

Text is read line by line, in time proportional to its length. A text of which nothing would be left stays as it is.
"""

import re

from soulcaster.domain.text.replies import said, without_replies
from soulcaster.domain.text.traces import without_frames

_LONG_LINE = 400
_SPACES_PER_CHAR = 25
_LINE_SHOWN = 120

_DUMP = re.compile(r"(?:(?:0x)?[0-9a-fA-F]{4,16}[:|]?\s{1,8})?(?:[0-9a-fA-F]{2,8}[ \t]{1,4}){6,}+.{0,40}$")
_LOG_TIME = re.compile(
    r"[12](?<!\w.)\d{3}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?"
    r"(?: ?(?:Z|UTC|GMT)\b)?(?: ?[+-]\d\d:?\d\d\b)?"
    r"|\[\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\]"
)
_BLOB = re.compile(r"(?:data:[\w/+.;=-]{1,100},)?(?<![A-Za-z0-9+/=])[A-Za-z0-9+/=]{60,}+")


def trimmed(text: str) -> str:
    """Return the author's own lines and the useful frames of stack traces; the whole text if nothing is left."""
    lines = _without_machines(without_replies(text.split("\n")))
    return "\n".join(lines) if said(lines) else text


def _without_machines(lines: list[str]) -> list[str]:
    """Return the lines without dumps and most frames, and with blobs, log times and the ends of long lines cut."""
    kept = without_frames(lines)
    return [_shortened(line) for line in kept if not _DUMP.match(line.strip())]


def _shortened(line: str) -> str:
    if len(line) > _LONG_LINE and line.isascii() and line.count(" ") * _SPACES_PER_CHAR < len(line):
        line = line[:_LINE_SHOWN]  # minified, or data
    if len(line) >= 10 and ":" in line:
        line = _LOG_TIME.sub("", line)
    return _BLOB.sub(" ", line) if len(line) >= 60 else line
