"""The query and responses of dead letters."""

import base64
import codecs
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from soulcaster.domain.text.normalize import clean
from soulcaster.ports.dead_letters import DeadLetter
from soulcaster.web.parameters import ProjectQuery


class DeadLettersQuery(ProjectQuery):
    """Query of GET /dead-letters: the size of the page, and the `before` of the previous page."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    before: Annotated[str, Field(pattern="^[0-9]{1,18}(-[0-9]{1,18}){0,999}$")] | None = None


class DeadLetterOut(BaseModel):
    """A record or item that could not be processed, and why; `topic`, `partition` and `offset` are those of its record.

    A key or value that is not UTF-8 text is in base64 instead. The whole value has `value_bytes` bytes; when it is
    `cut`, only its beginning is here.
    """

    id: str
    at: datetime
    topic: str
    partition: int
    offset: int
    index: int | None
    reason: str
    key: str | None
    key_base64: str | None
    value: str | None
    value_base64: str | None
    value_bytes: int
    cut: bool

    @classmethod
    def of(cls, letter: DeadLetter) -> "DeadLetterOut":
        """Return a dead letter as it is read from its topic."""
        original = letter.original
        value = original.value or b""
        cut = len(value) < letter.size
        key_text, key_base64 = (None, None) if original.key is None else _text_or_base64(original.key, cut=False)
        text, in_base64 = _text_or_base64(value, cut=cut)
        return cls(
            id=letter.id,
            at=letter.at,
            topic=original.topic,
            partition=original.partition,
            offset=original.offset,
            index=letter.index,
            reason=clean(letter.reason),
            key=key_text,
            key_base64=key_base64,
            value=text,
            value_base64=in_base64,
            value_bytes=letter.size,
            cut=cut,
        )


def _text_or_base64(value: bytes, *, cut: bool) -> tuple[str | None, str | None]:
    """Return bytes as text, else as base64; an incomplete character at the end of cut text is dropped."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(value, final=not cut), None
    except UnicodeDecodeError:
        return None, base64.b64encode(value).decode()


class DeadLettersOut(BaseModel):
    """GET /dead-letters: one page, newest first; pass `before` on for the next page, it is null on the last."""

    items: list[DeadLetterOut]
    before: str | None
    project_id: str


class ReplayedOut(BaseModel):
    """202 of replay: Kafka has the record again, on `topic`."""

    status: Literal["ok"] = "ok"
    id: str
    topic: str
    project_id: str
