"""Addresses that are settings."""

from yarl import URL

from soulcaster.errors import BadInput


def address(variable: str, value: str) -> URL:
    """Return the address that a variable has, without a slash at its end.

    Raises:
        BadInput: it is none.
    """
    try:
        url = URL(value.rstrip("/"))
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise BadInput(f"{variable} is no address: it should be as https://host.")
    return url
