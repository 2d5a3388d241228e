"""Two-means of unit rows. Pure: arrays in, sides out."""

import numpy as np
import numpy.typing as npt

from soulcaster.domain.clustering.features.vectors import Vectors, unit

_STEPS = 8


def two_means(rows: Vectors, weight: Vectors) -> tuple[npt.NDArray[np.bool_], tuple[Vectors, Vectors]]:
    """Return the side of each row, and the weighted sums of the rows of both sides.

    `weight` has shape (n, 1). It starts from the row nearest to the mean of all and from the row farthest from that.
    """
    one = rows[int((rows @ (rows * weight).sum(0)).argmax())]
    other = rows[int((rows @ one).argmin())]
    for _ in range(_STEPS):
        side = rows @ other > rows @ one
        sums = (rows * weight)[~side].sum(0), (rows * weight)[side].sum(0)
        one, other = unit(np.stack(sums))
    return side, sums
