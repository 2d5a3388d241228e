"""Answers in JSON."""

from collections.abc import Mapping, Sequence

from aiohttp import web
from pydantic import BaseModel

TOTAL_HEADER = "X-Total-Count"
CURSOR_HEADER = "X-Next-Cursor"


def answer(model: BaseModel, *, status: int = 200) -> web.Response:
    """Return a model as JSON."""
    return web.Response(body=model.model_dump_json().encode(), status=status, content_type="application/json")


def answer_list(models: Sequence[BaseModel], *, total: int, cursor: str | None = None) -> web.Response:
    """Return a bare JSON list; how long the whole of it is, and where it goes on, stand in headers."""
    headers: Mapping[str, str] = {TOTAL_HEADER: str(total), **({} if cursor is None else {CURSOR_HEADER: cursor})}
    body = b"[" + b",".join(model.model_dump_json().encode() for model in models) + b"]"
    return web.Response(body=body, headers=headers, content_type="application/json")
