"""The documentation that the server itself offers: /openapi.json for programs, /docs for people."""

import asyncio
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

_CONSTRAINTS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "matches {}",
    "default": "default {}",
}


_SPELLINGS = {"api": "API", "github": "GitHub"}


def routes() -> list[web.RouteDef]:
    """Return the two routes."""
    return [web.get("/openapi.json", _openapi), web.get("/docs", _Page().show)]


async def _openapi(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=_JSON, content_type="application/json")


class _Page:
    """The page for people: rendered once, because that takes long and anybody may ask for it."""

    def __init__(self) -> None:
        self._rendered: asyncio.Future[str] | None = None

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /docs."""
        if self._rendered is None:
            template = aiohttp_jinja2.get_env(request.app).get_template("docs.html")
            self._rendered = asyncio.ensure_future(asyncio.to_thread(template.render, _context()))
        page = await asyncio.shield(self._rendered)
        return web.Response(text=page, content_type="text/html", charset="utf-8")


def _context() -> Mapping[str, Any]:
    resources: dict[str, list[Mapping[str, Any]]] = {}
    for path, methods in _DOCUMENT["paths"].items():
        for method, described in methods.items():
            resources.setdefault(described["tags"][0], []).append({"method": method.upper(), "path": path, **described})
    return {
        "resources": resources,
        "headings": {tag["name"]: _heading(tag["name"]) for tag in _DOCUMENT["tags"]},
        "descriptions": {tag["name"]: tag["description"] for tag in _DOCUMENT["tags"]},
        "schemas": _DOCUMENT["components"]["schemas"],
        "signed_in": False,
    }


def _heading(tag: str) -> str:
    """Return a tag as a heading: "GitHub sync" for github_sync."""
    first, *others = (_SPELLINGS.get(word, word) for word in tag.split("_"))
    return " ".join([first[0].upper() + first[1:], *others])


def type_of(schema: Mapping[str, Any]) -> Markup:
    """Return the type of a value as HTML, with links to the schemas it refers to."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return Markup('<a href="#shape-{0}">{0}</a>').format(name)
    if "const" in schema:
        return Markup("<code>{}</code>").format(json.dumps(schema["const"]))
    if "enum" in schema:
        return Markup(" or ").join(Markup("<code>{}</code>").format(json.dumps(value)) for value in schema["enum"])
    if "anyOf" in schema or "oneOf" in schema:
        return Markup(" or ").join(type_of(one) for one in schema.get("anyOf", schema.get("oneOf")))
    if schema.get("type") == "array":
        return Markup("list of {}").format(type_of(schema.get("items", {})))
    return escape(schema.get("format", schema.get("type", "any")))


def constraints(schema: Mapping[str, Any]) -> str:
    """Return the constraints of a value in words."""
    known = [text.format(json.dumps(schema[name])) for name, text in _CONSTRAINTS.items() if name in schema]
    return ", ".join(known)
