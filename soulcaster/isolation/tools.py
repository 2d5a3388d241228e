"""Tools outside of /usr that programs may use: a toolchain of Rust, a Node of nvm, a Python of pyenv.

Such folders are often in somebody's home, and hold credentials beside the programs; those stay hidden.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
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
    """Folders that programs see read-only, each at its own place, and where their programs are, for `PATH`."""

    folders: tuple[Path, ...] = ()
    path: tuple[str, ...] = ()

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
        path = (str(folder / "bin") for folder in folders if (folder / "bin").is_dir())
        return cls(tuple(dict.fromkeys(folders)), tuple(dict.fromkeys(path)))

    @classmethod
    def on_path(cls, environment: Mapping[str, str], hidden: Collection[Path] = ()) -> "Tools":
        """Return what a `PATH` offers, without what is in `hidden` folders.

        Left out are somebody's home, and folders of shims: these are programs that look for others in a home.
        """
        found: list[Path] = []
        path = []
        for entry in map(Path, environment.get("PATH", "").split(":")):
            if not entry.is_absolute() or not entry.is_dir() or entry.name == "shims":
                continue
            folder = entry.parent if entry.name in {"bin", "sbin"} else entry
            of_system = any(map(folder.is_relative_to, ("/usr", "/bin", "/sbin"))) or folder == Path("/")
            if not of_system and (_too_much(folder) or any(map(folder.is_relative_to, hidden))):
                continue
            path.append(str(entry))
            found += [] if of_system else [folder]
        if "RUSTUP_HOME" in environment or any((folder / "bin" / "rustup").exists() for folder in found):
            rustup = Path(environment.get("RUSTUP_HOME") or Path(environment.get("HOME", "/")) / ".rustup")
            found += [rustup] if rustup.is_dir() else []
        return cls(tuple(dict.fromkeys(found)), tuple(dict.fromkeys(path)))

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


def _too_much(folder: Path) -> str | None:
    if len(folder.parts) < 3 and folder.parts[1:2] != ("opt",):
        return "it is a whole tree of the system"
    if folder == Path.home() or any((folder / name).exists() for name in PRIVATE):
        return "it is somebody's home"
    return None
