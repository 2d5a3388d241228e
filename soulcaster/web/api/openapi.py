"""The OpenAPI 3.1 document, derived from the operations: what is validated is what is described.

Schemas are pydantic's own JSON Schema (2020-12, the dialect of OpenAPI 3.1).
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from soulcaster.domain.sources import SOURCES
from soulcaster.web.api.operation import Operation
from soulcaster.web.bodies import TextBody
from soulcaster.web.headers import (
    API_KEY_HEADER,
    CURSOR_HEADER,
    GITHUB_TOKEN_HEADER,
    GITHUB_TOKEN_PATTERN,
    IDEMPOTENCY_HEADER,
    LAST_EVENT_HEADER,
    MAX_IDEMPOTENCY_KEY,
    TOTAL_HEADER,
)
from soulcaster.web.parameters import GITHUB_NAMES, ID_PATTERN, PROJECT
from soulcaster.web.problems import ProblemDetails
from soulcaster.web.signatures import SIGNATURES, Signature

Mode = Literal["validation", "serialization"]
_Schemas = Mapping[Any, Mapping[str, Any]]
"""The schema of each (model, mode)."""

_ANY_STATUSES = (400, 421, 500, 503)
"""Error statuses of any operation; the next ones are of those with a query, a body, an effect or a required API key."""
_QUERY_STATUSES = (422,)
_BODY_STATUSES = (413, 415, 422)
_WRITE_STATUSES = (403,)
_API_KEY_STATUSES = (401, 403, 404, 429)


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the OpenAPI document of these operations, as JSON values."""
    operations = tuple(operations)
    schemas, components = models_json_schema(list(_models(operations)), ref_template="#/components/schemas/{model}")
    definitions = components.get("$defs", {})
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas, definitions)
    queries = {operation.query.__name__ for operation in operations if operation.query is not None}
    tags = {operation.tag: operation.tag_description for operation in operations}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Soulcaster", "version": version("soulcaster")},
        "tags": [{"name": name, "description": description} for name, description in tags.items()],
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in definitions.items() if name not in queries},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, or a job token."},
                "header": {"type": "apiKey", "in": "header", "name": API_KEY_HEADER, "description": "An API key."},
                **{source: _signature(signature) for source, signature in SIGNATURES.items()},
            },
        },
    }


def _models(operations: Iterable[Operation]) -> Iterable[tuple[type[BaseModel], Mode]]:
    found: dict[tuple[type[BaseModel], Mode], None] = {(ProblemDetails, "serialization"): None}
    for operation in operations:
        for taken in (operation.query, operation.body):
            if taken is not None:
                found[taken, "validation"] = None
        if operation.events is not None:
            found[operation.events, "serialization"] = None
        for response in operation.responses.values():
            found[response[0] if isinstance(response, tuple) else response, "serialization"] = None
    return found


def _operation(operation: Operation, schemas: _Schemas, definitions: Mapping[str, Any]) -> dict[str, Any]:
    summary, _, description = operation.description.partition("\n\n")
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": " ".join(summary.split()),
        "parameters": [*_path(operation), *_query(operation, definitions), *_headers(operation)],
        "responses": _responses(operation, schemas),
    }
    if operation.scope == "program":
        described["security"] = [{"bearer": []}]
    elif operation.scope not in (None, "local"):
        described["security"] = [{"bearer": [operation.scope]}, {"header": [operation.scope]}]
    if operation.signed is not None:
        described["security"].append({operation.signed: []})
    if description:
        described["description"] = " ".join(description.split())
    if operation.body is not None:
        content: dict[str, Any] = {"application/json": {"schema": schemas[operation.body, "validation"]}}
        if issubclass(operation.body, TextBody):
            content["text/plain"] = {"schema": {"type": "string"}}
        described["requestBody"] = {"required": operation.body_required, "content": content}
    elif operation.signed is not None:
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
    return described


def _signature(signature: Signature) -> dict[str, str]:
    description = f"{signature.prefix}HMAC-SHA256 of the body in lower-case hex, with {signature.secret} as its key."
    return {"type": "apiKey", "in": "header", "name": signature.header, "description": description}


