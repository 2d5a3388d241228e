"""The embedder `static`: a table of word-piece vectors (model2vec), shipped with the package, for high volume.

A text's vector is the mean of its word pieces' vectors, scaled to length one. Cutting text into pieces is most of the
work, and words repeat, so the pieces of a word are cached; the result is the same as the library's.

Many texts at once are embedded in a separate process, which is ready a second after the first text.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
from model2vec import StaticModel
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from soulcaster.adapters.embedders.process import ProcessEmbedder, hash_of

DEFAULT_FOLDER = Path(__file__).parents[2] / "models" / "minilm-static-256"

MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json")
"""What the folder of a model2vec model holds."""

_SMALL = 16
"""Up to this many texts are embedded faster in this process (well under a millisecond) than in another one."""

_AT_ONCE = 10_000
"""Texts that go to the process in one go: a second's work at most."""

_BLOCK = 64
"""Texts pooled at once; the vectors of all their pieces are in memory together, about 30 kB per text."""

_WORDS = 50_000
"""Words whose pieces are cached, about 10 MB; when there are more, the cache is emptied."""


class StaticEmbedder:
    """Embedder over a model2vec folder; the version is a hash of its weights."""

    def __init__(self, folder: Path = DEFAULT_FOLDER) -> None:
        """Load the model: a tenth of a second, 40 MB."""
        self._model = _model_in(folder)
        self._pieces = _Pieces(self._model)
        self.name = folder.name
        self.version = hash_of(folder / "model.safetensors")
        self.dimensions = int(self._model.dim)
        self.languages = frozenset({"en"}) if folder == DEFAULT_FOLDER else None
        self._process = ProcessEmbedder(
            partial(StaticEmbedder, folder),
            name=self.name,
            version=self.version,
            dimensions=self.dimensions,
            languages=self.languages,
            at_once=_AT_ONCE,
        )

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit vectors, shape (len(texts), dimensions); a text without known words gives the zero vector."""
        self._process.start()
        return self.embed_now(texts) if len(texts) <= _SMALL else await self._process.embed(texts)

    async def check(self) -> None:
        """Do nothing: a loaded model works."""

    async def close(self) -> None:
        """End the process."""
        await self._process.close()

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


def _model_in(folder: Path) -> StaticModel:
    """Return the model in a folder.

    `StaticModel.from_pretrained` first imports what downloads models: two thirds of the time, and 15 MB.
    """
    config = json.loads((folder / "config.json").read_bytes())
    tensors = load_file(folder / "model.safetensors")
    return StaticModel(
        tensors["embeddings"],
        Tokenizer.from_file(str(folder / "tokenizer.json")),
        config,
        normalize=config.get("normalize", False),
        weights=tensors.get("weights"),
        token_mapping=tensors.get("mapping"),
        max_length=config.get("max_length"),
    )


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
