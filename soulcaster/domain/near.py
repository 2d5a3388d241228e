"""What is near: the answer to the question whether something is there already, under other words."""

from dataclasses import dataclass

NEAREST = 10
"""How many are named."""


@dataclass(frozen=True, slots=True)
class Near:
    """An item that is near, and its cluster.

    `meaning` is the cosine of the embeddings, from -1 to 1, around the mean of the project's; `words` is the TF-IDF
    cosine of the words, from 0 to 1.
    """

    item_id: str
    cluster_id: str
    meaning: float
    words: float


@dataclass(frozen=True, slots=True)
class NearAnswer:
    """What is near a cluster or an item.

    Args:
        near: the nearest first, at most `NEAREST`; of a cluster, each of another cluster.
        same: of an item, other items that are kept as one with it because they say nearly the same; at most `NEAREST`.
    """

    near: tuple[Near, ...] = ()
    same: tuple[str, ...] = ()


NOTHING_NEAR = NearAnswer()