def _path(operation: Operation) -> Iterable[dict[str, Any]]:
    patterns = {name: GITHUB_NAMES.get(name, ID_PATTERN) for name in operation.path_parameters}
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": pattern}}
        for name, pattern in patterns.items()
    ]


def _query(operation: Operation, definitions: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    if operation.query is None:
        return []
    model = definitions[operation.query.__name__]
    required = model.get("required", ())
    return [
        # With an API key, the project comes from the key.
        {"name": name, "in": "query", "required": name in required and name != PROJECT, "schema": _not_null(schema)}
        for name, schema in model["properties"].items()
    ]


def _headers(operation: Operation) -> Iterable[dict[str, Any]]:
    text: dict[str, Any] = {"type": "string"}
    if operation.streams or operation.events is not None:
        described = "The id of the last event received: what came after it is sent first."
        return [_header(LAST_EVENT_HEADER, text, described)]
    if operation.signed is not None:
        return [_header(name, text) for name in SOURCES[operation.signed].headers]
    if operation.takes_github_token:
        described = "A GitHub token that reaches the repository; without it, the server uses its own if it has one."
        return [_header(GITHUB_TOKEN_HEADER, {**text, "pattern": GITHUB_TOKEN_PATTERN}, described)]
    if operation.idempotent:
        described = "A request with the same key is the same request: it takes effect once."
        return [_header(IDEMPOTENCY_HEADER, {**text, "minLength": 1, "maxLength": MAX_IDEMPOTENCY_KEY}, described)]
    return []


def _header(name: str, schema: Mapping[str, Any], description: str | None = None) -> dict[str, Any]:
    described = {} if description is None else {"description": description}
    return {"name": name, "in": "header", "required": False, **described, "schema": schema}


def _not_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a query parameter that is present: null cannot be written in a query."""
    kept = {key: value for key, value in schema.items() if key != "title" and (key, value) != ("default", None)}
    kinds = [kind for kind in kept.pop("anyOf", ()) if kind != {"type": "null"}]
    return {**kept, **(kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {})}


def _responses(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    responses: dict[int, dict[str, Any]] = {}
    for status, response in operation.responses.items():
        model, is_list = (response[0], True) if isinstance(response, tuple) else (response, False)
        schema = schemas[model, "serialization"]
        content = {"application/json": {"schema": {"type": "array", "items": schema} if is_list else schema}}
        if operation.streams:
            content = {"text/event-stream": {"schema": _event(schema)}}
        if operation.events is not None:
            content["text/event-stream"] = {"schema": _event(schemas[operation.events, "serialization"])}
        responses[status] = {"description": HTTPStatus(status).phrase, "content": content}
        if is_list:
            total = {"description": "The length of the whole list.", "schema": {"type": "integer", "minimum": 0}}
            cursor = {"description": "The cursor of the next page, if there is one.", "schema": {"type": "string"}}
            responses[status]["headers"] = {TOTAL_HEADER: total, CURSOR_HEADER: cursor}
    if operation.redirects:
        responses[302] = {"description": "Found: a browser is redirected to the pages."}
    for status in _error_statuses(operation):
        content = {"application/problem+json": {"schema": schemas[ProblemDetails, "serialization"]}}
        responses[status] = {"description": HTTPStatus(status).phrase, "content": content}
    return {str(status): responses[status] for status in sorted(responses)}


def _event(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of one Server-Sent Event whose data has this schema, or is an empty object."""
    empty = {"type": "object", "maxProperties": 0}
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": {"anyOf": [schema, empty]}}
    text = {"type": "string"}
    return {
        "type": "object",
        "properties": {"id": text, "event": text, "data": data},
        "required": ["id", "event", "data"],
    }


def _error_statuses(operation: Operation) -> set[int]:
    statuses = {*_ANY_STATUSES, *operation.problems}
    if operation.path_parameters:
        statuses.add(404)
    if operation.query is not None:
        statuses.update(_QUERY_STATUSES)
    if operation.scope is not None:
        statuses.update(_API_KEY_STATUSES)
    if operation.body is not None or operation.signed is not None:
        statuses.update(_BODY_STATUSES)
    if operation.method != "GET":
        statuses.update(_WRITE_STATUSES)
    return statuses
