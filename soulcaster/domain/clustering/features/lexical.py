"""The words of a text: a vector of its rare word beginnings, and fingerprints of the text.

Meaning and words each find duplicates that the other misses. A word counts by its first five letters, or its first two
syllables in Korean, where particles and endings follow: a crude stem that works for any language. Its weight is
(1 + ln tf) ln((n + 1) / (df + 1/2)), with the document frequencies of the texts seen so far, hashed with a sign into
`DIMENSIONS` (the hashing trick, Weinberger et al. 2009). A text's vector is made when it arrives and does not change.
Frequencies are counted in `BUCKETS` shared by hash: rare words that share one count a little less. Numbers are
different words that share the frequency of all numbers: where numbers are rare, "error 404" is not "error 500"; in a
stream of templates with a number in each, numbers count for little.

The words themselves are kept too, packed (word_sets.py).
"""

import hashlib
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from soulcaster.domain.clustering.features.word_sets import MOST_WORDS, pack
from soulcaster.domain.text.wordless import wordless
from soulcaster.domain.text.words import words

DIMENSIONS = 128
BUCKETS = 2048

_STEM = 5
_HANGUL = "\uac00", "\ud7a3"
_HANGUL_STEM = 2
_OF_BUCKET = 9
"""Bits of a code that do not choose its bucket: one for the sign, seven for the dimension."""

_BLOCK = 64
"""Buckets that are stored as one blob."""

_MOST_CODES = 50_000

_MAILS = r"[\w.+-]{1,64}+@[\w-]++\.[\w.-]+"
"""E-mail addresses, whose local part has at most 64 characters (RFC 5321)."""

_LINKS_AND_PATHS = r"https?://\S+|www\.\S+|(?:[A-Za-z]:)?(?:[/\\][\w.+~-]+){2,}"
_NUMBERS = (
    r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"  # UUIDs
    r"|\b0x[0-9a-fA-F]+\b|\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{8,}\b"  # addresses and hashes
    r"|\d+(?:[.,:]\d+)*"  # numbers, times, versions, IP addresses
)
_MAY_VARY = re.compile(r"[\d@/\\]|www\.")


def fingerprints(text: str) -> tuple[int, int]:
    """Return two 64-bit hashes of a text without case and white space: exact, and with its variable parts masked.

    They are equal if the text has no variable parts. Zero is never returned.
    """
    plain = " ".join(text.casefold().split())
    exact = _hash(plain)
    if not _may_vary(plain):
        return exact, exact
    varies = _varies(mails="@" in plain, links_and_paths="/" in plain or "\\" in plain or "www." in plain)
    return exact, _hash("\0" + varies.sub("\0", plain))


@cache
def _varies(*, mails: bool, links_and_paths: bool) -> re.Pattern[str]:
    """Return what varies in texts of a kind: `re` tries at each character all that it looks for, needed or not."""
    parts = [_MAILS] if mails else []
    if links_and_paths:
        parts.append(_LINKS_AND_PATHS)
    return re.compile("|".join([*parts, _NUMBERS]))


def _may_vary(plain: str) -> bool:
    if plain.isascii():  # same result as the pattern, several times faster
        return "www." in plain or any(map(plain.__contains__, "0123456789@/\\"))
    return _MAY_VARY.search(plain) is not None


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") or 1


def stem(word: str) -> str:
    """Return the stem that a word counts by."""
    first, last = _HANGUL
    return word[: _HANGUL_STEM if first <= word[0] <= last else _STEM]


