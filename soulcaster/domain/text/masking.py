"""Masking: personal data in text that is kept, ids in text that is compared.

Personal data are e-mail addresses, IP addresses, phone numbers, payment cards, API keys and passwords: everything with
a recognisable form. People's names have none and stay. Every function takes any text, in time proportional to its
length, and leaves text that it has already masked unchanged.

Expressions begin with the character they search for and look behind it only then, so `re` skips to it quickly.
"""

import re
from ipaddress import IPv6Address
from typing import Any

from soulcaster.domain.text.secrets import without_secrets

EMAIL, IP, PHONE, CARD = "[email]", "[ip]", "[phone]", "[card]"
"""The replacements of personal data; that of keys and passwords is `secrets.SECRET`."""

ID, NUMBER = "[id]", "[number]"
"""In compared text, the replacements of UUIDs, hashes and memory addresses, and of long numbers."""

_DIGITS = b"0123456789"
_FEWEST_DIGITS = 4
"""An IP address has at least this many; a phone number and a card have more."""


def mask_personal(text: str) -> str:
    """Return the text with personal data masked."""
    digits = count_digits(text)
    if digits or "_" in text or "=" in text or "://" in text or "AKIA" in text or "ASIA" in text:
        text = without_secrets(text)
    if "@" in text:
        text = _without_emails(text)
    return _without_numbers(text) if digits >= _FEWEST_DIGITS else text


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


# ---- e-mail addresses --------------------------------------------------------------------------------------------

_LOCAL_CHARS = 64
_LOCAL = re.compile(r"[\w.+%-]+")
_DOMAIN = re.compile(
    r"(?!v?\d+\.\d)"  # package@1.2.3
    r"(?:[\w-]{1,63}+\.){1,8}"
    r"(?!(?:png|jpe?g|gif|svg|webp|js|css|json|xpi)\b)[^\W\d_]{2,24}+(?!\w|-|\.xpi\b)"  # icon@2x.png, add-on@who.xpi
)
_NOBODY = "git"
"""The local part of git@github.com:owner/name, which is no e-mail address."""


def _without_emails(text: str) -> str:
    done = 0
    parts = []
    at = text.find("@")
    while at >= 0:
        local = _LOCAL.match(text[max(done, at - _LOCAL_CHARS) : at][::-1])
        domain = _DOMAIN.match(text, at + 1) if local else None
        if local and domain and local[0][::-1] != _NOBODY:
            parts += [text[done : at - local.end()], EMAIL]
            done = domain.end()
        at = text.find("@", max(at + 1, done))
    return "".join([*parts, text[done:]])


# ---- IP addresses, cards, phone numbers --------------------------------------------------------------------------

# No match begins after a bracket, so the text after a replacement is not taken for another number.

_IPV4 = re.compile(r"[0-9](?<![\w.\]-].)(?<![^\W\d_]/.)\d{0,2}(?:\.\d{1,3}){3}(?!\w|[.+]\w|-[A-Za-z])")
_IPV6 = re.compile(r"[0-9a-fA-F:](?<![\w:.\]].)[0-9a-fA-F:]{5,38}+(?![\w:])")
_VERSION_BEFORE = re.compile(r"(?:(?<![a-z])v|version|release|build|rev|update)\W{0,3}$", re.IGNORECASE)
_ADDRESS_BEFORE = re.compile(
    r"(?:(?<![a-z\[])(?:ips?|ipv4|address|addr|host|server|client|dns|ping|gateway|peer|proxy)\W{0,3}(?:is|was)?\W{0,3}"
    r"|//|@)$",
    re.IGNORECASE,
)
_PORT_AFTER = re.compile(r":\d{2,5}\b|/\d\d?\b")
_CONTEXT_CHARS = 24

