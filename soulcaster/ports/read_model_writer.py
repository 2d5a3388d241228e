"""Writing the read model."""

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from soulcaster.domain.api_keys import ApiKey
from soulcaster.domain.events import ClusterEvent
from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.fixes.document import Document
from soulcaster.domain.fixes.job_log import LogChunk
from soulcaster.domain.lifecycle import JobStep
from soulcaster.domain.members import Membership, User
from soulcaster.domain.source_state import RepositoryState, SourceReport
from soulcaster.domain.webhook_secrets import WebhookSecret
from soulcaster.ports.projects import Project
from soulcaster.wire.project_config import StoredConfig


class ReadModelWriter(Protocol):
    """Writes the read model; agents/project is the only caller.

    Every write is idempotent. Items, events and jobs of a project need no order between them. The events themselves
    come in order; a replay may start at older ones and ends, with the newest, in the same state.

    Every method raises RedisUnavailable (an Unavailable) when the store does not answer, and WriteLeaseLost inside
    `writing` when that has lasted too long: another process may have written, so all of it has to be done again.
    """

    def writing(self, partitions: Collection[int]) -> AbstractAsyncContextManager[None]:
        """Keep others from writing the projects of partitions during the block; one block at a time.

        Raises WriteLeaseTaken (an Unavailable) at its beginning, when another process writes them for long.
        """

    async def clear(self) -> None:
        """Delete everything that can be made again from Kafka, and nothing else."""

    async def put_items(self, project_id: str, items: Sequence[FeedbackItem]) -> None:
        """Store items that are not deleted; the newest version wins. Items without an assignment are unclustered."""

    async def delete_items(self, project_id: str, item_ids: Collection[str]) -> None:
        """Delete items for good: no version of them is stored again, whether it came before or comes later.

        Titles and counts of their clusters change with the `ItemRemoved` and `ClusterChanged` that follow.
        """

    async def apply(self, project_id: str, events: Sequence[ClusterEvent]) -> None:
        """Apply cluster events in order; an assignment takes an item out of the cluster it was in.

        A cluster shows from its `ClusterChanged`, which comes after its first item, until its last item leaves.
        """

    async def put_job_steps(self, steps: Sequence[JobStep]) -> None:
        """Apply job steps and their log lines; the steps of a job may come in any order, and more than once."""

    async def put_job_logs(self, project_id: str, chunks: Sequence[LogChunk]) -> None:
        """Add chunks to the logs of jobs of a project.

        The oldest chunks of a log beyond `MAX_LOG_BYTES` are dropped, and the logs of all jobs but the `MAX_LOGS` that
        were written last (`ports.job_logs`). The chunks of a job may come more than once. Chunks of a launch that a
        newer one has replaced are left out.
        """

    async def put_documents(self, documents: Sequence[Document]) -> None:
        """Store documents of jobs, each id once; of the plans of a cluster, the last one is its newest."""

    async def put_project(self, project: Project) -> None:
        """Store a project."""

    async def put_api_key(self, key: ApiKey) -> None:
        """Store an API key; the last call wins."""

    async def put_user(self, user: User) -> None:
        """Store a user; the last call wins."""

    async def put_member(self, membership: Membership) -> None:
        """Store a membership, or remove it where it has `removed_at`; the last call wins."""

    async def put_project_config(self, project_id: str, config: StoredConfig) -> None:
        """Store a project's settings; the last call wins."""

    async def put_webhook_secret(self, secret: WebhookSecret) -> None:
        """Store a webhook secret, or delete it where it has `removed_at`."""

    async def put_source_report(self, project_id: str, source: str, report: SourceReport) -> None:
        """Store the report of a source's poller; the last call wins."""

    async def put_source_kick(self, project_id: str, source: str, at: datetime) -> None:
        """Store that somebody asked for a source to be polled now."""

    async def put_repository(self, project_id: str, state: RepositoryState) -> None:
        """Store how far a repository at GitHub has been read; the last call wins."""
