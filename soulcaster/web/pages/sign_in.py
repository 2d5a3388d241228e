"""Signing in, by a one-time link or with GitHub, and signing out."""

from aiohttp import web

from soulcaster.errors import SignInRefused
from soulcaster.ports.sign_in import Entrance
from soulcaster.services.waiting import until
from soulcaster.web.dependencies import dependencies
from soulcaster.web.pages.access import SESSION
from soulcaster.web.pages.session import (
    close_session,
    how_to_sign_in,
    open_session,
    present_session,
    start_sign_in,
    verifier_of_sign_in,
)
from soulcaster.web.problems import Problem

CALLBACK = "/app/sign-in/github/callback"
"""Where GitHub sends people back to; the OAuth app at GitHub names it."""

VISIBLE_SECONDS = 2.0
"""How long a first sign-in waits until its memberships can be read."""


async def sign_in(request: web.Request) -> web.StreamResponse:
    """GET /app/sign-in?token=...: use the token up, open a session and go to /app; without one, say how to sign in."""
    token = request.query.get("token", "")
    user = await dependencies(request).sign_in.consume(token)
    if user is not None:
        await open_session(request, user)
    elif await present_session(request) is None:
        if not token:
            raise Problem(401, how_to_sign_in(request))
        raise Problem(
            401, "This sign-in link was already used or has expired. Start soulcaster run again for a new one."
        )
    raise web.HTTPSeeOther("/app")


async def github(request: web.Request) -> web.StreamResponse:
    """GET /app/sign-in/github: go to GitHub."""
    entrance = _entrance(request)
    address, state, verifier = entrance.github.begin(_back_to(request, entrance))
    await start_sign_in(request, state, verifier)
    raise web.HTTPSeeOther(address)


async def github_callback(request: web.Request) -> web.StreamResponse:
    """GET /app/sign-in/github/callback: open a session for a person who comes back from GitHub."""
    entrance, given = _entrance(request), dependencies(request)
    verifier = await verifier_of_sign_in(request, request.query.get("state", ""))
    if verifier is None:
        raise Problem(400, "This sign-in did not start in this browser, or it has ended already. Start again.")
    if "error" in request.query:
        raise Problem(403, "GitHub did not sign you in: you declined, or something went wrong there. Start again.")
    try:
        person = await entrance.github.person(request.query.get("code", ""), verifier, _back_to(request, entrance))
    except SignInRefused as error:
        raise Problem(403, str(error)) from error
    signed_in = await given.users.sign_in(person, entrance.sign_up)
    if signed_in is None:
        raise Problem(
            403,
            f"{person.login} is not a member of any project here. Ask the owner of a project to add you, by this "
            "GitHub login or by an e-mail address that GitHub has verified.",
        )
    await until(
        lambda: given.read_model.members.of_user(signed_in.user.id),
        lambda known: set(signed_in.memberships) <= set(known),
        seconds=VISIBLE_SECONDS,
    )
    await open_session(request, signed_in.user.id)
    raise web.HTTPSeeOther("/app")


async def sign_out(request: web.Request) -> web.StreamResponse:
    """POST /app/sign-out: end the session."""
    mine = request[SESSION]
    await dependencies(request).sessions.end(mine.user_id, mine.id)
    await close_session(request)
    raise web.HTTPSeeOther("/app")


def _entrance(request: web.Request) -> Entrance:
    entrance = dependencies(request).entrance
    if entrance is None:
        raise Problem(404, "Signing in with GitHub is not set up on this server.")
    return entrance


def _back_to(request: web.Request, entrance: Entrance) -> str:
    """Return the address that GitHub sends the browser back to."""
    return (entrance.public_url or f"{request.scheme}://{request.host}") + CALLBACK
