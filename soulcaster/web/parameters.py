"""Reading what a caller sent: query, JSON body, ids in the path; each fault names its field."""

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Annotated, TypeVar, get_origin

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, RootModel, StringConstraints, ValidationError

from soulcaster.web.problems import FieldProblem, Problem, field_problem
from soulcaster.wire.fields import ProjectId

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

ID_PATTERN = "^[A-Za-z0-9_-]{1,64}$"

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
"""An id in a URL. No colon: it becomes part of a key in the store."""

PROJECT = "project_id"
"""The parameter that nearly every route takes."""

NAMES: Mapping[str, str] = {
    "owner": r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}$",
    "repo": r"^[A-Za-z0-9._-]{0,99}[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$",
}
"""What stands in a path and is no id of ours, but a name at GitHub; its form."""

GITHUB_HEADER = "X-GitHub-Token"
GITHUB_HEADER_PATTERN = "^[A-Za-z0-9_.-]{1,1000}$"

IDEMPOTENCY_HEADER = "Idempotency-Key"

LAST_EVENT = "Last-Event-ID"
"""The header by which whoever follows Server-Sent Events says which came last."""

MAX_KEY = 255
"""Characters of an Idempotency-Key."""

Cursor = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}~-?[0-9]{1,20}(\.[0-9]{1,20})?(e[+-]?[0-9]{1,3})?(~[0-9]{1,10})?$"),
]
"""Where a part of a list goes on: what an earlier part gave. The offset does not count then."""

MAX_OFFSET = 1_000_000_000

Words = Annotated[str, StringConstraints(max_length=200)]
"""Words that are looked for, in upper or lower case."""

Repo = Annotated[
    str, StringConstraints(pattern=r"^(https?://(www\.)?github\.com/)?[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}/?$")
]
"""A repository at GitHub: "owner/name", or its address."""

MAX_BODY_BYTES = 256 * 1024
"""Bytes of a body, as it is sent and decompressed."""

MAX_BATCH_BYTES = 1024 * 1024
"""The same of a body that is a batch."""

MAX_FAULTS = 100
"""Faults that an answer names; of a batch there may be thousands."""

_WBITS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""How zlib is told what it reads, for each Content-Encoding that is taken."""


class Query(BaseModel):
    """Base of what stands in a query; unknown parameters are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Scope(Query):
    """Query of nearly every route: which project."""

    project_id: ProjectId


class PageQuery(Scope):
    """Query of every list: which part of it."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET)] = 0
    cursor: Cursor | None = None


class BatchBody(BaseModel):
    """Base of bodies that are batches: they may be larger than others."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class OneOrBatch(RootModel[T]):
    """Base of bodies that are one thing or a batch, told apart by a discriminator."""


def words(q: str | None) -> tuple[str, ...]:
    """Return the words of a search."""
    return tuple((q or "").split())


def read_query(request: web.Request, model: type[M], **known: str | None) -> M:
    """Return the query as `model`; a parameter left empty counts as not given, one that is known as given so.

    Raises:
        Problem: 400 when project_id is missing, 422 when a parameter is not what it should be.
    """
    given = {name: value for name, value in {**request.query, **known}.items() if value}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        faults = _faults(error)
        if issubclass(model, Scope) and PROJECT not in given:
            raise Problem(400, "project_id is required", errors=faults) from error
        raise of_fields(faults) from error


async def read_json(request: web.Request, model: type[M]) -> M:
    """Return the body as `model`.

    A lone surrogate, half a character as some programs cut it, is replaced and not refused: the rest is still
    somebody's feedback.

    Raises:
        Problem: 415 when it is not declared as JSON, 413 when it is too large, 400 when it is not JSON, 422 when a
            field is not what it should be.
    """
    if request.content_type != "application/json":
        raise Problem(415, "Send JSON, with the header Content-Type: application/json.")
    raw = await read_body(request, MAX_BATCH_BYTES if issubclass(model, OneOrBatch) else MAX_BODY_BYTES)
    try:
        try:
            read = model.model_validate_json(raw)
        except ValidationError as error:
            if not _is_not_json(error):
                raise
            read = model.model_validate_json(_mended(raw, error))
    except ValidationError as error:
        if _is_not_json(error):
            raise _not_json(error) from error
        raise of_fields(_faults(error, tagged=issubclass(model, OneOrBatch))) from error
    if isinstance(read, OneOrBatch) and not isinstance(read.root, BatchBody) and len(raw) > MAX_BODY_BYTES:
        raise _too_large(MAX_BODY_BYTES)
    return read


