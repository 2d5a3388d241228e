"""The OpenAPI 3.1 document, made of the operations: what is checked is what is described.

Shapes are pydantic's own JSON Schema (2020-12, which is what OpenAPI 3.1 takes).
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from soulcaster.domain.sources import SOURCES
from soulcaster.web.api.answers import CURSOR_HEADER, TOTAL_HEADER
from soulcaster.web.api.operation import Operation
from soulcaster.web.caller import API_KEY_HEADER
from soulcaster.web.parameters import (
    GITHUB_HEADER,
    GITHUB_HEADER_PATTERN,
    ID_PATTERN,
    IDEMPOTENCY_HEADER,
    LAST_EVENT,
    MAX_KEY,
    NAMES,
    PROJECT,
)
from soulcaster.web.problems import ProblemDetails
from soulcaster.web.signatures import SIGNATURES, Signature

Mode = Literal["validation", "serialization"]
_Schemas = Mapping[Any, Mapping[str, Any]]
"""The schema of each (model, mode)."""

_ALWAYS = (400, 421, 500, 503)
_OF_QUERY = (422,)
_OF_BODY = (413, 415, 422)
_OF_WRITES = (403,)
_OF_KEYS = (401, 403, 404, 429)


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the document of these operations, as JSON takes it."""
    operations = tuple(operations)
    schemas, components = models_json_schema(list(_models(operations)), ref_template="#/components/schemas/{model}")
    shapes = components.get("$defs", {})
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, schemas, shapes)
    queries = {operation.query.__name__ for operation in operations if operation.query is not None}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Soulcaster", "version": version("soulcaster")},
        "paths": paths,
        "components": {
            "schemas": {name: shape for name, shape in shapes.items() if name not in queries},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
                "header": {"type": "apiKey", "in": "header", "name": API_KEY_HEADER, "description": "An API key."},
                **{source: _signature(how) for source, how in SIGNATURES.items()},
            },
        },
    }


def _models(operations: Iterable[Operation]) -> Iterable[tuple[type[BaseModel], Mode]]:
    found: dict[tuple[type[BaseModel], Mode], None] = {(ProblemDetails, "serialization"): None}
    for operation in operations:
        for taken in (operation.query, operation.body):
            if taken is not None:
                found[taken, "validation"] = None
        for answer in operation.answers.values():
            found[answer[0] if isinstance(answer, tuple) else answer, "serialization"] = None
    return found


def _described(operation: Operation, schemas: _Schemas, shapes: Mapping[str, Any]) -> dict[str, Any]:
    first, _, rest = operation.description.partition("\n\n")
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.group],
        "summary": " ".join(first.split()),
        "parameters": [*_ids(operation), *_parameters(operation, shapes), *_headers(operation)],
        "responses": _responses(operation, schemas),
    }
    if operation.scope not in (None, "local"):
        described["security"] = [{"bearer": [operation.scope]}, {"header": [operation.scope]}]
    if operation.signed is not None:
        described["security"].append({operation.signed: []})
    if rest:
        described["description"] = " ".join(rest.split())
    if operation.body is not None:
        content = {"application/json": {"schema": schemas[operation.body, "validation"]}}
        described["requestBody"] = {"required": True, "content": content}
    elif operation.signed is not None:
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
    return described


def _signature(how: Signature) -> dict[str, str]:
    described = f"{how.prefix}HMAC-SHA256 of the body in lower-case hex, by {how.secret}."
    return {"type": "apiKey", "in": "header", "name": how.header, "description": described}


def _ids(operation: Operation) -> Iterable[dict[str, Any]]:
    schemas = {name: {"type": "string", "pattern": NAMES.get(name, ID_PATTERN)} for name in operation.ids}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name, schema in schemas.items()]


def _parameters(operation: Operation, shapes: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    if operation.query is None:
        return []
    shape = shapes[operation.query.__name__]
    required = shape.get("required", ())
    return [
        # The project comes from the key, where there is one.
        {"name": name, "in": "query", "required": name in required and name != PROJECT, "schema": _given(schema)}
        for name, schema in shape["properties"].items()
    ]


def _headers(operation: Operation) -> Iterable[dict[str, Any]]:
    if operation.streams:
        described = "The id of the last event that came: what came after it is sent first."
        last: dict[str, Any] = {"type": "string"}
        return [{"name": LAST_EVENT, "in": "header", "required": False, "description": described, "schema": last}]
    if operation.signed is not None:
        names = SOURCES[operation.signed].headers
        return [{"name": name, "in": "header", "required": False, "schema": {"type": "string"}} for name in names]
    if operation.with_token:
        token = {"type": "string", "pattern": GITHUB_HEADER_PATTERN}
        described = "A token for GitHub that may read the issues; without it the server's own is used, if it has one."
        return [{"name": GITHUB_HEADER, "in": "header", "required": False, "description": described, "schema": token}]
    if not operation.keyed:
        return []
    schema = {"type": "string", "minLength": 1, "maxLength": MAX_KEY}
    described = "The same key again is the same request: what was done is not done twice."
    return [{"name": IDEMPOTENCY_HEADER, "in": "header", "required": False, "description": described, "schema": schema}]


def _given(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter where it is given: null has no place in a query."""
    kept = {key: value for key, value in schema.items() if key != "title" and (key, value) != ("default", None)}
    kinds = [kind for kind in kept.pop("anyOf", ()) if kind != {"type": "null"}]
    return {**kept, **(kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {})}


def _responses(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    responses: dict[int, dict[str, Any]] = {}
    for status, answer in operation.answers.items():
        model, is_list = (answer[0], True) if isinstance(answer, tuple) else (answer, False)
        schema = schemas[model, "serialization"]
        content = {"application/json": {"schema": {"type": "array", "items": schema} if is_list else schema}}
        if operation.streams:
            content = {"text/event-stream": {"schema": _event(schema)}}
        responses[status] = {"description": HTTPStatus(status).phrase, "content": content}
        if is_list:
            total = {"description": "How many there are in all.", "schema": {"type": "integer", "minimum": 0}}
            cursor = {"description": "The cursor of what comes next, if there is more.", "schema": {"type": "string"}}
            responses[status]["headers"] = {TOTAL_HEADER: total, CURSOR_HEADER: cursor}
    if operation.redirects:
        responses[302] = {"description": "Found: a browser is sent to the pages."}
    for status in _problems(operation):
        content = {"application/problem+json": {"schema": schemas[ProblemDetails, "serialization"]}}
        responses[status] = {"description": HTTPStatus(status).phrase, "content": content}
    return {str(status): responses[status] for status in sorted(responses)}


def _event(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of one Server-Sent Event, with data of this schema, or none: an empty object."""
    nothing = {"type": "object", "maxProperties": 0}
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": {"anyOf": [schema, nothing]}}
    text = {"type": "string"}
    return {
        "type": "object",
        "properties": {"id": text, "event": text, "data": data},
        "required": ["id", "event", "data"],
    }


def _problems(operation: Operation) -> set[int]:
    statuses = {*_ALWAYS, *operation.problems}
    if operation.ids:
        statuses.add(404)
    if operation.query is not None:
        statuses.update(_OF_QUERY)
    if operation.scope is not None:
        statuses.update(_OF_KEYS)
    if operation.body is not None or operation.signed is not None:
        statuses.update(_OF_BODY)
    if operation.method != "GET":
        statuses.update(_OF_WRITES)
    return statuses
