"""A producer whose compressed batches cannot be unpacked, though their checksums are right."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.producer import message_accumulator
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy


class _Corrupt(_DefaultRecordBatchBuilderPy):  # type: ignore[misc]  # aiokafka has no types
    def _maybe_compress(self) -> bool:
        begin = self.HEADER_STRUCT.size
        compressed = bool(super()._maybe_compress())
        self._buffer[begin:] = b"\xff" * (len(self._buffer) - begin)
        return compressed


@contextmanager
def corrupt_batches() -> Iterator[None]:
    """Corrupt every batch that a producer of this process builds meanwhile."""
    kept = message_accumulator.DefaultRecordBatchBuilder
    message_accumulator.DefaultRecordBatchBuilder = _Corrupt
    try:
        yield
    finally:
        message_accumulator.DefaultRecordBatchBuilder = kept
