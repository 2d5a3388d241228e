"""Answers in JSON."""

from collections.abc import Mapping, Sequence

from aiohttp import web
from pydantic import BaseModel

TOTAL_HEADER = "X-Total-Count"
CURSOR_HEADER = "X-Next-Cursor"


def answer(model: BaseModel, *, status: int = 200) -> web.Response:
    """Return a model as JSON."""
    return web.Response(body=model.model_dump_json().encode(), status=status, content_type="application/json")


def answer_list(models: Sequence[BaseModel], *, total: int | None, cursor: str | None = None) -> web.Response:
    """Return a bare JSON list; how long the whole of it is, if known, and where it goes on, stand in headers."""
    said = {TOTAL_HEADER: None if total is None else str(total), CURSOR_HEADER: cursor}
    headers: Mapping[str, str] = {name: value for name, value in said.items() if value is not None}
    body = b"[" + b",".join(model.model_dump_json().encode() for model in models) + b"]"
    return web.Response(body=body, headers=headers, content_type="application/json")
