"""Posting feedback: how items get onto feedback.raw, for the API and for files alike."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic_core import PydanticSerializationError

from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.ids import item_id
from soulcaster.domain.sources import SOURCES, Nothing, SourceChange
from soulcaster.ports.messaging import KeyedPublisher, Outgoing, Record
from soulcaster.services.intake import Refusal, read, read_json
from soulcaster.wire.feedback import Delivery, raw_envelopes
from soulcaster.wire.topics import FEEDBACK_RAW


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
        accepted, refused, _ = read(Record(FEEDBACK_RAW.name, 0, 0, received, None, value))
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


@dataclass(frozen=True, slots=True)
class ReadyDelivery:
    """What a vendor sent, as it can be published, and what its parser makes of it now.

    `item_ids` are the items that it tells of, each once. `ignored` is why it is no feedback, `refusal` why it will be
    a dead letter; None where neither.
    """

    message: Outgoing
    item_ids: tuple[str, ...]
    ignored: str | None = None
    refusal: str | None = None


def make_delivery(project_id: str, vendor: str, headers: Mapping[str, str], payload: bytes) -> ReadyDelivery:
    """Return what a vendor sent as it can be published; of the headers those are kept that its parser reads.

    Raises:
        ValueError: the payload is not JSON, or so deep that it cannot be written again.
    """
    source = SOURCES[vendor]
    kept = {name: headers[name] for name in source.headers if name in headers}
    message = Delivery(project_id=project_id, vendor=vendor, headers=kept, payload=read_json(payload))
    try:
        value = message.to_bytes()
    except PydanticSerializationError as error:
        raise ValueError("lists and objects are too deep in one another") from error
    outcomes: Sequence[SourceChange] = ()
    refusal = None
    try:
        outcomes = source.parse(kept, message.payload)
    except ValueError as error:
        refusal = str(error)
    told = [outcome.external_id for outcome in outcomes if not isinstance(outcome, Nothing)]
    ids = tuple(dict.fromkeys(item_id(project_id, vendor, one) for one in told))
    nothing = "; ".join(outcome.reason for outcome in outcomes if isinstance(outcome, Nothing))
    key = ids[0] if ids else project_id
    return ReadyDelivery(
        Outgoing(FEEDBACK_RAW.name, key.encode(), value), ids, ignored=None if ids else nothing or None, refusal=refusal
    )


def _messages(values: Sequence[bytes]) -> Sequence[bytes]:
    return values if len(values) == 1 else list(raw_envelopes(values))
