"""Micro-clusters: near-identical items that are kept as one mean vector and a count.

The term is that of CluStream (Aggarwal et al., VLDB 2003) and DenStream (Cao et al., SDM 2006).
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from soulcaster.domain.feedback.items import ComparedItem

TITLE_CHARS = 200
SUMMARY_CHARS = 280

Member = tuple[bytes, float, int]
"""An item: its id (16 bytes), its time in epoch seconds, the fingerprint of its text."""

_MEMBER = struct.Struct("<16sdQ")
MEMBER_BYTES = _MEMBER.size


_MEMBER_COLUMNS = np.dtype([("item_id", "u1", 16), ("time", "<f8"), ("fingerprint", "<u8")])
"""The same, for many items at once."""


def pack_columns(
    item_ids: npt.NDArray[np.uint8], times: npt.NDArray[np.float64], fingerprints: npt.NDArray[np.uint64]
) -> npt.NDArray[np.void]:
    """Return members, shape (n,), of which the bytes are as `MicroCluster.packed_members` holds them.

    Ids have the shape (n, 16), times and fingerprints (n,).
    """
    packed = np.empty(len(times), _MEMBER_COLUMNS)
    packed["item_id"], packed["time"], packed["fingerprint"] = item_ids, times, fingerprints
    return packed


def pack_members(members: Iterable[Member]) -> bytearray:
    """Return members as `MicroCluster.packed_members` holds them."""
    return bytearray(b"".join(_MEMBER.pack(*member) for member in members))


def shortened(item: ComparedItem) -> tuple[str, str]:
    """Return the title and summary that a micro-cluster keeps of an item."""
    return item.title[:TITLE_CHARS], item.text[:SUMMARY_CHARS]


@dataclass(slots=True)
class MicroCluster:
    """What is known of a micro-cluster besides its mean: its first item's text, and which items it has.

    `packed_members` holds `MEMBER_BYTES` an item. `fingerprints` are the texts that lead here: the first with its
    variable parts masked (0: none), the others as they are. `text_of` is the item that title and summary come from; it
    may have moved to another micro-cluster since. When it is deleted, title and summary are empty. `template` is None
    for people's texts, else what these texts of a machine are printed from (templates/words.py); it is empty where a
    person has taken items out of one. `language` is that of a foreign text, else empty. `words` are those of the text
    or the template, packed (features/word_sets.py).
    """

    item_id: bytes
    title: str
    summary: str
    sources: tuple[str, ...]
    first: float
    last: float
    fingerprints: tuple[int, ...]
    packed_members: bytearray = field(default_factory=bytearray)
    text_of: bytes = b""
    template: tuple[str, ...] | None = None
    language: str = ""
    words: bytes = b""

    def __post_init__(self) -> None:
        """Default `text_of` to the first item."""
        self.text_of = self.text_of or self.item_id

    @property
    def has_text(self) -> bool:
        """Return whether a title or a summary is left."""
        return bool(self.title or self.summary)

    def members(self) -> list[Member]:
        """Return the items."""
        return list(_MEMBER.iter_unpack(self.packed_members))

    def add_member(self, item_id: bytes, time: float, fingerprint: int) -> None:
        """Append an item."""
        self.packed_members += _MEMBER.pack(item_id, time, fingerprint)


FREE = MicroCluster(b"", "", "", (), float("inf"), float("-inf"), ())
"""Fills a free slot."""
