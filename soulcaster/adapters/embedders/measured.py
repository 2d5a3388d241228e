"""Any embedder, with its calls measured."""

import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from soulcaster.errors import EmbedderRefuses, EmbedderUnavailable, InvalidMessage
from soulcaster.ports.embedder import Embedder
from soulcaster.telemetry.metrics import EMBEDDER_CALLS, EMBEDDER_SECONDS, EMBEDDER_TEXTS


class MeasuredEmbedder:
    """Embedder that counts the calls of another one; it is the same embedder to everybody else."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.name = embedder.name
        self.version = embedder.version
        self.dimensions = embedder.dimensions
        self.languages = embedder.languages

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit vectors; see `ports.embedder.Embedder`."""
        started = time.perf_counter()
        outcome = "failed"
        try:
            vectors = await self._embedder.embed(texts)
            outcome = "ok"
        except EmbedderUnavailable:
            outcome = "unavailable"
            raise
        except EmbedderRefuses:
            outcome = "refuses"
            raise
        except InvalidMessage:
            outcome = "rejects"
            raise
        finally:
            EMBEDDER_CALLS.labels(self.name, outcome).inc()
            EMBEDDER_SECONDS.labels(self.name).observe(time.perf_counter() - started)
        EMBEDDER_TEXTS.labels(self.name).inc(len(texts))
        return vectors
