"""What the failure of a fetch or a push means, in words that a person can act on.

Git has no codes for it. The texts are those of git's HTTP client (`http.c`, `remote-curl.c`) in the locale C, and those
that GitHub gives as the reason of a refused push.
"""

import re
from dataclasses import dataclass
from typing import Literal

from soulcaster.domain.fixes.strangers import plain_line
from soulcaster.domain.text.secrets import without_secrets
from soulcaster.errors import BranchMoved, GitFailed, SoulcasterError, SourceRefuses, SourceUnavailable

Doing = Literal["clone", "push"]

SAID_CHARS = 500

_STATUS = re.compile(r"returned error: (\d{3})")
_REJECTED = re.compile(r"^!\t[^\t\n]*\t\[(?:remote )?rejected\] \((.*)\)$", re.MULTILINE)
_LATER = re.compile(
    r"could not resolve host|failed to connect|connection|timed out|early eof|unexpected disconnect|hung up"
    r"|rpc failed|\bssl|\btls|empty reply|recv failure|send failure|operation too slow",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Rule:
    """A reason of a refused push, and what it means."""

    reason: re.Pattern[str]
    meaning: str
    error: type[SourceRefuses] = SourceRefuses


_RULES = (
    _Rule(
        re.compile("workflow` scope|workflows` permission"),
        "it changes GitHub workflows, which the token has no permission for. Make this change by hand.",
    ),
    _Rule(
        re.compile("GH013|rule violation", re.IGNORECASE),
        "a rule of the repository forbids it. Allow branches that begin with soulcaster/ in its rulesets.",
    ),
    _Rule(
        re.compile("GH006|protected branch", re.IGNORECASE),
        "a branch protection forbids it. Allow branches that begin with soulcaster/.",
    ),
    _Rule(
        re.compile("non-fast-forward|fetch first|stale info|cannot lock ref|failed to update ref"),
        "the branch changed meanwhile. Start the fix again.",
        BranchMoved,
    ),
)


def explained(error: GitFailed, repository: str, doing: Doing) -> SoulcasterError:
    """Return what a failed clone of a repository, or a push to it, means: SourceRefuses or SourceUnavailable."""
    said = error.said
    if doing == "push" and (rejected := _REJECTED.search(said)):
        return _rejected(rejected[1], said, repository)
    status = int(found[1]) if (found := _STATUS.search(said)) else None
    if status in {301, 302, 307, 308}:
        return SourceRefuses(
            f"{repository} was renamed or moved at GitHub. Change its name in the settings of the project."
        )
    if status == 401 or "Authentication failed" in said or "could not read Username" in said:
        return SourceRefuses(
            f"GitHub refuses the token for {repository}: it is missing, wrong or expired. Give another token."
        )
    if status == 403:
        may = "write to" if doing == "push" else "read"
        archived = ", or the repository is archived" if doing == "push" else ""
        return SourceRefuses(
            f"GitHub does not let this token {may} {repository} (403){archived}. "
            f"It needs the permission contents: {'write' if doing == 'push' else 'read'}."
        )
    if status == 404 or "not found" in said:
        return SourceRefuses(
            f"GitHub shows no repository {repository} to this token: it does not exist, "
            "or the token has no access to it."
        )
    if "couldn't find remote ref" in said:
        return SourceRefuses(f"{repository} has no such branch any more. Start the fix again.")
    last = plain_line(without_secrets(said), SAID_CHARS)
    if status == 429 or (status is not None and status >= 500) or _LATER.search(said):
        return SourceUnavailable(f"GitHub does not answer git for {repository}: {last}")
    return SourceRefuses(f"git could not {doing} {repository}: {last}")


def _rejected(reason: str, said: str, repository: str) -> SourceRefuses:
    shown = plain_line(without_secrets(reason), SAID_CHARS)
    for rule in _RULES:
        if rule.reason.search(f"{reason}\n{said}"):
            return rule.error(f"GitHub refuses the push to {repository}: {rule.meaning} ({shown})")
    return SourceRefuses(f"GitHub refuses the push to {repository}: {shown}")
