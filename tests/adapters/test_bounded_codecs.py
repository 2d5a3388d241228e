"""A compressed batch unpacks so far and no further, whatever packed it."""

import random
import tracemalloc
from importlib import import_module

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from soulcaster.adapters.kafka import bounded_codecs
from soulcaster.adapters.kafka.damage import why_unreadable

import_module("soulcaster.adapters.kafka.careful")  # the consumer of all readers: it binds the codecs

CODECS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
MOST = 1024 * 1024


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_codecs, "MOST_BYTES", MOST)


def batch(codec: str, *values: bytes, magic: int = 2) -> bytes:
    if magic < 2:
        old = LegacyRecordBatchBuilder(magic=magic, compression_type=CODECS[codec], batch_size=2**31 - 1)
        for offset, value in enumerate(values):
            assert old.append(offset, timestamp=1, key=None, value=value, headers=[]) is not None
        return bytes(old.build())
    new = DefaultRecordBatchBuilder(
        magic=2, compression_type=CODECS[codec], is_transactional=0, producer_id=-1, producer_epoch=-1,
        base_sequence=-1, batch_size=2**31 - 1,
    )  # fmt: skip
    for offset, value in enumerate(values):
        assert new.append(offset, timestamp=1, key=None, value=value, headers=[]) is not None
    return bytes(new.build())


def read(data: bytes) -> list[bytes]:
    return [record.value for record in MemoryRecords(data).next_batch()]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [0, 10, 100_000, MOST - 1_000])
def test_what_fits_is_read_as_ever(codec: str, size: int) -> None:
    values = [random.Random(size).randbytes(size // 2), b" " * (size // 2)]
    assert read(batch(codec, *values)) == values


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [MOST, 64 * MOST])
def test_a_bomb_is_a_batch_that_cannot_be_read(codec: str, size: int) -> None:
    bomb = batch(codec, b" " * size)
    tracemalloc.start()
    try:
        assert "does not unpack into" in why_unreadable(bomb, 100)
        assert tracemalloc.get_traced_memory()[1] < 8 * MOST + 3 * len(bomb)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4"])
@pytest.mark.parametrize("magic", [0, 1])
def test_batches_of_older_formats_are_bounded_too(codec: str, magic: int) -> None:
    if (codec, magic) != ("lz4", 0):
        assert read(batch(codec, b"a", b"b" * 1_000, magic=magic)) == [b"a", b"b" * 1_000]
        with pytest.raises(bounded_codecs.UnpacksTooLarge):
            read(batch(codec, b" " * 2 * MOST, magic=magic))


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_cut_off_cannot_be_read(codec: str) -> None:
    whole = batch(codec, random.Random(1).randbytes(5_000))
    data = bytearray(whole)
    data[200:400] = bytes(200)
    assert why_unreadable(bytes(data), 100)
