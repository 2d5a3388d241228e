"""What git takes for a binary file: which of them is text all the same, and which must not be binary at all.

One byte NUL is enough for git to show no line of a file. Neither a reviewer nor a check of lines sees then what is in
it, although a compiler, an interpreter or a runner of tests may read it as ever.
"""

import codecs
import re

from soulcaster.domain.fixes.patch import Content, FileChange
from soulcaster.domain.fixes.test_files import holds_tests
from soulcaster.domain.fixes.test_habits import habits_of

_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Marks at the beginning of a text; that of UTF-16 also begins that of UTF-32."""

_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
"""Bytes that no text has."""

_CODE = re.compile(
    r".*\.(?:rb|erb|php|phtml|cs|vb|fs|swift|m|mm|pl|pm|lua|exs?|erl|clj[sc]?|mli?|hs|dart|r|jl|nim|zig|d|pas|f90|asm|s"
    r"|kts|gradle|ps1|psm1|bat|cmd|bash|zsh|fish|awk|sql|vue|svelte|astro|html?|css|s[ac]ss|less|graphql|proto|tf|nix"
    r"|pyi|pyx|pxd|hh|hxx|inl|cu|sol|mk|cmake|bzl)"
    r"|(?:gnu)?makefile|dockerfile.*|rakefile|gemfile|justfile|configure|cmakelists\.txt"
)
"""Names of code in languages whose tests we do not read."""


def text_of(data: bytes) -> str | None:
    """Return the text of a file: UTF-16 or UTF-32 where it begins with their mark, else UTF-8; None if it is none."""
    encoding = next((name for mark, name in _ENCODINGS if data.startswith(mark)), None)
    if encoding is None and _CONTROL.search(data):
        return None
    try:
        return data.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        return None


def is_code(path: str) -> bool:
    """Return whether a file is code, or a script, by its name."""
    return habits_of(path) is not None or _CODE.fullmatch(path.rpartition("/")[2].lower()) is not None


def hides_lines(change: FileChange) -> bool:
    """Return whether a change hides lines that reviewers and checks would have to see.

    That is a test, a text that becomes binary, and code unless it was binary before and is text in an encoding that git
    does not know.
    """
    if change.binary is None or change.binary.after is None:
        return False
    before, after = change.binary.before, change.binary.after
    if holds_tests(change.path) or _was_text(before):
        return True
    return is_code(change.path) and (before is None or after.data is None or text_of(after.data) is None)


def _was_text(before: Content | None) -> bool:
    """Return whether git showed the lines of a file, whatever encoding they are in."""
    return before is not None and bool(before.data) and not _CONTROL.search(before.data or b"")
