"""The documentation that the server itself offers: /openapi.json for programs, /docs for people."""

import asyncio
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import aiohttp_jinja2
import jinja2
from aiohttp import web
from markupsafe import Markup, escape

from soulcaster.web.api import OPERATIONS
from soulcaster.web.api.openapi import document

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
    documentation = _Documentation()
    return [web.get("/openapi.json", documentation.send), web.get("/docs", documentation.show)]


class _Documentation:
    """Both forms of it: each is made once, when the first one asks, because that takes long and anybody may ask."""

    def __init__(self) -> None:
        self._json: asyncio.Future[bytes] | None = None
        self._page: asyncio.Future[str] | None = None

    async def send(self, _request: web.Request) -> web.StreamResponse:
        """GET /openapi.json."""
        if self._json is None:
            self._json = asyncio.ensure_future(asyncio.to_thread(_for_programs))
        return web.Response(body=await asyncio.shield(self._json), content_type="application/json")

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /docs."""
        if self._page is None:
            template = aiohttp_jinja2.get_env(request.app).get_template("docs.html")
            self._page = asyncio.ensure_future(asyncio.to_thread(_for_people, template))
        page = await asyncio.shield(self._page)
        return web.Response(text=page, content_type="text/html", charset="utf-8")


@cache
def _document() -> Mapping[str, Any]:
    return document(OPERATIONS)


def _for_programs() -> bytes:
    return json.dumps(_document()).encode()


def _for_people(template: jinja2.Template) -> str:
    described = _document()
    resources: dict[str, list[Mapping[str, Any]]] = {}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            resources.setdefault(operation["tags"][0], []).append({"method": method.upper(), "path": path, **operation})
    return template.render(
        resources=resources,
        headings={tag["name"]: _heading(tag["name"]) for tag in described["tags"]},
        descriptions={tag["name"]: tag["description"] for tag in described["tags"]},
        schemas=described["components"]["schemas"],
        signed_in=False,
    )


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
