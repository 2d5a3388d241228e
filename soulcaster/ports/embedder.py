"""Texts to vectors."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from soulcaster.domain.embedder import EmbedderKey


class Embedder(Protocol):
    """Turns texts into vectors that are close to each other when the texts mean the same."""

    @property
    def name(self) -> str:
        """Name of the model."""

    @property
    def version(self) -> str:
        """Version of the model; other weights have another version."""

    @property
    def dimensions(self) -> int:
        """Length of a vector."""

    @property
    def languages(self) -> frozenset[str] | None:
        """ISO 639-1 codes of the languages whose meaning it knows; None for all."""

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit vectors, shape (len(texts), dimensions); an empty text gives the zero vector.

        Raises:
            EmbedderUnavailable: it does not answer in time; texts that it has done already may be quicker next time.
            EmbedderRefuses: a person has to act before it accepts the same call.
            InvalidMessage: it will never accept one of these texts.
        """


class Embedders(Protocol):
    """Which embedder embeds the texts of a project."""

    async def choose(self, used: Sequence[EmbedderKey]) -> Embedder:
        """Return the embedder of a project that has items of these, in the order in which they came.

        A project keeps its embedder: vectors of another one would make a second set of clusters beside the first.

        Raises:
            EmbedderRefuses: that embedder is not to be had here; a person has to act.
        """
