"""Addresses in settings."""

from yarl import URL

from soulcaster.errors import BadInput


def http_address(variable: str, value: str) -> URL:
    """Return the http(s) address that a variable holds.

    Raises:
        BadInput: it is not one.
    """
    try:
        url = URL(value)
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise BadInput(f"{variable} is not an address; it should look like https://host.")
    return url
