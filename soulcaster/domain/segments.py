"""State as a log of immutable segments: a batch of changes is one table row, however many items it holds.

A table row costs a changelog message, and a message costs far more than its bytes; one row per item or cluster would be
most of the stream's work. Here one commit is one atomic row. It holds records (16-byte id -> value of fixed width,
sorted, in columns: 16 + width bytes each and no Python object per item) and blobs (key -> bytes of any length). Rows
are merged eight by eight as in a log-structured merge tree (O'Neil et al. 1996), newest value first. Rows that have
reached `SEGMENT_BYTES` stay as they are until half of their bytes are outdated blobs (as in a log-structured file
system, Rosenblum and Ousterhout 1992).

A merge writes the wide row before it deletes the narrow ones. A row whose range another row covers is outdated and
ignored, so a crash in between, or a row left over from before a rebalance, changes nothing.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import msgspec
import numpy as np
import numpy.typing as npt

from soulcaster.errors import BadInput

SEGMENT_BYTES = 512 * 1024
"""A merge makes no row larger than this; a single commit can be of any size (`tables/parts.py` writes it)."""

FANOUT = 8
"""So many rows of one height are merged into one row of the next height."""

_ID = 16
_HEADER = struct.Struct("<4sBxHI")  # magic, height, record width, record count
_MAGIC = b"SEG1"
_FROZEN = 255
_SIZE = 32
"""The location of a blob is one number: the first commit of its row, and in this many low bits the blob's length."""
_LARGEST = (1 << _SIZE) - 1

_encode_blobs = msgspec.msgpack.Encoder().encode
_decode_blobs = msgspec.msgpack.Decoder(dict[bytes, bytes]).decode


@dataclass(frozen=True, slots=True)
class RowChange:
    """One change to the table under the segments: a row's new value, or None if the row is deleted."""

    key: str
    value: bytes | None


@dataclass(slots=True, eq=False)
class _Row:
    first: int
    last: int
    height: int
    high: npt.NDArray[np.uint64]
    low: npt.NDArray[np.uint64]
    values: npt.NDArray[np.uint8]
    raw: bytes
    blobs_at: int
    dead: int = 0

    @property
    def key(self) -> str:
        return f"{self.first:012d}-{self.last:012d}"

    def blobs(self) -> dict[bytes, bytes]:
        return _decode_blobs(memoryview(self.raw)[self.blobs_at :])


def _parse(key: str, raw: bytes, width: int) -> _Row:
    first, last = (int(part) for part in key.split("-"))
    try:
        magic, height, row_width, count = _HEADER.unpack_from(raw)
    except struct.error as error:
        raise BadInput(f"the table row {key} is not a segment: {len(raw)} bytes") from error
    if magic != _MAGIC or row_width != width:
        raise BadInput(f"the table row {key} is not a segment of width {width}: it starts with {raw[:12]!r}")
    at = _HEADER.size
    high = np.frombuffer(raw, "<u8", count, at)
    low = np.frombuffer(raw, "<u8", count, at + 8 * count)
    values = np.frombuffer(raw, np.uint8, width * count, at + _ID * count).reshape(count, width)
    return _Row(first, last, height, high, low, values, raw, at + (_ID + width) * count)


def _current(rows: Mapping[str, bytes], width: int) -> Iterable[_Row]:
    """Yield the rows that no other one covers, in order."""
    last = -1
    for row in sorted((_parse(key, raw, width) for key, raw in rows.items()), key=lambda row: (row.first, -row.last)):
        if row.last > last:
            last = row.last
            yield row


def newest_blob(rows: Mapping[str, bytes], width: int, key: bytes) -> bytes | None:
    """Return a blob of `Segments(width, rows)`, None where there is none; most rows need not be decoded for it.

    Raises:
        BadInput: a row is not a segment of this width.
    """
    for row in reversed([*_current(rows, width)]):
        if row.raw.find(key, row.blobs_at) >= 0 and key in (blobs := row.blobs()):
            return blobs[key] or None
    return None


