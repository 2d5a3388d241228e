"""The session of who is signed in: an encrypted cookie, and the token every form carries."""

import secrets
from collections.abc import Mapping
from typing import Any

import aiohttp_jinja2
from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp_session import get_session, new_session
from aiohttp_session.cookie_storage import EncryptedCookieStorage

from soulcaster.web.problems import Problem

SIGN_IN_ROUTE = "sign_in"

_SECONDS = 7 * 24 * 3600

_USER, _CSRF, _NOTICE, _LAST_PROJECT = "user", "csrf", "notice", "project"


def storage(session_key: str) -> EncryptedCookieStorage:
    """Return where sessions are kept: in the visitor's cookie, which scripts cannot read nor other sites send along."""
    return EncryptedCookieStorage(
        session_key, cookie_name="soulcaster", path="/app", max_age=_SECONDS, httponly=True, samesite="Lax"
    )


@web.middleware
async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in who is signed in, and a form only with the session's token."""
    if request.match_info.route.name != SIGN_IN_ROUTE:
        session = await get_session(request)
        if _USER not in session:
            raise Problem(
                401, "Use the link that soulcaster run printed when it started; start it again for a new one."
            )
        if request.method == "POST":
            sent = (await _form(request)).get("csrf_token")
            if not (isinstance(sent, str) and secrets.compare_digest(sent.encode(), session[_CSRF].encode())):
                raise Problem(403, "This form is out of date. Go back, reload the page and send it again.")
    return await handler(request)


async def _form(request: web.Request) -> Mapping[str, Any]:
    if request.content_type != "application/x-www-form-urlencoded":
        raise Problem(415, "This takes the forms of its own pages, nothing else.")
    try:
        return await request.post()
    except (ValueError, LookupError) as error:
        raise Problem(400, "The form could not be read.") from error


async def open_session(request: web.Request, user: str) -> None:
    """Sign `user` in, in a session of its own."""
    session = await new_session(request)
    session[_USER] = user
    session[_CSRF] = secrets.token_urlsafe(32)


async def close_session(request: web.Request) -> None:
    """Sign out: the cookie is emptied."""
    (await get_session(request)).invalidate()


async def signed_in_user(request: web.Request) -> str | None:
    """Return who is signed in, or None."""
    user = (await get_session(request)).get(_USER)
    return None if user is None else str(user)


async def remember_project(request: web.Request, project_id: str) -> None:
    """Make this the project that /app leads to."""
    session = await get_session(request)
    if session.get(_LAST_PROJECT) != project_id:
        session[_LAST_PROJECT] = project_id


async def last_project(request: web.Request) -> str | None:
    """Return the project looked at last, or None."""
    project_id = (await get_session(request)).get(_LAST_PROJECT)
    return None if project_id is None else str(project_id)


async def leave_notice(request: web.Request, notice: str) -> None:
    """Show a notice on the next page, once."""
    (await get_session(request))[_NOTICE] = notice


async def render(request: web.Request, template: str, context: Mapping[str, Any]) -> web.Response:
    """Return a page for who is signed in."""
    session = await get_session(request)
    notice = session.pop(_NOTICE) if _NOTICE in session else None
    shared = {"signed_in": True, "csrf_token": session[_CSRF], "notice": notice}
    return aiohttp_jinja2.render_template(template, request, {**shared, **context})
