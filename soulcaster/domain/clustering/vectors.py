"""Arrays of vectors, and the few things done to all of them."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T", bound=np.generic)

Vectors = npt.NDArray[np.float32]
Slots = npt.NDArray[np.int64]


def unit(rows: Vectors) -> Vectors:
    """Return rows at length one; a zero row stays zero."""
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    scaled: Vectors = (rows / np.maximum(norms, 1e-12)).astype(np.float32)
    return scaled


def grown(array: npt.NDArray[T], rows: int) -> npt.NDArray[T]:
    """Return an array with room for `rows`, at least doubled; the new rows are zero."""
    bigger = np.zeros((max(rows, 2 * len(array), 64), *array.shape[1:]), array.dtype)
    bigger[: len(array)] = array
    return bigger
