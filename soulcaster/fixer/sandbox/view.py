"""What a command sees in bubblewrap: the words of its command line."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import soulcaster
from soulcaster.errors import BadInput
from soulcaster.fixer.commands import uninterrupted
from soulcaster.isolation import bubblewrap
from soulcaster.isolation.bubblewrap import read_only
from soulcaster.isolation.files import remove
from soulcaster.isolation.tools import Tools, write_empty
from soulcaster.ports.sandbox import HOME, WORK, NoSandbox, Tree

OURS = "/run/soulcaster"
"""Where our own files are inside; a command may read them."""

RESERVED = tuple(map(Path, (WORK, HOME, OURS, "/dev", "/proc")))
"""Folders that are the sandbox's own; nothing of the machine is shown there."""

PASSWD = f"job:x:1000:1000:job:{HOME}:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
GROUP = "job:x:1000:\nnogroup:x:65534:\n"
HOSTS = "127.0.0.1 localhost job\n::1 localhost\n"

_PYTHON = Path(sys.base_prefix)
_GUARD = "import sys; sys.path.insert(0, sys.argv.pop(1)); from soulcaster.isolation.guard import main; main()"


@dataclass(frozen=True, slots=True)
class Folders:
    """What we write for one command: its /tmp, and files that it reads."""

    tmp: Path
    etc: Path
    doors: Path

    @classmethod
    def make(cls, place: Path) -> "Folders":
        """Make them in a new folder."""
        folders = cls(place / "tmp", place / "etc", place / "doors")
        for folder in (folders.tmp, folders.etc, folders.doors):
            folder.mkdir()
        for name, text in (("passwd", PASSWD), ("group", GROUP), ("hosts", HOSTS)):
            (folders.etc / name).write_text(text)
        write_empty(folders.etc)
        return folders


@asynccontextmanager
async def working_folders(place: Path | None) -> AsyncIterator[Folders]:
    """Make the folders of one command, and remove them at the end."""
    # A short name, since the path of a unix socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="job-", dir=place))
    try:
        yield Folders.make(folder)
    finally:
        await uninterrupted(asyncio.to_thread(remove, folder))


def tools_on_path() -> Tools:
    """Return the tools on the `PATH` of this process: not our virtual environment, nor what the sandbox has itself."""
    ours = [] if sys.prefix == sys.base_prefix else [Path(sys.prefix)]
    return Tools.on_path(os.environ, [*ours, *RESERVED])


@dataclass(frozen=True, slots=True)
class View:
    """What commands see of this machine. `own_proc` is whether they have a /proc of their own."""

    program: Path
    tools: Tools
    own_proc: bool

    def command_line(self, folders: Folders, tree: Tree, shown: Mapping[Path, str]) -> tuple[str, ...]:
        """Return bubblewrap's command line, up to the command."""
        return (
            str(self.program),
            *("--unshare-all", "--unshare-user", "--new-session", "--as-pid-1"),
            *bubblewrap.WITHOUT_RIGHTS,
            *(bubblewrap.own_proc() if self.own_proc else read_only(Path("/proc"))),
            *bubblewrap.DEVICES,
            *("--bind", str(folders.tmp), "/tmp"),  # noqa: S108  a /tmp of its own
            *("--bind", str(tree.work), WORK, "--bind", str(tree.home), HOME),
            *bubblewrap.system(network=False),
            *(word for name in ("passwd", "group", "hosts") for word in read_only(folders.etc / name, f"/etc/{name}")),
            *self.tools.words(folders.etc),
            *_ours(folders),
            *(word for path, where in shown.items() for word in read_only(path, where)),
            *("--remount-ro", "/", "--chdir", WORK),
        )

    def path(self) -> str:
        """Return the `PATH` inside: tools, the system's, and at last the Python that this process was made from."""
        python = _PYTHON / "bin"
        return ":".join(dict.fromkeys([*self.tools.path, *bubblewrap.PATH.split(":"), str(python)]))


def guard() -> tuple[str, ...]:
    """Return the command of the guard inside: this Python without packages, so without a virtual environment."""
    # The link in a virtual environment leads to the program; its own folder may be /usr/bin, by one more link.
    program = _PYTHON / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    return (str(program), "-I", "-S", "-B", "-c", _GUARD, f"{OURS}/python")


def check_shown(shown: Mapping[Path, str]) -> None:
    """Check where files of this machine are to be seen.

    Raises:
        BadInput: one would be in a folder of the tree, where a link that a stranger made could lead elsewhere.
    """
    for path, where in shown.items():
        place = Path(where)
        if not place.is_absolute() or ".." in place.parts or any(map(place.is_relative_to, RESERVED)):
            raise BadInput(f"{path} cannot be shown at {where}: choose an absolute path outside of the tree.")


def check_python() -> None:
    """Check that our own Python can be seen.

    Raises:
        NoSandbox: it is in a folder that is the sandbox's own.
    """
    if any(map(_PYTHON.is_relative_to, RESERVED)):
        raise NoSandbox(f"Commands cannot be isolated here: Python is in {_PYTHON}, a folder of the sandbox's own.")


def _ours(folders: Folders) -> Iterator[str]:
    """Yield the words for what the guard needs: Python, and of our package the two rooms that it imports."""
    for path in dict.fromkeys([_PYTHON, _PYTHON.resolve()]):
        if not path.is_relative_to("/usr"):
            yield from read_only(path)
    package = Path(soulcaster.__file__).parent
    yield from read_only(package / "__init__.py", f"{OURS}/python/soulcaster/__init__.py")
    yield from read_only(package / "isolation", f"{OURS}/python/soulcaster/isolation")
    yield from read_only(folders.doors, f"{OURS}/doors")
