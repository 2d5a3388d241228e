"""Removing what an author did not write: quoted replies, signatures, most frames of a stack trace, dumps.

Text is read line by line, in time proportional to its length. A text of which nothing would be left stays as it is.
"""

import re
from itertools import islice

from soulcaster.domain.text.traces import without_frames

_FEWEST_WORDS = 5
"""A shorter reply keeps its quotation, which it needs to be understood."""

_SIGNATURE_LINES = 8
_LONG_LINE = 400
_SPACES_PER_CHAR = 25
_LINE_SHOWN = 120

_WORD = re.compile(r"\w{2,}")

_ATTRIBUTION_END = re.compile(
    r"(?:wrote|schrieb[^:]{0,80}|a écrit|escribió|escreveu|ha scritto|schreef[^:]{0,80}|skrev[^:]{0,80}"
    r"|napisał\(?a?\)?)\s?:$"
)
_ATTRIBUTION_START = re.compile(r"(?:On|Am|Le|El|Em|Il|Op|Den|W dniu) .{0,40}\d")
_ORIGINAL = re.compile(
    r"-{4,} ?(?:Original Message|Ursprüngliche Nachricht|Message d'origine|Mensaje original) ?-{4,}$", re.IGNORECASE
)
_FORWARDED = re.compile(r"-{4,} ?Forwarded message ?-{4,}$|Begin forwarded message:$", re.IGNORECASE)
_FROM = re.compile(r"\*?(?:From|Von|De|Da)\s?:\*?\s")
_SENT = re.compile(r"\*?(?:Sent|Gesendet|Envoyé|Enviado|Enviada em|Inviato|Date|Datum)\s?:\*?\s")
_SENT_FROM = re.compile(r"(?:Sent from my|Get Outlook for|Von meinem|Envoyé de mon|Enviado desde mi) .{1,40}$")

_DUMP = re.compile(r"(?:(?:0x)?[0-9a-fA-F]{4,16}[:|]?\s{1,8})?(?:[0-9a-fA-F]{2,8}[ \t]{1,4}){6,}+.{0,40}$")
_LOG_TIME = re.compile(
    r"[12](?<!\w.)\d{3}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?"
    r"(?: ?(?:Z|UTC|GMT)\b)?(?: ?[+-]\d\d:?\d\d\b)?"
    r"|\[\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\]"
)
_BLOB = re.compile(r"(?:data:[\w/+.;=-]{1,100},)?(?<![A-Za-z0-9+/=])[A-Za-z0-9+/=]{60,}+")


def trimmed(text: str) -> str:
    """Return the author's own lines and the useful frames of stack traces; the whole text if nothing is left."""
    lines = _without_machines(_without_replies(text.split("\n")))
    return "\n".join(lines) if _says(lines, 1) else text


def _says(lines: list[str], words: int) -> bool:
    """Return whether the lines have at least `words` words."""
    found = (word for line in lines for word in _WORD.finditer(line))
    return sum(1 for _ in islice(found, words)) == words


# ---- replies -----------------------------------------------------------------------------------------------------


def _without_replies(lines: list[str]) -> list[str]:
    """Return the lines without quoted replies, their introductions and the signature; all lines if little is left."""
    own: list[str] = []
    before = ""  # the last line that is neither empty nor quoted
    cited = replied = False
    for at, line in enumerate(lines):
        bare = line.strip()
        if bare.startswith(">"):
            # After a line that ends in a colon the author cites something: an error message, say.
            cited = cited or before.endswith(":")
            if cited:
                own.append(bare.lstrip("> "))
            replied = replied or not cited
            continue
        if own and _nothing_follows(line, bare, lines, at):
            replied = True
            break
        if bare.endswith(":") and _ATTRIBUTION_END.search(bare[-120:]):
            wrapped = not _ATTRIBUTION_START.match(bare)
            if not wrapped or _ATTRIBUTION_START.match(before):
                if wrapped:
                    own.pop()
                replied, before = True, ""
                if own and not any(following.lstrip().startswith(">") for following in lines[at + 1 : at + 3]):
                    break
                continue
        if _FORWARDED.match(bare) or _SENT_FROM.match(bare):
            continue
        if bare:
            cited, before = False, bare
        own.append(line)
    return own if not replied or _says(own, _FEWEST_WORDS) else lines


def _nothing_follows(line: str, bare: str, lines: list[str], at: int) -> bool:
    """Return whether a line begins the original message or a signature."""
    if bare == "--" and (line == "-- " or not lines[at - 1].strip()):
        return len(lines) - at - 1 <= _SIGNATURE_LINES
    if bare.startswith("----"):
        return _ORIGINAL.match(bare) is not None
    return _FROM.match(bare) is not None and any(_SENT.match(near.strip()) for near in lines[at + 1 : at + 4])


# ---- machines ----------------------------------------------------------------------------------------------------


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
