"""Records are read as aiokafka reads them, whatever their codec, and where aiokafka gives up, too."""

import pytest
from aiokafka import TopicPartition
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from soulcaster.adapters.kafka.odd_names import records_with_odd_names

TP = TopicPartition("t", 3)
NAME = b"a name of a header"
RECORDS = [
    (10, b"k", b"one", []),
    (12, None, b"two" * 400, [(NAME.decode(), b"1"), ("plain", None)]),
    (11, b"", None, [("é", b"")]),
]


def batch(codec: int) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 20)
    for offset, (timestamp, key, value, headers) in enumerate(RECORDS):
        builder.append(offset, timestamp, key, value, headers)
    return bytes(builder.build())


@pytest.mark.parametrize("codec", range(5))
def test_they_are_what_aiokafka_reads(codec: int) -> None:
    data = batch(0) + batch(codec)  # the second of an answer: its offsets come after those of the first
    second = bytearray(data)
    second[len(batch(0)) + 7] = 3
    expected = [
        (one.offset, one.timestamp, one.key, one.value, tuple(one.headers))
        for one in MemoryRecords(bytes(second[len(batch(0)) :])).next_batch()
    ]
    found = list(records_with_odd_names(TP, bytes(second), 3))
    assert [(one.offset, one.timestamp, one.key, one.value, one.headers) for one, _ in found] == expected
    assert [next_offset for _, next_offset in found] == [4, 5, 6]
    assert [one.offset for one, _ in records_with_odd_names(TP, bytes(second), 5)] == [5]


def test_a_name_that_is_no_text_is_replaced() -> None:
    odd = bytearray(batch(0))
    odd[odd.index(NAME)] = 0xFF
    odd[17:21] = calc_crc32c(bytes(odd[21:])).to_bytes(4, "big")
    with pytest.raises(UnicodeDecodeError):
        list(MemoryRecords(bytes(odd)).next_batch())
    values = [one.value for one, _ in records_with_odd_names(TP, bytes(odd), 0)]
    assert values == [value for _, _, value, _ in RECORDS]
    [_, (with_odd, _), _] = records_with_odd_names(TP, bytes(odd), 0)
    assert with_odd.headers[0] == ("\ufffd name of a header", b"1")
