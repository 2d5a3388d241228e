"""Masking: personal data in text that is kept, ids in text that is compared.

Personal data are e-mail addresses, IP addresses, phone numbers, payment cards, API keys and passwords: everything with
a recognisable form. People's names have none and stay. Every function takes any text, in time proportional to its
length, and leaves text that it has already masked unchanged. What only has the form of one of these, as versions and
names in code have, is to stay: it is often what the text is about.

Expressions begin with the character they search for and look behind it only then, so `re` skips to it quickly.
"""

import re
from typing import Any

from soulcaster.domain.text.cards import CARD, without_cards
from soulcaster.domain.text.emails import EMAIL, without_emails
from soulcaster.domain.text.ip_addresses import IP, without_ips
from soulcaster.domain.text.phones import FEWEST_DIGITS, PHONE, without_phones
from soulcaster.domain.text.secrets import SECRET, without_secrets

ID, NUMBER = "[id]", "[number]"
"""In compared text, the replacements of UUIDs, hashes and memory addresses, and of long numbers."""

_MASK = re.compile("|".join(map(re.escape, (EMAIL, IP, PHONE, CARD, SECRET, ID, NUMBER))))
"""What stands for something that was masked."""

_DIGITS = b"0123456789"
_FEWEST_DIGITS = 4
"""An IP address has at least this many; a phone number and a card have more."""


def mask_personal(text: str) -> str:
    """Return the text with personal data masked."""
    digits = count_digits(text)
    if digits or "-----BEGIN " in text or "://" in text:
        text = without_secrets(text)
    if "@" in text or "%40" in text:
        text = without_emails(text)
    if digits < _FEWEST_DIGITS:
        return text
    text = without_ips(text)
    return without_phones(without_cards(text)) if count_digits(text) >= FEWEST_DIGITS else text


def without_masks(text: str) -> str:
    """Return the text without what stands for something that was masked."""
    return _MASK.sub(" ", text) if "[" in text else text


def mask_values(value: Any) -> Any:
    """Return a JSON value with personal data masked in every text except names of fields.

    Returns the same object if there is nothing to mask.
    """
    if isinstance(value, str):
        masked = mask_personal(value)
        return value if masked == value else masked
    if isinstance(value, dict):
        fields = {name: mask_values(part) for name, part in value.items()}
        return fields if any(fields[name] is not part for name, part in value.items()) else value
    if isinstance(value, list):
        parts = [mask_values(part) for part in value]
        return parts if any(new is not old for new, old in zip(parts, value, strict=True)) else value
    return value


def count_digits(text: str) -> int:
    """Return how many digits from 0 to 9 a text has."""
    as_bytes = text.encode("utf-8", "surrogatepass")
    return len(as_bytes) - len(as_bytes.translate(None, _DIGITS))


# ---- ids ---------------------------------------------------------------------------------------------------------

_URL = re.compile(r"(?:https?|ftps?|file|chrome|resource|moz-extension|ssh|git|wss?)://([^\s<>\"'`\[\]{}|\\^]++)")
_WWW = re.compile(r"www\.(?<!\w....)([^\s<>\"'`\[\]{}|\\^]++)")
_URL_END = re.compile(r"[?#]")
_BROWSER = re.compile(
    r"(?:User[ -]Agent: {0,3})?Mozilla/5\.0 \([^()\n]{1,200}\)(?: [A-Za-z]{1,30}/[\w.+-]{1,40}| \([^()\n]{1,80}\)){0,9}"
)
_PATH = re.compile(r"[/\\](?<![\w.~/\\].)[/\\]?[\w.+~-]{1,255}+(?:[/\\]{1,2}[\w.+~-]{1,255}+)++[/\\]?")
_UUID = re.compile(r"[0-9a-fA-F](?<!\w.)[0-9a-fA-F]{7}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?!\w)")
_ADDRESS = re.compile(r"0x(?<!\w..)[0-9a-fA-F]{2,}+(?!\w)")
_HEX = re.compile(r"[0-9a-fA-F](?<!\w.)[0-9a-fA-F]{7,}+(?!\w)")
_LONG_NUMBER = re.compile(r"[0-9](?<![\w.,].)\d{6,}+(?!\w|[.,]\d)")


def mask_ids(text: str) -> str:
    """Return the text with machine-made names masked, for comparing.

    URLs keep host and words of the path, file paths keep the file name: two failing pages are two problems. Short
    numbers stay, because "error 404" is not "error 500". The clusterer's second fingerprint
    (`clustering/features/lexical.py`) masks numbers too, and then requires similar vectors.
    """
    if "Mozilla/5.0 (" in text:
        text = _BROWSER.sub(" ", text)
    if "://" in text:
        text = _URL.sub(_page, text)
    if "www." in text:
        text = _WWW.sub(_page, text)
    if "/" in text or "\\" in text:
        text = _PATH.sub(_file, text)
    if count_digits(text) < 2:
        return text
    if text.count("-") > 3:
        text = _UUID.sub(ID, text)
    return _LONG_NUMBER.sub(NUMBER, _HEX.sub(_hex, _ADDRESS.sub(ID, text)))


def _page(url: re.Match[str]) -> str:
    host, _, path = _URL_END.split(url[1], maxsplit=1)[0].partition("/")
    return f"{host.rpartition('@')[2]} {path.replace('/', ' ')}"


def _file(path: re.Match[str]) -> str:
    return path[0].replace("\\", "/").rstrip("/").rpartition("/")[2]


def _hex(found: re.Match[str]) -> str:
    return found[0] if found[0].isdigit() or found[0].isalpha() else ID
