"""Keys and passwords in text: those that have a recognisable form.

`re` backtracks, so the time of every expression here is bounded by how it is written: an attempt to match reads a
bounded number of characters, or what it reads is consumed. A token that needs a second look (`_CHECKED`) is matched as
a whole and then judged, because a look ahead over it would be repeated at each of its hyphens.
"""

import re

SECRET = "[secret]"  # noqa: S105  (what replaces one)
"""The replacement of a key or password."""

_TOKEN_SIGNS = (
    *("k_live_", "k_test_", "whsec_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox"),
    *("xapp-", "AKIA", "ASIA", "AIza", "ya29.", "SG.", "npm_", "pypi-", "hf_", "dop_v1_", "shp", "sntr", "sc_"),
    *("Bearer ", "bearer "),
)
_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"[spr]k_(?:live|test)_\w{10,}+|whsec_[\w+/=]{16,}+"  # Stripe
    r"|gh[pousr]_\w{20,}+|github_pat_\w{20,}+|glpat-[\w-]{16,}+"  # GitHub, GitLab
    r"|xox[a-z]-[\w-]{10,}+|xapp-[\w-]{10,}+"  # Slack
    r"|A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9])|AIza[\w-]{35}|ya29\.[\w-]{20,}+"  # AWS, Google
    r"|SG\.[\w-]{16,}+\.[\w-]{16,}+"  # SendGrid
    r"|npm_\w{30,}+|pypi-[\w-]{30,}+|hf_\w{20,}+|dop_v1_\w{32,}+|shp[a-z]{2}_\w{20,}+|sntr[a-z]{1,2}_[\w+/=-]{20,}+"
    r"|sc_[\w-]{40,}+"  # ours
    r"|[Bb]earer (?=[\w.~+/-]*\d)[\w.~+/-]{16,}+=*+"
    r")"
)
_CHECKED_SIGNS = ("sk-", "eyJ")
_CHECKED = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk-[\w-]{20,}+"  # OpenAI, Anthropic; with a digit
    r"|eyJ[\w-]{8,}+(?:\.eyJ[\w-]{8,}+(?:\.[\w-]*+)?)?"  # JSON web tokens; with a payload
    r")"
)
KEY_BEGIN = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
KEY_END = re.compile(r"-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
"""The first and the last line of a private key (RFC 7468, and OpenPGP's armour)."""

_PRIVATE_KEY = re.compile(
    rf"{KEY_BEGIN.pattern}(?:(?:(?!-----).)*+{KEY_END.pattern}|(?:\s*+[A-Za-z0-9+/=]{{40,}}+)*+)", re.DOTALL
)
_URL_PASSWORD = re.compile(r"://[^\s/@:]{0,64}:[^\s/@]{1,128}@")
_GIVEN = re.compile(r"=(?!=)[^\s&\"'<>()\[\]{};,]{6,}+")
_GIVEN_NAME = re.compile(r"(?:password|passwd|pwd|secret|token|api_?key|access_?key)$", re.IGNORECASE)
_GIVEN_CHARS = 10


def without_secrets(text: str) -> str:
    """Return the text with every recognisable secret replaced."""
    if "-----BEGIN " in text:
        text = _PRIVATE_KEY.sub(SECRET, text)
    if "://" in text:
        text = _URL_PASSWORD.sub(f"://{SECRET}@", text)
    if any(map(text.__contains__, _TOKEN_SIGNS)):
        text = _TOKEN.sub(SECRET, text)
    if any(map(text.__contains__, _CHECKED_SIGNS)):
        text = _CHECKED.sub(_checked, text)
    return _without_given(text) if "=" in text else text


def has_token(text: str) -> bool:
    """Return whether a text has a token or a private key; passwords, and what follows `Bearer`, do not count."""
    if KEY_BEGIN.search(text) or any(not found[0].lower().startswith("bearer ") for found in _TOKEN.finditer(text)):
        return True
    return any(_checked(found) == SECRET for found in _CHECKED.finditer(text))


def _checked(found: re.Match[str]) -> str:
    """Return the replacement of what begins as a token does.

    What is no token is passed over as a whole: none begins later in it, because a later part ends in the same way.
    """
    token = found[0]
    is_token = any(map(str.isdigit, token)) if token.startswith("sk-") else "." in token
    return SECRET if is_token else token


def _without_given(text: str) -> str:
    """Return the text without the values of `password=` and the like."""
    done = 0
    parts = []
    at = text.find("=")
    while at >= 0:
        named = _GIVEN_NAME.search(text[max(done, at - _GIVEN_CHARS) : at])
        if named and (given := _GIVEN.match(text, at)):
            parts += [text[done:at], f"={SECRET}"]
            done = given.end()
        at = text.find("=", max(at + 1, done))
    return "".join([*parts, text[done:]])
