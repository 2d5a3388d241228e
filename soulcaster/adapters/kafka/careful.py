"""The one consumer that every reader is made from: what is damaged stops nobody, and aborted transactions are not seen.

aiokafka raises at a batch that it cannot read, at every attempt, and drops what it had at hand of other partitions; of
an error that the broker answers it only writes a line into the log. Here everything before the damage is read; the
place is tried again, because an error may pass; what is damaged for good is handed to `set_aside`; and only when that
has returned, the partition goes on behind it. Other partitions never wait.
"""

import asyncio
import copy
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, Fetcher, FetchResult
from aiokafka.errors import KafkaError, NoError, for_code
from aiokafka.protocol.fetch import FetchRequest

from soulcaster.adapters.kafka.bounded_codecs import bound
from soulcaster.adapters.kafka.damage import HEADER_BYTES, UNREADABLE, BatchReader, batch_header
from soulcaster.adapters.kafka.odd_names import records_with_odd_names
from soulcaster.domain.lost_records import DamagedRecords
from soulcaster.errors import Unavailable

SetAside = Callable[[DamagedRecords], Awaitable[None]]
"""Takes note of records that cannot be read; the consumer goes on behind them when it returns."""

TRIES = 3
"""A place that failed so often is looked at closely."""

PASSING_TRIES = 10
"""So often, if it passes as a rule: an answer has room for some partitions only, and the others come empty."""

PAUSE_SECONDS = 0.5
"""From one try to the next."""

LONG_PAUSE_SECONDS = 5.0
"""From one close look to the next, where nothing is damaged for all that is known."""

LOOK_MS = 10_000
"""Time limit of one request of a close look."""

log = structlog.get_logger(__name__)

bound()  # before anything is fetched


class _Suspect:
    """A place that failed: how often, and until when it is left alone."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.count = 0
        self.wait_until = 0.0
        self.looked_at = False
        """Somebody looks closely now."""


class _Client:
    """aiokafka's client, whose answers are looked at before the fetcher has them."""

    def __init__(self, client: Any, look: Callable[[Any, Any], None]) -> None:
        self._client = client
        self._look = look

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: Any, request: Any, **options: Any) -> Any:
        answer = await self._client.send(node_id, request, **options)
        self._look(request, answer)
        return answer


