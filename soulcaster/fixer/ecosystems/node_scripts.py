"""The scripts of a package.json, as the commands that they come to: what `npm test` would run, one after the other."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

MAX_DEPTH = 5
"""Scripts that call scripts; deeper ones stay a call of the package manager."""

MAX_COMMANDS = 100
MAX_SCRIPT = 2_000
"""Commands that a script may come to, and characters of one; people write fewer."""

_CALL = re.compile(r"(?:npm|pnpm|yarn)(?:\s+(?:-s|--silent))?\s+(?:run\s+|run-script\s+)?(?P<name>[\w:.-]+)")
_NO_TEST = "no test specified"
"""What `npm init` writes as a test script."""


def commands_of(package: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return the commands that a script runs, joined by `&&` in it, empty where there is no script.

    A script that it calls is replaced by that one's commands, with those before and after it (`pretest`, `posttest`).
    Scripts that are very long, or call very many, stay a call.
    """
    scripts = package.get("scripts")
    known = {key: text for key, text in scripts.items() if isinstance(text, str)} if isinstance(scripts, dict) else {}
    script = known.get(name, "").strip()
    if not script or _NO_TEST in script:
        return ()
    call = (f"npm run --silent {name}",)
    if len(script) > MAX_SCRIPT:
        return call
    known = {key: text for key, text in known.items() if len(text) <= MAX_SCRIPT}
    found: list[str] = []
    waiting = [(command, MAX_DEPTH) for command in _around(known, name)]
    for _ in range(MAX_COMMANDS):
        if not waiting:
            return tuple(found)
        command, depth = waiting.pop(0)
        called = _CALL.fullmatch(command)
        if called and called["name"] in known and depth > 0:
            waiting = [(inner, depth - 1) for inner in _around(known, called["name"])] + waiting
        else:
            found.append(command)
    return call


def is_simple(command: str) -> bool:
    """Return whether words may be added at the end of a command: no shell operator is in it, outside of quotes."""
    return not any(sign in "|;&<>()`\n" for sign, quoted in _signs(command) if not quoted)


def _around(scripts: Mapping[str, str], name: str) -> list[str]:
    """Return the commands of a script, and of those that npm runs before and after it."""
    return [command for one in (f"pre{name}", name, f"post{name}") for command in _split(scripts.get(one, ""))]


def _split(script: str) -> list[str]:
    """Return the commands that `&&` joins, outside of quotes and groups; all as one where the quotes do not match."""
    parts, depth, quoted = [""], 0, False
    for sign, quoted in _signs(script):
        depth += (sign in "({") - (sign in ")}") if not quoted else 0
        parts[-1] += sign
        if not quoted and depth == 0 and parts[-1].endswith("&&"):
            parts[-1] = parts[-1][:-2]
            parts.append("")
    if quoted or depth != 0:
        return [script]
    return [part.strip() for part in parts if part.strip()]


def _signs(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the signs of shell code, and whether each is quoted; a quotation mark that ends a quotation is not."""
    quote = ""
    escaped = False
    for sign in text:
        if escaped:
            escaped = False
            yield sign, True
        elif sign == "\\" and quote != "'":
            escaped = True
            yield sign, True
        elif quote:
            quote = "" if sign == quote else quote
            yield sign, bool(quote)
        else:
            quote = sign if sign in "'\"" else ""
            yield sign, bool(quote)
