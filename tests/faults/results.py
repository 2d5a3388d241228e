"""Results of runs, one line of JSON each, by fault and seed, with the code that each was made with.

All runs take hours, so they are collected over days and over versions of the code: of a fault and seed the newest
result counts, and the report says how many come from which code. To measure one code alone, delete the file first.
"""

import hashlib
import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.faults.fault import Outcome

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".cache" / "faults"
"""What runs leave behind, and the results of the short form."""

COLLECTED = ROOT / "tests" / "faults" / "results.jsonl"
"""The results of the full form."""

CODE = ("soulcaster", "agents", "tables", "tests/faults", "tests/support/recount.py", "requirements.lock")
"""What a result depends on."""


def code_id() -> str:
    """Return a hash of what a result depends on."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *CODE]
    names = subprocess.run(words, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")  # noqa: S603
    digest = hashlib.sha256()
    for name in sorted(name.decode() for name in names if name):
        path = ROOT / name
        if path.is_file() and path != COLLECTED:
            digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class Result:
    """What came of a run, the code it was made with, and the day."""

    outcome: Outcome
    code: str
    day: str


class Results:
    """The results in a file."""

    def __init__(self, path: Path) -> None:
        """Read and extend `path`, which need not exist."""
        self._path = path

    def newest(self) -> list[Result]:
        """Return the newest result of each fault and seed, in their order."""
        by_run = {(result.outcome.fault, result.outcome.seed): result for result in self._all()}
        return [by_run[run] for run in sorted(by_run)]

    def late(self) -> int:
        """Return how many results recovered too late, and count no more, because a newer one is there."""
        all_late = sum(not result.outcome.timely for result in self._all())
        return all_late - sum(not result.outcome.timely for result in self.newest())

    def done(self, code: str) -> set[tuple[int, int]]:
        """Return the faults and seeds that need no run: clean, timely ones, and those that this code does not survive.

        A late one may be the machine's doing, so it is made again with the same code too.
        """
        return {
            (result.outcome.fault, result.outcome.seed)
            for result in self.newest()
            if (result.outcome.timely if result.outcome.clean else result.code == code)
        }

    def add(self, result: Result) -> None:
        """Append a result; several processes may do so at once."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps({"code": result.code, "day": result.day, **asdict(result.outcome)}) + "\n")

    def _all(self) -> list[Result]:
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        return [_result(json.loads(line)) for line in lines]


def _result(line: dict[str, Any]) -> Result:
    code, day, findings = line.pop("code"), line.pop("day"), tuple(line.pop("findings"))
    return Result(Outcome(**line, findings=findings), code, day)


def sources(results: Sequence[Result], late: int) -> str:
    """Return where the results come from: how many from which code, and how many runs were repeated for being late."""
    codes: dict[str, list[str]] = {}
    for result in results:
        codes.setdefault(result.code, []).append(result.day)
    told = [
        f"{len(days)} with {code} ({days[0]})"
        for code, days in sorted(((code, sorted(days)) for code, days in codes.items()), key=lambda one: one[1])
    ]
    codes_told = f"Runs by the hash of their code: {', '.join(told) or 'none'}."
    return f"{codes_told} Runs that recovered too late and were made again: {late}."


def table(outcomes: Sequence[Outcome], names: dict[int, str]) -> str:
    """Return the results as a table in Markdown: sums of what must be 0, the worst of everything else."""
    lines = [
        "| fault | runs | items | lost | hidden | doubled | extra deliveries | longest stall | recovered |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for number, name in sorted(names.items()):
        of = [outcome for outcome in outcomes if outcome.fault == number]
        if not of:
            lines.append(f"| {number}. {name} | 0 | | | | | | | |")
            continue
        recovered = [outcome.recovered for outcome in of if outcome.recovered is not None]
        worst = f"{max(recovered):.0f} s" if len(recovered) == len(of) else "never"
        cells = [
            f"{number}. {name}",
            len(of),
            f"{sum(o.items for o in of):,}",
            sum(o.lost for o in of),
            sum(o.hidden for o in of),
            sum(o.doubled for o in of),
            max(o.extra for o in of),
            f"{max(o.stall for o in of):.0f} s",
            worst,
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)
