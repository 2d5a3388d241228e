"""Tools outside of /usr that programs may use: a toolchain of Rust, a Node of nvm, a Python of pyenv.

Such folders are often in somebody's home, and hold credentials beside the programs; those stay hidden.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from soulcaster.errors import BadInput
from soulcaster.isolation.bubblewrap import read_only

CREDENTIALS = frozenset({
    *("credentials", "credentials.toml", "credentials.json", ".credentials.json", ".git-credentials", ".netrc"),
    *("_netrc", ".npmrc", ".yarnrc.yml", ".pypirc", "auth.json", "settings.xml", "settings-security.xml"),
    *("gradle.properties", "config.toml", "config.json", ".env", "nuget.config", "pip.conf"),
    *("id_rsa", "id_ed25519", "id_ecdsa"),
})  # fmt: skip
"""Names, in lower case, of files in which package managers keep passwords and tokens, or may keep some."""

EMPTY = {"": "", ".json": "{}", ".xml": "<settings/>"}
"""What such a file seems to hold, by its suffix; others hold nothing."""

PRIVATE = frozenset({".ssh", ".aws", ".gnupg", ".kube", ".docker", ".azure", ".config"})
"""A folder that has one of these is somebody's home, and no tool."""

DEPTH = 2
"""How deep credentials are searched for, in folders; deeper are the tools themselves."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Folders that programs see read-only, each at its own place."""

    folders: tuple[Path, ...] = ()

    @classmethod
    def of(cls, folders: Sequence[Path]) -> "Tools":
        """Return the tools of these folders.

        Raises:
            BadInput: one is no folder, is not an absolute path, or is somebody's home.
        """
        for folder in folders:
            if not folder.is_absolute() or not folder.is_dir():
                raise BadInput(f"{folder} is no folder of tools: it must be a folder, named by its absolute path.")
            if why := _too_much(folder):
                raise BadInput(f"{folder} cannot be shown as a folder of tools: {why}.")
        return cls(tuple(dict.fromkeys(folders)))

    @classmethod
    def on_path(cls, environment: Mapping[str, str]) -> "Tools":
        """Return the folders of the programs on a `PATH`, where they are not in /usr and show nobody's home."""
        found: list[Path] = []
        for entry in environment.get("PATH", "").split(":"):
            path = Path(entry)
            if path.is_absolute() and path.is_dir():
                found += [folder for folder in _of_bin(path) if not _too_much(folder)]
        if "RUSTUP_HOME" in environment or any((folder / "bin" / "rustup").exists() for folder in found):
            rustup = Path(environment.get("RUSTUP_HOME") or Path(environment.get("HOME", "/")) / ".rustup")
            found += [rustup] if rustup.is_dir() else []
        return cls(tuple(dict.fromkeys(found)))

    def path(self) -> tuple[str, ...]:
        """Return the folders for `PATH`."""
        return tuple(str(place) for folder in self.folders for place in (folder / "bin",) if place.is_dir())

    def environment(self) -> Mapping[str, str]:
        """Return the variables by which tools find the rest of themselves."""
        rustup = [folder for folder in self.folders if (folder / "toolchains").is_dir()]
        return {"RUSTUP_HOME": str(rustup[0])} if rustup else {}

    def words(self, empty: Path) -> Iterator[str]:
        """Yield the words for bubblewrap that show them; `empty` is a folder that `write_empty` has filled."""
        for folder in self.folders:
            yield from read_only(folder)
        for path in self.credentials():
            yield from read_only(empty / f"empty{path.suffix if path.suffix in EMPTY else ''}", str(path))

    def credentials(self) -> Iterator[Path]:
        """Yield the files in these folders that no program may see."""
        for folder in self.folders:
            for place, folders, files in os.walk(folder):
                if len(Path(place).relative_to(folder).parts) >= DEPTH:
                    folders.clear()
                yield from (Path(place) / name for name in files if name.lower() in CREDENTIALS)


def write_empty(place: Path) -> None:
    """Write the files that cover credentials into a folder."""
    for suffix, text in EMPTY.items():
        (place / f"empty{suffix}").write_text(text)


def _of_bin(path: Path) -> list[Path]:
    """Return the folders to show for one of `PATH`, none where the system's are enough."""
    found = [path.parent if path.name in {"bin", "sbin", "shims"} else path]
    return [folder for folder in found if not any(map(folder.is_relative_to, ("/usr", "/bin", "/sbin")))]


def _too_much(folder: Path) -> str | None:
    if len(folder.parts) < 3 and folder.parts[1:2] != ("opt",):
        return "it is a whole tree of the system"
    if folder == Path.home() or any((folder / name).exists() for name in PRIVATE):
        return "it is somebody's home"
    return None
