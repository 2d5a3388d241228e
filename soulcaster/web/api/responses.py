"""JSON responses made of models."""

from collections.abc import Mapping, Sequence

from aiohttp import web
from pydantic import BaseModel

from soulcaster.web.headers import CURSOR_HEADER, TOTAL_HEADER


def json_response(model: BaseModel, *, status: int = 200) -> web.Response:
    """Return a model as a JSON response."""
    return web.Response(body=model.model_dump_json().encode(), status=status, content_type="application/json")


def json_list(models: Sequence[BaseModel], *, total: int | None, cursor: str | None = None) -> web.Response:
    """Return models as a bare JSON list; headers hold the length of the whole list and the cursor of the next page.

    Without a total or a cursor, its header is left out.
    """
    known = {TOTAL_HEADER: None if total is None else str(total), CURSOR_HEADER: cursor}
    headers: Mapping[str, str] = {name: value for name, value in known.items() if value is not None}
    body = b"[" + b",".join(model.model_dump_json().encode() for model in models) + b"]"
    return web.Response(body=body, headers=headers, content_type="application/json")
