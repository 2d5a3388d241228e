"""Who sends a webhook: the vendor, by its signature, or else the holder of a key.

A signature is over the bytes as they were sent, so it is checked before they are decompressed, let alone parsed. When
they were sent is signed by no vendor here: an old delivery can be sent again, and is then the same item as before, of a
version that comes late.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from aiohttp import web

from soulcaster.domain.webhook_secrets import signed
from soulcaster.web.caller import CHALLENGE, Caller, Needed, count, identify
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import MAX_BATCH_BYTES, Scope, decoded, read_query, read_raw
from soulcaster.web.problems import Problem


@dataclass(frozen=True, slots=True)
class Signature:
    """How a vendor signs: the header, what stands in it before the hex digits, and what the vendor calls the secret."""

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

_PROVEN = web.RequestKey("proven", bytes)


async def identify_sender(request: web.Request, source: str, scope: Needed) -> Caller:
    """Return who sends a webhook of a source.

    One with a signature is the vendor's, or refused. One without is taken from whoever holds a key of this scope; from
    the local owner as well, unless the project has a secret to sign with.

    Raises:
        Problem: 401 when it proves nothing or names no project that it could prove it to, 413 when it is too large,
            and those of `identify`.
        SecretUnreadable: the project's secrets cannot be read.
        Unavailable: Redis does not answer.
    """
    given, how = dependencies(request), SIGNATURES[source]
    signature = request.headers.get(how.header)
    if signature is None:
        caller = await identify(request, scope)
        if caller.key_id is None and await given.webhooks.standing_secrets(_project(request), source):
            raise _unproven(f"This has no signature, and the project has a webhook secret of {source}", how)
        return caller
    try:
        project_id = _project(request)
    except Problem as problem:
        said = (
            f"{problem.detail}. Name the project in the URL, as ?project_id=my-app: the signature is by a secret of it."
        )
        raise Problem(401, said, errors=problem.errors, headers=CHALLENGE) from problem
    secrets = await given.webhooks.standing_secrets(project_id, source)
    raw = await read_raw(request, MAX_BATCH_BYTES)
    if not (signature.startswith(how.prefix) and signed(raw, signature.removeprefix(how.prefix), secrets)):
        raise _unproven(f"This is not signed with a webhook secret that the project has of {source}", how)
    await count(given, f"webhook:{source}:{project_id}", project_id)  # what is forged takes nobody's turn
    request[_PROVEN] = raw
    return Caller(f"webhook {source}", project_id)


async def read_sent(request: web.Request) -> bytes:
    """Return the body of a webhook, decompressed; of one that was signed what the signature is over.

    Raises:
        Problem: as `parameters.read_body`.
    """
    raw = request[_PROVEN] if _PROVEN in request else await read_raw(request, MAX_BATCH_BYTES)
    return decoded(request, raw, MAX_BATCH_BYTES)


def _project(request: web.Request) -> str:
    return read_query(request, Scope).project_id


def _unproven(said: str, how: Signature) -> Problem:
    todo = f"Add {how.secret} by POST /webhook-secrets, and wait a few seconds; or send an API key and no {how.header}."
    return Problem(401, f"{said}. {todo}", headers=CHALLENGE)
