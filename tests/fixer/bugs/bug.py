"""A bug: a small repository, and a script that edits it as a coding agent would; one text file each.

The file begins with what it is about. A line `-- PATH --` begins each file of it: those below `repository/`, and
`agent.sh`. (Files of their own would be seen by our own pytest, ruff and mypy.)
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from soulcaster.domain.fixes.test_runs import RunStatus

FOLDER = Path(__file__).parent

_FILE = re.compile(r"^-- (?P<path>\S+) --\n", re.MULTILINE)
_REPOSITORY = "repository/"


@dataclass(frozen=True)
class Expected:
    before: RunStatus
    after: RunStatus
    reason: str | None = None
    shows_bug: bool | None = None
    flags: tuple[str, ...] = ()
    quick: bool = False


@dataclass(frozen=True)
class Bug:
    name: str
    files: dict[str, str]
    expected: Expected

    @property
    def agent(self) -> str:
        return self.files["agent.sh"]

    def write(self, folder: Path) -> None:
        for path, text in self.files.items():
            if path.startswith(_REPOSITORY):
                file = folder / path.removeprefix(_REPOSITORY)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)


def bugs() -> list[Bug]:
    expected = tomllib.loads((FOLDER / "verdicts.toml").read_text())
    return [
        _bug(name, Expected(**{**words, "flags": tuple(words.get("flags", ()))})) for name, words in expected.items()
    ]


def _bug(name: str, expected: Expected) -> Bug:
    parts = _FILE.split((FOLDER / f"{name}.txt").read_text())
    return Bug(name, dict(zip(parts[1::2], parts[2::2], strict=True)), expected)
