"""Stop words: words that occur in texts about anything, so they describe none."""

from functools import cache

from stopwords import safe_get_stopwords

_NEGATION = "n't"


@cache
def stop_words(language: str) -> frozenset[str]:
    """Return the stop words of a language (ISO 639-1) as `words` gives them; none if there is no list of it.

    Of "didn't" there are "didnt" and "didn" as well: what is left where the apostrophe got lost.
    """
    listed = {word.lower() for word in safe_get_stopwords(language)} - {""}
    negated = {word for word in listed if word.endswith(_NEGATION)}
    without = {word.replace("'", "") for word in negated} | {word.removesuffix("'t") for word in negated}
    return frozenset(listed | without)
