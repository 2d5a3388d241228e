"""Keys and passwords in text: those that have a recognisable form, or a name before them.

Keys are made by chance, so what only begins like one, or has its name before it (`token=undefined`), stays. People
make passwords, so a password needs no more than a digit or a sign among its letters.

`re` backtracks, so the time of every expression here is bounded by how it is written: an attempt to match reads a
bounded number of characters, or what it reads is consumed. A token is matched as a whole and then judged, because a
look ahead over it would be repeated at each of its hyphens.
"""

import re

SECRET = "[secret]"  # noqa: S105  (what replaces one)
"""The replacement of a key or password."""

_TOKEN_SIGNS = (
    *("k_live_", "k_test_", "whsec_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox"),
    *("xapp-", "AKIA", "ASIA", "AIza", "ya29.", "SG.", "npm_", "pypi-", "hf_", "dop_v1_", "shp", "sntr", "sc_"),
    *("sk-", "eyJ", "glsa_", "dckr_pat_", "lin_api_", "gsk_", ":AA"),
)
_SCHEMES = ("Bearer ", "bearer ", "Basic ")
_SHORTEST_TOKEN = 14
_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"[spr]k_(?:live|test)_\w{10,}+|whsec_[\w+/=]{16,}+"  # Stripe
    r"|gh[pousr]_\w{20,}+|github_pat_\w{20,}+|glpat-[\w-]{16,}+"  # GitHub, GitLab
    r"|xox[a-z]-[\w-]{10,}+|xapp-[\w-]{10,}+"  # Slack
    r"|(?P<fixed>A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9])|AIza[\w-]{35})|ya29\.[\w-]{20,}+"  # AWS, Google
    r"|SG\.[\w-]{16,}+\.[\w-]{16,}+"  # SendGrid
    r"|npm_\w{30,}+|pypi-[\w-]{30,}+|hf_\w{20,}+|dop_v1_\w{32,}+|shp[a-z]{2}_\w{20,}+|sntr[a-z]{1,2}_[\w+/=-]{20,}+"
    r"|glsa_\w{20,}+|dckr_pat_[\w-]{20,}+|lin_api_\w{20,}+|gsk_\w{20,}+"  # Grafana, Docker, Linear, Groq
    r"|\d{8,10}:AA[\w-]{33}(?![\w-])"  # Telegram
    r"|sc_[\w-]{40,}+"  # ours
    r"|[Bb]earer [\w.~+/-]{16,}+=*+|Basic [A-Za-z0-9+/]{14,}+=*+"
    r"|sk-[\w-]{20,}+"  # OpenAI, Anthropic
    r"|(?P<web>eyJ[\w-]{8,}+(?:\.eyJ[\w-]{8,}+(?:\.[\w-]*+)?)?)"  # JSON web tokens; with a payload
    r")"
)
_RUN = re.compile(r"[A-Za-z0-9]{10,}+")
_CHANGE = re.compile(r"[a-zA-Z](?=[0-9])|[0-9](?=[a-zA-Z])|[a-z](?=[A-Z])")
_CHANGES = 3
_CHARS_A_CHANGE = 5
"""By chance, two neighbours of five are of different classes; in words and numbered names hardly one of six."""

_MANY_DIGITS = 8
_LONG_RUN = 12
_DIFFERENT = 8
_SHARE = 0.2

