"""What the program of a job sees in bubblewrap.

It sees, read-only: /usr, what it needs of /etc, the Python that runs Soulcaster with its packages, Soulcaster's own
package, and folders of tools that a setting names. It may write to its home /job, to /tmp and to /dev/shm. It sees no
other file of the machine, no process of it, and has no capability; its user is 1000, whoever runs the launcher. It does
see the network.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import soulcaster
from soulcaster.isolation import bubblewrap
from soulcaster.isolation.bubblewrap import candidates, nothing, read_only
from soulcaster.isolation.tools import Tools
from soulcaster.launcher.backends.local.folder import JobFolder

HOME = "/job"
PATH = f"{sys.prefix}/bin:{bubblewrap.PATH}"

__all__ = ["HOME", "PATH", "candidates", "command_line", "failure"]


def command_line(
    program: Path, folder: JobFolder, hidden: Sequence[Path] = (), tools: Tools | None = None
) -> tuple[str, ...]:
    """Return the command line for a launch, up to its program. `hidden` are folders that the program must not see.

    They matter only where they are inside of one that it sees: a data directory in an environment's folder.
    """
    tools = tools or Tools()
    python = [path for path in _python() if not path.is_relative_to("/usr")]
    seen = [*python, *tools.folders]
    return (
        str(program),
        *("--unshare-all", "--unshare-user", "--share-net", "--new-session", "--as-pid-1"),
        *bubblewrap.WITHOUT_RIGHTS,
        *bubblewrap.own_proc(),
        *bubblewrap.DEVICES,
        *("--bind", str(folder.tmp), "/tmp", "--bind", str(folder.home), HOME),  # noqa: S108  a /tmp of its own
        *bubblewrap.system(network=True),
        *read_only(folder.etc / "passwd", "/etc/passwd"),
        *read_only(folder.etc / "group", "/etc/group"),
        *(word for path in python for word in read_only(path)),
        *tools.words(folder.etc),
        *(word for path in hidden if any(map(path.is_relative_to, seen)) for word in nothing(path)),
        *("--remount-ro", "/", "--chdir", HOME),
    )


def failure(program: Path) -> str | None:
    """Run nothing in bubblewrap; return None when that works, else the reason why it does not."""
    with tempfile.TemporaryDirectory() as place:
        folder = JobFolder(Path(place))
        folder.prepare()
        return bubblewrap.failure(command_line(program, folder))


def _python() -> list[Path]:
    """Return the folders of Python, by their names and where those lead, and of our package."""
    prefixes = [Path(prefix) for prefix in (sys.prefix, sys.base_prefix, sys.base_exec_prefix)]
    paths = [*prefixes, *(path.resolve() for path in prefixes), Path(soulcaster.__file__).parent]
    return list(dict.fromkeys(paths))