class _Codes(dict[str, int]):
    """A number for each word, by its stem; a cache that is emptied when it has `_MOST_CODES`."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _MOST_CODES:
            self.clear()
        code = zlib.crc32(stem(word).encode())
        if word.isdigit():
            code &= (1 << _OF_BUCKET) - 1  # numbers share the first bucket
        self[word] = code
        return code


class Lexical(NamedTuple):
    """The words of texts: their vectors, shape (n, DIMENSIONS), and of each its packed words (word_sets.py)."""

    vectors: npt.NDArray[np.float32]
    words: list[bytes]


class _Counted(NamedTuple):
    """The different words of texts, by text: the number of the text, the code, and how often it has the word.

    In `told` a word in the first line counts twice: a title says more than what follows it.
    """

    row: npt.NDArray[np.int64]
    code: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]
    told: npt.NDArray[np.int64]


class Lexicon:
    """The document frequencies of one project, and vectors that use them."""

    def __init__(self) -> None:
        """Start without texts."""
        self.seen = 0
        self._frequencies = np.zeros(BUCKETS, np.uint32)
        self._codes = _Codes()
        self._dirty: set[int] = set()

    def add(self, texts: Sequence[str]) -> Lexical:
        """Count texts, and return what they say: unit vectors, zero without words.

        The words of a rating are none: 10/10 has nothing in common with 1/10.
        """
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        self.seen += len(texts)
        counted = self._count(texts)
        if not len(counted.row):
            return Lexical(vectors, [b""] * len(texts))
        bucket = _bucket(counted.code)
        self._frequencies += np.bincount(bucket, minlength=BUCKETS).astype(np.uint32)
        self._dirty.update(np.unique(bucket // _BLOCK).tolist())
        rarity = self._rarity(bucket)
        weight = (1 + np.log(counted.times)) * rarity
        place = counted.row * DIMENSIONS + (counted.code >> 1) % DIMENSIONS
        sums = np.bincount(place, np.where(counted.code & 1, weight, -weight), minlength=vectors.size)
        vectors += sums.reshape(vectors.shape).astype(np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, lengths, out=vectors, where=lengths > 0)
        return Lexical(vectors, _packed(counted, rarity, len(texts)))

    def words(self, texts: Sequence[str]) -> list[bytes]:
        """Return the packed words of texts, without counting the texts."""
        if not texts:
            return []
        counted = self._count(texts)
        return _packed(counted, self._rarity(_bucket(counted.code)), len(texts))

    def _count(self, texts: Sequence[str]) -> _Counted:
        codes: list[int] = []
        counts: list[int] = []
        in_titles: list[int] = []
        for row, text in enumerate(texts):
            before = len(codes)
            if wordless(text) is None:
                codes += map(self._codes.__getitem__, words(text))
                title, _, body = text.partition("\n")
                if body:
                    in_titles += [row << 32 | self._codes[word] for word in words(title)]
            counts.append(len(codes) - before)
        # np.unique uses a hash table, which is slower than sorting.
        rows = np.repeat(np.arange(len(texts)), np.array(counts, np.int64))
        every = np.sort(rows << 32 | np.array(codes, np.int64))
        first = np.flatnonzero(np.diff(every, prepend=-1))
        keys, times = every[first], np.diff(first, append=len(every))
        told = times
        if in_titles:
            # A word may be another one where a line ends: a title's is not always among those of the text.
            titled = np.array(in_titles, np.int64)
            at = np.searchsorted(keys, titled)
            there = keys[np.minimum(at, len(keys) - 1)] == titled
            told = times + np.bincount(at[there], minlength=len(keys))
        return _Counted(keys >> 32, keys & 0xFFFFFFFF, times, told)

    def copy(self) -> "Lexicon":
        """Return a copy for looking frequencies up while more texts arrive."""
        copied = Lexicon()
        copied.seen = self.seen
        copied._codes = self._codes  # what a word's code is never changes
        copied._frequencies = self._frequencies.copy()
        return copied

    def rarity(self, stems: Sequence[str]) -> list[float]:
        """Return ln((n + 1) / (df + 1/2)) of each stem."""
        code = np.array([self._codes[word] for word in stems], np.int64)
        rarity: list[float] = self._rarity(_bucket(code)).tolist()
        return rarity

    def _rarity(self, bucket: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        # A bucket that several words share may have a higher count than there are texts.
        frequency = np.minimum(self._frequencies[bucket], self.seen)
        rarity: npt.NDArray[np.float64] = np.log((self.seen + 1) / (frequency + 0.5))
        return rarity

    def dump(self) -> Iterable[tuple[bytes, bytes]]:
        """Yield the blobs of the counters that have changed since the last dump."""
        for block in sorted(self._dirty):
            yield block.to_bytes(2, "big"), self._frequencies[block * _BLOCK : (block + 1) * _BLOCK].tobytes()
        self._dirty.clear()

    def load(self, seen: int, blobs: Mapping[bytes, bytes]) -> None:
        """Load the counters of earlier dumps; `seen` is the number of texts."""
        self.seen = seen
        for key, blob in blobs.items():
            at = int.from_bytes(key, "big") * _BLOCK
            self._frequencies[at : at + _BLOCK] = np.frombuffer(blob, np.uint32)


def _packed(counted: _Counted, rarity: npt.NDArray[np.float64], count: int) -> list[bytes]:
    """Return the packed words of `count` texts; of a text with too many, those that say most."""
    row, code, told = counted.row, counted.code, counted.told
    if len(row) and np.bincount(row).max() > MOST_WORDS:
        order = np.lexsort((-(1 + np.log(told)) * rarity, row))
        start = np.searchsorted(row, np.arange(count))
        kept = order[np.arange(len(row)) - start[row] < MOST_WORDS]  # ordered by row, as `row` itself
        row, code, told = row[kept], code[kept], told[kept]
    packed = pack(code, told)
    ends = np.searchsorted(row, np.arange(count + 1)).tolist()
    return [packed[start:end].tobytes() for start, end in pairwise(ends)]


def _bucket(code: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return (code >> _OF_BUCKET) % BUCKETS
