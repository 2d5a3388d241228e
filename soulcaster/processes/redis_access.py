"""How Redis is reached, from the settings."""

from yarl import URL

from soulcaster.adapters.redis.client import RedisAccess
from soulcaster.errors import BadInput
from soulcaster.processes.base_settings import variables_of
from soulcaster.processes.system_settings import RedisSettings
from soulcaster.processes.tls import tls_context

_TLS = ("redis_ca_file", "redis_certificate_file", "redis_key_file")


def redis_access(settings: RedisSettings) -> RedisAccess:
    """Return how Redis is reached; files are read now.

    Raises:
        BadInput: the URL is none, a file cannot be used, or one is named for a Redis without TLS.
    """
    try:
        url = URL(settings.redis_url)
    except ValueError:  # it holds the URL, and so perhaps a password
        raise BadInput("REDIS_URL is not an address.") from None
    if url.scheme not in {"redis", "rediss", "unix", "http", "https"}:
        raise BadInput("REDIS_URL does not begin with redis://, rediss://, unix:// or https://.")
    files = {variables_of(name, RedisSettings.model_fields[name])[0]: getattr(settings, name) for name in _TLS}
    if any(name.startswith("ssl_") for name in url.query):
        raise BadInput(f"REDIS_URL says something about TLS after its question mark; {', '.join(files)} are for that.")
    if url.scheme == "rediss":
        return RedisAccess(settings.redis_url, tls_context(files))
    if unused := [variable for variable, path in files.items() if path]:
        raise BadInput(f"{' and '.join(unused)} need a REDIS_URL that begins with rediss://, not with {url.scheme}://.")
    return RedisAccess(settings.redis_url)