class Segments:
    """The rows of one project in one table.

    Not thread-safe. `commit` changes the state in memory and returns the changes to write to the table. A caller that
    cannot write them must discard the object and load it again.
    """

    def __init__(self, width: int, rows: Mapping[str, bytes] | None = None) -> None:
        """Load rows by key; `width` is the size of a record's value in bytes.

        Raises:
            BadInput: a row is not a segment of this width.
        """
        self._width = width
        self._rows: list[_Row] = []
        self._by_first: dict[int, _Row] = {}
        self._where: dict[bytes, int] = {}
        for row in _current(rows or {}, width):
            self._rows.append(row)
            self._index(row, row.blobs())
        self._next = self._rows[-1].last + 1 if self._rows else 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    @property
    def nbytes(self) -> int:
        """Return the bytes of all rows."""
        return sum(len(row.raw) for row in self._rows)

    def get(self, ids: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each 16-byte id, None for an unknown id."""
        found: list[bytes | None] = [None] * len(ids)
        if not ids:
            return found
        wanted = np.frombuffer(b"".join(ids), "<u8").reshape(-1, 2)
        open_ = np.arange(len(ids))
        for row in reversed(self._rows):
            if not len(row.high):
                continue
            at = _find(row, wanted[open_, 0], wanted[open_, 1])
            hit = at >= 0
            if hit.any():
                for position, index in zip(open_[hit].tolist(), at[hit].tolist(), strict=True):
                    found[position] = row.values[index].tobytes()
                open_ = open_[~hit]
                if not len(open_):
                    break
        return found

    def records(self) -> dict[bytes, bytes]:
        """Return every record, id -> value. This is as large as the state: for tests, exports and recounts."""
        ids, values = self.columns()
        return {one.tobytes(): value.tobytes() for one, value in zip(ids, values, strict=True)}

    def columns(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Return every record in two arrays, sorted by id: ids, shape (records, 16), and values, (records, width)."""
        if not self._rows:
            return np.zeros((0, _ID), np.uint8), np.zeros((0, self._width), np.uint8)
        high, low, values = _newest(self._rows)
        order = np.lexsort((low.byteswap(), high.byteswap()))  # numbers are little-endian, ids sort as bytes
        ids = np.stack([high[order], low[order]], axis=1)
        return ids.view(np.uint8).reshape(-1, _ID), values[order]

    def blobs(self) -> dict[bytes, bytes]:
        """Return every blob that is not empty; an empty blob is a deleted one."""
        newest: dict[bytes, bytes] = {}
        for row in self._rows:
            newest.update(self._live(row))
        return {key: blob for key, blob in newest.items() if blob}

    def commit(self, records: Mapping[bytes, bytes], blobs: Mapping[bytes, bytes]) -> list[RowChange]:
        """Add one row with these changes, merge and clean; return the table's changes in the order to make them."""
        if not records and not blobs:
            return []
        first = self._next
        self._next += 1
        row = self._make(first, first, 0, *_columns(records, self._width), dict(blobs))
        changes = [RowChange(row.key, row.raw)]
        self._index(row, blobs)
        self._rows.append(row)
        changes += self._merge()
        changes += self._clean()
        return changes

    def _index(self, row: _Row, blobs: Mapping[bytes, bytes]) -> None:
        """Register the blobs of a row; older blobs of the same keys in other rows become outdated."""
        self._by_first[row.first] = row
        for key, blob in blobs.items():
            where = self._where.get(key)
            if where is not None:
                self._by_first[where >> _SIZE].dead += (where & _LARGEST) + len(key)
            self._where[key] = row.first << _SIZE | len(blob)

    def _live(self, row: _Row) -> dict[bytes, bytes]:
        """Return the blobs of a row that are not outdated."""
        return {key: blob for key, blob in row.blobs().items() if self._where[key] >> _SIZE == row.first}

    def _make(
        self,
        first: int,
        last: int,
        height: int,
        high: npt.NDArray[np.uint64],
        low: npt.NDArray[np.uint64],
        values: npt.NDArray[np.uint8],
        blobs: Mapping[bytes, bytes],
    ) -> _Row:
        raw = b"".join(
            (
                _HEADER.pack(_MAGIC, height, self._width, len(high)),
                high.tobytes(),
                low.tobytes(),
                values.tobytes(),
                _encode_blobs(blobs),
            )
        )
        return _parse(f"{first}-{last}", raw, self._width)

    def _merge(self) -> list[RowChange]:
        """Merge the newest rows while eight neighbours have one height; those too large for one row are frozen."""
        changes: list[RowChange] = []
        while len(self._rows) >= FANOUT:
            tail = self._rows[-FANOUT:]
            height = tail[-1].height
            if height == _FROZEN or any(row.height != height for row in tail):
                break
            groups = list(_groups(tail))
            merged = [self._join(group, height + 1 if len(groups) == 1 else _FROZEN) for group in groups]
            self._rows[-FANOUT:] = merged
            changes += _replacements(groups, merged)
        return changes

    def _clean(self) -> list[RowChange]:
        """Rewrite the row with the most outdated bytes beyond half, if any, together with a small neighbour."""
        frozen = (row for row in self._rows if row.height == _FROZEN)
        worst = max(frozen, key=lambda row: row.dead * 2 - len(row.raw), default=None)
        if worst is None or worst.dead * 2 < len(worst.raw):
            return []
        at = self._rows.index(worst)
        neighbours = self._rows[max(0, at - 1) : at + 1]
        small = sum(len(row.raw) - row.dead for row in neighbours) < SEGMENT_BYTES // 2
        group = neighbours if small and all(row.height == _FROZEN for row in neighbours) else [worst]
        start = at + 1 - len(group)
        merged = self._join(group, _FROZEN)
        self._rows[start : at + 1] = [merged]
        return _replacements([group], [merged])

    def _join(self, group: Sequence[_Row], height: int) -> _Row:
        records = _newest(group)
        blobs = {key: blob for row in group for key, blob in self._live(row).items()}
        merged = self._make(group[0].first, group[-1].last, height, *records, blobs)
        for row in group:
            del self._by_first[row.first]
        self._by_first[merged.first] = merged
        self._where.update((key, merged.first << _SIZE | len(blob)) for key, blob in blobs.items())
        return merged


def _find(row: _Row, high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Return the position of each id in the row, -1 for an id that is not in it."""
    left = np.searchsorted(row.high, high)
    inside = np.minimum(left, len(row.high) - 1)
    at = np.where((left < len(row.high)) & (row.high[inside] == high) & (row.low[inside] == low), inside, -1)
    # Ids with the same first half are neighbours; they are very rare, so a loop is fast enough.
    for i in np.flatnonzero((at < 0) & (left < len(row.high)) & (row.high[inside] == high)):
        j = int(left[i])
        while j < len(row.high) and row.high[j] == high[i]:
            if row.low[j] == low[i]:
                at[i] = j
            j += 1
    return at


def _columns(
    records: Mapping[bytes, bytes], width: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64], npt.NDArray[np.uint8]]:
    ids = np.frombuffer(b"".join(records), "<u8").reshape(-1, 2)
    values = np.frombuffer(b"".join(records.values()), np.uint8).reshape(len(records), width)
    order = np.argsort(ids[:, 0], kind="stable")
    return ids[order, 0], ids[order, 1], values[order]


def _newest(
    rows: Sequence[_Row],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64], npt.NDArray[np.uint8]]:
    """Return the records of neighbouring rows as one sorted run, with the newest value of each id."""
    high = np.concatenate([row.high for row in rows])
    low = np.concatenate([row.low for row in rows])
    values = np.concatenate([row.values for row in rows])
    age = np.arange(len(high))
    order = np.lexsort((age, low, high))
    high, low, values = high[order], low[order], values[order]
    last = np.ones(len(high), bool)
    last[:-1] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    return high[last], low[last], values[last]


def _groups(rows: Sequence[_Row]) -> Iterable[list[_Row]]:
    """Yield runs of neighbours that fit into one row each; outdated blobs do not count."""
    total = 0
    group = 0
    marks = []
    for row in rows:
        size = len(row.raw) - row.dead
        if total and total + size > SEGMENT_BYTES:
            group += 1
            total = 0
        total += size
        marks.append(group)
    for _, run in groupby(zip(marks, rows, strict=True), key=lambda pair: pair[0]):
        yield [row for _, row in run]


def _replacements(groups: Sequence[Sequence[_Row]], merged: Sequence[_Row]) -> list[RowChange]:
    """Return the writes of merged rows, each before the deletions of the rows it covers."""
    changes = []
    for group, row in zip(groups, merged, strict=True):
        changes.append(RowChange(row.key, row.raw))
        changes += [RowChange(old.key, None) for old in group if old.key != row.key]
    return changes
