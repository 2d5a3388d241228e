"""Which hosts the set-up of a repository may reach: those that the package managers of this machine are set to.

So a company's mirror is let through where the machine is set to it, and the public registry where it is not. A manager
that is not installed has no hosts.
"""

import asyncio
import shutil
import zipfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import structlog

from soulcaster.fixer.commands import run_command

SECONDS = 20.0

CRATES = "crates.io"
"""Cargo cannot say where its registry is; its index and its files are at hosts below the registry's name."""

YARN = "registry.yarnpkg.com"
"""Where the lock files of yarn find packages: its own name of npm's public registry, whatever npm is set to."""

_PIP = """
from pip._internal.configuration import Configuration
from pip._internal.models.index import PyPI
configuration = Configuration(isolated=False)
configuration.load()
index = dict(configuration.items()).get("global.index-url") or PyPI.simple_url
print(index, "https://" + PyPI.file_storage_domain if index == PyPI.simple_url else "")
"""
"""Says where pip's index is, and where the files of the public one are."""

_POM = "org/apache/maven/model/pom-4.0.0.xml"

log = structlog.get_logger(__name__)


async def registry_hosts(search_path: str | None = None) -> frozenset[str]:
    """Return the hosts of the registries of all package managers on `search_path`, PATH where that is None."""
    find = partial(shutil.which, path=search_path)
    asked: Sequence[tuple[str, Sequence[str]]] = (
        ("python3", ("-c", _PIP)),
        ("npm", ("config", "get", "registry")),
        ("go", ("env", "GOPROXY", "GOSUMDB")),
    )
    said = await asyncio.gather(*(_said(find(name), words) for name, words in asked))
    hosts = {host for words in said for host in _hosts(words.replace(",", " ").split())}
    if find("npm"):
        hosts.add(YARN)
    if find("cargo"):
        hosts |= {CRATES, f"index.{CRATES}", f"static.{CRATES}"}
    return frozenset(hosts | set(await asyncio.to_thread(_of_maven, find)))


async def _said(program: str | None, words: Sequence[str]) -> str:
    """Return what a program prints, nothing where it is missing or fails."""
    if program is None:
        return ""
    try:
        done = await run_command((program, *words), seconds=SECONDS, folder="/")  # no configuration of a project
    except TimeoutError:
        log.warning("a package manager does not say where its registry is", program=program)
        return ""
    except OSError as error:
        log.warning("a package manager cannot be asked for its registry", program=program, cause=str(error))
        return ""
    return done.printed.decode(errors="replace") if done.code == 0 else ""


def _hosts(words: Iterable[str]) -> Iterable[str]:
    """Yield the hosts of addresses, and words that are hosts themselves, as GOSUMDB names them."""
    for word in words:
        host = urlsplit(word).hostname if "://" in word else word if "." in word and "/" not in word else None
        if host:
            yield host.lower()


def _of_maven(find: Callable[[str], str | None]) -> Iterable[str]:
    """Return the hosts of Maven's central repository, as the model that every project inherits says."""
    program = find("mvn")
    if program is None:
        return []
    for jar in (Path(program).resolve().parents[1] / "lib").glob("maven-model-builder-*.jar"):
        with zipfile.ZipFile(jar) as files:
            model = ElementTree.fromstring(files.read(_POM))  # noqa: S314  a part of Maven
        return list(_hosts(text.strip() for text in model.itertext() if "://" in text))
    log.warning("Maven does not say where its repository is", program=program)
    return []