_CARD = re.compile(
    r"[2-6](?<![\w.,/=+\]-].)"
    r"(?:\d{12,18}|\d{3}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|\d{3}([ -])\d{6}\2\d{4,5})(?!\w|[.,-]\d)"
)
_CARD_FORM = re.compile(r"4(?:\d{12}|\d{15}|\d{18})$|5[1-5]\d{14}$|2[2-7]\d{14}$|3[47]\d{13}$|3[0689]\d{12}$|6\d{15}$")

_FEWEST_PHONE_DIGITS = 7
_ABROAD = re.compile(
    r"(?:\+(?<![\w.+/=\]-].)|00(?<![\w.+/=\]-]..)(?=[1-9]\d{0,2}[ .-]))[1-9]\d{0,2}[ ./-]?(?:\(\d{1,5}\)[ ./-]?)?"
    r"\d(?:[ ./-]?\d){5,12}(?![\w+])"
)
_AMERICAN = re.compile(
    r"[(1-9](?<![\w.+/=\]-].)(?:(?<=\()|(?<=1)[ .-]?\(|(?<=1)[ .-](?=[2-9])|(?=\d))"
    r"\d{2,3}(?:\) ?|[ .-])[2-9]\d\d[.-]\d{4}(?!\w|[.-]\w)"
)
_CALLED = re.compile(r"[(0-9](?<![\w.,/=+\]-].)(?:[ ()./-]{0,2}\d){6,14}(?!\w|[./-]\d)")
_CALLED_BEFORE = re.compile(
    r"(?<![a-z\[])(?:phone|tel|telephone|telefon|mobile|cell|call|fax|whatsapp|sms)\b[^\w\n+(]{1,4}"
    r"(?:(?:number|no|me|us|at|on|is)\b[^\w\n+(]{1,4}){0,3}$",
    re.IGNORECASE,
)


def _without_numbers(text: str) -> str:
    if "::" in text or text.count(":") > 6:
        text = _IPV6.sub(_ipv6, text)
    if text.count(".") > 2:
        text = _IPV4.sub(_ipv4, text)
    if count_digits(text) < _FEWEST_PHONE_DIGITS:
        return text
    text = _without_cards(text)
    if "+" in text or "00" in text:
        text = _ABROAD.sub(PHONE, text)
    return _CALLED.sub(_called, _AMERICAN.sub(PHONE, text))


def _ipv4(found: re.Match[str]) -> str:
    """Return the replacement of four dotted numbers; version numbers stay, most begin with a single digit."""
    address, text = found[0], found.string
    parts = address.split(".")
    before = text[max(0, found.start() - _CONTEXT_CHARS) : found.start()]
    if parts[0] in {"0", "127"} or any(int(part) > 255 for part in parts) or _VERSION_BEFORE.search(before):
        return address
    if len(parts[0]) == 1 and not (_ADDRESS_BEFORE.search(before) or _PORT_AFTER.match(text, found.end())):
        return address
    return IP


def _ipv6(found: re.Match[str]) -> str:
    address = found[0]
    groups = [group for group in address.split(":") if group]
    if len(groups) < 3 or not any(map(str.isdigit, address)):  # ::1 identifies nobody, and a::b is program code
        return address
    try:
        IPv6Address(address)
    except ValueError:
        return address
    return IP


def _without_cards(text: str) -> str:
    done = 0
    parts = []
    found = _CARD.search(text)
    while found:
        digits = re.sub("[ -]", "", found[0])
        after = found.start() + 1  # a card may begin inside a number that is not a card
        if _CARD_FORM.match(digits) and _luhn(digits):
            parts += [text[done : found.start()], CARD]
            done = after = found.end()
        found = _CARD.search(text, after)
    return "".join([*parts, text[done:]])


def _luhn(digits: str) -> bool:
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(map(int, digits[-1::-2]))) % 10 == 0


def _called(found: re.Match[str]) -> str:
    before = found.string[max(0, found.start() - 2 * _CONTEXT_CHARS) : found.start()]
    return PHONE if _CALLED_BEFORE.search(before) else found[0]


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
