"""Phone numbers in text: by the rules of each country (package `phonenumbers`), by their form, or by the words before.

A number with its country's code is judged by that country's rules. Of one without, nobody says the country, so its
form must be that of a phone number, or the words before it must say that it is one.
"""

import re
from functools import lru_cache

import phonenumbers

from soulcaster.domain.text.context import nearest, words_before

PHONE = "[phone]"
"""The replacement of a phone number."""

FEWEST_DIGITS = 7

_MOST_DIGITS = 15
_MOST_NATIONAL_DIGITS = 11

# A letter of a script that is written without spaces may stand beside a number.
_NOT_AFTER = r"(?<![0-9a-zA-Z_\u00c0-\u052f.,/+\]-]{0})"
_NOT_BEFORE = r"(?![0-9a-zA-Z_\u00c0-\u052f+])"

_ABROAD = re.compile(
    rf"(?:\+{_NOT_AFTER.format('.')}(?<!\d \+)|00{_NOT_AFTER.format('..')}(?=[1-9]\d{{0,2}}[ .-]))"
    rf"[1-9]\d{{0,2}}[ ./-]?(?:\(\d{{1,5}}\)[ ./-]?)?\d(?:[ ./-]?\d){{5,12}}{_NOT_BEFORE}"
)
_AT_HOME = re.compile(rf"[(0-9]{_NOT_AFTER.format('.')}(?:[ ()./-]{{0,3}}\d){{6,14}}{_NOT_BEFORE}(?![./-]\d)")

_IBAN_CHARS = 42
_IBAN = re.compile(r"[A-Z]{2}(?<![A-Za-z0-9]..)\d\d(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")

_DATE = re.compile(
    r"(?:19|20)\d\d([./ -]?)[01]\d\1[0-3]\d(?:\D|$)|(?:19|20)\d\d[./-]\d\d?[./-]|[0-3]?\d([./-])[01]?\d\2(?:19|20)\d\d"
)
_VERSION = re.compile(r"(?=.*(?<!\d)\d(?!\d))\d+(?:\.\d+)+$")
_AMERICAN = re.compile(r"(?:1[ .-]?)?(?:\(\d{3}\) ?|[2-9]\d\d[ .-])[2-9]\d\d[.-]\d{4}$")
_WITH_AREA = re.compile(r"\(0?\d{1,4}\) ?\d{3,5}[ -]\d{2,4}(?:[ -]\d{2})?$")
_RUSSIAN = re.compile(r"8[ -]?\(?[349]\d\d\)?[ -]?\d{3}-\d\d-\d\d$")
_TRUNK = re.compile(r"\(?0[1-9]\d{0,4}\)?[ /.-]\d")
_PARTED = re.compile("[ /-]")
_COUNTRIES = ("GB", "DE", "FR", "JP", "KR", "AU", "NL", "CH", "IT")
"""Those whose numbers begin with a zero and are judged without the words before."""

_PHONE_NAMES = (
    "phone", "telef", "telep", "télép", "teléf", "телеф", "handyn", "rufnummer", "mobil", "mobiel", "fax",
    "whatsapp", "portable", "móvil", "movil", "celular", "cellulare", "cellphone", "msisdn", "komórk",
    "電話", "携帯", "电话", "手机", "전화", "핸드폰", "연락처", "휴대폰", "โทร", "फ़ोन", "फोन", "मोबाइल", "هاتف", "جوال",
)  # fmt: skip
_PHONE_WORDS = frozenset({"tel", "tél", "тел", "handy", "gsm"})
_PHONE_PARTS = ("電話", "携帯", "电话", "手机", "전화", "โทร")
"""Names that stand inside a run of letters, in scripts that are written without spaces."""

