"""Who sends a webhook: the vendor, proven by its signature, or else the holder of an API key.

A signature covers the bytes as they were sent, so it is checked before they are decompressed or parsed. None of these
vendors signs the time of sending: an old delivery can be replayed, and then it is the same item in an older version.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from aiohttp import web

from soulcaster.domain.webhook_secrets import signed
from soulcaster.web.bodies import MAX_BATCH_BYTES, check_parts, decoded, read_raw
from soulcaster.web.caller import CHALLENGE, Caller, Needed, count_request, identify
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import ProjectQuery, read_query
from soulcaster.web.problems import Problem
from soulcaster.web.turns import TURNS, away_in_turn


@dataclass(frozen=True, slots=True)
class Signature:
    """How a vendor signs: the header, the prefix of the hex digits in it, and what the vendor calls the secret."""

    header: str
    prefix: str
    secret: str


SIGNATURES: Mapping[str, Signature] = MappingProxyType(
    {
        "sentry": Signature("Sentry-Hook-Signature", "", "the Client Secret of Sentry's internal integration"),
        "github": Signature("X-Hub-Signature-256", "sha256=", "the Secret of GitHub's webhook"),
    }
)
"""By the name of the source."""

UNPROVEN_SECONDS = 5.0
"""How long a body may take to come while it is not known who sends it."""

_SIGNED_BODY = web.RequestKey("signed_body", bytes)


async def identify_sender(request: web.Request, source: str, scope: Needed) -> Caller:
    """Return who sends a webhook of a source.

    A webhook with a signature is the vendor's or is refused. One without a signature needs an API key with this scope;
    the local owner may send it as well, unless the project has a webhook secret of the source.

    Raises:
        Problem: 401 when the signature is missing or wrong or no project is named, 413 when the body is too large, and
            the problems of `identify`.
        LimitReached: the address sends too many at once.
        TimeoutError: the body does not come in `UNPROVEN_SECONDS`.
        SecretUnreadable: the project's secrets cannot be read.
        Unavailable: Redis does not answer.
    """
    given, how = dependencies(request), SIGNATURES[source]
    signature = request.headers.get(how.header)
    if signature is None:
        caller = await identify(request, scope)
        if caller.api_key_id is None and await given.webhook_secrets.valid_secrets(_project(request), source):
            raise _unproven(f"This has no signature, and the project has a webhook secret of {source}", how)
        return caller
    try:
        project_id = _project(request)
    except Problem as problem:
        detail = (
            f"{problem.detail}. Name the project in the URL, as ?project_id=my-app: "
            "its webhook secrets are what a signature is checked with."
        )
        raise Problem(401, detail, errors=problem.errors, headers=CHALLENGE) from problem
    secrets = await given.webhook_secrets.valid_secrets(project_id, source)
    unsigned = _unproven(f"This is not signed with a webhook secret that the project has of {source}", how)
    if not secrets or not signature.startswith(how.prefix):
        raise unsigned
    # A place of this sender: whoever sends forged ones, or begins and never ends, does not hold up the vendor's.
    async with request.config_dict[TURNS].unproven.turn(f"{project_id} {request.remote}"):
        async with asyncio.timeout(UNPROVEN_SECONDS):
            raw = await read_raw(request, MAX_BATCH_BYTES)
        if not signed(raw, signature.removeprefix(how.prefix), secrets):
            raise unsigned
    # Counted only now, so that forged webhooks do not use up a project's requests.
    await count_request(given, f"webhook:{source}:{project_id}", project_id)
    request[_SIGNED_BODY] = raw
    return Caller(f"webhook {source}", project_id)


def is_vendors(request: web.Request) -> bool:
    """Return whether a webhook that `identify_sender` has let pass is the vendor's: it is signed."""
    return _SIGNED_BODY in request


async def read_webhook(request: web.Request) -> bytes:
    """Return the body of a webhook, decompressed; of a signed one, the bytes that the signature covers.

    Raises:
        Problem: as `bodies.read_body`, and 413 when it has too many parts.
    """
    raw = request[_SIGNED_BODY] if _SIGNED_BODY in request else await read_raw(request, MAX_BATCH_BYTES)
    body = await decoded(request, raw, MAX_BATCH_BYTES)
    await away_in_turn(request, len(body), lambda: check_parts(body))
    return body


def _project(request: web.Request) -> str:
    return read_query(request, ProjectQuery).project_id


def _unproven(reason: str, how: Signature) -> Problem:
    remedy = f"Add {how.secret} with POST /webhook-secrets, wait a few seconds and send it again; "
    return Problem(401, f"{reason}. {remedy}or send an API key and no {how.header}.", headers=CHALLENGE)
