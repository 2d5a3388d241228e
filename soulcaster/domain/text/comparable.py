"""The text of an item that is compared: the author's own words, short, without noise."""

from soulcaster.domain.text.forms import without_form
from soulcaster.domain.text.markup import to_text
from soulcaster.domain.text.masking import count_digits, mask_ids, mask_personal
from soulcaster.domain.text.normalize import clean
from soulcaster.domain.text.trimming import trimmed

LOOKED_AT = 16_000
"""Characters of a text that are read to compare it; this bounds the time that takes."""

_PLAIN = bytes(byte for byte in range(32, 256) if byte > 127 or chr(byte).isalnum() or chr(byte) in " !\"'(),.-:;?$%+")
_FEWEST_DIGITS = 4
"""A text with fewer digits has no IP address and no number to mask."""


def comparable(text: str, limit: int) -> str:
    """Return what is compared of a text, at most `limit` characters: without markup, trimmed, masked, blanks folded.

    A text of which nothing would be left is returned as it is.
    """
    text = text[:LOOKED_AT]
    if _is_plain(text):
        return " ".join(text.split())[:limit] if "  " in text else text[:limit].strip()
    masked = mask_ids(mask_personal(trimmed(to_text(without_form(text)))))
    short = "\n".join(line for line in (" ".join(line.split()) for line in clean(masked).split("\n")) if line)
    return (short or text)[:limit].strip()


def _is_plain(text: str) -> bool:
    """Return whether a text surely needs nothing but folding of blanks."""
    as_bytes = text.encode("utf-8", "surrogatepass")
    return not as_bytes.translate(None, _PLAIN) and count_digits(text) < _FEWEST_DIGITS
