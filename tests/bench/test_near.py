"""How many known duplicates are near."""

from pathlib import Path

import numpy as np
import pytest

from soulcaster.bench.datasets import LabelledFile
from soulcaster.bench.near import figures, measure
from soulcaster.domain.near import NEAREST
from soulcaster.errors import BadInput
from tests.domain.clustering.make import chance_rows
from tests.support.make import compared_item


def quiet(name: str, done: int, of: int) -> None:
    """Report nothing."""


def test_duplicates_are_found_by_what_they_share() -> None:
    alone = 3 * NEAREST
    texts = [f"w{chr(97 + n)}w" for n in range(alone)] + ["broken wheel", "flat tyre", "stolen lamp", "stolen lamp now"]
    vectors = chance_rows(len(texts), 64, 5)
    vectors[alone + 1] = vectors[alone]
    vectors[alone + 3] = -vectors[alone + 2]
    labels = np.array([*range(alone), alone, alone, alone + 1, alone + 1])
    items = [compared_item(text, text=text) for text in texts]
    found = figures(items, vectors, labels, quiet)
    assert (found.items, found.asked) == (alone + 4, 4)
    assert found.meaning == 0.5
    assert 0.5 <= found.words < 1
    assert found.both == 1


def test_labels_that_nothing_shares_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "texts.csv"
    file.write_text("text,category\nThe lamp is broken,a\nThe wheel is flat,b\n")
    with pytest.raises(BadInput, match="No two items"):
        measure(LabelledFile(file), None, None, quiet)
