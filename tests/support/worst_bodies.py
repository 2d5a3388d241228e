"""The bodies that take longest to read: as large as they may be, and as wrong as they can be."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote_plus, urlencode

from pydantic import BaseModel

from soulcaster.web.api.ingest.models import FeedbackIn
from soulcaster.web.bodies import MAX_BATCH_BYTES, MAX_BODY_BYTES, OneOrBatch

LETTERS = '<&"\\\U0001f600\u0301\x1b[0m\u202e \t'
"""Characters that grow, join or go when texts are read, cleaned and written."""

_ROOM = 2_000


def bodies_of(model: type[BaseModel] | None) -> Mapping[str, bytes]:
    """Return the worst bodies for a model by what is bad about them; for None those of a vendor's webhook."""
    if model is None:
        return {**_of_fields(["title", "body"], MAX_BATCH_BYTES), **_of_text(MAX_BATCH_BYTES)}
    if issubclass(model, OneOrBatch):
        names = [*FeedbackIn.model_fields]
        return {**_of_fields(names, MAX_BODY_BYTES), **_of_text(MAX_BODY_BYTES), **_batches(names)}
    return _of_fields([*model.model_fields], MAX_BODY_BYTES)


FORM_FIELDS = (
    "other", "item_ids", "title", "into", "pinned", "command_id", "proposal_id", "who", "role", "description",
    "backend", "repository", "plan_id", "page",
)  # fmt: skip
"""What the forms of all pages have."""


def forms_of(token: str) -> Mapping[str, bytes]:
    """Return the worst forms, with the token of the session."""
    room = MAX_BODY_BYTES - _ROOM
    each = room // 2 // len(FORM_FIELDS)
    ids = [("item_ids", "0b5f0e0e-2a4b-5f6b-8d1c-0123456789ab")] * (room // 100)
    forms = {
        "long texts": [*ids, *((name, LETTERS * (each // len(quote_plus(LETTERS)))) for name in FORM_FIELDS)],
        "unknown fields": [(f"f{n}", "") for n in range(9_999)],
    }
    return {what: urlencode([("csrf_token", token), *fields]).encode() for what, fields in forms.items()}


def _of_fields(names: Sequence[str], limit: int) -> Mapping[str, bytes]:
    size = limit - _ROOM
    each = size // max(1, len(names)) - 100
    fields: Mapping[str, Callable[[], object]] = {
        "long texts": lambda: LETTERS * (each // len(json.dumps(LETTERS))),
        "wrong numbers": lambda: [0] * (each // 2),
        "wrong objects": lambda: [{}] * (each // 3),
        "ids": lambda: ["0b5f0e0e-2a4b-5f6b-8d1c-0123456789ab"] * (each // 45),
    }
    bodies = {what: _json({name: value() for name in names}) for what, value in fields.items()}
    return bodies | {"unknown fields": _json({f"f{n}": n for n in range(size // 16)})}


def _of_text(limit: int) -> Mapping[str, bytes]:
    size = limit - _ROOM
    letters = b"e" * size
    return {
        "deep": b'{"a":' * (size // 6) + b"1" + b"}" * (size // 6),
        "no JSON at its end": _json({"a": [0] * (size // 2)}) + b"!",
        "lone surrogates": b'{"title":"' + b"\\ud800" * (size // 6) + b'"}',
        "an escape": b'{"title":"' + letters + b'\\ud800"}',
        "one number": b'{"title":' + b"9" * size + b"}",
        "no UTF-8": b'{"title":"' + letters + b'\xff"}',
    }


def _batches(names: Sequence[str]) -> Mapping[str, bytes]:
    size = MAX_BATCH_BYTES - _ROOM
    valid = {"source": "app", "title": "The app is slow", "metadata": {"a": [0] * 10}}
    long = {"source": "app", "title": "t", "body": LETTERS * (size // 4 // len(json.dumps(LETTERS)))}
    short: Iterable[Mapping[str, Any]] = ({"source": f"app-{n}", "title": f"{n} is slow"} for n in range(1_000))
    metadata = {f"f{n}": {"a": [n, "e"]} for n in range(40)}
    return {
        "a batch with every field wrong": _batch([{name: [0] for name in names}] * 1_000),
        "a batch with a text wrong": _batch([{"source": "app", "title": "t", "body": "\x00" * 10, "url": 1}] * 1_000),
        "a batch of blanks": _batch([{"source": "app", "title": " "}] * 1_000),
        "a batch": _batch([{**valid, "body": "it is slow " * 60}] * 1_000),
        "a batch of long texts": _batch([long] * 4),
        "a batch of sources": _batch([*short]),
        "a batch of metadata": _batch([{"source": "app", "title": "t", "metadata": metadata}] * 100),
        "a batch of projects": _batch([{"source": "app", "title": "t", "project_id": f"p{n}"} for n in range(1_000)]),
    }


def _batch(items: Sequence[Mapping[str, Any]]) -> bytes:
    return _json({"items": items})


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
