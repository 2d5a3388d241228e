"""Request bodies: reading, decompressing and validating them. Every error names its field."""

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import TypeVar, get_origin
from urllib.parse import parse_qs

from aiohttp import web
from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from soulcaster.web.caller import count_bytes
from soulcaster.web.problems import Problem, field_problems, invalid_fields
from soulcaster.web.turns import away_in_turn

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

MAX_BODY_BYTES = 256 * 1024
"""Bytes of a body, both as it is sent and decompressed."""

MAX_BATCH_BYTES = 1024 * 1024
"""Bytes of a body that is a batch, both as it is sent and decompressed."""

MAX_PARTS = 100_000
"""Objects, lists and further values in them that a JSON body may have. Most cost far more than their bytes: for a
megabyte of empty lists the parser, and Python's collector after it, take a tenth of a second in which no other thread
runs."""

_BODY_BYTES = web.RequestKey("body_bytes", int)

_WBITS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""zlib's window parameter for each Content-Encoding that is accepted."""

_PIECE = 4096
"""Bytes that are decompressed at once: after each member of gzip zlib copies the rest of them."""

_MAX_FIELDS = 10_000
"""Fields of a form."""

_FORM = web.RequestKey("form", Mapping[str, Sequence[str]])


class Body(BaseModel):
    """Base of every JSON body; unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class TextBody(Body):
    """Base of a body with a field `text`, which may also be sent alone, as text/plain in UTF-8."""


class BatchBody(Body):
    """Base of a body that is a batch: it may be larger than others."""


class OneOrBatch(RootModel[T]):
    """Base of a body that is one thing or a batch, told apart by a discriminator."""


async def read_json(request: web.Request, model: type[M]) -> M:
    """Return the JSON body as `model`.

    A lone surrogate (half a character, as some programs cut it) is replaced and not refused: the rest is still
    feedback.

    Raises:
        Problem: 415 when it is not declared as JSON in UTF-8, 413 when it is too large or has too many parts, 400 when
            it is not JSON in UTF-8, 422 when a field is invalid.
    """
    check_charset(request)
    if request.content_type == "text/plain" and issubclass(model, TextBody):
        return model(text=_text(await read_body(request, MAX_BODY_BYTES)))
    if request.content_type != "application/json":
        raise Problem(415, "Send JSON, with the header Content-Type: application/json.")
    raw = await read_body(request, MAX_BATCH_BYTES if issubclass(model, OneOrBatch) else MAX_BODY_BYTES)
    return await away_in_turn(request, len(raw), lambda: _parsed(raw, model))


def check_parts(raw: bytes) -> None:
    """Return when JSON has at most `MAX_PARTS` parts; what its texts are made of is none.

    Raises:
        Problem: 413 when it has more.
    """
    if _parts(raw) > MAX_PARTS and _has_too_many_parts(raw):
        raise Problem(413, f"The body may have at most {MAX_PARTS:,} objects, lists and values.")


def _has_too_many_parts(raw: bytes) -> bool:
    bare = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    if bare.count(b'"') > 4 * MAX_PARTS + 2:  # each value is one text at most and has one name, of two quotes each
        return True
    return _parts(b"".join(bare.split(b'"')[::2])) > MAX_PARTS


def _parts(json_text: bytes) -> int:
    return json_text.count(b"{") + json_text.count(b"[") + json_text.count(b",")


def _parsed(raw: bytes, model: type[M]) -> M:
    check_parts(raw)
    try:
        try:
            read = model.model_validate_json(raw)
        except ValidationError as error:
            if not _is_not_json(error):
                raise
            read = model.model_validate_json(_without_surrogates(raw, error))
    except ValidationError as error:
        if _is_not_json(error):
            raise _not_json(error) from error
        faults = field_problems(error, tagged=issubclass(model, OneOrBatch))
        raise invalid_fields(faults, error.error_count()) from error
    if isinstance(read, OneOrBatch) and not isinstance(read.root, BatchBody) and len(raw) > MAX_BODY_BYTES:
        raise _too_large(MAX_BODY_BYTES)
    return read


async def read_form(request: web.Request, model: type[M]) -> M:
    """Return the fields of a page's form as `model`; an empty field is None, a repeatable field is a list.

    Raises:
        Problem: 422 when a field is invalid, and those of `form_fields`.
    """
    form = await form_fields(request)
    given = {
        name: form.get(name, ()) if get_origin(field.annotation) is tuple else form.get(name, ("",))[0] or None
        for name, field in model.model_fields.items()
    }
    try:
        return await away_in_turn(request, body_bytes(request), lambda: model.model_validate(given))
    except ValidationError as error:
        raise invalid_fields(field_problems(error), error.error_count()) from error


async def form_fields(request: web.Request) -> Mapping[str, Sequence[str]]:
    """Return the values of each field of a page's form, in UTF-8; its body is read once.

    Raises:
        Problem: 415 when it is not declared as a form in UTF-8, 413 when it is too large, 400 when it is not one.
    """
    if _FORM not in request:
        check_charset(request)
        if request.content_type != "application/x-www-form-urlencoded":
            raise Problem(415, "This address accepts only the forms of its own pages.")
        text = _text(await read_body(request, MAX_BODY_BYTES))
        request[_FORM] = await away_in_turn(request, len(text), lambda: _fields(text))
    return request[_FORM]


def _fields(form: str) -> Mapping[str, Sequence[str]]:
    try:
        return parse_qs(form, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise Problem(400, "The form is not one in UTF-8, or has too many fields.") from error


def check_charset(request: web.Request) -> None:
    """Return when the body is in UTF-8, as far as its headers say.

    Raises:
        Problem: 415 when they name another charset.
    """
    if (request.charset or "utf-8").strip("'\"").lower() not in {"utf-8", "utf8", "us-ascii"}:
        raise Problem(415, "Send the body in UTF-8.")


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Problem(400, f"The body is not UTF-8: byte {error.start:,} is wrong.") from error


async def read_body(request: web.Request, limit: int) -> bytes:
    """Return the body, decompressed; at most `limit` bytes and one more are decompressed.

    Raises:
        Problem: 413 when it has more than `limit` bytes, as it is sent or decompressed; 415 for an unknown
            Content-Encoding; 400 when it is not what its Content-Encoding says; 429 when the project was sent too much.
        Unavailable: Redis does not answer.
    """
    _encoding(request)  # an unknown one is refused before the body is read
    return await decoded(request, await read_raw(request, limit), limit)


def body_bytes(request: web.Request) -> int:
    """Return how many bytes the body had that `read_json` has read, decompressed."""
    return request[_BODY_BYTES]


async def read_raw(request: web.Request, limit: int) -> bytes:
    """Return the body byte for byte as it was sent; at most `limit` bytes and one chunk are read.

    Raises:
        Problem: 413 when it has more than `limit` bytes.
    """
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    raw = bytearray()
    async for chunk in request.content.iter_any():
        raw += chunk
        if len(raw) > limit:
            raise _too_large(limit)
    return bytes(raw)


async def decoded(request: web.Request, raw: bytes, limit: int) -> bytes:
    """Return a body that `read_raw` has read, decompressed and counted; it raises the same problems as `read_body`."""
    encoding, body = _encoding(request), raw
    if encoding != "identity":
        body = await away_in_turn(request, len(raw), lambda: _inflated(raw, _WBITS[encoding], limit))
    if _BODY_BYTES not in request:  # a webhook's body may be read twice
        request[_BODY_BYTES] = len(body)
        await count_bytes(request, len(body))
    return body


def _encoding(request: web.Request) -> str:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", *_WBITS}:
        known = ", ".join(_WBITS)
        detail = f"Send the body as it is, or with one of these as Content-Encoding: {known}."
        raise Problem(415, detail, headers={"Accept-Encoding": known})
    return encoding


def _inflated(raw: bytes, wbits: int, limit: int) -> bytes:
    """Return decompressed bytes, of all members of gzip.

    Deflate without zlib's header, which some clients send, is accepted as well.
    """
    if wbits == zlib.MAX_WBITS and (len(raw) < 2 or raw[0] & 0x0F != zlib.DEFLATED or int.from_bytes(raw[:2]) % 31):
        wbits = -zlib.MAX_WBITS
    reader = zlib.decompressobj(wbits)
    out = bytearray()
    for start in range(0, len(raw), _PIECE):
        piece = raw[start : start + _PIECE]
        while piece:
            if reader.eof:
                if wbits != _WBITS["gzip"]:
                    raise _not_as_encoded()
                reader = zlib.decompressobj(wbits)
            try:
                out += reader.decompress(piece, limit + 1 - len(out))
            except zlib.error as error:
                raise _not_as_encoded() from error
            if len(out) > limit:
                raise _too_large(limit)
            piece = reader.unused_data
    if not reader.eof:
        raise _not_as_encoded()
    return bytes(out)


def _not_as_encoded() -> Problem:
    return Problem(400, "The body could not be read as its headers describe it.")


def _too_large(limit: int) -> Problem:
    return Problem(413, f"The body may have at most {limit:,} bytes, both as it is sent and decompressed.")


def _is_not_json(error: ValidationError) -> bool:
    return error.error_count() == 1 and error.errors(include_url=False)[0]["type"] == "json_invalid"


def _not_json(error: ValidationError) -> Problem:
    reason = error.errors(include_url=False, include_input=False)[0]["msg"]
    return Problem(400, f"The body is not JSON in UTF-8. {reason}.")


def _without_surrogates(raw: bytes, error: ValidationError) -> str:
    """Return JSON text with every lone surrogate replaced, or raise the problem of `error` when it is not JSON."""
    try:
        text = json.dumps(json.loads(raw.decode()), ensure_ascii=False)
    except (ValueError, RecursionError):
        raise _not_json(error) from error
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