_CALL_NAMES = (
    "ruf", "anruf", "erreichbar", "rückruf", "appele", "joignable", "llám", "llam", "chiam", "позвон",
    "dzwo",
)  # fmt: skip
_CALL_WORDS = frozenset({
    "call", "cell", "text", "ring", "reach", "contact", "sms", "ligue", "bel", "звоните",
})  # fmt: skip
_NUMBER_WORDS = frozenset({"number", "numero", "numéro", "número", "no", "nr", "nummer", "numer"})
_FILLERS = _NUMBER_WORDS | frozenset({
    "is", "ist", "lautet", "est", "es", "é", "è", "jest", "to", "at", "on", "unter", "an", "au", "al", "me", "us",
    "him", "her", "moi", "mich", "uns", "back", "naar", "na", "по", "номер", "номеру",
})  # fmt: skip


def without_phones(text: str) -> str:
    """Return the text with phone numbers replaced; a part of an account's number (IBAN) is none."""
    if "+" in text or "00" in text:
        text = _ABROAD.sub(_abroad, text)
    return _AT_HOME.sub(_at_home, text)


def _in_account(found: re.Match[str]) -> bool:
    """Return whether a number is a part of an IBAN."""
    around = _IBAN.finditer(found.string, max(0, found.start() - _IBAN_CHARS), found.end() + _IBAN_CHARS)
    return any(account.start() < found.end() and found.start() < account.end() for account in around)


def _abroad(found: re.Match[str]) -> str:
    """Return the replacement of what has a country's code; a number that ends the sentence may follow the phone's."""
    number = found[0]
    if (length := _valid_length(number)) and not _in_account(found):
        return f"{PHONE}{number[length:]}"
    if _in_account(found):
        return number
    spoken = sum(number.count(sign) for sign in " -./(") >= 2
    return PHONE if spoken and _parsed(number) is not None else number


def _valid_length(number: str) -> int:
    """Return the length of the longest beginning, up to a space, that is valid; 0 if none is."""
    length = len(number)
    while length > 0:
        parsed = _parsed(number[:length])
        if parsed is not None and phonenumbers.is_valid_number(parsed):
            return length
        length = number.rfind(" ", 0, length)
    return 0


def _parsed(number: str) -> phonenumbers.PhoneNumber | None:
    """Return a number with its country's code, if it may be one."""
    international = number if number.startswith("+") else f"+{number[2:]}"
    try:
        parsed = phonenumbers.parse(international)
    except phonenumbers.NumberParseException:
        return None
    return parsed if phonenumbers.is_possible_number(parsed) else None


def _at_home(found: re.Match[str]) -> str:
    number = found[0]
    if _DATE.match(number) or _VERSION.match(number):
        return number
    name = nearest(words_before(found.string, found.start()), _FILLERS)
    named = name.startswith(_PHONE_NAMES) or name in _PHONE_WORDS or any(map(name.__contains__, _PHONE_PARTS))
    called = name.startswith(_CALL_NAMES) or name in _CALL_WORDS
    length = _at_most(number, _MOST_DIGITS if named else _MOST_NATIONAL_DIGITS)
    if _is_spoken(number[:length], named=named, called=called) and not _in_account(found):
        return f"{PHONE}{number[length:]}"
    return number


def _at_most(number: str, digits: int) -> int:
    """Return the length of the longest beginning, up to a space, with at most so many digits, or of all."""
    length = len(number)
    while sum(map(str.isdigit, number[:length])) > digits and " " in number[:length]:
        length = number.rfind(" ", 0, length)
    return length


def _is_spoken(number: str, *, named: bool, called: bool) -> bool:
    """Return whether a number is written as people write phone numbers, or named as one."""
    if named or any(form.match(number) for form in (_AMERICAN, _WITH_AREA, _RUSSIAN)):
        return True
    if called and (number.startswith("0") or _PARTED.search(number)):
        return True
    return _TRUNK.match(number) is not None and _is_valid_somewhere(number)


@lru_cache(maxsize=1024)
def _is_valid_somewhere(number: str) -> bool:
    for country in _COUNTRIES:
        try:
            parsed = phonenumbers.parse(number, country)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(parsed):
            return True
    return False
