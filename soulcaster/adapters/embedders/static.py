"""The default embedder: a static table of word-piece vectors (model2vec), shipped with the package, no network.

A text's vector is the mean of its word pieces' vectors, scaled to length one. Cutting text into pieces is most of the
work, and words repeat, so the pieces of a word are cached; the result is the same as the library's.

The work keeps the interpreter busy, which a worker needs for everything else. So many texts at once are embedded in a
separate process. It starts with the first text and is ready a second later.
"""

import asyncio
import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
from model2vec import StaticModel
from threadpoolctl import threadpool_limits

from soulcaster.errors import EmbedderUnavailable

DEFAULT_FOLDER = Path(__file__).parents[2] / "models" / "minilm-static-256"

_SMALL = 16
"""Up to this many texts are embedded faster in this process (well under a millisecond) than in another one."""

_BLOCK = 64
"""Texts pooled at once; the vectors of all their pieces are in memory together, about 30 kB per text."""

_WORDS = 50_000
"""Words whose pieces are cached, about 10 MB; when there are more, the cache is emptied."""


class StaticEmbedder:
    """Embedder over a model2vec folder; the version is a hash of its weights."""

    def __init__(self, folder: Path = DEFAULT_FOLDER) -> None:
        """Load the model: a tenth of a second, 40 MB."""
        self._folder = folder
        self._pool: ProcessPoolExecutor | None = None
        self._model = StaticModel.from_pretrained(folder)
        self._pieces = _Pieces(self._model)
        self.name = folder.name
        self.version = hashlib.blake2b((folder / "model.safetensors").read_bytes(), digest_size=6).hexdigest()
        self.dimensions = int(self._model.dim)

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit vectors, shape (len(texts), dimensions); a text without known words gives the zero vector."""
        if self._pool is None:
            self._pool = _process(self._folder)
        if len(texts) <= _SMALL:
            return self.embed_now(texts)
        pool = self._pool
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, _embed, list(texts))
        except BrokenProcessPool as error:
            if self._pool is pool:
                self._pool = None  # the next call starts another
            raise EmbedderUnavailable("the process that embeds has ended; the next call starts another") from error

    async def check(self) -> None:
        """Do nothing: a loaded model works."""

    async def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def embed_now(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the same as `embed`, but block the caller."""
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for at in range(0, len(texts), _BLOCK):
            vectors[at : at + _BLOCK] = self._pooled(self._pieces.of(texts[at : at + _BLOCK]))
        return vectors

    def _pooled(self, texts: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """Return the scaled sum of each text's pieces (scaled to length one, the mean is the same)."""
        counts = np.array([len(pieces) for pieces in texts])
        sums = np.zeros((len(texts), self.dimensions), np.float32)
        if not counts.any():
            return sums
        model = self._model
        pieces = np.fromiter(chain.from_iterable(texts), np.int64, int(counts.sum()))
        rows = model.embedding[pieces if model.token_mapping is None else model.token_mapping[pieces]]
        if model.weights is not None:
            rows = rows * model.weights[pieces][:, None]
        some = counts > 0
        starts = np.cumsum(counts) - counts
        sums[some] = np.add.reduceat(rows, starts[some], axis=0, dtype=np.float32)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        np.divide(sums, lengths, out=sums, where=lengths > 0)
        return sums


class _Pieces:
    """The word pieces of texts, as the model's tokenizer cuts them.

    BERT's pre-tokenizer first splits a text at white space, and its normalizer changes single characters, so the pieces
    of a text are those of its words in order. Other tokenizers get whole texts.
    """

    def __init__(self, model: StaticModel) -> None:
        self._tokenize: Callable[[Sequence[str]], list[list[int]]] = model.tokenize
        model.tokenizer.no_truncation()  # compared texts are embedded, and their length is limited already
        described = json.loads(model.tokenizer.to_str())["pre_tokenizer"] or {}
        self._by_word = described.get("type") == "BertPreTokenizer"
        self._known: dict[str, list[int]] = {}

    def of(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text's pieces, without pieces that the model does not know."""
        if not self._by_word:
            return self._tokenize(texts)
        # BERT's normalizer drops control characters, Python splits at some of them; cleaned text has none.
        words = [text.split() for text in texts]
        if len(self._known) > _WORDS:
            self._known = {}
        known = self._known
        new = [word for word in dict.fromkeys(chain.from_iterable(words)) if word not in known]
        if new:
            known.update(zip(new, self._tokenize(new), strict=True))
        return [list(chain.from_iterable(map(known.__getitem__, of_text))) for of_text in words]


# ---- the separate process --------------------------------------------------------------------------------------------

_here: StaticEmbedder


def _process(folder: Path) -> ProcessPoolExecutor:
    """Start a process that embeds with the model of this folder."""
    spawn = multiprocessing.get_context("spawn")  # a forked one would inherit locks that threads hold
    pool = ProcessPoolExecutor(1, spawn, initializer=_start, initargs=(folder,))
    pool.submit(_embed, [])
    return pool


def _start(folder: Path) -> None:
    """Prepare this process; it ends when its parent does, even if the parent is killed."""
    global _here  # a pool gives its processes no other place to keep something between calls
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    threadpool_limits(1)
    _here = StaticEmbedder(folder)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(os.EX_OK)


def _embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    return _here.embed_now(texts)
