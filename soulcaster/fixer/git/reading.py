"""Reading a patch that came from strangers: it is applied to our own clone, and only what our git then says counts."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from soulcaster.domain.fixes.patch import BinaryChange, ChangeKind, Content, FileChange, Patch
from soulcaster.domain.fixes.patch_check import MAX_BINARY_BYTES
from soulcaster.errors import GitFailed, NoPatch
from soulcaster.fixer.git.clone import Clone
from soulcaster.fixer.git.program import Git

_KINDS: dict[str, ChangeKind] = {"A": "added", "D": "deleted", "M": "modified", "T": "type changed"}

PLAIN_DIFF = ("--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--full-index")
"""A rename is a deletion and an addition, so that every path that changes has a line of its own."""

_BINARY = b"-"
"""What `--numstat` shows in place of the lines of a binary file."""

NO_ATTRIBUTES = {"attr.tree": "4b825dc642cb6eb9a060e54bf8d69288fbee4904"}
"""The empty tree: newer gits obey the .gitattributes of the base also here, which may hide the lines of files."""

MOST_BINARY_BYTES = 16 * 2**20
"""How much of the contents of binary files is read."""


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

    async def differences(*form: str) -> bytes:
        return await git("diff-tree", "-r", *form, *PLAIN_DIFF, source.base, tree, settings=NO_ATTRIBUTES)

    patch = await differences("-p", "--binary")
    changes = await _changes(git, await differences("-z", "--raw"), await differences("-z", "--numstat"))
    manifests = {
        change.path: (await _content(git, source.base, change.path), await _content(git, tree, change.path))
        for change in changes
        if change.path.rpartition("/")[2].lower() == "package.json"
    }
    return Applied(Patch(patch, changes), tree, manifests)


async def _changes(git: Git, raw: bytes, numbers: bytes) -> tuple[FileChange, ...]:
    """Read `--raw -z` and `--numstat -z` (git-diff-tree(1)), which list the same files in the same order."""
    fields = raw.split(b"\0")[:-1]
    described = [one.decode().removeprefix(":").split(" ") for one in fields[::2]]
    counted = [one.split(b"\t", 2)[:2] for one in numbers.split(b"\0")[:-1]]
    binary = [words for words, counts in zip(described, counted, strict=True) if _BINARY in counts]
    contents = await _contents(git, [new for *_, new, _ in binary] + [old for _, _, old, _, _ in binary])
    changes = []
    for words, name, counts in zip(described, fields[1::2], counted, strict=True):
        old_mode, new_mode, old, new, letter = words
        path = name.decode(errors="surrogateescape")
        added, deleted = (None, None) if _BINARY in counts else map(int, counts)
        both = BinaryChange(contents.get(old), contents.get(new)) if _BINARY in counts else None
        changes.append(FileChange(path, _KINDS[letter], old_mode, new_mode, added, deleted, path, both))
    return tuple(changes)


async def _contents(git: Git, objects: Sequence[str]) -> dict[str, Content]:
    """Return the contents of those objects that are there and are files; the first ones are read as far as they fit."""
    if not objects:
        return {}
    asked = "".join(f"{one}\n" for one in dict.fromkeys(objects)).encode()
    printed = await git("cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", given=asked)
    described = [line.split(" ") for line in printed.decode().splitlines()]
    sizes = {words[0]: int(words[2]) for words in described if words[1] == "blob"}
    read, left = [], MOST_BINARY_BYTES
    for name, size in sizes.items():
        if size <= min(left, MAX_BINARY_BYTES):
            read.append(name)
            left -= size
    data = await git("cat-file", "--batch=", given="".join(f"{name}\n" for name in read).encode())
    contents: dict[str, bytes] = {}
    at = 0
    for name in read:  # an empty line, the bytes, a line end
        contents[name] = data[at + 1 : at + 1 + sizes[name]]
        at += sizes[name] + 2
    return {name: Content(size, contents.get(name)) for name, size in sizes.items()}


async def _content(git: Git, tree: str, path: str) -> bytes | None:
    """Return the content of a file, None where there is none."""
    found = await git("ls-tree", "-z", tree, "--", path)
    if not found:
        return None
    kind, blob = found.split(b"\t", 1)[0].decode().split(" ")[1:]
    return await git("cat-file", "blob", blob) if kind == "blob" else None
