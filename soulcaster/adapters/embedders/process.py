"""An embedder whose model is in a process of its own.

The work keeps the interpreter busy, which a worker needs for everything else. The process starts with the first text.
When it dies, the next call starts another; when its parent dies, it ends.
"""

import asyncio
import hashlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from soulcaster.errors import EmbedderUnavailable

END_SECONDS = 2.0
"""How long `close` waits for the end of the process."""


class Model(Protocol):
    """A model in memory, which embeds while its caller waits."""

    @property
    def languages(self) -> frozenset[str] | None:
        """Languages that it knows, None for all; see `ports.embedder.Embedder`."""

    def embed_now(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit vectors, one row a text; see `ports.embedder.Embedder`."""


class ProcessEmbedder:
    """Embedder that sends texts to its process; safe to use from many tasks of one event loop."""

    def __init__(
        self,
        load: Callable[[], Model],
        *,
        name: str,
        version: str,
        dimensions: int,
        languages: frozenset[str] | None,
        at_once: int,
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            load: makes the model, in the process; it must be picklable.
            name: name of the model.
            version: version of its weights, and of what else changes vectors.
            dimensions: length of a vector.
            languages: those that the model knows (ISO 639-1), None for all.
            at_once: texts that the process gets in one go, a second's work: a caller that is cancelled waits for no
                more than these, and the process does no more than these in vain.
        """
        self.name = name
        self.version = version
        self.dimensions = dimensions
        self.languages = languages
        self._load = load
        self._at_once = at_once
        self._pool: ProcessPoolExecutor | None = None

    def start(self) -> ProcessPoolExecutor:
        """Start the process, if there is none, and return it; it loads the model meanwhile."""
        if self._pool is None:
            spawn = multiprocessing.get_context("spawn")  # a forked one would inherit locks that threads hold
            self._pool = ProcessPoolExecutor(1, spawn, initializer=_start, initargs=(self._load,))
            self._pool.submit(_embed, [])
        return self._pool

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit vectors, shape (len(texts), dimensions); a text without known words gives the zero vector.

        Raises:
            EmbedderUnavailable: the process has ended.
        """
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for at in range(0, len(texts), self._at_once):
            vectors[at : at + self._at_once] = await self._embed(list(texts[at : at + self._at_once]))
        return vectors

    async def _embed(self, texts: list[str]) -> npt.NDArray[np.float32]:
        pool = self.start()
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, _embed, texts)
        except BrokenProcessPool as error:
            if self._pool is pool:
                self._pool = None  # the next call starts another
            raise EmbedderUnavailable("the process that embeds has ended; the next call starts another") from error

    async def check(self) -> None:
        """Embed one word, for which the process loads the model.

        Raises:
            EmbedderUnavailable: the process has ended.
        """
        await self.embed(["word"])

    async def close(self) -> None:
        """End the process; wait `END_SECONDS` at most, because it may be loading its model.

        The thread of a pool must not end while Python itself does: both would close its pipe.
        """
        pool, self._pool = self._pool, None
        if pool is not None:
            manager: Any = pool._executor_manager_thread  # only `shutdown` waits for it, for ever
            pool.shutdown(wait=False, cancel_futures=True)
            await asyncio.to_thread(manager.join, END_SECONDS)


# ---- in the process --------------------------------------------------------------------------------------------------

_model: Model


def _start(load: Callable[[], Model]) -> None:
    """Prepare this process; it ends when its parent does, even if the parent is killed."""
    global _model  # a pool gives its processes no other place to keep something between calls
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    threadpool_limits(1)
    _model = load()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(os.EX_OK)


def _embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    return _model.embed_now(texts)


# ---- versions --------------------------------------------------------------------------------------------------------


def hash_of(weights: Path) -> str:
    """Return the hash of a file of weights, which is the version of a model; a tenth of a second for 100 MB."""
    with weights.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=6)).hexdigest()
