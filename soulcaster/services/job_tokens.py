"""Job tokens: what the program of a launch shows to report on its job, and on nothing else.

A token is a JSON Web Token (RFC 7519) signed with HMAC-SHA256. The same launch always gets the same token, because a
backend may compare what two launchers send.
"""

from base64 import urlsafe_b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from soulcaster.domain.lifecycle import Job
from soulcaster.errors import BadInput, SoulcasterError
from soulcaster.ports.clock import Clock

PREFIX = "scj_"
"""What job tokens begin with, so that a reader, and a scan for secrets, knows them."""

AFTER_END = timedelta(minutes=10)
"""How long a token is valid after the time limit of its launch, for the last reports."""

_PURPOSE = b"soulcaster job tokens"


class JobTokenInvalid(SoulcasterError):
    """This job token is invalid or has expired."""


@dataclass(frozen=True, slots=True)
class JobClaims:
    """Which launch of which job a token is for; `fence` is the fencing token of the launch."""

    job_id: str
    project_id: str
    cluster_id: str
    fence: int


class JobTokens:
    """Issues and reads job tokens."""

    def __init__(self, secrets_key: str, clock: Clock) -> None:
        """`secrets_key` are Fernet keys, comma-separated: the first one signs, all of them verify.

        Raises:
            BadInput: one of them is not a Fernet key.
        """
        self._keys: Sequence[OctKey] = [_derived(key.strip()) for key in secrets_key.split(",")]
        self._clock = clock

    def issue(self, job: Job) -> str:
        """Return the token of the job's present launch.

        Raises:
            ValueError: the job was never launched.
        """
        if job.launched_at is None or job.fix is None:
            raise ValueError(f"job {job.id} was never launched")
        expires = job.launched_at + timedelta(seconds=job.fix.options.seconds) + AFTER_END
        claims = {
            "sub": job.id,
            "project": job.project_id,
            "cluster": job.cluster_id,
            "fence": job.fence,
            "exp": int(expires.astimezone(UTC).timestamp()),
        }
        return PREFIX + jwt.encode({"alg": "HS256"}, claims, self._keys[0])

    def read(self, token: str) -> JobClaims:
        """Return what a token says.

        Raises:
            JobTokenInvalid: it is not one of ours, or it has expired.
        """
        for key in self._keys:
            try:
                claims = jwt.decode(token.removeprefix(PREFIX), key, algorithms=["HS256"]).claims
            except (JoseError, ValueError):
                continue
            if claims["exp"] <= self._clock().timestamp():
                break
            return JobClaims(claims["sub"], claims["project"], claims["cluster"], claims["fence"])
        raise JobTokenInvalid


def _derived(fernet_key: str) -> OctKey:
    """Return the signing key that follows from a Fernet key (HKDF, RFC 5869), which itself encrypts other secrets."""
    try:
        secret = urlsafe_b64decode(fernet_key)
    except ValueError:
        secret = b""
    if len(secret) != 32:
        raise BadInput("SOULCASTER_SECRETS_KEY is not a Fernet key (32 url-safe base64 bytes).")
    derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret)
    return OctKey.import_key(derived)
