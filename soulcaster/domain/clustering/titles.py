"""What to call a cluster: its most central item, and the words that tell it from the others.

Words are weighed by class-based TF-IDF (Grootendorst 2022): how many of a cluster's groups say them, times how rare
they are among all texts.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
import numpy.typing as npt

from soulcaster.domain.clustering.groups import Exemplar
from soulcaster.domain.clustering.lexical import Lexicon, stem, words
from soulcaster.domain.clustering.vectors import Slots, Vectors
from soulcaster.domain.text.normalize import CUT

TERMS = 5
_SHORTEST = 3
_LOOKED_AT = 12


class Means(Protocol):
    """The groups' means: all that are, or a copy."""

    @property
    def dense(self) -> npt.NDArray[np.float16]:
        """Return the means of the groups' vectors."""

    @property
    def count(self) -> Slots:
        """Return how many items they have."""


@dataclass(frozen=True, slots=True)
class Title:
    """What a cluster is about: its most central item's title and text, its terms, how alike its items are.

    Groups whose text was deleted say nothing; where all were, title and text are empty.
    """

    title: str
    summary: str
    terms: tuple[str, ...]
    coherence: float | None
    size: int


NONE = Title("", "", (), None, 0)
"""What to call a cluster none of whose texts there is."""


def title(groups: Means, rows: Vectors, slots: Slots, exemplars: Sequence[Exemplar], lexicon: Lexicon) -> Title:
    """Return what to call the cluster of these groups; `rows` are their f. A single item is its own title."""
    count = groups.count[slots]
    if count.sum() == 1:
        alone = exemplars[int(slots[0])]
        return Title(alone.title, alone.summary, (), None, 1)
    nearness = rows @ (rows * count[:, None]).sum(0)
    order = np.argsort(-nearness, kind="stable")
    central = (exemplars[int(slot)] for slot in slots[order])
    near = list(islice((exemplar for exemplar in central if exemplar.title or exemplar.summary), _LOOKED_AT))
    name, summary = (near[0].title, near[0].summary) if near else ("", "")
    return Title(name, summary, terms(near, lexicon), coherence(groups, slots), int(count.sum()))


def coherence(groups: Means, slots: Slots) -> float | None:
    """Return the mean cosine of a cluster's items to one another, or None for a single item.

    For n unit vectors it is (|sum|^2 - n) / (n (n - 1)).
    """
    count = groups.count[slots]
    n = int(count.sum())
    if n < 2:
        return None
    total = (groups.dense[slots].astype(np.float32) * count[:, None]).sum(0, dtype=np.float64)
    return float(np.clip((total @ total - n) / (n * (n - 1)), -1, 1))


def terms(exemplars: Sequence[Exemplar], lexicon: Lexicon) -> tuple[str, ...]:
    """Return the words that tell these texts from the others, best first; of words with one stem, the most frequent."""
    said: Counter[str] = Counter()
    for exemplar in exemplars:
        repeats = exemplar.summary.startswith(exemplar.title.removesuffix(CUT))
        said.update(set(words(exemplar.summary if repeats else f"{exemplar.title} {exemplar.summary}")))
    forms: dict[str, list[tuple[int, str]]] = {}
    for word, times in said.items():
        if len(word) >= _SHORTEST and not word.isdigit():
            forms.setdefault(stem(word), []).append((-times, word))
    stems = sorted(forms)
    rarity = lexicon.rarity(stems)
    weight = {s: -math.sqrt(-sum(times for times, _ in forms[s])) * rare for s, rare in zip(stems, rarity, strict=True)}
    return tuple(min(forms[s])[1] for s in sorted(stems, key=lambda s: (weight[s], s))[:TERMS])
