"""Numbers of payment cards in text: by the issuer's digits, their length and the check digit (Luhn)."""

import re

from soulcaster.domain.text.context import nearest, words_before

CARD = "[card]"
"""The replacement of a card's number."""

_CARD = re.compile(
    r"[2-6](?<![a-zA-Z0-9_./+\]-].)(?<!\d,.)"
    r"(?:\d{13,15}|\d{3}([ -])\d{4}\1\d{4}\1\d{4}|\d{3}([ -])\d{6}\2\d{4,5})(?![a-zA-Z0-9_]|[.,-]\d)"
)
_ISSUED = re.compile(
    r"4\d{15}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"  # Visa, Mastercard
    r"|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}"  # American Express, Diners Club
    r"|6(?:011|4[4-9]\d|5\d\d|2\d\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}"  # Discover, UnionPay, JCB
)
_ID_NAMES = frozenset({
    "order", "id", "ids", "ticket", "issue", "case", "ref", "reference", "invoice", "tracking", "parcel", "trace",
    "span", "request", "session", "build", "bug", "imei", "serial", "bestellung", "rechnung", "commande",
    "pedido", "ordine",
})  # fmt: skip
_FILLERS = frozenset({"no", "nr", "number", "is"})


def without_cards(text: str) -> str:
    """Return the text with numbers of payment cards replaced."""
    done = 0
    parts = []
    found = _CARD.search(text)
    while found:
        after = found.start() + 1  # a card may begin inside a number that is not a card
        if _is_card(found):
            parts += [text[done : found.start()], CARD]
            done = after = found.end()
        found = _CARD.search(text, after)
    return "".join([*parts, text[done:]])


def _is_card(found: re.Match[str]) -> bool:
    """Return whether it is a card; one in ten ids of the right length passes for one by chance."""
    digits = re.sub("[ -]", "", found[0])
    if not (_ISSUED.fullmatch(digits) and _luhn(digits)):
        return False
    if len(digits) < len(found[0]):
        return True
    return nearest(words_before(found.string, found.start()), _FILLERS) not in _ID_NAMES


def _luhn(digits: str) -> bool:
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(map(int, digits[-1::-2]))) % 10 == 0