async def read_body(request: web.Request, limit: int) -> bytes:
    """Return the body, decompressed; of what is larger than `limit` bytes no more than those are made.

    Raises:
        Problem: 413 when it has more bytes than that, as it is sent or decompressed; 415 when it is encoded as nothing
            here decodes; 400 when it is not what its encoding says.
    """
    encoding = _encoding(request)
    return _decoded(await read_raw(request, limit), encoding, limit)


async def read_raw(request: web.Request, limit: int) -> bytes:
    """Return the body byte for byte as it was sent; no more than `limit` bytes and a chunk are read.

    Raises:
        Problem: 413 when it has more bytes than that.
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
    """Return a body that was read by `read_raw`, decompressed; the problems are those of `read_body`."""
    return _decoded(raw, _encoding(request), limit)


def _encoding(request: web.Request) -> str:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", *_WBITS}:
        known = ", ".join(_WBITS)
        headers = {"Accept-Encoding": known}
        raise Problem(415, f"A body may be sent as it is, or with the Content-Encoding {known}.", headers=headers)
    return encoding


def _decoded(raw: bytes, encoding: str, limit: int) -> bytes:
    return raw if encoding == "identity" else _inflated(raw, _WBITS[encoding], limit)


def _inflated(raw: bytes, wbits: int, limit: int) -> bytes:
    """Return what was compressed; some send deflate without zlib's header."""
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
    return Problem(413, f"The body is larger than is accepted here: {limit:,} bytes, as it is sent and decompressed.")


async def read_form(request: web.Request, model: type[M]) -> M:
    """Return the fields of a page's form as `model`; one left empty is null, one that may come often is a list.

    Raises:
        Problem: 422 when a field is not what it should be.
    """
    form = await request.post()
    given = {
        name: form.getall(name, []) if get_origin(field.annotation) is tuple else form.get(name) or None
        for name, field in model.model_fields.items()
    }
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise of_fields(_faults(error)) from error


def path_id(request: web.Request, name: str) -> str:
    """Return the id, or the name, in the path.

    Raises:
        Problem: 404 when it has a form no id has, 422 when it has one that no such name has.
    """
    value = request.match_info[name]
    if name in NAMES:
        if not re.fullmatch(NAMES[name], value):
            raise field_problem(name, "a repository is named as at GitHub: owner/name")
        return value
    if not re.fullmatch(ID_PATTERN, value):
        raise Problem(404, "There is nothing of that id here.")
    return value


def idempotency_key(request: web.Request) -> str | None:
    """Return the Idempotency-Key, if there is one.

    Raises:
        Problem: 422 when it is empty or longer than `MAX_KEY`.
    """
    key = request.headers.get(IDEMPOTENCY_HEADER)
    if key is not None and not 1 <= len(key) <= MAX_KEY:
        raise Problem(422, f"{IDEMPOTENCY_HEADER} has 1 to {MAX_KEY} characters.")
    return key


def github_token(request: web.Request) -> str | None:
    """Return the caller's own token for GitHub, if there is one.

    Raises:
        Problem: 422 when it has a form no token has.
    """
    token = request.headers.get(GITHUB_HEADER)
    if token and not re.fullmatch(GITHUB_HEADER_PATTERN, token):
        raise Problem(422, f"{GITHUB_HEADER} is no token of GitHub's.")
    return token or None


def _is_not_json(error: ValidationError) -> bool:
    return error.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid"


def _not_json(error: ValidationError) -> Problem:
    reason = error.errors(include_url=False, include_input=False)[0]["msg"]
    return Problem(400, f"The body is not JSON in UTF-8. {reason}.")


def _mended(raw: bytes, error: ValidationError) -> str:
    try:
        text = json.dumps(json.loads(raw.decode()), ensure_ascii=False)
    except (ValueError, RecursionError):
        raise _not_json(error) from error
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def of_fields(faults: Sequence[FieldProblem]) -> Problem:
    """Return the problem of fields that are not what they should be; of very many it names the first."""
    said = "; ".join(f"{fault.field}: {fault.message}" for fault in faults[:5])
    more = len(faults) - MAX_FAULTS
    if more > 0:
        said += f"; {more:,} more are not listed"
    return Problem(422, said, errors=faults[:MAX_FAULTS])


def _faults(error: ValidationError, *, tagged: bool = False) -> list[FieldProblem]:
    """Return the faults; where they are `tagged`, a place begins with the name of a shape, which nobody wrote."""
    return [
        FieldProblem(field=".".join(str(part) for part in fault["loc"][tagged:]) or "body", message=fault["msg"])
        for fault in error.errors(include_url=False, include_input=False, include_context=False)
    ]
