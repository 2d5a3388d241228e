"""IP addresses in text. Most of what has their form is something else: versions, times, hardware addresses, code."""

import re
from ipaddress import IPv6Address, IPv6Network

from soulcaster.domain.text.context import nearest, words_before

IP = "[ip]"
"""The replacement of an IP address."""

# No match begins after a bracket, so the text after a replacement is not taken for another number.

_IPV4 = re.compile(
    r"[0-9](?<![a-zA-Z0-9_.\]-].)(?<![^\W\d_]/.)\d{0,2}(?:\.\d{1,3}){3}(?![a-zA-Z0-9_]|[.+]\w|-[A-Za-z])"
)
_IPV6 = re.compile(r"[0-9a-fA-F:](?<![\w:.\]].)[0-9a-fA-F:]{5,38}+(?![\w:])")

_VERSION_NAMES = (
    "ver", "вер", "wersj", "sürüm", "バージョン", "版本", "버전", "release", "build", "rev", "updat", "upgrad",
    "downgrad", "rolled", "firmware", "driver", "software", "since", "seit", "depuis", "desde", "chapter",
    "section", "figure", "chrom", "edge", "opera", "firefox", "safari", "brave", "vivaldi", "electron",
    "webview", "windows", "android",
)  # fmt: skip
_VERSION_WORDS = frozenset({"v", "app", "ios"})
_ADDRESS_NAMES = (
    "ip", "addr", "adres", "direcci", "indirizz", "адрес", "アドレス", "地址", "주소", "host", "server", "client",
    "dns", "ping", "gateway", "peer", "proxy", "remote", "upstream", "router", "node", "nameserver", "subnet",
    "network", "ssh", "telnet", "connect", "login", "logged", "request", "forwarded",
)  # fmt: skip
_FILLERS = frozenset({
    "to", "from", "of", "on", "is", "was", "in", "at", "for", "back", "auf", "von", "ist", "lautet", "à",
    "de", "est", "a", "na", "es", "è", "my", "ffff",
})  # fmt: skip
_VERSION_AFTER = re.compile(r" (?:build|release|firmware|version)\b", re.IGNORECASE)
_NETWORK_AFTER = re.compile(r":\d{2,5}\b|/\d\d?\b| - [^ \n]{1,64} \[")  # a port, a mask, a line of a web server's log
_SAME_AS_BEFORE = re.compile(r"(?: ?(?:,|;|->|→|/) ?| (?:and|or|to|und|oder|auf|bis|y|et|e|i) )$")
_LEAST_FIRST = 40
_LEAST_PART = 100
"""Parts of an address are as often large as small; parts of a version are small, the first too (browsers aside)."""

_FIRST_MULTICAST = 224
_WITHOUT_OWNER = (0, 127)

_IN_USE = tuple(map(IPv6Network, ("2000::/3", "fc00::/7", "fe80::/10")))
_FEWEST_GROUPS = 3


def without_ips(text: str) -> str:
    """Return the text with IP addresses replaced."""
    if "::" in text or text.count(":") > 6:
        text = _IPV6.sub(_ipv6, text)
    return _without_ipv4(text) if text.count(".") > 2 else text


def _without_ipv4(text: str) -> str:
    done = 0
    parts = []
    known: bool | None = None  # whether the number before is an address; None: it says nothing
    end_before = -1
    for found in _IPV4.finditer(text):
        joined = found.start() - end_before <= 6 and _SAME_AS_BEFORE.fullmatch(text, end_before, found.start())
        is_address = _is_address(found, known if joined else None)
        if is_address:
            parts += [text[done : found.start()], IP]
            done = found.end()
        known, end_before = is_address, found.end()
    return "".join([*parts, text[done:]])


def _is_address(found: re.Match[str], like: bool | None) -> bool:
    """Return whether four dotted numbers are an address: by the words around them, the number before, or their size."""
    parts = found[0].split(".")
    numbers = list(map(int, parts))
    first = numbers[0]
    if first in _WITHOUT_OWNER or first >= _FIRST_MULTICAST or max(numbers) > 255:
        return False
    if any(len(part) > 1 and part.startswith("0") for part in parts):
        return False
    text = found.string
    before = text[max(0, found.start() - 5) : found.start()]
    word = nearest(words_before(text, found.start()), _FILLERS)
    if word.startswith(_VERSION_NAMES) or word in _VERSION_WORDS or _VERSION_AFTER.match(text, found.end()):
        return False
    if (
        word.startswith(_ADDRESS_NAMES)
        or before.endswith(("//", "@", "ffff:"))
        or _NETWORK_AFTER.match(text, found.end())
    ):
        return True
    return like if like is not None else first >= _LEAST_FIRST or max(numbers) >= _LEAST_PART


def _ipv6(found: re.Match[str]) -> str:
    """Return the replacement of what may be an address: ::1 identifies nobody, and a::b is program code."""
    address = found[0]
    groups = [group for group in address.split(":") if group]
    if len(groups) < _FEWEST_GROUPS or all(len(group) == 2 for group in groups):  # 00:11:22:33:44:55:66:77
        return address
    try:
        value = IPv6Address(address)
    except ValueError:
        return address
    return IP if any(value in network for network in _IN_USE) else address
