"""The session of the person who is signed in: an encrypted cookie with its id, and the CSRF token of every form.

Redis has the sessions (`services/sessions.py`): a cookie whose session has ended is worth nothing.
"""

import secrets
from collections.abc import Mapping
from typing import Any

import aiohttp_jinja2
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp_session import get_session, new_session
from aiohttp_session.cookie_storage import EncryptedCookieStorage
from cryptography.fernet import Fernet, MultiFernet

from soulcaster.domain.sessions import IDLE, Session
from soulcaster.domain.text.normalize import cut
from soulcaster.errors import RedisFull
from soulcaster.services.secret_keys import fernet_of
from soulcaster.web.bodies import form_fields
from soulcaster.web.dependencies import dependencies
from soulcaster.web.observe import allow_own_script
from soulcaster.web.pages.access import ACCESS, SESSION, USER
from soulcaster.web.problems import Problem

OPEN = "open"
"""First part of the names of routes that need no session."""

_log = structlog.get_logger(__name__)

_ID = "id"
_CSRF, _NOTICE, _LAST_PROJECT, _STATE, _VERIFIER = "csrf", "notice", "project", "state", "verifier"

NOTICE_CHARS = 400
"""Of a notice: browsers keep no cookie of more than 4 KB, and the session is one."""


class SessionStorage(EncryptedCookieStorage):
    """Sessions in an encrypted cookie; while a key is replaced, the cookies of the old one are still read."""

    def __init__(self, keys: MultiFernet, **cookie: Any) -> None:
        """The first of `keys` encrypts, all of them decrypt; `cookie` says how the cookie is set."""
        super().__init__(Fernet(Fernet.generate_key()), **cookie)  # it takes one key only, which the next line replaces
        self._fernet = keys  # type: ignore[assignment]  # it is asked to encrypt and to decrypt


def storage(session_key: str, *, secure: bool) -> SessionStorage:
    """Return the storage of sessions: a cookie that scripts cannot read and other sites' requests do not carry.

    With `secure` it travels over https only.

    Raises:
        BadInput: `session_key` has something else than Fernet keys with commas between them.
    """
    return SessionStorage(
        fernet_of(session_key, "SOULCASTER_SESSION_KEY"),
        cookie_name="soulcaster",
        path="/app",
        max_age=int(IDLE.total_seconds()),
        httponly=True,
        samesite="Lax",
        secure=secure,
    )


@web.middleware
async def require_session(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests without a session that has not ended (401); the cookie alone is none."""
    if not (request.match_info.route.name or "").startswith(OPEN):
        session = await present_session(request)
        if session is None:
            raise Problem(401, how_to_sign_in(request))
        request[SESSION] = session
        if await _note_use(request, session):
            (await get_session(request)).changed()  # so that the cookie lasts as long, under the newest key
    return await handler(request)


async def _note_use(request: web.Request, session: Session) -> bool:
    """Note that a session is used, and return whether that was due; a Redis that is full does not fail the request."""
    try:
        return await dependencies(request).sessions.note_use(session)
    except RedisFull as error:
        _log.warning("the use of a session was not noted", cause=str(error))
        return False


async def present_session(request: web.Request) -> Session | None:
    """Return the session that the cookie names, None where there is none or it has ended."""
    cookie = await get_session(request)
    if USER not in cookie or _ID not in cookie:
        return None
    return await dependencies(request).sessions.find(str(cookie[USER]), str(cookie[_ID]))


def own_form(handler: Handler) -> Handler:
    """Return the handler for forms that carry the session's CSRF token; others get 403."""

    async def checked(request: web.Request) -> web.StreamResponse:
        session = await get_session(request)
        [sent, *_] = (await form_fields(request)).get("csrf_token", [""])
        if not secrets.compare_digest(sent.encode(), session[_CSRF].encode()):
            raise Problem(403, "This form is out of date. Go back, reload the page and send it again.")
        return await handler(request)

    return checked


def how_to_sign_in(request: web.Request) -> str:
    """Return what a person has to do to sign in."""
    if dependencies(request).entrance is not None:
        return "You are not signed in, or your session has ended."
    return "Use the link that soulcaster run printed when it started; start it again for a new one."


async def open_session(request: web.Request, user: str) -> None:
    """Sign a user in, in a new session; one that this browser had ends."""
    known = await present_session(request)
    if known is not None:
        await dependencies(request).sessions.end(known.user_id, known.id)
    begun = await dependencies(request).sessions.begin(user, request.headers.get("User-Agent", ""))
    session = await new_session(request)
    session[USER], session[_ID] = user, begun.id
    session[_CSRF] = secrets.token_urlsafe(32)


async def close_session(request: web.Request) -> None:
    """Empty the cookie."""
    (await get_session(request)).invalidate()


async def signed_in_user(request: web.Request) -> str | None:
    """Return the user who is signed in, or None."""
    user = (await get_session(request)).get(USER)
    return None if user is None else str(user)


async def start_sign_in(request: web.Request, state: str, verifier: str) -> None:
    """Remember what a sign-in with GitHub must come back with; it replaces one that was started before."""
    session = await get_session(request)
    session[_STATE], session[_VERIFIER] = state, verifier


async def verifier_of_sign_in(request: web.Request, state: str) -> str | None:
    """Return the code verifier of the sign-in that was started in this browser with this state, or None."""
    session = await get_session(request)
    if _STATE not in session or not secrets.compare_digest(state.encode(), str(session[_STATE]).encode()):
        return None
    return str(session[_VERIFIER])


async def remember_project(request: web.Request, project_id: str) -> None:
    """Make this the project that /app leads to."""
    session = await get_session(request)
    if session.get(_LAST_PROJECT) != project_id:
        session[_LAST_PROJECT] = project_id


async def last_project(request: web.Request) -> str | None:
    """Return the project that was looked at last, or None."""
    project_id = (await get_session(request)).get(_LAST_PROJECT)
    return None if project_id is None else str(project_id)


async def leave_notice(request: web.Request, notice: str) -> None:
    """Show a notice on the next page, once; of a long one its beginning."""
    (await get_session(request))[_NOTICE] = cut(notice, NOTICE_CHARS)


async def render(
    request: web.Request, template: str, context: Mapping[str, Any], *, script: bool = False
) -> web.Response:
    """Return a page for the person who is signed in; with `script` it may run our own."""
    session = await get_session(request)
    notice = session.pop(_NOTICE) if _NOTICE in session else None
    shared = {"signed_in": True, "csrf_token": session[_CSRF], "notice": notice}
    if ACCESS in request:
        shared["may"] = request[ACCESS].may
    response = aiohttp_jinja2.render_template(template, request, {**shared, **context})
    if script:
        allow_own_script(response)
    return response