class CarefulFetcher(Fetcher):  # type: ignore[misc]  # aiokafka has no types
    """Gives the records before a damaged batch, and moves a partition on when the damage is set aside."""

    def begin(self, set_aside: SetAside) -> None:
        """Prepare what aiokafka's own fetcher does not have; nothing has been fetched yet."""
        self._set_aside = set_aside
        client = self._client
        self._batches = BatchReader(client)
        self._client: Any = _Client(client, self._look)
        self._suspects: dict[TopicPartition, _Suspect] = {}
        self._without_records: dict[TopicPartition, tuple[int, int]] = {}
        self._data: dict[TopicPartition, bytes] = {}
        self._left_behind: dict[TopicPartition, dict[bytes, int]] = {}
        self._close_looks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Stop looking, and fetching."""
        for task in self._close_looks:
            task.cancel()
        if self._close_looks:
            await asyncio.wait(self._close_looks)
        await super().close()

    def past_no_records(self, tp: TopicPartition, offset: int) -> int:
        """Return the offset behind those from `offset` on of which it is known that they are no records."""
        first, behind = self._without_records.get(tp, (offset, offset))
        return behind if first <= offset < behind else offset

    async def log_ends(self, partitions: Collection[TopicPartition], timeout_ms: int) -> Mapping[TopicPartition, int]:
        """Return where partitions end, with what open transactions have written."""
        of_all = copy.copy(self)
        of_all._isolation_level = READ_UNCOMMITTED
        found: Mapping[TopicPartition, int] = await of_all.end_offsets(partitions, timeout_ms)
        return found

    # ---- aiokafka's own methods --------------------------------------------------------------------------------

    def _get_actions_per_node(self, assignment: Any) -> Any:
        fetches, *rest = super()._get_actions_per_node(assignment)
        now = time.monotonic()
        waiting = {tp for tp, one in self._suspects.items() if one.looked_at or one.wait_until > now}
        if waiting:
            fetches = [(node, request) for node, request in fetches if _without(request, waiting)]
        return (fetches, *rest)

    async def _proc_fetch_request(self, assignment: Any, node_id: Any, request: Any) -> Any:
        woken = await super()._proc_fetch_request(assignment, node_id, request)
        for topic, partitions in request.topics:
            for partition, *_ in partitions:
                tp = TopicPartition(topic, partition)
                fetched = self._records.get(tp)
                data = self._data.pop(tp, b"")
                if type(fetched) is FetchResult and fetched.has_more():
                    records = fetched._partition_records
                    records._records_iterator = self._until_damage(tp, records, records._records_iterator, data)
        return woken

    # ---- what fails ----------------------------------------------------------------------------------------------

    def _look(self, request: Any, answer: Any) -> None:
        """Look at an answer to a fetch; leave out of it what stands behind a header that makes no sense."""
        if isinstance(request, FetchRequest):
            asked = {(topic, number): at for topic, partitions in request.topics for number, at, _ in partitions}
            answer.topics = [
                (topic, [self._looked_at(topic, asked[topic, one[0]], one) for one in partitions])
                for topic, partitions in answer.topics
            ]

    def _looked_at(self, topic: str, at: int, answer: Any) -> Any:
        number, code, highwater, *rest, data = answer
        error = for_code(code)
        tp = TopicPartition(topic, number)
        if issubclass(error, UNREADABLE):
            self._suspect(tp, at, error.__name__)
        elif error is NoError and data:
            data = self._behind_damage(tp, at, data)
            answer = (number, code, highwater, *rest, data)
        if error is NoError and not data:
            stable = rest[0] if rest else highwater
            if at < stable:
                self._suspect(tp, at, "nothing came", passes=True)
        elif error is NoError:
            good = _sensible(data, highwater)
            if not good:  # the highwater may be older than the data: then this passes
                self._suspect(tp, at, "its header makes no sense", passes=True)
            self._data[tp] = data = data[:good]
            return (number, code, highwater, *rest, data)
        return answer

    def _behind_damage(self, tp: TopicPartition, at: int, data: bytes) -> bytes:
        """Return data without the damaged batches that it begins with and that the consumer has left behind.

        A broker believes what a damaged header says of offsets, and gives its batch again and again.
        """
        left = self._left_behind.get(tp, {})
        while data and (header := batch_header(data, 0)) and left.get(bytes(data[:HEADER_BYTES]), at + 1) <= at:
            data = data[max(header.size, HEADER_BYTES) :]
        return data

    def _until_damage(self, tp: TopicPartition, records: Any, unpacked: Iterator[Any], data: bytes) -> Iterator[Any]:
        """Yield records, and end before one that cannot be read; note the offsets at the end that are no records."""
        behind = records.next_fetch_offset
        try:
            try:
                for record in unpacked:
                    yield record
                    behind = records.next_fetch_offset
            except UnicodeDecodeError:
                for record, next_offset in records_with_odd_names(tp, data, records.next_fetch_offset):
                    records.next_fetch_offset = next_offset
                    yield record
                    behind = records.next_fetch_offset
        except Exception as error:  # whatever a codec or a parser raises
            self._suspect(tp, records.next_fetch_offset, f"{type(error).__name__}: {error}")
        self._note_no_records(tp, behind, records.next_fetch_offset)

    def _note_no_records(self, tp: TopicPartition, first: int, behind: int) -> None:
        """Note offsets at which there are no records: markers of transactions, and what is aborted or damaged."""
        if first < behind:
            before = self._without_records.get(tp)
            self._without_records[tp] = (before[0] if before and before[1] == first else first, behind)

    def _suspect(self, tp: TopicPartition, at: int, why: str, *, passes: bool = False) -> None:
        """Note that a place failed; what `passes` as a rule is not waited for."""
        one = self._suspects.get(tp)
        if one is None or one.at != at:
            one = self._suspects[tp] = _Suspect(at)
        one.count += 1
        if not passes:
            one.wait_until = time.monotonic() + PAUSE_SECONDS
        if one.count >= (PASSING_TRIES if passes else TRIES) and not one.looked_at:
            log.warning("records cannot be read", topic=tp.topic, partition=tp.partition, offset=at, why=why)
            one.looked_at = True
            task = asyncio.get_running_loop().create_task(self._look_closely(tp, one))
            self._close_looks.add(task)
            task.add_done_callback(self._close_looks.discard)

    async def _look_closely(self, tp: TopicPartition, suspect: _Suspect) -> None:
        """Set aside what is damaged at a place, and go on behind it; leave the place alone for a while if it is not."""
        try:
            ends = await self.end_offsets([tp], LOOK_MS)
            damage = await self._batches.damage(tp, suspect.at, ends[tp])
            if damage.certain:
                for damaged in damage.found:
                    await self._set_aside(damaged)
                    self._move(tp, damaged)
        except (KafkaError, OSError, TimeoutError, Unavailable) as error:
            log.warning(
                "what cannot be read is not set aside yet", topic=tp.topic, partition=tp.partition, why=str(error)
            )
            suspect.wait_until = time.monotonic() + LONG_PAUSE_SECONDS
        except Exception:
            log.exception("what cannot be read could not be set aside", topic=tp.topic, partition=tp.partition)
            suspect.wait_until = time.monotonic() + LONG_PAUSE_SECONDS
        else:
            suspect.wait_until = 0.0 if damage.certain else time.monotonic() + LONG_PAUSE_SECONDS
        suspect.looked_at = False
        suspect.count = 0
        self._notify(self._wait_consume_future)

    def _move(self, tp: TopicPartition, damaged: DamagedRecords) -> None:
        """Go on behind damaged records, if the consumer still stands before them."""
        self._note_no_records(tp, damaged.first, damaged.next)
        if damaged.data:
            self._left_behind.setdefault(tp, {})[damaged.data[:HEADER_BYTES]] = damaged.next
        assignment = self._subscriptions.subscription and self._subscriptions.subscription.assignment
        if assignment and assignment.active and tp in assignment.tps:
            state = assignment.state_value(tp)
            if state.has_valid_position and state.position == damaged.first:
                state.consumed_to(damaged.next)


class CarefulConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """A consumer that reads what is committed, and that damaged records do not stop."""

    def __init__(self, *topics: str, set_aside: SetAside, **options: Any) -> None:
        """Connect nothing yet. `set_aside` is called in the loop of the consumer; the other options are aiokafka's."""
        self._set_aside = set_aside
        super().__init__(*topics, isolation_level="read_committed", **options)

    @property
    def _fetcher(self) -> Any:
        return self.__dict__["_fetcher"]

    @_fetcher.setter
    def _fetcher(self, fetcher: Any) -> None:
        """Take the fetcher that aiokafka has made, before it fetches anything: it lets nobody choose the class."""
        if fetcher is not None:
            fetcher.__class__ = CarefulFetcher
            fetcher.begin(self._set_aside)
        self.__dict__["_fetcher"] = fetcher

    def past_no_records(self, tp: TopicPartition, offset: int) -> int:
        """Return the offset behind those from `offset` on of which it is known that they are no records."""
        return int(self._fetcher.past_no_records(tp, offset))

    async def log_ends(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return where partitions end, with what open transactions have written; `end_offsets` is without it."""
        found: Mapping[TopicPartition, int] = await self._fetcher.log_ends(partitions, self._request_timeout_ms)
        return found


def _without(request: Any, left_out: Collection[TopicPartition]) -> bool:
    """Take partitions out of a request; return whether any are left."""
    request._topics = [
        (topic, kept)
        for topic, partitions in request.topics
        if (kept := [one for one in partitions if TopicPartition(topic, one[0]) not in left_out])
    ]
    return bool(request._topics)


def _sensible(data: bytes, end: int) -> int:
    """Return how many bytes there are before the first batch whose header cannot be in a partition with this end."""
    at = 0
    while (header := batch_header(data, at)) is not None:
        if header.wrong(end):
            return at
        at += header.size
    return len(data)


async def pass_over(damaged: DamagedRecords) -> None:
    """Only say it: for readers outside every group, which leave no trace."""
    log.error("records cannot be read and are passed over", what=damaged.what)


def noting(found: list[DamagedRecords]) -> SetAside:
    """Return what notes damaged records in a list, for those who say at their end what they have passed over."""

    async def note(damaged: DamagedRecords) -> None:
        found.append(damaged)
        await pass_over(damaged)

    return note
