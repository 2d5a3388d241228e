"""Where the program of a coding agent is on this machine, and what a sandbox must show so that it runs there."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from soulcaster.errors import AgentUnusable
from soulcaster.fixer.agents.cli import CodingCli

SHOWN = Path("/usr")
"""What every sandbox shows."""


@dataclass(frozen=True, slots=True)
class Installed:
    """The program of a coding agent. `folder` is what the sandbox must show besides, None where it shows all."""

    program: Path
    folder: Path | None


def find(cli: CodingCli, program: str, search_path: str | None = None) -> Installed:
    """Return where a program is: by its path, or in the folders of `search_path` (PATH where that is None).

    Raises:
        AgentUnusable: there is no such program; the message says how it is installed.
    """
    found = shutil.which(program, path=search_path)
    if found is None:
        how = f" Install it where jobs run: {cli.installation}" if cli.package else ""
        raise AgentUnusable(f"The coding agent {cli.name} is not installed: there is no program {program!r}.{how}")
    named, real = Path(found).absolute(), Path(found).resolve()
    folder = _folder(named, real)
    return Installed(named, None if named.is_relative_to(SHOWN) and folder.is_relative_to(SHOWN) else folder)


def _folder(named: Path, real: Path) -> Path:
    """Return the folder with all of a program: that of npm's packages, a virtual environment, else the file itself."""
    for start in (named, real):
        for folder in start.parents:
            if folder.name == "node_modules" or (folder / "pyvenv.cfg").is_file():
                return folder
    return named
