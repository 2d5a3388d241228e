"""The responses of GitHub syncs."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel

from soulcaster.services.github_selection import SyncResult


class RepositorySyncOut(BaseModel):
    """The result of syncing one repository.

    `total` is the sum of `new`, `updated`, `unchanged` and `skipped` (pull requests, issues opened by bots, issues that
    the settings exclude, that were closed before the repository was connected or that are larger than 32 MiB). When it
    is not `complete`, there is more to read; `error` says why GitHub was not read to the end, if that is the reason.
    The fields from `new_issues` on are the predecessor's; they count closed issues as `archived_issues` and not as
    updated.
    """

    success: bool
    repo: str
    project_id: str
    new: int
    updated: int
    unchanged: int
    skipped: int
    total: int
    complete: bool
    error: str | None
    new_issues: int
    updated_issues: int
    archived_issues: int
    total_issues: int
    last_synced: datetime
    synced_ids: list[str]

    @classmethod
    def of(cls, project_id: str, synced: SyncResult, at: datetime) -> "RepositorySyncOut":
        """Return the result of a sync that ended at `at`."""
        return cls(
            success=synced.stopped_by is None,
            repo=synced.repository,
            project_id=project_id,
            new=synced.new,
            updated=synced.updated,
            unchanged=synced.unchanged,
            skipped=synced.skipped,
            total=synced.total,
            complete=synced.complete,
            error=None if synced.stopped_by is None else str(synced.stopped_by),
            new_issues=synced.new,
            updated_issues=synced.updated - synced.closed,
            archived_issues=synced.closed,
            total_issues=synced.total,
            last_synced=at,
            synced_ids=list(synced.ids),
        )


class SyncOut(BaseModel):
    """The result of syncing a project's repositories: the sums, and each repository in the order of reading.

    When it is not `complete`, there is more to read; `success` is false when GitHub or another sync kept a repository
    from being read.
    """

    success: bool
    project_id: str
    new: int
    updated: int
    unchanged: int
    skipped: int
    total: int
    complete: bool
    last_synced: datetime
    repositories: list[RepositorySyncOut]

    @classmethod
    def of(cls, project_id: str, read: Sequence[RepositorySyncOut], at: datetime, *, all_read: bool) -> "SyncOut":
        """Return the result of these repositories; `all_read` says whether they are all of the project's."""
        return cls(
            success=all(one.success for one in read),
            project_id=project_id,
            new=sum(one.new for one in read),
            updated=sum(one.updated for one in read),
            unchanged=sum(one.unchanged for one in read),
            skipped=sum(one.skipped for one in read),
            total=sum(one.total for one in read),
            complete=all_read and all(one.complete or not one.success for one in read),
            last_synced=at,
            repositories=list(read),
        )
