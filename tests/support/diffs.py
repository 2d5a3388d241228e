"""Patches written by hand, for tests: whole texts before and after become what git would write of them."""

from difflib import unified_diff

from soulcaster.domain.fixes.patch import ChangeKind, FileChange, Patch


def patch_of(**files: tuple[str | None, str | None]) -> Patch:
    """Return the patch of files by path, each with its text before and after; None where there is no file."""
    return patch_of_files(files)


def patch_of_files(files: dict[str, tuple[str | None, str | None]]) -> Patch:
    texts, changes = [], []
    for path, (old, new) in files.items():
        before, after = (old or "").splitlines(), (new or "").splitlines()
        kind: ChangeKind = "added" if old is None else "deleted" if new is None else "modified"
        diff = list(unified_diff(before, after, lineterm=""))[2:]
        header = [
            f"diff --git a/{path} b/{path}",
            *(["new file mode 100644"] if old is None else []),
            *(["deleted file mode 100644"] if new is None else []),
            f"--- {'/dev/null' if old is None else f'a/{path}'}",
            f"+++ {'/dev/null' if new is None else f'b/{path}'}",
        ]
        texts += [f"{line}\n" for line in [*header, *diff]]
        added, deleted = sum(line[0] == "+" for line in diff), sum(line[0] == "-" for line in diff)
        modes = ("000000" if old is None else "100644", "000000" if new is None else "100644")
        changes.append(FileChange(path, kind, *modes, added, deleted, path))
    return Patch("".join(texts).encode(), tuple(changes))
