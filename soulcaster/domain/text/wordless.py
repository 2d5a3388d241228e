"""Texts without words: emoji, punctuation, ratings; and those whose words say nothing (contentless.py).

Their meaning cannot be compared, so they are told apart by what they are. `wordless` gives each a short form in which
👍👍👍 is 👍 and "!!!" is "!", whatever the skin tone; but ★★★★★ is not ★, and 10/10 is not 1/10.
"""

import re
from itertools import groupby

from soulcaster.domain.text.contentless import contentless
from soulcaster.domain.text.digits import has_digit

_LETTERS = re.compile(r"[^\W\d_]+")
_WORD = re.compile(r"[^\W\d_]{2}|(?=[\u0900-\U0003ffff])[^\W\d_]")
"""Two letters; of a script that has words of one character, one."""

_RATING_WORDS = frozenset({
    "star", "stars", "out", "of", "point", "points", "stern", "sterne", "sternen", "von", "punkt", "punkte",
    "étoile", "étoiles", "sur", "estrella", "estrellas", "de", "stella", "stelle", "su", "estrela", "estrelas",
    "em", "ster", "sterren", "van", "stjerne", "stjerner", "stjärna", "stjärnor", "av", "af", "gwiazdka",
    "gwiazdki", "gwiazdek", "na", "звезда", "звезды", "звёзд", "звезд", "из",
})  # fmt: skip

_LOOKS = dict.fromkeys([0xFE0E, 0xFE0F, *range(0x1F3FB, 0x1F400)])
"""What changes how an emoji looks, and not what it says: variation selectors, skin tones."""

_TOKEN = re.compile(
    r"[^\W\d_]+|\d+(?:[.,]\d+)*(?!\u20e3)|[\U0001f1e6-\U0001f1ff]{2}"
    r"|\S[\u0300-\u036f\u20d0-\u20ff\U000e0020-\U000e007f]*(?:\u200d[^\s\u200d])*"
)
_COUNTED = "★☆⭐🌟✩✪✭✮✯✰"
_SAYS_NO_NUMBER = "!.,?…~"
_LONGEST = 400
"""Characters; a longer text is no rating."""


def wordless(text: str) -> str | None:
    """Return the short form of a text that has no words but those of a rating, or says nothing; None for others."""
    if (len(text) > 1 and text[:2].isalpha()) or _WORD.search(text, 0, _LONGEST) is not None:
        if len(text) > _LONGEST or not has_digit(text):
            return contentless(text)
        if any(word[0] not in _RATING_WORDS for word in _LETTERS.finditer(text.lower())):
            return None
    elif len(text) > _LONGEST and _WORD.search(text) is not None:
        return None
    tokens: list[str] = _TOKEN.findall(text[:_LONGEST].translate(_LOOKS).lower())
    if any(token[0].isdigit() for token in tokens):
        tokens = [token for token in tokens if token not in _SAYS_NO_NUMBER]
    short = ""
    for token, run in groupby(tokens):
        for _ in run if token in _COUNTED or token[0].isdigit() else [token]:
            between = " " if short and short[-1].isalnum() and token[0].isalnum() else ""
            short += between + token
    return short or text[:_LONGEST]
