from collections.abc import Sequence

import pytest

from agents.runtime.guard import Guard
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.messaging import Record
from soulcaster.services.isolation import ATTEMPTS
from tests.support.agents import Flaky, headers, record


class Work:
    """Processes records in order; raises for the value `bad`, and as often as `passes` says."""

    def __init__(self) -> None:
        self.calls: list[list[bytes | None]] = []
        self.done: list[bytes | None] = []
        self.passes: dict[bytes, int] = {}

    async def __call__(self, records: Sequence[Record]) -> int:
        self.calls.append([r.value for r in records])
        for one in records:
            if one.value == b"bad":
                raise ValueError("bad luck")
            if self.passes.get(one.value or b"", 0) > 0:
                self.passes[one.value or b""] -= 1
                raise OSError("not now")
        self.done += [r.value for r in records]
        return len(records)


def some(*values: bytes) -> list[Record]:
    return [record("t", value) for value in values]


async def test_all_at_once_when_nothing_is_wrong() -> None:
    work, publisher = Work(), Flaky()
    await Guard("agent", publisher).run(some(b"a", b"b"), work)
    assert work.calls == [[b"a", b"b"]]
    assert publisher.sent == []


async def test_one_that_raises_stops_none_of_the_others() -> None:
    work, publisher = Work(), Flaky()
    batch = some(b"a", b"b", b"bad", b"c", b"bad", b"d")
    await Guard("agent", publisher).run(batch, work)
    assert work.done == [b"a", b"b", b"c", b"d"]  # in order, each once
    assert [headers(letter)["offset"] for letter in publisher.letters] == [str(batch[2].offset), str(batch[4].offset)]
    assert "agent: ValueError('bad luck')" in headers(publisher.letters[0])["reason"]
    assert work.calls.count([b"bad"]) == 2 * ATTEMPTS


async def test_a_bad_record_costs_other_projects_one_more_try_and_its_own_a_few() -> None:
    work, publisher = Work(), Flaky()
    batch = [record("t", b"n%d" % n, key=b"neighbour") for n in range(500)]
    batch[100:100] = [record("t", b"a%d" % n, key=b"greedy") for n in range(400)] + [record("t", b"bad", key=b"greedy")]
    await Guard("agent", publisher).run(batch, work)
    of_neighbour = [call for call in work.calls if any(value and value.startswith(b"n") for value in call)]
    assert [len(call) for call in of_neighbour] == [len(batch), 500]
    assert len(work.calls) < 30
    assert work.done.count(b"n0") == work.done.count(b"a0") == 1
    assert len(publisher.letters) == 1
    for project in (b"n", b"a"):
        done = [value for value in work.done if value and value.startswith(project)]
        assert done == [r.value for r in batch if r.value and r.value.startswith(project)]


async def test_one_that_fails_for_a_while_is_done_in_the_end() -> None:
    work, publisher = Work(), Flaky()
    work.passes[b"a"] = ATTEMPTS - 1
    await Guard("agent", publisher).run(some(b"a"), work)
    assert work.done == [b"a"]
    assert publisher.sent == []


async def test_a_letter_that_cannot_be_sent_raises() -> None:
    work, publisher = Work(), Flaky(*[KafkaUnavailable() for _ in range(10_000)])
    with pytest.raises(KafkaUnavailable):
        await Guard("agent", publisher).run(some(b"a", b"bad", b"c"), work)
    assert b"c" not in work.done  # it stops: a later record must not be processed after one that is lost


async def test_a_letter_is_tried_again() -> None:
    work, publisher = Work(), Flaky(KafkaUnavailable(), KafkaUnavailable())
    await Guard("agent", publisher).run(some(b"bad"), work)
    assert [letter.value for letter in publisher.letters] == [b"bad"]


async def test_no_records_are_no_work() -> None:
    work, publisher = Work(), Flaky()
    await Guard("agent", publisher).run([], work)
    assert publisher.sent == []
