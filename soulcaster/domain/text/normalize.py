"""Cleaning of text from any source, so that it can be stored, compared and shown."""

import re
import unicodedata

TITLE_CHARS = 80
"""Characters of a title made from a text; it is cut at a word."""

GIVEN_TITLE_CHARS = 500
"""Characters of a title that came with the item; a longer one is cut."""

CUT = "…"
"""The end of a title that was cut."""

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters but tab and line feed
    "\u00ad\u034f\u180e\u200b\u2060-\u2064\u3164\ufeff\uffa0"  # invisible: soft hyphen, zero-width space, fillers
    "\u202a-\u202e\u2066-\u206f"  # direction overrides, which make text read differently from what it is
    "\ufff9-\ufffb\U000e0000-\U000e007f]"  # annotation marks; tag characters, which can hide text
)
_JOINER = re.compile(
    "(?<=[\x21-\x7f])[\u200c\u200d]++|[\u200c\u200d](?<![\u200c\u200d].)[\u200c\u200d]*+(?=[\x21-\x7f])"
)
"""Joiners next to ASCII, where they join nothing; elsewhere emoji and scripts need them."""

_LINE_ENDS = re.compile("\r\n?|\u2028|\u2029")
_SURROGATE = re.compile("[\ud800-\udfff]")


def well_formed(text: str) -> str:
    """Return the text with every lone surrogate (half an emoji) as U+FFFD; UTF-8 cannot encode one."""
    return _SURROGATE.sub("\ufffd", text)


def visible(text: str) -> str:
    """Return the text with line ends as LF, without control and invisible characters."""
    return _INVISIBLE.sub("", _LINE_ENDS.sub("\n", well_formed(text)))


def clean(text: str) -> str:
    """Return the text in Unicode NFC, line ends as LF, without control and invisible characters, trimmed."""
    if text.isascii() and text.isprintable():
        return text.strip()
    text = unicodedata.normalize("NFC", visible(text))
    if "\u200c" in text or "\u200d" in text:
        text = unicodedata.normalize("NFC", _JOINER.sub("", text))
    return text.strip()


def one_line(text: str, limit: int) -> str:
    """Return the first line that is not blank, at most `limit` characters; a longer one is cut at a word."""
    start = text.lstrip()[: 8 * limit]  # white space folds, so this is enough for `limit` characters
    line = " ".join(start.split("\n", 1)[0].split())
    if len(line) <= limit:
        return line
    head = line[: limit - 1]
    return (head.rsplit(" ", 1)[0] if " " in head[limit // 2 :] else head).rstrip() + CUT


def title_and_body(title: str | None, body: str | None) -> tuple[str, str]:
    """Return a title and a body; a missing one is made from the other. Both are empty if both inputs are blank."""
    clean_body = clean(body or "")
    whole_title = clean(title or "")
    clean_title = one_line(whole_title, GIVEN_TITLE_CHARS) or one_line(clean_body, TITLE_CHARS)
    return clean_title, clean_body or whole_title
