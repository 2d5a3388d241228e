"""Results of runs, one line of JSON each, by fault and seed; they count for the code that they were made with."""

import hashlib
import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.faults.fault import Outcome

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".cache" / "faults"
CODE = ("soulcaster", "agents", "tables", "tests/faults", "tests/support/recount.py", "requirements.lock")
"""What a result depends on."""


def code_id() -> str:
    """Return a hash of the code: another one has other results."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *CODE]
    names = subprocess.run(words, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")  # noqa: S603
    digest = hashlib.sha256()
    for name in sorted(name.decode() for name in names if name):
        path = ROOT / name
        if path.is_file():
            digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


class Results:
    """The results for one code and one scale."""

    def __init__(self, code: str, *, short: bool) -> None:
        self._path = FOLDER / f"{code}{'-short' if short else ''}.jsonl"

    def all(self) -> list[Outcome]:
        """Return what has been run, in the order of faults and seeds."""
        if not self._path.exists():
            return []
        lines = [json.loads(line) for line in self._path.read_text().splitlines()]
        found = [Outcome(**{**line, "findings": tuple(line["findings"])}) for line in lines]
        return sorted(found, key=lambda outcome: (outcome.fault, outcome.seed))

    def has(self, fault: int, seed: int) -> bool:
        return any((outcome.fault, outcome.seed) == (fault, seed) for outcome in self.all())

    def add(self, outcome: Outcome) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")


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
