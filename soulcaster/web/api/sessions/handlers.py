"""Listing and ending the sessions of a user, for the local owner; people have a page for their own."""

from aiohttp import web

from soulcaster.errors import NotFound
from soulcaster.ports.paging import Page
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_list, json_response
from soulcaster.web.api.sessions.models import SessionOut, SessionsEndedOut
from soulcaster.web.dependencies import dependencies


@operation("GET", "/users/{user_id}/sessions", {200: (SessionOut,)}, scope="local")
async def list_sessions(request: web.Request, user_id: str) -> web.StreamResponse:
    """List where a user is signed in, the session that was used last first."""
    found = await dependencies(request).sessions.of_user(user_id)
    return await json_list(Page(tuple(found), len(found)), SessionOut.of)


@operation("DELETE", "/users/{user_id}/sessions", {200: SessionsEndedOut}, scope="local")
async def end_sessions(request: web.Request, user_id: str) -> web.StreamResponse:
    """Sign a user out everywhere."""
    ended = await dependencies(request).sessions.end_all(user_id)
    return json_response(SessionsEndedOut(user_id=user_id, ended=ended))


@operation("DELETE", "/users/{user_id}/sessions/{session_id}", {200: SessionsEndedOut}, scope="local")
async def end_session(request: web.Request, user_id: str, session_id: str) -> web.StreamResponse:
    """End one session of a user."""
    if not await dependencies(request).sessions.end(user_id, session_id):
        raise NotFound("This user has no session of that id; it may have ended")
    return json_response(SessionsEndedOut(user_id=user_id, ended=1))
