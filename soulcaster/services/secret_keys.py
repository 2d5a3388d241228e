"""Keys that can be replaced while both are in use: several Fernet keys in one setting, the newest first."""

from cryptography.fernet import Fernet, MultiFernet

from soulcaster.errors import BadInput


def fernet_of(keys: str, variable: str) -> MultiFernet:
    """Return what encrypts with the first of these keys and decrypts with all of them.

    Args:
        keys: Fernet keys, comma-separated.
        variable: the setting that holds them, for the error.

    Raises:
        BadInput: one of them is not a Fernet key.
    """
    try:
        return MultiFernet([Fernet(key.strip()) for key in keys.split(",")])
    except ValueError:
        raise BadInput(f"{variable} is not a Fernet key (32 url-safe base64 bytes), nor several with commas.") from None
