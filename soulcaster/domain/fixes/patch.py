"""A patch, as git describes it: which files it changes, and how."""

from dataclasses import dataclass
from typing import Literal

ChangeKind = Literal["added", "deleted", "modified", "renamed", "copied", "type changed"]


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of a patch; modes are git's octal numbers ("100644"), "000000" where there is no file.

    `added` and `deleted` count lines, None for a binary file. `old_path` differs from `path` in a rename.
    """

    path: str
    kind: ChangeKind
    old_mode: str
    new_mode: str
    added: int | None
    deleted: int | None
    old_path: str


@dataclass(frozen=True, slots=True)
class Patch:
    """A whole patch: `text` is what `git apply` takes, as bytes, because files have any encoding."""

    text: bytes
    changes: tuple[FileChange, ...]
