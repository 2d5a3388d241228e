"""Cleaning of text from any source, so that it can be stored, compared and shown."""

import re
import unicodedata
from functools import cache
from typing import Any, Literal, NamedTuple
from unicodedata import combining, decomposition

TITLE_CHARS = 80
"""Characters of a title made from a text; it is cut at a word."""

GIVEN_TITLE_CHARS = 500
"""Characters of a title that came with the item; a longer one is cut."""

CUT = "…"
"""The end of a title that was cut."""

_TERMINAL = re.compile(
    "(?:\x1b\\[|\x9b(?=[0-?]))[0-?]*+[ -/]*+[@-~]?"
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\n\x1b\x80-\x9f]{0,4096}+(?:\x07|\x1b\\\\|\x9c)"
    "|\x1b(?:[#-/]{1,4}+[0-~]|[78=>c])"
)
"""What a terminal acts on (ECMA-48): colours, cursor movements, a window's title, the address of a link.

A lone U+009B counts only before a parameter: where an encoding was mistaken, it is a quotation mark.
"""

_SENDS_TERMINAL = re.compile("[\x1b\x90\x98\x9b\x9d-\x9f]")

_IN_INVISIBLE = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters but tab and line feed
    "\u00ad\u034f\u180e\u200b\u2060-\u2064\u3164\ufeff\uffa0"  # invisible: soft hyphen, zero-width space, fillers
    "\u202a-\u202e\u2066-\u206f"  # direction overrides, which make text read differently from what it is
    "\ufff9-\ufffb\U000e0000-\U000e007f"  # annotation marks; tag characters, which can hide text
)
_INVISIBLE = re.compile(f"[{_IN_INVISIBLE}]")

_IN_UNSEEN = (
    "\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028\u2029\u2065\u2800\ufe00-\ufe0f\ufff0-\ufff8"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0080-\U000e0fff"
)
"""What some scripts and emoji need between their characters, but nobody sees alone."""

_UNSEEN = re.compile(rf"[\s{_IN_INVISIBLE}{_IN_UNSEEN}]*+")

SEEN = rf"[^\s{_IN_INVISIBLE}{_IN_UNSEEN}]"
"""The pattern of one character that a reader sees."""

_IDEOGRAPHS = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_PICTURES = (
    "\u00a9\u00ae\u203c\u2049\u2100-\u27ff\u2900-\u2bff\u3001-\u303f\u3200-\u33ff\uff01-\uff60\U0001f000-\U0001faff"
)
_VARIED = f"{_IDEOGRAPHS}{_PICTURES}\u1000-\u109f\ua840-\ua87f\U00010ac0-\U00010aff"
"""Characters that have variants: symbols that are emoji or not, ideographs, letters of a few scripts."""

_LONE = (
    f"[{_IN_UNSEEN}](?<![\u200c-\u200f\u2028\u2029\u061c])"
    f"(?<![{_VARIED}][\ufe00-\ufe0f])(?<![{_IDEOGRAPHS}][\U000e0100-\U000e01ef])(?<![#*0-9]\ufe0f(?=\u20e3))"
    "(?<![\u1820-\u18aa][\u180b-\u180d\u180f])"
    "(?<!\u115f(?=[\u1161-\u11a7\ud7b0-\ud7c6]))"
    "(?<![\u1100-\u115e\ua960-\ua97c]\u1160(?=[\u11a8-\u11ff\ud7cb-\ud7fb]))"
    "(?<![\U00013000-\U0001342f][\U00013430-\U0001343f])(?<![\U0001bc00-\U0001bc9f][\U0001bca0-\U0001bca3])"
    "(?<![\U0001d100-\U0001d172\U0001d17b-\U0001d1ff][\U0001d173-\U0001d17a])"
)
"""An unseen character where nothing needs it: a selector without a variant, a filler outside Hangul, a second in a row.

Two names would look the same with and without it, and a row of them can hide a text. Joiners and marks of direction
have rules of their own.
"""

_JOINLESS = "\x21-\u058f\u1100-\u11ff\u3041-\u9fff\uac00-\ud7ff"
_JOINER = (
    f"[\u200c\u200d](?:(?<=[{_JOINLESS}][\u200c\u200d])[\u200c\u200d]*+"
    f"|(?<![\u200c\u200d][\u200c\u200d])[\u200c\u200d]*+(?=[{_JOINLESS}])|(?<=[\u200c\u200d][\u200c\u200d])[\u200c\u200d]*+)"
)
"""Joiners next to letters that do not join, and all but the first of a row; elsewhere emoji and scripts need them.

It begins with what it looks for, because `re` then passes over everything else quickly.
"""

_LONELY = re.compile(_LONE)
_IDLE_JOINER = re.compile(_JOINER)
_UNSAFE = re.compile(f"[\r\u2028\u2029\u061c\u200e\u200f\ud800-\udfff{_IN_INVISIBLE}]|{_LONE}|{_JOINER}")

_MARK = re.compile("[\u061c\u200e\u200f]++")
_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u061b\u061d-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)

_LINE_ENDS = re.compile("\r\n?|\u2028|\u2029")
_SURROGATE = re.compile("[\ud800-\udfff]")


