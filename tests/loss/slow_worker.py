"""A worker whose embedder takes its time, so that a signal or a rebalance finds it in the middle of its work.

It may take its time for texts with one word alone: so one project is slow, and others are not.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from soulcaster.adapters.embedders.static import StaticEmbedder


class SlowEmbedder(StaticEmbedder):
    """The static embedder, `seconds` late with texts that have `word` in them; says in a file that it has begun."""

    def __init__(self, seconds: float, word: str, begun: Path) -> None:
        super().__init__()
        self._seconds = seconds
        self._word = word
        self._begun = begun

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if any(self._word in text for text in texts):
            self._begun.touch()
            await asyncio.sleep(self._seconds)
        return await super().embed(texts)


if __name__ == "__main__":  # the process that embeds imports this module, too
    from soulcaster.processes.settings import load_settings
    from soulcaster.processes.worker import run_worker

    slow = SlowEmbedder(float(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
    run_worker(load_settings(Path(sys.argv[1])), embedder=slow)
