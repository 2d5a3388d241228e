"""Texts to vectors."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt


class Embedder(Protocol):
    """Turns texts into vectors that are near each other when the texts mean the same."""

    @property
    def name(self) -> str:
        """Which model."""

    @property
    def version(self) -> str:
        """Which version of it: other weights, other version."""

    @property
    def dimensions(self) -> int:
        """Length of a vector."""

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit vectors, shape (len(texts), dimensions); an empty text gives the zero vector.

        Raises:
            EmbedderUnavailable: it does not answer in time; what it has done so far may be quicker the next time.
            EmbedderRefuses: it needs somebody's help before it takes the same call.
            InvalidMessage: it will never take one of these texts.
        """
