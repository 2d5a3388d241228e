"""Where the person is signed in, and ending it there."""

from aiohttp import web

from soulcaster.web.dependencies import dependencies
from soulcaster.web.pages.access import SESSION
from soulcaster.web.pages.session import close_session, leave_notice, render
from soulcaster.web.parameters import path_id

HERE = "/app/sessions"


async def list_sessions(request: web.Request) -> web.StreamResponse:
    """GET /app/sessions: every session of the person."""
    given, mine = dependencies(request), request[SESSION]
    found = await given.sessions.of_user(mine.user_id)
    return await render(request, "sessions.html", {"sessions": found, "mine": mine.id, "now": given.clock()})


async def end(request: web.Request) -> web.StreamResponse:
    """POST /app/sessions/{session_id}/end: end one session."""
    session_id, mine = path_id(request, "session_id"), request[SESSION]
    ended = await dependencies(request).sessions.end(mine.user_id, session_id)
    await leave_notice(request, "Signed out there." if ended else "That session has ended already.")
    raise web.HTTPSeeOther(HERE)


async def end_others(request: web.Request) -> web.StreamResponse:
    """POST /app/sessions/end-others: end every session but this one."""
    mine = request[SESSION]
    ended = await dependencies(request).sessions.end_all(mine.user_id, but=mine.id)
    await leave_notice(request, f"Signed out in {ended} other place{'' if ended == 1 else 's'}.")
    raise web.HTTPSeeOther(HERE)


async def end_all(request: web.Request) -> web.StreamResponse:
    """POST /app/sessions/end-all: sign out everywhere, here too."""
    await dependencies(request).sessions.end_all(request[SESSION].user_id)
    await close_session(request)
    raise web.HTTPSeeOther("/app")
