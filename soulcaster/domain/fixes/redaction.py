"""Redaction: what a job prints, without secrets.

Two ways find a secret: by value, for those that this process knows, and by form, for all others. The forms are those of
`domain.text.secrets`, and more: a log has environment variables and HTTP headers, where feedback has sentences. When in
doubt a log loses a word, because a secret that was shown cannot be taken back.

Every function takes time proportional to the text, whatever the text is.
"""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Collection, Iterable, Iterator
from urllib.parse import quote

from soulcaster.domain.text.normalize import visible
from soulcaster.domain.text.secrets import KEY_BEGIN, KEY_END, SECRET, without_secrets

MIN_SECRET_CHARS = 8
"""A shorter value is not searched for: it would be found in ordinary words."""

KEY_CHARS = 16_384
"""The longest private key. After so much without its last line, what follows is shown again."""

_AUTHORIZATION = re.compile(
    r"((?:authorization|x-api-key|x-github-token|private-token|cookie)"
    r"\\?[\"']?[ \t]{0,8}[:=][ \t]{0,8}\\?[\"']?)"
    r"(?!\[secret\])[^\s\"'\\][^\r\n\"'\\]*+",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(
    r"((?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|_KEY|_PWD|_PAT|_AUTH"
    r"|(?i:password|passwd|passphrase|secret|_token|api[_-]?key|access[_-]?key|secret[_-]?key|private[_-]?key))"
    r"\\?[\"']?[ \t]{0,8}(?::=|=(?!=)|:(?![:=/]))[ \t]{0,8})"
    r"(?!\\?[\"']?\[secret\])(?:\\?\"[^\"\r\n]++\"?|\\?'[^'\r\n]++'?|[^\s\"'&,;)}\]]++)"
)
"""A variable or a field whose name says that its value is secret; names of environment variables are in upper case."""

_NAMES = (
    *("token", "secret", "passw", "passphrase", "credential", "_key", "-key", "apikey", "accesskey", "privatekey"),
    *("_pwd", "_pat", "_auth", "authorization", "cookie"),
)
"""One of these is in every text, in lower case, in which one of the two expressions above finds something."""

PIECE_CHARS = 4_096
"""How much is searched at once. Other threads run in between, and what has none of `_NAMES` is passed over quickly."""


def secret_forms(values: Iterable[str]) -> tuple[str, ...]:
    """Return how these secrets may be written in a log, the longest first: plain, in JSON, in a URL, in base64.

    Values of less than `MIN_SECRET_CHARS` are left out. Of a value with several lines, each line counts as well.
    """
    found: set[str] = set()
    for value in values:
        for part in {value, *value.splitlines()}:
            found.update(form for form in _forms(part.strip()) if len(form) >= MIN_SECRET_CHARS)
    return tuple(sorted(found, key=lambda form: (-len(form), form)))


def _forms(value: str) -> Iterator[str]:
    if len(value) < MIN_SECRET_CHARS:
        return
    yield value
    yield json.dumps(value)[1:-1]
    quoted = quote(value, safe="")
    yield quoted
    yield re.sub("%..", lambda found: found[0].lower(), quoted)
    raw = value.encode("utf-8", "surrogatepass")
    for shift in range(3):
        # Base64 writes three bytes as four characters, so a value inside a longer text has three forms. Characters that
        # its neighbours contribute to are left out.
        first, end = -(-shift * 8 // 6), (shift + len(raw)) * 8 // 6
        for encode in (b64encode, urlsafe_b64encode):
            yield encode(bytes(shift) + raw).decode()[first:end]


class Redactor:
    """Redacts what one writer writes about one job: whole lines, chunk after chunk.

    It remembers that a private key has begun and not ended, and nothing else.
    """

    def __init__(self, forms: Collection[str] = ()) -> None:
        """`forms` are the secrets that this process knows, from `secret_forms`."""
        self._forms = forms
        self._key_chars_left = 0

    def redact(self, text: str, *, forms: Collection[str] = ()) -> str:
        """Return lines as they may be shown; `forms` are secrets known for this call only.

        Control characters, escape sequences of terminals and invisible characters are removed first: a secret is found
        even if it is coloured. The result ends with a line end, or is empty.
        """
        text = self._without_keys(visible(text))
        for form in (*forms, *self._forms):
            text = text.replace(form, SECRET)
        text = "".join(map(_by_form, _pieces(text)))
        return text if not text or text.endswith("\n") else f"{text}\n"

    def _without_keys(self, text: str) -> str:
        """Return the text without private keys, those too that began in an earlier chunk or end in a later one."""
        parts: list[str] = []
        at = 0
        while at < len(text):
            if self._key_chars_left:
                at = self._after_key(text, at)
            elif begin := KEY_BEGIN.search(text, at):
                parts += [text[at : begin.start()], SECRET]
                at = begin.end()
                self._key_chars_left = KEY_CHARS
            else:
                parts.append(text[at:])
                break
        return "".join(parts)

    def _after_key(self, text: str, at: int) -> int:
        """Return where the text goes on after a private key, of which `at` is a part."""
        limit = min(len(text), at + self._key_chars_left)
        if end := KEY_END.search(text, at, limit):
            self._key_chars_left = 0
            return end.end()
        self._key_chars_left -= limit - at
        return limit


def _pieces(text: str) -> Iterator[str]:
    """Yield a text in pieces of whole lines; a line of more than `PIECE_CHARS` is cut where no secret should be."""
    first = 0
    while len(text) - first > PIECE_CHARS:
        most = first + PIECE_CHARS
        ends = (text.rfind(sign, first, most) + 1 for sign in "\n ,")
        end = next(filter(None, ends), most)
        yield text[first:end]
        first = end
    yield text[first:]


def _by_form(piece: str) -> str:
    """Return a piece without the secrets that have a recognisable form or name."""
    lowered = piece.lower()
    if any(map(lowered.__contains__, _NAMES)):
        piece = _AUTHORIZATION.sub(rf"\1{SECRET}", _ASSIGNED.sub(rf"\1{SECRET}", piece))
    return without_secrets(piece)
