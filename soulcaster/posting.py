"""Posting feedback: how items get onto feedback.raw, for the API and for files alike."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from soulcaster.domain.feedback import FeedbackItem
from soulcaster.intake import Refusal, read
from soulcaster.messages import raw_envelopes
from soulcaster.ports import KeyedPublisher, Outgoing, Record
from soulcaster.topics import FEEDBACK_RAW


@dataclass(frozen=True, slots=True)
class Ready:
    """An item that can be posted, and the RawFeedback that it travels as, in JSON."""

    item: FeedbackItem
    value: bytes


def make_ready(values: Sequence[bytes], at: datetime) -> tuple[list[Ready], list[Refusal]]:
    """Return items, each a RawFeedback as JSON, as they can be posted, and those that normalize would refuse.

    They are read by what reads them behind Kafka, so that what is posted is never refused there. A refusal's `index`
    is the item's place here. Each item has an external id: one that is read at another place would be another item.
    """
    ready = []
    refusals = []
    received = int(at.timestamp() * 1000)
    for index, value in enumerate(values):
        accepted, refused = read(Record(FEEDBACK_RAW.name, 0, 0, received, None, value))
        ready += [Ready(one.item, value) for one in accepted]
        refusals += [replace(one, index=index) for one in refused]
    return ready, refusals


async def post(publisher: KeyedPublisher, items: Sequence[Ready]) -> None:
    """Publish items, and return once Kafka has them all.

    Versions of an item stay in order, the later posted is the newer: it goes by its id to a partition that is the same
    every time. Items of one partition share envelopes, for a message costs far more than its bytes.

    Raises:
        KafkaUnavailable: at least one was not acknowledged; to post all again is harmless.
    """
    groups = [items] if len(items) == 1 else await _by_partition(publisher, items)
    await publisher.publish(
        [
            Outgoing(FEEDBACK_RAW.name, together[0].item.id.encode(), value)
            for together in groups
            for value in _messages([ready.value for ready in together])
        ]
    )


async def _by_partition(publisher: KeyedPublisher, items: Sequence[Ready]) -> Sequence[Sequence[Ready]]:
    partitions = await publisher.partitions(FEEDBACK_RAW.name, [ready.item.id.encode() for ready in items])
    groups: dict[int, list[Ready]] = defaultdict(list)
    for partition, ready in zip(partitions, items, strict=True):
        groups[partition].append(ready)
    return list(groups.values())


def _messages(values: Sequence[bytes]) -> Sequence[bytes]:
    return values if len(values) == 1 else list(raw_envelopes(values))
