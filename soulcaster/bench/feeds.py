"""What the benches feed in: texts of a given length, from eight projects in turn, as single items or envelopes."""

import csv
import random
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from typing import Literal

from soulcaster.dev.demo_data import FILE, LABEL_COLUMN, TEXT_COLUMN
from soulcaster.wire.feedback import RawEnvelope, RawFeedback

PROJECTS = 8
ENVELOPE_ITEMS = 100

Feed = Literal["singles", "envelopes"]


def demo_topics() -> list[list[str]]:
    """Return the texts of the demo data set, topic by topic."""
    topics: dict[str, list[str]] = defaultdict(list)
    with FILE.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            topics[row[LABEL_COLUMN]].append(row[TEXT_COLUMN])
    return list(topics.values())


def texts(count: int, length: int, seed: int) -> Iterator[str]:
    """Yield texts of `length` characters, each made of sentences that people wrote about one topic."""
    topics = demo_topics()
    chance = random.Random(seed)  # noqa: S311  reproducible, not secret
    for _ in range(count):
        sentences = chance.choice(topics)
        text = chance.choice(sentences)
        while len(text) < length:
            text += " " + chance.choice(sentences)
        yield text[:length]


def project_ids(run: str) -> list[str]:
    """Return the projects of a run; each run has its own, so it starts from nothing."""
    return [f"bench-{run}-{i}" for i in range(PROJECTS)]


def items(run: str, count: int, length: int, seed: int = 0) -> Iterator[RawFeedback]:
    """Yield raw items, from each project in turn."""
    projects = project_ids(run)
    for i, text in enumerate(texts(count, length, seed)):
        yield RawFeedback(project_id=projects[i % PROJECTS], source="bench", external_id=str(i), body=text)


def messages(feed: Feed, run: str, count: int, length: int) -> Iterator[bytes]:
    """Yield the values for feedback.raw: one item each, or `ENVELOPE_ITEMS` items each."""
    stream = items(run, count, length)
    while some := tuple(islice(stream, 1 if feed == "singles" else ENVELOPE_ITEMS)):
        if feed == "singles":
            yield some[0].model_dump_json(exclude_none=True).encode()
        else:
            yield RawEnvelope(items=some).to_bytes()
