"""The read model: what pages and API read, by aggregate."""

from dataclasses import dataclass

from soulcaster.ports.api_keys import ApiKeyReader
from soulcaster.ports.clustering import ClusteringReader
from soulcaster.ports.clusters import ClusterReader
from soulcaster.ports.commands import CommandReader
from soulcaster.ports.documents import DocumentReader
from soulcaster.ports.feedback import FeedbackReader
from soulcaster.ports.job_logs import JobLogReader
from soulcaster.ports.jobs import JobReader
from soulcaster.ports.members import MemberReader
from soulcaster.ports.near_answers import NearAnswers
from soulcaster.ports.notices import NoticeReader
from soulcaster.ports.person_tokens import PersonTokenStore
from soulcaster.ports.project_config import ProjectConfigReader
from soulcaster.ports.projects import ProjectReader
from soulcaster.ports.readiness import Answering
from soulcaster.ports.sessions import SessionStore
from soulcaster.ports.sources import SourceReader
from soulcaster.ports.webhook_secrets import WebhookSecretReader


@dataclass(frozen=True)
class ReadModel:
    """One reader per aggregate, all over the same store.

    agents/project alone writes it (`ports.read_model_writer`), and it can be made again from Kafka at any time; only
    notes of passing use, `person_tokens`, `sessions` and `near_answers` are not on Kafka.
    """

    feedback: FeedbackReader
    clusters: ClusterReader
    clustering: ClusteringReader
    commands: CommandReader
    jobs: JobReader
    job_logs: JobLogReader
    documents: DocumentReader
    person_tokens: PersonTokenStore
    projects: ProjectReader
    members: MemberReader
    api_keys: ApiKeyReader
    project_config: ProjectConfigReader
    webhook_secrets: WebhookSecretReader
    sources: SourceReader
    sessions: SessionStore
    notices: NoticeReader
    near_answers: NearAnswers
    store: Answering

    async def ping(self) -> None:
        """Return when the store answers.

        Raises:
            RedisUnavailable: it does not, within its time limit.
        """
        await self.store.ping()
