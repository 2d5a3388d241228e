"""Request bodies: reading, decompressing and validating them. Every error names its field."""

import json
import zlib
from typing import TypeVar, get_origin

from aiohttp import web
from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from soulcaster.web.problems import Problem, field_problems, invalid_fields

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

MAX_BODY_BYTES = 256 * 1024
"""Bytes of a body, both as it is sent and decompressed."""

MAX_BATCH_BYTES = 1024 * 1024
"""Bytes of a body that is a batch, both as it is sent and decompressed."""

_WBITS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""zlib's window parameter for each Content-Encoding that is accepted."""


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
        Problem: 415 when it is not declared as JSON, 413 when it is too large, 400 when it is not JSON, 422 when a
            field is invalid.
    """
    if request.content_type == "text/plain" and issubclass(model, TextBody):
        return model(text=(await read_body(request, MAX_BODY_BYTES)).decode(errors="replace"))
    if request.content_type != "application/json":
        raise Problem(415, "Send JSON, with the header Content-Type: application/json.")
    raw = await read_body(request, MAX_BATCH_BYTES if issubclass(model, OneOrBatch) else MAX_BODY_BYTES)
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
        raise invalid_fields(field_problems(error, tagged=issubclass(model, OneOrBatch))) from error
    if isinstance(read, OneOrBatch) and not isinstance(read.root, BatchBody) and len(raw) > MAX_BODY_BYTES:
        raise _too_large(MAX_BODY_BYTES)
    return read


async def read_form(request: web.Request, model: type[M]) -> M:
    """Return the fields of a page's form as `model`; an empty field is None, a repeatable field is a list.

    Raises:
        Problem: 422 when a field is invalid.
    """
    form = await request.post()
    given = {
        name: form.getall(name, []) if get_origin(field.annotation) is tuple else form.get(name) or None
        for name, field in model.model_fields.items()
    }
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid_fields(field_problems(error)) from error


async def read_body(request: web.Request, limit: int) -> bytes:
    """Return the body, decompressed; at most `limit` bytes and one more are decompressed.

    Raises:
        Problem: 413 when it has more than `limit` bytes, as it is sent or decompressed; 415 for an unknown
            Content-Encoding; 400 when it is not what its Content-Encoding says.
    """
    encoding = _encoding(request)
    return _decoded(await read_raw(request, limit), encoding, limit)


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


def decoded(request: web.Request, raw: bytes, limit: int) -> bytes:
    """Return a body that `read_raw` has read, decompressed; it raises the same problems as `read_body`."""
    return _decoded(raw, _encoding(request), limit)


def _encoding(request: web.Request) -> str:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", *_WBITS}:
        known = ", ".join(_WBITS)
        detail = f"Send the body as it is, or with one of these as Content-Encoding: {known}."
        raise Problem(415, detail, headers={"Accept-Encoding": known})
    return encoding


def _decoded(raw: bytes, encoding: str, limit: int) -> bytes:
    return raw if encoding == "identity" else _inflated(raw, _WBITS[encoding], limit)


def _inflated(raw: bytes, wbits: int, limit: int) -> bytes:
    """Return decompressed bytes; deflate without zlib's header, which some clients send, is accepted as well."""
    if wbits == zlib.MAX_WBITS and (len(raw) < 2 or raw[0] & 0x0F != zlib.DEFLATED or int.from_bytes(raw[:2]) % 31):
        wbits = -zlib.MAX_WBITS
    reader = zlib.decompressobj(wbits)
    try:
        out = reader.decompress(raw, limit + 1)
    except zlib.error as error:
        raise _not_as_encoded() from error
    if len(out) > limit:
        raise _too_large(limit)
    if not reader.eof or reader.unused_data:
        raise _not_as_encoded()
    return out


def _not_as_encoded() -> Problem:
    return Problem(400, "The body could not be read as its headers describe it.")


def _too_large(limit: int) -> Problem:
    return Problem(413, f"The body may have at most {limit:,} bytes, both as it is sent and decompressed.")


def _is_not_json(error: ValidationError) -> bool:
    return error.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid"


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
