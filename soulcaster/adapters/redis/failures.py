"""What an error of a Redis client means: Redis is away, it does not trust us, or we do not trust it."""

import ssl

from redis.exceptions import AuthenticationError, NoPermissionError, OutOfMemoryError, ReadOnlyError

from soulcaster.adapters.redis.client import NotGreeted, RedisAccess
from soulcaster.errors import RedisFull, RedisRefuses, RedisUnavailable


def failure(access: RedisAccess, error: Exception) -> RedisUnavailable:
    """Return our error for one of a client that got no answer, or no permission."""
    where = f"Redis at {access.address}"
    if isinstance(error, OutOfMemoryError | ReadOnlyError) or code_of(error) == "MISCONF":
        return RedisFull(f"{where} takes no writes ({error})")
    if isinstance(error, AuthenticationError):
        return RedisRefuses(f"{where} does not let us in with this user and password ({error})")
    if isinstance(error, NoPermissionError):
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
    """Return the first word of what a server said, which is a code where redis-py has no class for it.

    The error of a pipeline starts with the command, which may hold any words; the server's own text comes last.
    """
    text = str(error).rpartition("caused error: ")[2].lstrip("('\"")
    return text.split(" ", 1)[0]


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """Return the error of TLS that redis-py made its own of."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error
