"""Posting feedback: how items and vendors' deliveries get onto feedback.raw, from the API, files and syncs alike."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic_core import PydanticSerializationError

from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.ids import item_id
from soulcaster.domain.sources import SOURCES, Delete, Nothing, SourceChange
from soulcaster.ports.messaging import KeyedPublisher, Outgoing, Record
from soulcaster.services.intake import Refusal, read, read_json
from soulcaster.telemetry.metrics import ITEMS_POSTED
from soulcaster.wire.feedback import Delivery, of_project, raw_envelopes
from soulcaster.wire.topics import FEEDBACK_RAW


@dataclass(frozen=True, slots=True)
class PostableItem:
    """An item that can be posted, and the RawFeedback that it travels as, in JSON."""

    item: FeedbackItem
    value: bytes


@dataclass(frozen=True, slots=True)
class PostableDelivery:
    """A vendor's delivery as it can be posted, and what its parser makes of it now.

    `item_ids` are the items in it, each once; `deletes` says whether it deletes one of them. `ignored` says why it is
    not feedback, `refusal` why it will be a dead letter; each is None where it does not apply.
    """

    message: Outgoing
    item_ids: tuple[str, ...]
    deletes: bool = False
    ignored: str | None = None
    refusal: str | None = None


def read_items(values: Sequence[bytes], at: datetime) -> tuple[list[PostableItem], list[Refusal]]:
    """Return the items that can be posted, and refusals of those that the agent `normalize` would refuse.

    The same code reads them as behind Kafka, so nothing that is posted is refused there. A refusal's `index` is the
    item's index in `values`.

    Args:
        values: each a RawFeedback in JSON, with an external id: one that is generated depends on the record, so the
            item would have another id behind Kafka.
        at: when they were received.
    """
    items = []
    refusals = []
    received_ms = int(at.timestamp() * 1000)
    for index, value in enumerate(values):
        contents = read(Record(FEEDBACK_RAW.name, 0, 0, received_ms, None, value))
        items += [PostableItem(one.item, value) for one in contents.items]
        refusals += [replace(one, index=index) for one in contents.refused]
    return items, refusals


def read_delivery(project_id: str, vendor: str, headers: Mapping[str, str], payload: bytes) -> PostableDelivery:
    """Return a vendor's delivery as it can be posted; it keeps the headers that the vendor's parser reads.

    Raises:
        ValueError: the payload is not JSON, or is nested too deeply to be written again.
    """
    source = SOURCES[vendor]
    kept = {name: headers[name] for name in source.headers if name in headers}
    message = Delivery(project_id=project_id, vendor=vendor, headers=kept, payload=read_json(payload))
    try:
        value = message.to_bytes()
    except PydanticSerializationError as error:
        raise ValueError("lists and objects are nested too deeply") from error
    outcomes: Sequence[SourceChange] = ()
    refusal = None
    try:
        outcomes = source.parse(kept, message.payload)
    except ValueError as error:
        refusal = str(error)
    external_ids = [outcome.external_id for outcome in outcomes if not isinstance(outcome, Nothing)]
    ids = tuple(dict.fromkeys(item_id(project_id, vendor, one) for one in external_ids))
    ignored = "; ".join(outcome.reason for outcome in outcomes if isinstance(outcome, Nothing))
    key = ids[0] if ids else project_id
    return PostableDelivery(
        Outgoing(FEEDBACK_RAW.name, key.encode(), value, of_project(project_id)),
        ids,
        deletes=any(isinstance(outcome, Delete) for outcome in outcomes),
        ignored=None if ids else ignored or None,
        refusal=refusal,
    )


class FeedbackPosts:
    """Publishes feedback."""

    def __init__(self, publisher: KeyedPublisher) -> None:
        self._publisher = publisher

    async def post(self, items: Sequence[PostableItem]) -> None:
        """Publish items.

        Versions of an item stay in order, the one posted later is the newer: an item's id is the key of its message,
        alone or in an envelope with others of the same partition and project. Envelopes, because a message costs far
        more than its bytes.

        Raises:
            KafkaUnavailable: Kafka did not acknowledge all of them; it does no harm to post all again.
        """
        with _counted(len(items)):
            groups = [items] if len(items) == 1 else await self._by_partition(items)
            await self._publisher.publish(
                [
                    Outgoing(FEEDBACK_RAW.name, group[0].item.id.encode(), value, of_project(group[0].item.project_id))
                    for group in groups
                    for value in _messages([item.value for item in group])
                ]
            )

    async def post_delivery(self, delivery: PostableDelivery) -> None:
        """Publish a vendor's delivery.

        Raises:
            KafkaUnavailable: Kafka did not acknowledge it.
        """
        with _counted(len(delivery.item_ids)):
            await self._publisher.publish([delivery.message])

    async def _by_partition(self, items: Sequence[PostableItem]) -> Sequence[Sequence[PostableItem]]:
        partitions = await self._publisher.partitions(FEEDBACK_RAW.name, [one.item.id.encode() for one in items])
        groups: dict[tuple[int, str], list[PostableItem]] = defaultdict(list)
        for partition, one in zip(partitions, items, strict=True):
            groups[partition, one.item.project_id].append(one)
        return list(groups.values())


@contextmanager
def _counted(items: int) -> Iterator[None]:
    """Count items as acknowledged or not, by how the block ends."""
    outcome = "unavailable"
    try:
        yield
        outcome = "acknowledged"
    finally:
        ITEMS_POSTED.labels(outcome).inc(items)


def _messages(values: Sequence[bytes]) -> Sequence[bytes]:
    return values if len(values) == 1 else list(raw_envelopes(values))
