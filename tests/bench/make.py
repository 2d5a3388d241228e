"""Labelled sets for tests."""

from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase

import numpy as np

from soulcaster.bench.datasets import Labelled
from soulcaster.domain.clustering.features.vectors import Vectors
from tests.support.make import compared_item


def labelled(sizes: Sequence[int], words: Sequence[str] = ()) -> tuple[Labelled, Vectors]:
    """Return a set with that many items of each class, in turn; vector i is (i, 1), so it identifies its row."""
    left = list(sizes)
    labels = []
    while any(left):
        for number, count in enumerate(left):
            if count:
                labels.append(number)
                left[number] -= 1
    items = tuple(
        compared_item(n, text=f"{words[of] if words else 'text'} of {ascii_lowercase[of % 26]}")
        for n, of in enumerate(labels)
    )
    rows = np.arange(len(labels))
    data = Labelled(items, tuple(f"class {of}" for of in labels), rows, len(labels))
    return data, np.stack([rows, np.ones(len(rows))], axis=1).astype(np.float32)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