def well_formed(text: str) -> str:
    """Return the text with every lone surrogate (half an emoji) as U+FFFD; UTF-8 cannot encode one."""
    return _SURROGATE.sub("\ufffd", text)


def visible(text: str) -> str:
    """Return the text with line ends as LF, without control and invisible characters and what a terminal acts on."""
    if _SENDS_TERMINAL.search(text):
        text = _TERMINAL.sub("", text)
    return _INVISIBLE.sub("", _LINE_ENDS.sub("\n", well_formed(text)))


def escaped(text: str) -> str:
    """Return the text for a terminal: what a terminal would act on, or would not show, is written as JSON writes it."""
    return _UNSAFE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def visible_values(value: Any, limit: int) -> Any:
    """Return a JSON value with every text and every name of a field as `visible` returns it, cut at `limit`."""
    if isinstance(value, str):
        return cut(value if value.isascii() and value.isprintable() else visible(value), limit)
    if isinstance(value, dict):
        return {visible_values(name, limit): visible_values(part, limit) for name, part in value.items()}
    if isinstance(value, list):
        return [visible_values(part, limit) for part in value]
    return value


def cut(text: str, limit: int) -> str:
    """Return the text, or its start where it has more than `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + CUT


def seen(text: str) -> bool:
    """Return whether there is a character in the text that a reader sees."""
    return _UNSEEN.fullmatch(text) is None


MOST_MARKS = 30
"""Combining marks in a row that a text keeps (Unicode's Stream-Safe Text Format, UAX #15); no word has as many.

Normalization sorts the marks of a row by insertion, so a row of 100,000 takes seconds in one call.
"""


class _Marks(NamedTuple):
    """Finds rows of more than `MOST_MARKS`: `gate`, which is fast, wherever `rows` does, and rarely elsewhere."""

    gate: re.Pattern[str]
    rows: re.Pattern[str]


_MARKS_FROM, _MARKS_BEFORE = 0x300, 0x20000
_LAST_OF_BMP = 0xFFFF


@cache
def _marks() -> _Marks:
    """Return expressions for what normalization sorts: each character whose decomposition begins with a mark."""
    marks = [
        char
        for char in map(chr, range(_MARKS_FROM, _MARKS_BEFORE))
        if combining(char) or (decomposition(char) and combining(unicodedata.normalize("NFKD", char)[0]))
    ]
    every = "".join(marks)
    near = "".join(char for char in marks if ord(char) <= _LAST_OF_BMP)
    far = f"{min(char for char in marks if ord(char) > _LAST_OF_BMP)}-{marks[-1]}"  # `re` is slow with more ranges
    return _Marks(*(re.compile(f"[{these}][{these}]{{{MOST_MARKS},}}+") for these in (near + far, every)))


def normalized(text: str, form: Literal["NFC", "NFKC"]) -> str:
    """Return the text in a normalization form, in linear time: of marks in a row only the first `MOST_MARKS` stay."""
    if text.isascii():
        return text
    text = unicodedata.normalize(form, _without_rows(text))
    return _without_rows(text)  # one character may be two marks


def _without_rows(text: str) -> str:
    marks = _marks()
    return marks.rows.sub(lambda row: row[0][:MOST_MARKS], text) if marks.gate.search(text) else text


def clean(text: str) -> str:
    """Return the text in Unicode NFC, line ends as LF, without control and invisible characters, trimmed.

    It is empty when there is nothing in it that a reader sees.
    """
    if text.isascii() and text.isprintable():
        return text.strip()
    text = normalized(visible(text), "NFC")
    needed = _without_idle(text)
    if needed != text:
        text = normalized(needed, "NFC")
    return text.strip() if seen(text) else ""


def _without_idle(text: str) -> str:
    """Return the text without the unseen characters that nothing in it needs; an empty cell of Braille is a space."""
    text = _LONELY.sub("", text.replace("\u2800", " "))
    text = _MARK.sub(_first if _RIGHT_TO_LEFT.search(text) else "", text)
    return _IDLE_JOINER.sub("", text)


def _first(found: re.Match[str]) -> str:
    return found[0][0]


def whole_line(text: str) -> str:
    """Return the text cleaned and on one line: line ends and other white space become one space."""
    return " ".join(clean(text).split())


def one_line(text: str, limit: int) -> str:
    """Return the first line that is not blank, at most `limit` characters; a longer one is cut at a word."""
    start = text.lstrip()
    for most in (2 * limit, 8 * limit):  # white space folds, so this is enough for `limit` characters
        line = " ".join(start[:most].split("\n", 1)[0].split())
        if len(line) > limit:
            break
    else:
        return line
    head = line[: limit - 1]
    return (head.rsplit(" ", 1)[0] if " " in head[limit // 2 :] else head).rstrip() + CUT


def title_and_body(title: str | None, body: str | None) -> tuple[str, str]:
    """Return a title and a body; a missing one is made from the other. Both are empty if both inputs are blank."""
    clean_body = clean(body or "")
    whole_title = clean(title or "")
    clean_title = one_line(whole_title, GIVEN_TITLE_CHARS) or one_line(clean_body, TITLE_CHARS)
    return clean_title, clean_body or whole_title
