"""feedback.embedded: items and their vectors."""

import base64
from collections.abc import Iterator, Sequence
from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from soulcaster.domain.feedback.items import ComparedItem, Deleted
from soulcaster.domain.splitting import split_by_bytes
from soulcaster.wire.feedback import TOMBSTONE_BYTES
from soulcaster.wire.fields import ProjectId
from soulcaster.wire.message import Message
from soulcaster.wire.topics import ENVELOPE_BYTES


class EmbedderId(BaseModel):
    """Which embedder made a vector; vectors of two never meet in one index."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    dimensions: Annotated[int, Field(ge=1)]


class EmbeddedEnvelope(Message):
    """feedback.embedded: compared items of one project and their vectors, row by row; and tombstones, as they came.

    `vectors` is base64 of float16, little-endian, shape (len(items), embedder.dimensions), unit length.
    """

    project_id: ProjectId
    embedder: EmbedderId
    items: tuple[ComparedItem, ...]
    vectors: str
    deleted: tuple[Deleted, ...] = ()

    @model_validator(mode="after")
    def _one_vector_each(self) -> Self:
        expected = len(self.items) * self.embedder.dimensions * 2
        if len(self.vectors) != (expected + 2) // 3 * 4:
            raise ValueError(f"vectors must hold {expected} bytes as base64, one float16 row an item")
        return self

    def matrix(self) -> npt.NDArray[np.float32]:
        """Return the vectors as float32, shape (items, dimensions).

        Raises:
            ValueError: they are not base64.
        """
        halves = np.frombuffer(base64.b64decode(self.vectors, validate=True), dtype="<f2")
        return halves.reshape(len(self.items), self.embedder.dimensions).astype(np.float32)


def pack_vectors(matrix: npt.NDArray[np.float32]) -> str:
    """Return a matrix as `EmbeddedEnvelope.vectors` wants it."""
    return base64.b64encode(matrix.astype("<f2").tobytes()).decode()


def embedded_envelopes(
    project_id: str,
    embedder: EmbedderId,
    items: Sequence[ComparedItem],
    vectors: npt.NDArray[np.float32],
    deleted: Sequence[Deleted] = (),
) -> Iterator[bytes]:
    """Yield EmbeddedEnvelope messages, each below `ENVELOPE_BYTES`; tombstones come after all items."""
    row = embedder.dimensions * 3 + 512
    sizes = [(i, row + 4 * (len(item.title) + len(item.text))) for i, item in enumerate(items)]
    for run in split_by_bytes(sizes, ENVELOPE_BYTES):
        yield EmbeddedEnvelope(
            project_id=project_id,
            embedder=embedder,
            items=tuple(items[i] for i in run),
            vectors=pack_vectors(vectors[run]),
        ).to_bytes()
    for gone in split_by_bytes([(one, TOMBSTONE_BYTES) for one in deleted], ENVELOPE_BYTES):
        yield EmbeddedEnvelope(
            project_id=project_id, embedder=embedder, items=(), vectors="", deleted=tuple(gone)
        ).to_bytes()
