"""The API described by itself: /openapi.json for programs, /docs for people. Both are made of the operations."""

import json
from collections.abc import Mapping
from typing import Any

import aiohttp_jinja2
from aiohttp import web
from markupsafe import Markup, escape

from soulcaster.web.api import OPERATIONS
from soulcaster.web.api.openapi import document

_DOCUMENT = document(OPERATIONS)
_JSON = json.dumps(_DOCUMENT).encode()

_LIMITS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} long",
    "maxLength": "at most {} long",
    "minItems": "at least {} of them",
    "maxItems": "at most {} of them",
    "pattern": "as {}",
    "default": "else {}",
}


def routes() -> list[web.RouteDef]:
    """Return the two routes."""
    return [web.get("/openapi.json", _openapi), web.get("/docs", _docs)]


async def _openapi(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=_JSON, content_type="application/json")


async def _docs(request: web.Request) -> web.StreamResponse:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for path, methods in _DOCUMENT["paths"].items():
        for method, described in methods.items():
            groups.setdefault(described["tags"][0], []).append({"method": method.upper(), "path": path, **described})
    context = {"groups": groups, "shapes": _DOCUMENT["components"]["schemas"], "signed_in": False}
    return aiohttp_jinja2.render_template("docs.html", request, context)


def kind(schema: Mapping[str, Any]) -> Markup:
    """Return what a value is, in words, with links to the shapes it is made of."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return Markup('<a href="#shape-{0}">{0}</a>').format(name)
    if "const" in schema:
        return Markup("<code>{}</code>").format(json.dumps(schema["const"]))
    if "enum" in schema:
        return Markup(" or ").join(Markup("<code>{}</code>").format(json.dumps(value)) for value in schema["enum"])
    if "anyOf" in schema or "oneOf" in schema:
        return Markup(" or ").join(kind(one) for one in schema.get("anyOf", schema.get("oneOf")))
    if schema.get("type") == "array":
        return Markup("list of {}").format(kind(schema.get("items", {})))
    return escape(schema.get("format", schema.get("type", "any")))


def limits(schema: Mapping[str, Any]) -> str:
    """Return what a value has to keep to, in words."""
    said = [text.format(json.dumps(schema[name])) for name, text in _LIMITS.items() if name in schema]
    return ", ".join(said)
