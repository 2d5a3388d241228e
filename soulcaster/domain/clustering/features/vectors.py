"""Arrays of vectors, and the operations that all modules share."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T", bound=np.generic)

Vectors = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
Slots = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def lengths(rows: Vectors) -> Vectors:
    """Return the length of each row, shape (..., 1), at least 1e-12, so that a zero row can be divided by it."""
    norms: Vectors = np.sqrt(np.einsum("...i,...i->...", rows, rows))
    return np.maximum(norms, np.float32(1e-12))[..., None]


def unit(rows: Vectors) -> Vectors:
    """Return rows at length one; a zero row stays zero."""
    return rows / lengths(rows)


FEWEST_ROWS = 4
"""Rows that an array grows to at first: most projects are small, and anybody's feedback may make one."""


def grown(array: npt.NDArray[T], rows: int) -> npt.NDArray[T]:
    """Return an array with room for `rows`, at least doubled; the new rows are zero."""
    bigger = np.zeros((max(rows, 2 * len(array), FEWEST_ROWS), *array.shape[1:]), array.dtype)
    bigger[: len(array)] = array
    return bigger
