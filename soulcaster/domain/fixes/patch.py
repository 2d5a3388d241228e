"""A patch, as git describes it: which files it changes, and how."""

from dataclasses import dataclass
from typing import Literal

ChangeKind = Literal["added", "deleted", "modified", "renamed", "copied", "type changed"]


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a file: its size in bytes, and the bytes, None where they are too many to be read."""

    size: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class BinaryChange:
    """The contents of a file of which git shows no lines, None where there is no file. One byte NUL makes it binary."""

    before: Content | None
    after: Content | None


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of a patch; modes are git's octal numbers ("100644"), "000000" where there is no file.

    `added` and `deleted` count lines, None for a binary file, which has `binary`. `old_path` differs from `path` in a
    rename.
    """

    path: str
    kind: ChangeKind
    old_mode: str
    new_mode: str
    added: int | None
    deleted: int | None
    old_path: str
    binary: BinaryChange | None = None


@dataclass(frozen=True, slots=True)
class Patch:
    """A whole patch: `text` is what `git apply` takes, as bytes, because files have any encoding."""

    text: bytes
    changes: tuple[FileChange, ...]
