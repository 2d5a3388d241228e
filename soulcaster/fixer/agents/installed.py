"""Where the program of a coding agent is on this machine, and what a sandbox must show so that it runs there."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from soulcaster.errors import AgentUnusable
from soulcaster.fixer.agents.cli import CodingCli

SHOWN = Path("/usr")
"""What every sandbox shows."""

PACKAGES = "/agent/node_modules"
"""Where a sandbox shows packages of npm: their links are relative. Other programs it shows at their own place."""


@dataclass(frozen=True, slots=True)
class Installed:
    """The program of a coding agent as a sandbox sees it, and what it must show for that: by folder, where it is."""

    program: str
    shown: Mapping[Path, str]


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
    program_of_folder = named if named.is_relative_to(folder) else real
    if folder.is_relative_to(SHOWN):
        return Installed(str(named if named.is_relative_to(SHOWN) else real), {})
    place = PACKAGES if folder.name == "node_modules" else str(folder)
    return Installed(str(Path(place) / program_of_folder.relative_to(folder)), {folder: place})


def _folder(named: Path, real: Path) -> Path:
    """Return the folder with all of a program: that of npm's packages, a virtual environment, else the file itself."""
    for start in (named, real):
        for folder in start.parents:
            if folder.name == "node_modules" or (folder / "pyvenv.cfg").is_file():
                return folder
    return real
