"""Patches as git makes them, in tests: of the differences between two folders, and applied to a folder."""

import asyncio
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from soulcaster.domain.fixes.patch import ChangeKind, FileChange, Patch

_KINDS: dict[str, ChangeKind] = {
    "A": "added",
    "D": "deleted",
    "M": "modified",
    "R": "renamed",
    "C": "copied",
    "T": "type changed",
}


def git(*words: str, folder: Path, variables: Mapping[str, str], given: bytes = b"") -> bytes:
    done = subprocess.run(  # noqa: S603
        ["git", "-c", "core.autocrlf=false", *words],  # noqa: S607
        cwd=folder,
        input=given,
        stdout=subprocess.PIPE,
        check=True,
        env={"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", **variables},
    )
    return done.stdout


def patch_between(base: Path, changed: Path, scratch: Path, ignored: Sequence[str] = ()) -> Patch:
    """Return what differs; `ignored` are lines of a .gitignore."""
    directory = {"GIT_DIR": str(scratch / "patch.git")}
    git("init", "--quiet", "--bare", folder=scratch, variables=directory)
    (scratch / "patch.git" / "info" / "exclude").write_text("".join(f"{line}\n" for line in ignored))
    git("add", "--all", folder=base, variables={**directory, "GIT_WORK_TREE": str(base)})
    tree = git("write-tree", folder=base, variables=directory).decode().strip()
    git("add", "--all", folder=changed, variables={**directory, "GIT_WORK_TREE": str(changed)})
    diff = ("diff", "--cached", "--find-renames", "--full-index")
    text = git(*diff, "--binary", tree, folder=changed, variables=directory)
    listing = git(*diff, "--raw", "--numstat", "-z", tree, folder=changed, variables=directory)
    return Patch(text, tuple(_changes(listing.decode())))


def _changes(listing: str) -> list[FileChange]:
    """Read `git diff --raw --numstat -z`: first the raw records of all files, then the counts of all."""
    words = iter(listing.split("\0"))
    found: list[tuple[str, str, str, ChangeKind, str]] = []
    counts: list[tuple[int | None, int | None]] = []
    for word in words:
        if word.startswith(":"):
            old_mode, new_mode, _, _, status = word[1:].split(" ")
            old_path = next(words)
            path = next(words) if status[0] in "RC" else old_path
            found.append((old_path, old_mode, new_mode, _KINDS[status[0]], path))
        elif word:
            added, deleted, path = word.split("\t", 2)
            counts.append(tuple(None if one == "-" else int(one) for one in (added, deleted)))  # type: ignore[arg-type]
            if not path:
                next(words), next(words)
    return [
        FileChange(path, kind, old_mode, new_mode, added, deleted, old_path)
        for (old_path, old_mode, new_mode, kind, path), (added, deleted) in zip(found, counts, strict=True)
    ]


async def apply(patch: Patch, folder: Path) -> None:
    variables = {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
    words = ("apply", "--whitespace=nowarn", "-")
    await asyncio.to_thread(git, *words, folder=folder, variables=variables, given=patch.text)
