"""Reading a patch that came from strangers: it is applied to our own clone, and only what our git then says counts."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from soulcaster.domain.fixes.patch import ChangeKind, FileChange, Patch
from soulcaster.errors import GitFailed, NoPatch
from soulcaster.fixer.git.clone import Clone
from soulcaster.fixer.git.program import Git

_KINDS: dict[str, ChangeKind] = {"A": "added", "D": "deleted", "M": "modified", "T": "type changed"}

PLAIN_DIFF = ("--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--full-index")
"""A rename is a deletion and an addition, so that every path that changes has a line of its own."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A patch, the tree of git that it makes of the base, and the manifests that it changes: before and after."""

    patch: Patch
    tree: str
    manifests: dict[str, tuple[bytes | None, bytes | None]]


async def read_patch(source: Clone, text: bytes) -> Applied:
    """Apply a patch to the base and return what git says that it changes.

    The text of the returned patch is our git's, not the given one.

    Raises:
        NoPatch: it does not apply to the base.
    """
    return await read_tree(source, await apply_patch(source, text))


async def apply_patch(source: Clone, text: bytes) -> str:
    """Apply a patch to the base, in an index of its own, and return the tree that comes of it.

    Raises:
        NoPatch: it does not apply to the base.
    """
    with tempfile.TemporaryDirectory(dir=source.git_dir.parent) as folder:
        git = Git(source.git_dir, index=Path(folder) / "index")
        await git("read-tree", source.base)
        if text:
            try:
                await git("apply", "--cached", "--whitespace=nowarn", "-", given=text)
            except GitFailed as error:
                raise NoPatch(f"The patch does not apply to its base: {error.said.strip()[:1000]}") from error
        return (await git("write-tree")).decode().strip()


async def read_tree(source: Clone, tree: str) -> Applied:
    """Return how a tree of our git differs from the base."""
    git = source.git
    patch = await git("diff-tree", "-r", "-p", "--binary", *PLAIN_DIFF, source.base, tree)
    raw = await git("diff-tree", "-r", "-z", "--raw", *PLAIN_DIFF, source.base, tree)
    numbers = await git("diff-tree", "-r", "-z", "--numstat", *PLAIN_DIFF, source.base, tree)
    changes = _changes(raw, numbers)
    manifests = {
        change.path: (await _content(git, source.base, change.path), await _content(git, tree, change.path))
        for change in changes
        if change.path.rpartition("/")[2].lower() == "package.json"
    }
    return Applied(Patch(patch, changes), tree, manifests)


def _changes(raw: bytes, numbers: bytes) -> tuple[FileChange, ...]:
    """Read `--raw -z` and `--numstat -z` (git-diff-tree(1)), which list the same files in the same order."""
    fields = raw.split(b"\0")[:-1]
    counts = numbers.split(b"\0")[:-1]
    changes = []
    for described, name, counted in zip(fields[::2], fields[1::2], counts, strict=True):
        old_mode, new_mode, _, _, letter = described.decode().removeprefix(":").split(" ")
        added, deleted, _ = counted.split(b"\t", 2)
        path = name.decode(errors="surrogateescape")
        changes.append(
            FileChange(
                path,
                _KINDS[letter],
                old_mode,
                new_mode,
                None if added == b"-" else int(added),
                None if deleted == b"-" else int(deleted),
                path,
            )
        )
    return tuple(changes)


async def _content(git: Git, tree: str, path: str) -> bytes | None:
    """Return the content of a file, None where there is none."""
    found = await git("ls-tree", "-z", tree, "--", path)
    if not found:
        return None
    kind, blob = found.split(b"\t", 1)[0].decode().split(" ")[1:]
    return await git("cat-file", "blob", blob) if kind == "blob" else None
