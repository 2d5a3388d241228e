"""Whether a text has a digit."""


def has_digit(text: str) -> bool:
    """Return whether a text has a digit of any script."""
    if text.isascii():  # same result, many times faster
        return any(map(text.__contains__, "0123456789"))
    return any(map(str.isdigit, text))