KEY_BEGIN = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
KEY_END = re.compile(r"-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
"""The first and the last line of a private key (RFC 7468, and OpenPGP's armour)."""

_PRIVATE_KEY = re.compile(
    rf"{KEY_BEGIN.pattern}(?:(?:(?!-----).)*+{KEY_END.pattern}|(?:\s*+[A-Za-z0-9+/=]{{40,}}+)*+)", re.DOTALL
)
_URL_PASSWORD = re.compile(r"://[^\s/@:]{0,64}:([^\s/@]{1,128})@")
_GIVEN = re.compile(r"[ \t]?[\"']?(?P<value>[^\s\"'<>()\[\]{},;&]{6,200}+)")
_REST = re.compile(r"[^\s\"'<>()\[\]{},;&]*+")
_PASSWORDS = (
    "password", "passwd", "passphrase", "passwort", "pwd", "pw", "kennwort", "mot de passe", "contraseña", "senha",
    "wachtwoord", "hasło", "parola", "пароль", "密码", "パスワード", "비밀번호",
)  # fmt: skip
_KEY_OWNERS = ("api", "access", "account", "private", "shared", "auth", "signing", "encryption")
_KEYS = (
    *("secret", "token", "jwt", "signature", "sig"),
    *(f"{owner}{joint}key" for owner in _KEY_OWNERS for joint in ("", "_", "-", " ")),
)
_PASSWORD_SIGNS = (
    "pass", "pw", "kennw", "contrase", "senha", "wachtw", "hasło", "parola", "пароль", "密码", "パス", "비밀",
)  # fmt: skip
_KEY_SIGNS = (
    "secret", "token", "jwt", "signature", "sig=", "sig:", 'sig"', "key=", "key:", 'key"', "key'", "key =", "key :",
)  # fmt: skip
"""One of these is in every text, in lower case, that has one of the names."""

_SIGN = re.compile("[:=\uff1a]")  # the last is wide, as in Chinese
_SAID = re.compile(
    rf"(?P<name>(?:{'|'.join(_PASSWORDS)}) (?:is|ist|lautet|est|es|é|è|jest):? )"
    r"(?P<value>[^\s\"'<>()\[\]{},;&]{6,}+)",
    re.IGNORECASE,
)
_NAME_CHARS = 24
_SENTENCE_END = ".!?:"
_PLACEHOLDER = re.compile(
    r"[$%{<~/*\\]|[a-z_]\w*(?:\.[a-z_]\w*)+$|(?:x+|password|passwd|pass|pwd|secret)$", re.IGNORECASE
)
_HAS_SIGN = re.compile(r"[0-9]|[!@#$%^&*+=~|](?=\w)")
_HAS_LETTER = re.compile(r"[^\W\d_]")


def without_secrets(text: str) -> str:
    """Return the text with every recognisable secret replaced."""
    if "-----BEGIN " in text:
        text = _PRIVATE_KEY.sub(SECRET, text)
    if "://" in text:
        text = _URL_PASSWORD.sub(_url_password, text)
    if _may_have_token(text):
        text = _TOKEN.sub(lambda found: SECRET if _is_token(found) else found[0], text)
    lowered = text.lower()
    if any(map(lowered.__contains__, _PASSWORD_SIGNS)):
        text = _SAID.sub(_said, text)
    elif not any(map(lowered.__contains__, _KEY_SIGNS)):
        return text
    return _without_given(text)


def _may_have_token(text: str) -> bool:
    long = " ".join([word for word in text.split() if len(word) >= _SHORTEST_TOKEN])
    return bool(long) and (any(map(long.__contains__, _TOKEN_SIGNS)) or any(map(text.__contains__, _SCHEMES)))


def has_token(text: str) -> bool:
    """Return whether a text has a token or a private key; passwords, and what follows `Bearer`, do not count."""
    return KEY_BEGIN.search(text) is not None or any(
        _is_token(found) and not found[0].lower().startswith(("bearer ", "basic ")) for found in _TOKEN.finditer(text)
    )


def looks_random(text: str) -> bool:
    """Return whether a text looks as if chance had made it: its letters and digits take turns, or are many of each."""
    changes = sum(1 for _ in _CHANGE.finditer(text))
    return changes >= max(_CHANGES, len(text) / _CHARS_A_CHANGE) or any(map(_is_mixed, _RUN.findall(text)))


def _is_mixed(run: str) -> bool:
    share = sum(map(str.isdigit, run)) / len(run)
    return len(run) >= _LONG_RUN and _SHARE <= share <= 1 - _SHARE and len(set(run)) >= _DIFFERENT


def _is_token(found: re.Match[str]) -> bool:
    """Return whether what begins as a token does is one: names like sk_test_of_the_page begin so, too.

    What is none is passed over as a whole: no token begins later in it, because a later part ends in the same way.
    """
    if found["fixed"]:
        return True
    if found["web"]:
        return "." in found["web"]
    runs = _RUN.findall(found[0])
    return (
        sum(map(str.isdigit, found[0])) >= _MANY_DIGITS
        or any(not run.isalpha() and not run.isdigit() for run in runs)
        or looks_random(found[0])
    )


def _url_password(found: re.Match[str]) -> str:
    return found[0] if _PLACEHOLDER.match(found[1]) else f"://{SECRET}@"


def _said(found: re.Match[str]) -> str:
    """Return the replacement of "my password is ..."; what ends the sentence stays."""
    value = found["value"].rstrip(_SENTENCE_END)
    if not _is_password(value):
        return found[0]
    return f"{found['name']}{SECRET}{found['value'][len(value) :]}"


def _without_given(text: str) -> str:
    """Return the text without the values of `password=`, `"token": ` and the like."""
    done = 0
    parts = []
    for sign in _SIGN.finditer(text):
        at = sign.start()
        before = text[max(done, at - _NAME_CHARS) : at].rstrip(" \t").rstrip("\"'").lower()
        is_password = before.endswith(_PASSWORDS)
        if not (is_password or before.endswith(_KEYS)):
            continue
        given = _GIVEN.match(text, sign.end())
        if given and at >= done and (_is_password if is_password else _is_key)(given["value"]):
            parts += [text[done : given.start("value")], SECRET]
            rest = _REST.match(text, given.end())
            done = rest.end() if rest else given.end()
    return "".join([*parts, text[done:]])


def _is_password(value: str) -> bool:
    """Return whether a word is no word of the language: it has a digit or a sign."""
    return bool(_HAS_SIGN.search(value) and _HAS_LETTER.search(value)) and not _PLACEHOLDER.match(value)


def _is_key(value: str) -> bool:
    return looks_random(value) and not _PLACEHOLDER.match(value)
