"""Making text that came from anywhere fit to store, compare and show."""

import re
import unicodedata

TITLE_CHARS = 80
"""A title made from a text is at most this long, cut at a word."""

GIVEN_TITLE_CHARS = 500
"""A title that came with the item may be longer; beyond this it is cut."""

CUT = "…"
"""Ends a title that was cut."""

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters but tab and line feed
    "\u00ad\u034f\u180e\u200b\u2060-\u2064\u3164\ufeff\uffa0"  # nothing to see: soft hyphen, zero-width space, fillers
    "\u202a-\u202e\u2066-\u206f"  # direction overrides, which make text read as it is not
    "\ufff9-\ufffb\U000e0000-\U000e007f]"  # annotation marks; tags, in which unseen text can be written
)
_JOINER = re.compile(
    "(?<=[\x21-\x7f])[\u200c\u200d]++|[\u200c\u200d](?<![\u200c\u200d].)[\u200c\u200d]*+(?=[\x21-\x7f])"
)
"""Joiners beside ASCII join nothing; elsewhere emoji and scripts need them."""

_LINE_ENDS = re.compile("\r\n?|\u2028|\u2029")
_SURROGATE = re.compile("[\ud800-\udfff]")


def well_formed(text: str) -> str:
    """Return the text with every lone surrogate (half an emoji) as U+FFFD; UTF-8 has no place for one."""
    return _SURROGATE.sub("\ufffd", text)


def clean(text: str) -> str:
    """Return the text in Unicode NFC, line ends as LF, without control and invisible characters, trimmed."""
    if text.isascii() and text.isprintable():
        return text.strip()
    text = _INVISIBLE.sub("", _LINE_ENDS.sub("\n", well_formed(text)))
    text = unicodedata.normalize("NFC", text)
    if "\u200c" in text or "\u200d" in text:
        text = unicodedata.normalize("NFC", _JOINER.sub("", text))
    return text.strip()


def one_line(text: str, limit: int) -> str:
    """Return the first line that says something, at most `limit` characters, cut at a word and marked so."""
    start = text.lstrip()[: 8 * limit]  # white space in a line folds; what lies beyond does not show
    line = " ".join(start.split("\n", 1)[0].split())
    if len(line) <= limit:
        return line
    head = line[: limit - 1]
    return (head.rsplit(" ", 1)[0] if " " in head[limit // 2 :] else head).rstrip() + CUT


def title_and_body(title: str | None, body: str | None) -> tuple[str, str]:
    """Return a title and a body, each made from the other where it is missing; both empty if nothing was said."""
    clean_body = clean(body or "")
    whole_title = clean(title or "")
    clean_title = one_line(whole_title, GIVEN_TITLE_CHARS) or one_line(clean_body, TITLE_CHARS)
    return clean_title, clean_body or whole_title
