"""The read model."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from soulcaster.domain.api_keys import ApiKey
from soulcaster.domain.events import ClusterEvent, ClusteringConfigured, ClusteringStatus, Proposal
from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.lifecycle import ClusterStatus, Job, JobStep
from soulcaster.domain.members import Membership, User
from soulcaster.domain.source_state import RepositoryState, SourceReport, SourceState
from soulcaster.domain.webhook_secrets import WebhookSecret
from soulcaster.ports.api_keys import KeyView
from soulcaster.ports.clusters import ClusterOrder, ClusterView, CommandView, HistoryEntry
from soulcaster.ports.feedback import FeedbackView, Versions
from soulcaster.ports.members import MemberView
from soulcaster.ports.notices import Notice
from soulcaster.ports.paging import Page
from soulcaster.ports.projects import Project, Stats
from soulcaster.wire.project_config import StoredConfig


class ReadModel(Protocol):
    """What pages and API read; written by agents/project alone, and made again from Kafka whenever it is lost.

    Every write is idempotent, and the writes of one project may come in any order between items, events and jobs: an
    item whose assignment came first is clustered from the start. Events of a project come in order; whoever begins
    again with older ones, and goes on to the newest, ends where they would have ended without.

    A cluster that was merged is read as the one it is part of now, by every method that takes a cluster's id.

    Lists are read from an `offset` on, or `after` a cursor that an earlier part gave: what has come or gone meanwhile
    then shifts nothing. What one call looks at is bounded: where a list is narrowed down by several things or by words,
    a part may hold less than `limit`, or nothing, and still have a `next`. A cursor is good for the same question only.

    Every method raises RedisUnavailable (an Unavailable) when the store does not answer.
    """

    async def clear(self) -> None:
        """Forget everything that can be made again from Kafka, and nothing else."""

    async def put_items(self, project_id: str, items: Sequence[FeedbackItem]) -> None:
        """Store items, newest version wins; those not assigned to a cluster yet are unclustered."""

    async def delete_items(self, project_id: str, item_ids: Collection[str]) -> None:
        """Take items out for good: none of their versions comes back, whether it was before this or comes after it.

        What clusters say of themselves changes with the `ItemRemoved` and `ClusterChanged` that follow.
        """

    async def apply(self, project_id: str, events: Sequence[ClusterEvent]) -> None:
        """Apply cluster events in order; an assignment moves an item out of where it was.

        A cluster shows when its `ClusterChanged` comes, which is after it was given items, until the last item leaves.
        """

    async def put_job(self, step: JobStep) -> None:
        """Apply a step of a job, with its log line; the steps of a job may come in any order, and more than once."""

    async def put_project(self, project: Project) -> None:
        """Store a project's name."""

    async def put_key(self, key: ApiKey) -> None:
        """Store a key; the newest version of it counts."""

    async def put_user(self, user: User) -> None:
        """Store a user; the newest version counts."""

    async def put_member(self, membership: Membership) -> None:
        """Store what a user is in a project, or that they are nothing any more; the newest version counts."""

    async def user(self, user_id: str) -> User | None:
        """Return one user, or None."""

    async def member(self, project_id: str, user_id: str) -> Membership | None:
        """Return what a user is in a project, or None."""

    async def members(self, project_id: str) -> tuple[MemberView, ...]:
        """Return a project's members, those of longest standing first."""

    async def memberships(self, user_id: str) -> tuple[Membership, ...]:
        """Return what a user is in which projects, by project id."""

    async def projects_of(self, user_id: str) -> tuple[Project, ...]:
        """Return the projects that a user is a member of, by name."""

    async def key(self, hashed: str) -> ApiKey | None:
        """Return the key whose secret has this hash, or None."""

    async def keys(self, project_id: str) -> tuple[KeyView, ...]:
        """Return a project's keys, newest first."""

    async def key_used(self, key_id: str, at: datetime) -> None:
        """Note when a key was last used; the only write that is not of agents/project, and no loss if it is lost."""

    async def put_config(self, project_id: str, config: StoredConfig) -> None:
        """Store a project's settings; the newest count."""

    async def config(self, project_id: str) -> StoredConfig:
        """Return a project's settings, the defaults as version 0 where none were set."""

    async def claim_config(self, project_id: str, version: int) -> bool:
        """Return whether nobody else is about to set this version; a write of whoever sets it, and no loss if lost."""

    async def release_config(self, project_id: str, version: int) -> None:
        """Give up a claim, so that the version can be set after all."""

    async def put_webhook_secret(self, secret: WebhookSecret) -> None:
        """Store a webhook secret; one that was removed is forgotten."""

    async def webhook_secrets(self, project_id: str) -> tuple[WebhookSecret, ...]:
        """Return the webhook secrets of a project that stand, newest first."""

    async def put_source_report(self, project_id: str, source: str, report: SourceReport) -> None:
        """Store what a source's poller says; the newest report counts."""

    async def put_source_kick(self, project_id: str, source: str, at: datetime) -> None:
        """Store that somebody wants a source polled now."""

    async def sources(self, project_id: str) -> tuple[SourceState, ...]:
        """Return every source that something is known of, by name."""

    async def put_repository(self, project_id: str, state: RepositoryState) -> None:
        """Store how far a repository at GitHub was read; the newest state counts."""

    async def repository(self, project_id: str, repository: str) -> RepositoryState | None:
        """Return how far "owner/name", in capitals or not, was read, or None."""

    async def repositories(self, project_id: str) -> tuple[RepositoryState, ...]:
        """Return how far each repository was read, by name."""

    async def versions(self, project_id: str, item_ids: Sequence[str]) -> Versions:
        """Return what is known of these items' versions."""

    async def projects(self) -> tuple[Project, ...]:
        """Return every project, by name."""

    async def project(self, id_or_name: str) -> Project | None:
        """Return the project of that id, else the one of that name, else None."""

    async def feedback(
        self,
        project_id: str,
        *,
        source: str | None,
        cluster_id: str | None,
        repo: str | None = None,
        words: Sequence[str] = (),
        since: datetime | None = None,
        limit: int,
        offset: int,
        after: str | None = None,
    ) -> Page[FeedbackView]:
        """Return items, newest first: of one source, one cluster, one repository ("owner/name") where given.

        Title and body hold every one of `words`, in upper or lower case; nothing is older than `since`.
        """

    async def feedback_item(self, project_id: str, item_id: str) -> FeedbackView | None:
        """Return one item, or None."""

    async def clusters(
        self,
        project_id: str,
        *,
        status: ClusterStatus | None = None,
        source: str | None = None,
        words: Sequence[str] = (),
        order: ClusterOrder = "largest",
        limit: int,
        offset: int,
        after: str | None = None,
    ) -> Page[ClusterView]:
        """Return clusters: of one status, with items of one source where given.

        Title and summary hold every one of `words`, in upper or lower case.
        """

    async def cluster(self, project_id: str, cluster_id: str) -> ClusterView | None:
        """Return one cluster, or None."""

    async def history(self, project_id: str, cluster_id: str) -> tuple[HistoryEntry, ...]:
        """Return what happened to a cluster, newest first; of a long history the newest part."""

    async def command(self, project_id: str, command_id: str) -> CommandView | None:
        """Return what became of a command; None while nothing is known, and again a month after."""

    async def proposals(self, project_id: str) -> tuple[Proposal, ...]:
        """Return what a person may want to do, the likeliest first."""

    async def clustering_status(self, project_id: str) -> ClusteringStatus | None:
        """Return how the project's clustering stands, or None before it has said so."""

    async def clustering_config(self, project_id: str) -> ClusteringConfigured | None:
        """Return how the project is clustered, or None before anybody has said so."""

    async def notices(self, after: Mapping[str, str], *, limit: int) -> Mapping[str, Sequence[tuple[str, Notice]]]:
        """Return by project what was told after an id, oldest first, at most `limit` of each, and its own ids.

        Only of projects of which something was. The newest few hundred are kept, and stay when the rest is cleared.
        """

    async def notice_span(self, project_id: str) -> tuple[str, str]:
        """Return the ids of a project's oldest and newest notice; `NO_NOTICE` twice where there are none."""

    async def stats(self, project_id: str) -> Stats:
        """Return a project's figures."""

    async def jobs(
        self, project_id: str, *, cluster_id: str | None, limit: int, offset: int, after: str | None = None
    ) -> Page[Job]:
        """Return jobs, newest first, of one cluster where given."""

    async def job(self, job_id: str) -> Job | None:
        """Return one job, or None."""

    async def job_logs(self, job_id: str) -> tuple[str, ...]:
        """Return a job's log lines, by the time they were told."""

    async def ping(self) -> None:
        """Return when the store answers."""
