"""Signing in by a one-time link, and out."""

from aiohttp import web

from soulcaster.web.pages.session import close_session, open_session, signed_in_user
from soulcaster.web.problems import Problem
from soulcaster.web.services import services


async def sign_in(request: web.Request) -> web.StreamResponse:
    """GET /app/sign-in?token=...: use the token up, open a session and go to /app."""
    user = await services(request).sign_in.consume(request.query.get("token", ""))
    if user is not None:
        await open_session(request, user)
    elif await signed_in_user(request) is None:
        raise Problem(
            401, "This sign-in link was used already or has expired. Start soulcaster run again for a new one."
        )
    raise web.HTTPSeeOther("/app")


async def sign_out(request: web.Request) -> web.StreamResponse:
    """POST /app/sign-out: end the session."""
    await close_session(request)
    raise web.HTTPSeeOther("/app")
