"""What a coding agent left behind, as a verified patch, with all that speaks against publishing it."""

from dataclasses import dataclass
from pathlib import Path

from soulcaster.domain.fixes.order import FixRules
from soulcaster.domain.fixes.outcome import FixOutcome
from soulcaster.domain.fixes.patch import Patch
from soulcaster.domain.fixes.patch_check import check_patch
from soulcaster.fixer.git.clone import Clone
from soulcaster.fixer.git.reading import read_patch
from soulcaster.fixer.git.taking import take_patch
from soulcaster.fixer.secret_scan import scan
from soulcaster.ports.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Inspection:
    """A patch that our own git describes. With any of `refusals` it is not published; `flags` are for its reviewer.

    `left_out` are new files that are not in it, in words.
    """

    patch: Patch
    refusals: tuple[str, ...]
    flags: tuple[str, ...]
    left_out: tuple[str, ...]

    def outcome(self) -> FixOutcome:
        """Return the part of a job's outcome that a patch tells."""
        return FixOutcome(
            files=tuple(change.path for change in self.patch.changes),
            added=sum(change.added or 0 for change in self.patch.changes),
            deleted=sum(change.deleted or 0 for change in self.patch.changes),
            flags=self.flags,
        )


async def inspect(
    source: Clone, sandbox: Sandbox, work: Path, *, prepared: Path | None, scratch: Path, rules: FixRules
) -> Inspection:
    """Take the patch of a tree that strangers changed, and check it; the arguments are those of `take_patch`.

    Raises:
        NoPatch: none can be taken, or it is too large.
        NoScan: it cannot be scanned for secrets.
        NoSandbox: commands cannot be isolated here.
    """
    taken = await take_patch(source, sandbox, work, prepared=prepared, scratch=scratch)
    applied = await read_patch(source, taken.text)
    checked = check_patch(applied.patch, globs=rules.protected, manifests=applied.manifests)
    secrets = await scan(applied.patch)
    refusals = (*checked.refusals, *map(str, secrets))
    return Inspection(applied.patch, refusals, checked.flags, taken.left_out)
