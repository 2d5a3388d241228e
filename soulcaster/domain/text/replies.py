# ruff: noqa: RUF001  full-width colons and stops
"""Removing what an author did not write: quoted replies, their introductions and headers, signatures.

Mail programs write the same few shapes in every language, so shape decides first: a line that ends in a colon after a
date and an address introduces a quotation; a block of labelled lines with an address and a time is the header of one.
Where there is no address in it, words decide (mail_words.py).
Text is read line by line, in time proportional to its length.
"""

import re

from soulcaster.domain.text.mail_words import DATED_START, FORWARDED, FROM, ORIGINAL, SENT, SENT_FROM, WROTE

_LOOKED_AT = 300
"""Characters of a line, or of the lines of an introduction, that are read."""

_SIGNATURE_LINES = 8
_HEADER_LINES = 10
_DATE_FIRST = 24
"""An introduction in a language that is not known begins with its date: its first digit is among these characters."""

_AROUND = " \t\r\u00a0\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069"
"""Blanks and marks of direction, which mail programs put around a line of a language that is written leftwards."""

WORD = re.compile(r"\w{2,}")

# ---- introductions: "On 3 Nov 2026 at 10:00, Kim <kim@example.com> wrote:" -----------------------------------------

_ADDRESS = re.compile(r"[^\s<>@]{1,64}@[^\s<>@]{1,255}|\[email\]")
_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)|\d{1,2}[./-]\d{1,2}[./-]\d{2}(?!\d)")
_TIME = re.compile(r"(?<!\d)\d{1,2}[:.h時点시]\s?\d{2}(?!\d)")
_SENTENCE_END = re.compile(r"[.!?。！？]$")

# ---- headers -----------------------------------------------------------------------------------------------------

_LABEL = re.compile(r"\*?([^\W\d_][^:：\n<>@]{0,24}?)\s?[:：]\*?(?:\s+|$|(?<=：))(.*)")
_NAMED_ADDRESS = re.compile(r"[^\s<\[].{0,120}(?:<[^<>]{0,40}(?:@|\[email\])|\[mailto:)")

_DASHED = re.compile(r"[-_=]{3,80}+((?:[^-_=\n]|[-_=](?![-_=])){4,60}+)[-_=]{3,80}+\s?$")
_BEGIN_FORWARDED = re.compile(
    r"(?:Begin forwarded message|Anfang der weitergeleiteten Nachricht|Début du message .{4,40}):$"
)
_REPLY_ABOVE = re.compile(r"#{1,3}-.{4,200}-#{1,3}$")


def without_replies(lines: list[str]) -> list[str]:
    """Return the lines without quoted replies, their introductions and the signature; all if nothing is left.

    A forwarded message stays: it is what the author wants to say.
    """
    own: list[str] = []
    speaking = 0  # lines of `own` that have a word
    before = ""  # the last line that is neither empty nor quoted
    cited = False
    forwarded = -1  # lines up to this one are the header of a forwarded message
    for at, line in enumerate(lines):
        bare = line.strip(_AROUND)
        if bare.startswith(">"):
            # After a line that ends in a colon the author cites something: an error message, say.
            cited = cited or before.endswith(":")
            if cited:
                own.append(bare.lstrip("> "))
                speaking += WORD.search(own[-1]) is not None
            continue
        if _begins_forwarded(bare):
            forwarded, before = at + 1 + _header_length(lines, at + 1), ""
            continue
        if at < forwarded:
            continue
        if speaking and _nothing_follows(line, bare, lines, at):
            break
        if bare.endswith((":", "：")) and (length := _introduction_length(bare, own, quoted := _quoted(lines, at))):
            introducing = own[len(own) - length + 1 :]
            del own[len(own) - length + 1 :]
            speaking -= sum(WORD.search(part) is not None for part in introducing)
            before = ""
            if speaking and not quoted:
                break
            continue
        if SENT_FROM.match(bare[:_LOOKED_AT]):
            continue
        if bare:
            cited, before = False, bare
        own.append(line)
        speaking += WORD.search(line) is not None
    return own if speaking else lines


