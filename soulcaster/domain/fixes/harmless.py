"""Strangers' words in what GitHub shows: they stay readable, and are no links, mentions, references, images or HTML.

GitHub makes mentions and references after it has read the Markdown, so a backslash does not prevent them; code does. So
a word that could become one is put into a code span, and what is left is escaped (github.github.com/gfm, 2.4 and 6.9;
docs.github.com, "Autolinked references and URLs").
"""

import re

from soulcaster.domain.fixes.strangers import plain

_RISKY = re.compile(
    r"[@#$<>`]|://|www\.|\bGH-\d|(?<![0-9A-Za-z])[0-9a-fA-F]{7,64}(?![0-9A-Za-z])|(?:mailto|xmpp|javascript|data):",
    re.IGNORECASE,
)
"""What GitHub may make a link, a mention, a reference, a formula or a tag of."""

_SPECIAL = re.compile(r"[\\`*_{}\[\]()<>#+\-!|~&=^:\"']")
_NUMBERED = re.compile(r"^(\d{1,9})([.)])")

_TITLE_MARKS = re.compile(r"[@#`*\[\]{}\\$^<>|~]|(?<!\w)\w*+://|\bwww\.", re.IGNORECASE)
_TITLE_REFERENCE = re.compile(r"\bGH-(?=\d)", re.IGNORECASE)
_TITLE_COMMIT = re.compile(r"(?<![0-9A-Za-z])([0-9a-fA-F]{6})[0-9a-fA-F]{1,58}(?![0-9A-Za-z])")


_READ = 20
"""How many times the characters that a line may have are read of a text; invisible ones and white space go."""


def title(text: str, most_chars: int) -> str:
    """Return a text as one line for a title or the subject of a commit, where there is no code.

    Marks that make mentions, references or addresses are left out; brackets too, because `[skip ci]` is an order.
    """
    line = _TITLE_MARKS.sub(" ", plain(text[: _READ * most_chars]))
    line = _TITLE_COMMIT.sub(r"\1…", _TITLE_REFERENCE.sub("GH ", line))
    line = " ".join("".join(char if char.isprintable() else " " for char in line).split())
    return line if len(line) <= most_chars else f"{line[: most_chars - 1].rstrip()}…"


def code(text: str, most_chars: int) -> str:
    """Return a text as one code span."""
    seen = plain(text[: _READ * most_chars])
    line = " ".join("".join(c if c.isprintable() else " " for c in seen).replace("`", "'").split())
    line = line if len(line) <= most_chars else f"{line[: most_chars - 1]}…"
    return f"`{line}`" if line else ""


def inline(text: str, most_chars: int) -> str:
    """Return a text as Markdown on one line that shows it, and nothing more; at most three times `most_chars` long."""
    line = " ".join(plain(text[: _READ * most_chars]).split())
    line = line if len(line) <= most_chars else f"{line[: most_chars - 1].rstrip()}…"
    return _line(line)


def quoted(text: str, most_chars: int) -> str:
    """Return a text as a quotation in Markdown, line by line; a longer one is cut and says so."""
    plain_text = plain(text)
    if len(plain_text) > most_chars:
        plain_text = f"{plain_text[:most_chars].rstrip()}…\n({len(plain_text):,} characters, cut here)"
    lines = [_line(" ".join(line.split())) for line in plain_text.split("\n")]
    return "\n".join(f"> {line}".rstrip() for line in lines)


def _line(line: str) -> str:
    words = "".join(char if char.isprintable() else " " for char in line).split()
    shown = " ".join(filter(None, map(_word, words)))
    return _NUMBERED.sub(r"\1\\\2", shown)


def _word(word: str) -> str:
    if _RISKY.search(word):
        return f"`{inside}`" if (inside := word.replace("`", "'").strip()) else ""
    return _SPECIAL.sub(r"\\\g<0>", word)
