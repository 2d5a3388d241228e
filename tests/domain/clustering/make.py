"""Streams with planted topics, and a table to keep a project's rows in."""

import zlib
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np

from soulcaster.domain.clustering.features.vectors import Vectors, unit
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.item_records import RECORD_BYTES
from soulcaster.domain.clustering.project.steps import Step
from soulcaster.domain.embedder import EmbedderKey
from soulcaster.domain.feedback.items import ComparedItem
from soulcaster.domain.segments import RowChange, Segments
from tests.support.make import compared_item

DIMENSIONS = 16
A = EmbedderKey("a", "1", DIMENSIONS)
B = EmbedderKey("b", "1", DIMENSIONS)

TOPICS = ("card late", "login down", "app slow", "refund missing", "sound broken", "map wrong")
WORDS = ("today", "again", "please", "since", "monday", "weird", "support", "phone", "never", "update", "help", "blue")


def rows(*given: Sequence[float]) -> Vectors:
    """These vectors, at unit length."""
    return unit(np.array(given, np.float32))


def chance_rows(n: int, dimensions: int = DIMENSIONS, seed: int = 0) -> Vectors:
    """Unit rows that have nothing in common."""
    return unit(np.random.default_rng(seed).standard_normal((n, dimensions)).astype(np.float32))


@cache
def text(n: int) -> str:
    """What item n says: of a topic; some say the same, some the same but for a number, some like no other."""
    topic = TOPICS[n % len(TOPICS)]
    match n // len(TOPICS) % 4:
        case 0:
            return f"{topic} {WORDS[n // 48 % len(WORDS)]}"
        case 1:
            return f"{topic} for order {n}"
        case 2:
            return f"{topic} {WORDS[n % 12]} {WORDS[n * 7 % 11]} {WORDS[n * 5 % 7]}"
        case _:
            chance = np.random.default_rng(n)
            return " ".join(WORDS[i] for i in chance.integers(0, len(WORDS), 4))


def vector(says: str, key: EmbedderKey = A) -> Vectors:
    """The vector of a text, as it comes over the wire: near its topic's, as float16, a part common to all in it."""
    topic = next((i for i, words in enumerate(TOPICS) if says.startswith(words)), 99)
    middle = np.random.default_rng(topic).standard_normal(key.dimensions) + 0.5
    noise = np.random.default_rng(zlib.crc32(says.encode())).standard_normal(key.dimensions)
    return unit((middle + 0.6 * noise).astype(np.float32)).astype(np.float16).astype(np.float32)


def stream(numbers: Iterable[int], key: EmbedderKey = A, *, apart: int = 1) -> tuple[list[ComparedItem], Vectors]:
    """Items and their vectors; they come from a hundred times, so many minutes apart."""
    items = [
        compared_item(n, source=("manual", "reddit")[n % 2], text=text(n), minutes=n * 37 % 100 * apart)
        for n in numbers
    ]
    return items, np.stack([vector(item.text, key) for item in items])


def load(table: dict[str, bytes], archive_days: int = 0) -> ProjectClusters:
    """What a project is after a restart."""
    return ProjectClusters("p", Segments(RECORD_BYTES, table), archive_days=archive_days)


def write(table: dict[str, bytes], changes: Iterable[RowChange]) -> None:
    """Write rows as a table does."""
    for change in changes:
        if change.value is None:
            table.pop(change.key, None)
        else:
            table[change.key] = change.value


def fed(count: int, key: EmbedderKey = A, batch: int = 50) -> tuple[ProjectClusters, list[Step]]:
    """A project that so many items have come to."""
    state = load({})
    return state, [state.add(key, *stream(range(at, min(at + batch, count)), key)) for at in range(0, count, batch)]