def said(lines: list[str]) -> bool:
    """Return whether the lines have a word."""
    return any(WORD.search(line) for line in lines)


def _quoted(lines: list[str], at: int) -> bool:
    """Return whether one of the next two lines is marked as quoted."""
    return any(following.lstrip().startswith(">") for following in lines[at + 1 : at + 3])


def _introduction_length(bare: str, own: list[str], quoted: bool) -> int:
    """Return how many lines introduce a quotation, of which `bare` is the last; zero if it introduces none."""
    joined = bare[-_LOOKED_AT:]
    if _introduces(joined, quoted):
        return 1
    for length in (2, 3):
        previous = own[-length + 1].strip() if len(own) >= length - 1 else ""
        if not previous or len(previous) > _LOOKED_AT or _SENTENCE_END.search(previous):
            return 0
        joined = f"{previous} {joined}"
        if len(joined) <= _LOOKED_AT and _introduces(joined, quoted):
            return length
    return 0


def _introduces(line: str, quoted: bool) -> bool:
    """Return whether a line that ends in a colon says who wrote what follows, and when."""
    year, wrote = _YEAR.search(line), WROTE.search(line)
    address = _ADDRESS.search(line) is not None
    timed, begins = _TIME.search(line) is not None, DATED_START.match(line) is not None
    if wrote is not None:
        return begins or (timed and address) or (year is not None and (timed or address or quoted))
    if year is None or not timed or not (address or quoted):
        return False
    return quoted or any(map(str.isdigit, line[:_DATE_FIRST]))


def _nothing_follows(line: str, bare: str, lines: list[str], at: int) -> bool:
    """Return whether a line begins the original message or a signature."""
    if bare == "--" and (line == "-- " or not lines[at - 1].strip()):
        return len(lines) - at - 1 <= _SIGNATURE_LINES
    if bare.startswith(("---", "___", "===")):
        dashed = _DASHED.match(bare[:_LOOKED_AT])
        return dashed is not None and ORIGINAL.search(dashed[1]) is not None
    if bare.startswith("#"):
        return _REPLY_ABOVE.match(bare[:_LOOKED_AT]) is not None
    return _begins_header(bare, lines, at)


def _begins_forwarded(bare: str) -> bool:
    if bare.startswith("---"):
        dashed = _DASHED.match(bare[:_LOOKED_AT])
        return dashed is not None and FORWARDED.search(dashed[1]) is not None
    return bare.endswith(":") and _BEGIN_FORWARDED.match(bare[:_LOOKED_AT]) is not None


def _begins_header(bare: str, lines: list[str], at: int) -> bool:
    """Return whether a line is the first of a header: who wrote, when, to whom, about what."""
    first = _LABEL.match(bare[:_LOOKED_AT])
    if first is None:
        return False
    known, addressed = first[1].casefold() in FROM, _NAMED_ADDRESS.match(first[2]) is not None
    labelled = _labelled(lines, at + 1) if known or addressed else []
    if known and any(label in SENT for label, _ in labelled):
        return True
    return addressed and len(labelled) > 1 and any(_YEAR.search(said) or _TIME.search(said) for _, said in labelled)


def _labelled(lines: list[str], at: int) -> list[tuple[str, str]]:
    """Return the labels and values of the labelled lines from here on, up to one without a label."""
    found = []
    for line in lines[at : at + _HEADER_LINES]:
        label = _LABEL.match(line.strip()[:_LOOKED_AT])
        if label is not None:
            found.append((label[1].casefold(), label[2]))
        elif line.strip():
            break
    return found


def _header_length(lines: list[str], at: int) -> int:
    """Return how many lines from here on are the header of a forwarded message."""
    labelled = 0
    for count, line in enumerate(lines[at : at + _HEADER_LINES]):
        if _LABEL.match(line.strip()[:_LOOKED_AT]) is not None:
            labelled = count + 1
        elif line.strip() and labelled:
            break
    return labelled
