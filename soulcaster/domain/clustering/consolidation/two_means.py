"""Two-means of unit rows. Pure: arrays in, sides out."""

import numpy as np
import numpy.typing as npt

from soulcaster.domain.clustering.features.vectors import Vectors, unit

_STEPS = 8


def two_means(rows: Vectors, weight: Vectors) -> tuple[npt.NDArray[np.bool_], tuple[Vectors, Vectors]]:
    """Return the side of each row, and the weighted sums of the rows of both sides.

    `weight` has shape (n, 1). It starts from the row nearest to the mean of all and from the row farthest from that.
    """
    weighted = rows * weight
    one = rows[int((rows @ weighted.sum(0)).argmax())]
    other = rows[int((rows @ one).argmin())]
    before = None
    for _ in range(_STEPS):
        side = rows @ other > rows @ one
        if before is not None and np.array_equal(side, before):
            break  # further steps change nothing
        sums = weighted[~side].sum(0), weighted[side].sum(0)
        one, other = unit(np.stack(sums))
        before = side
    return side, sums
