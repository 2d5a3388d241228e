"""Which language a text is in, where the embedder may not know it: by the text, and by what else its project has.

A detector is sure of itself even where a short text says little, so what it finds is weighed by the share of each
language in the project. In doubt a text is in a language that the embedder knows.
"""

from collections.abc import Mapping

RARE = 0.02
"""The share that any language is taken to have at least: one that a project has not had yet is found only where the
text leaves little doubt, and one text in fifty of another language does not pass for the usual one."""

COMMON = 0.1
"""The share that the languages which the embedder knows are taken to have at least."""

UNSEEN = 20
"""Items that a project is taken to have had in languages that the embedder knows, before the first has come."""


def language_among(likely: tuple[tuple[str, float], ...], items: Mapping[str, int], known: int) -> str:
    """Return the foreign language of a text, empty if it is in one that the embedder knows.

    `likely` are foreign languages and their probabilities by the text alone, whose rest is that of the known ones.
    `items` are the items of the project by foreign language, `known` those in known languages.
    """
    total = known + UNSEEN + sum(items.values())
    best, most = "", (1 - sum(probability for _, probability in likely)) * max(COMMON, (known + UNSEEN) / total)
    for language, probability in likely:
        weight = probability * max(RARE, items.get(language, 0) / total)
        if weight > most:
            best, most = language, weight
    return best
