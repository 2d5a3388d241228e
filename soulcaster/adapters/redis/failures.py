"""What an error of a Redis client means: Redis is away, it does not trust us, or we do not trust it."""

import re
import ssl

from redis.exceptions import AuthenticationError, NoPermissionError, OutOfMemoryError, ReadOnlyError, ResponseError

from soulcaster.adapters.redis.client import NotGreeted, RedisAccess
from soulcaster.errors import RedisFull, RedisRefuses, RedisUnavailable

_CODES = {OutOfMemoryError: "OOM", ReadOnlyError: "READONLY", NoPermissionError: "NOPERM"}
"""redis-py has a class for these, and leaves the code out of the text."""

_FULL = frozenset({"OOM", "READONLY", "MISCONF"})
_CANNOT_SERVE = frozenset({*_FULL, "NOPERM", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS"})

_IN_SCRIPT = re.compile(r"(?:Error running script .{1,200}: )?@user_script: ?\d+: -([A-Z]+) ")
"""What a command in a script met, as servers before Redis 7 say it; later ones begin with the code."""


def is_temporary(error: ResponseError) -> bool:
    """Return whether the server cannot serve now: it is full, its disk fails, it is read-only, it has no master."""
    return code_of(error) in _CANNOT_SERVE


def failure(access: RedisAccess, error: Exception) -> RedisUnavailable:
    """Return our error for one of a client that got no answer, or no permission."""
    where = f"Redis at {access.address}"
    code = code_of(error)
    if code in _FULL:
        return RedisFull(f"{where} takes no writes ({error})")
    if isinstance(error, AuthenticationError):
        return RedisRefuses(f"{where} does not let us in with this user and password ({error})")
    if code == "NOPERM":
        said = str(error).rpartition("caused error: ")[2]  # before it, redis-py has the command, with what it stores
        return RedisRefuses(f"{where} forbids this ({said})")
    tls = _tls_error(error)
    if isinstance(tls, ssl.SSLCertVerificationError):
        return RedisRefuses(f"{where} has a certificate that cannot be trusted ({tls.verify_message})")
    if tls is not None:
        return RedisRefuses(f"{where} does not speak TLS as we do, or wants a certificate of us ({tls.reason})")
    if isinstance(error, NotGreeted):
        wants = "TLS" if access.tls is None else "a certificate of us"
        return RedisRefuses(f"{where} closed the connection at once; perhaps it wants {wants} ({error})")
    return RedisUnavailable(f"{where} does not answer ({error})")


def code_of(error: Exception) -> str:
    """Return the code that an error of a server has; else its first word.

    The error of a pipeline starts with the command, which may hold any words; the server's own text comes last.
    """
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return code
    text = str(error).rpartition("caused error: ")[2].lstrip("('\"")
    in_script = _IN_SCRIPT.match(text)
    return text.split(" ", 1)[0] if in_script is None else in_script[1]


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """Return the error of TLS that redis-py made its own of."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error
