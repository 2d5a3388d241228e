"""Putting a patch into a tree where strangers' code ran; such a tree is only touched inside of the sandbox."""

import shutil
import tempfile
from pathlib import Path

from soulcaster.domain.fixes.patch import Patch
from soulcaster.errors import NoPatch
from soulcaster.fixer.git.clone import Clone
from soulcaster.fixer.git.program import Git
from soulcaster.fixer.git.reading import read_patch
from soulcaster.ports.sandbox import WORK, Sandbox, SandboxLimits, Tree

LIMITS = SandboxLimits(seconds=120)

_NEW, _CHANGED = "/soulcaster/new", "/soulcaster/changed"

_SCRIPT = f"""
set -eu
xargs -0 -r rm -rf -- < {_CHANGED}
cp -a -T {_NEW} {WORK}
"""


async def put_patch(source: Clone, sandbox: Sandbox, patch: Patch, folder: Path) -> None:
    """Make the files that a patch changes those of the patched base, and leave all others in `folder` as they are.

    A file that set-up changed is the patched base's afterwards, where `git apply` would fail.

    Raises:
        NoPatch: the patch does not apply to the base, or its files cannot be written.
        NoSandbox: commands cannot be isolated here.
    """
    applied = await read_patch(source, patch.text)
    scratch = Path(tempfile.mkdtemp(prefix="put-", dir=source.git_dir.parent))
    try:
        new, home, changed = scratch / "new", scratch / "home", scratch / "changed"
        new.mkdir()
        home.mkdir()
        paths = [change.path.encode(errors="surrogateescape") for change in applied.patch.changes]
        changed.write_bytes(b"".join(b"./" + path + b"\0" for path in paths))
        git = Git(source.git_dir, work=new, index=scratch / "index")
        await git("read-tree", applied.tree)
        kept = [path for path, change in zip(paths, applied.patch.changes, strict=True) if change.kind != "deleted"]
        await git("checkout-index", "-z", "--stdin", given=b"".join(path + b"\0" for path in kept))
        ended = await sandbox.run(
            ["sh", "-c", _SCRIPT],
            Tree(folder, home),
            LIMITS,
            network="none",
            read_only={new: _NEW, changed: _CHANGED},
        )
        if ended.code != 0:
            raise NoPatch(f"The patch could not be put into the tree: {ended.why}; {ended.tail[-500:].strip()}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
