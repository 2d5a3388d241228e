"""The embedder `small`: bge-small-en-v1.5, a transformer of 12 layers with int8 products, shipped with the package.

It reads English. Texts are embedded one by one: the model rounds its activations by the largest of a call, so beside
other texts a text would get another vector. That costs nothing, as a call has no idle padding then. Several threads
share the work, since onnxruntime works without the interpreter's lock.

The worker itself never loads the model: all texts are embedded in another process.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from soulcaster.adapters.embedders.process import ProcessEmbedder, hash_of

FOLDER = Path(__file__).parents[2] / "models" / "bge-small-en-v1.5"

DIMENSIONS = 384
"""Length of a vector."""

MAX_TOKENS = 128
"""Word pieces of a text that are read, from its beginning, which is the title; about 500 characters of English."""

_AT_ONCE = 32
"""Texts that go to the process in one go: a second's work."""

_REMEMBERED = 10_000
"""Texts whose vectors are cached, 20 MB: what machines print, and what people copy, comes again and again."""

_SAY_NOTHING = frozenset({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"})


def small_embedder(*, threads: int = 1) -> ProcessEmbedder:
    """Return the embedder; its process works with so many threads."""
    return ProcessEmbedder(
        partial(SmallModel, threads=threads),
        name=FOLDER.name,
        version=f"{hash_of(FOLDER / 'model.onnx')}-{MAX_TOKENS}",
        dimensions=DIMENSIONS,
        languages=SmallModel.languages,
        at_once=_AT_ONCE * threads,
    )


class SmallModel:
    """The model in memory: 150 MB with Python and its libraries, and 20 MB of cached vectors."""

    languages = frozenset({"en"})

    def __init__(self, *, threads: int = 1) -> None:
        """Load the graph and the tokenizer: a quarter of a second."""
        # Imported here: only the process that embeds needs them.
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(FOLDER / "model.onnx", options, providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()
        self._unknown = {self._tokenizer.token_to_id(token) for token in _SAY_NOTHING}
        self._embed = lru_cache(_REMEMBERED)(self._embed_one)
        self._threads = ThreadPoolExecutor(threads)

    def embed_now(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the same as `ProcessEmbedder.embed`, shape (len(texts), DIMENSIONS)."""
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        for row, vector in enumerate(self._threads.map(self._embed, texts)):
            vectors[row] = vector
        return vectors

    def _embed_one(self, text: str) -> npt.NDArray[np.float32]:
        ids = self._tokenizer.encode(text).ids
        if self._unknown.issuperset(ids):
            return np.zeros(DIMENSIONS, np.float32)
        pieces = np.array([ids], np.int64)
        inputs = {
            "input_ids": pieces,
            "attention_mask": np.ones_like(pieces),
            "token_type_ids": np.zeros_like(pieces),
        }
        (states,) = self._session.run(None, inputs)  # (1, pieces, dimensions)
        first: npt.NDArray[np.float32] = states[0, 0]  # that of [CLS], which the model was trained to pool by
        return first / np.linalg.norm(first)
