"""The words of texts, one by one, and how much of them texts have in common.

The word vectors of lexical.py are short: a third of a similarity needs no more. But in `lexical.DIMENSIONS` numbers two
long texts seem alike by chance, and what tells a duplicate is one rare word. So a text keeps its words as well, at most
`MOST_WORDS` of them, those that say most: a number of 20 bits a word, by its stem, and how often the text has it. What
they weigh is decided when texts are compared, by the texts that there are then.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from soulcaster.domain.clustering.features.vectors import Slots, Vectors

MOST_WORDS = 64

_CODE_BITS = 20
_CODES = 1 << _CODE_BITS
"""Words that share a number by chance are one: with 100,000 different ones, one in ten does."""
_MOST_TIMES = (1 << 32 - _CODE_BITS) - 1
_WEIGHTS = 1 + np.log(np.maximum(np.arange(_MOST_TIMES + 1), 1)).astype(np.float32)
"""1 + ln tf, by tf."""


def pack(codes: Slots, times: Slots) -> npt.NDArray[np.uint32]:
    """Return words by their codes, and how often a text has each, as 4 bytes a word."""
    packed: npt.NDArray[np.uint32] = (np.minimum(times, _MOST_TIMES) << _CODE_BITS | codes % _CODES).astype(np.uint32)
    return packed


def word_similarities(texts: Sequence[bytes], own: Slots) -> Vectors:
    """Return the TF-IDF cosine of each text with some of them together, shape (len(texts),): 0 to 1.

    `texts` are packed words; `own` says which are taken together, each with the same weight. A word weighs
    (1 + ln tf) ln((n + 1) / (df + 1/2)), by the document frequencies of these texts.
    """
    packed = np.frombuffer(b"".join(texts), np.uint32)
    row = np.repeat(np.arange(len(texts)), [len(text) // packed.itemsize for text in texts])
    code = packed & np.uint32(_CODES - 1)
    frequency = np.bincount(code, minlength=_CODES)
    rarity = np.log((len(texts) + 1) / (frequency + 0.5)).astype(np.float32)
    weight = _WEIGHTS[packed >> np.uint32(_CODE_BITS)] * rarity[code]
    length = np.sqrt(np.bincount(row, weight * weight, len(texts)))
    weight /= np.maximum(length, 1e-12)[row]
    mine = np.isin(row, own)
    asked = np.bincount(code[mine], weight[mine], _CODES).astype(np.float32)
    asked = asked / max(float(np.linalg.norm(asked)), 1e-12)
    similarities: Vectors = np.bincount(row, weight * asked[code], len(texts)).astype(np.float32)
    return similarities
