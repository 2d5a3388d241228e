"""The web application on a real Redis, with fakes of Kafka and GitHub."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from aiohttp import web, web_app
from aiohttp.test_utils import TestClient
from redis.asyncio import Redis

from soulcaster.adapters.redis.client import RedisAccess
from soulcaster.adapters.redis.rate_limits import RedisRateLimits
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.adapters.redis.sign_in_tokens import RedisSignIn
from soulcaster.domain.api_keys import KeyScope
from soulcaster.domain.events import ClusterChanged, CommandDone, CommandOutcome, ItemAssigned, ItemRemoved
from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.fixes.fix import Fix, FixOptions, branch_name
from soulcaster.domain.fixes.limits import FixLimits
from soulcaster.domain.fixes.plan import PlannedFix
from soulcaster.domain.lifecycle import JobState, JobStatus, JobStep, Triage, state_of
from soulcaster.domain.members import Membership, Role
from soulcaster.domain.near import NearAnswer
from soulcaster.errors import KafkaUnavailable, PlannerRefuses, PlannerUnavailable
from soulcaster.ports.dead_letters import DeadLetter, DeadLetterPage
from soulcaster.ports.issues import IssuesPage
from soulcaster.ports.messaging import Outgoing, Record
from soulcaster.ports.repositories import BaseCommit
from soulcaster.services.api_keys import ApiKeys
from soulcaster.services.dead_letters import dead_letter, read_dead_letter
from soulcaster.services.fixes import FixDefaults
from soulcaster.services.job_tokens import JobTokens
from soulcaster.services.projection import Projection
from soulcaster.services.webhook_secrets import Seal, WebhookSecrets
from soulcaster.web.dependencies import Options, Systems
from soulcaster.web.server import create_app
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.control import control_message
from soulcaster.wire.documents import JobDocument
from soulcaster.wire.feedback import ItemsEnvelope
from soulcaster.wire.job_logs import JobLog
from soulcaster.wire.jobs import JobEvent
from soulcaster.wire.near import NearQuery
from soulcaster.wire.project_config import RedditPolling
from tests.conftest import RedisServer
from tests.support import make
from tests.support.code_hosts import NoHost
from tests.support.make import NOW
from tests.support.publisher import RecordingPublisher

SESSION_KEY = "3kmW1YpBrXY7QFtLkPMbsdDWD0zGz1kUj0iQ3Yd5m1g="
SECRETS_KEY = "0eYtlYNSb4BqOA8gNPgm4AW0fXpJ6dZ0k8p1wI0T6yY="
JOB_TOKENS = JobTokens(SECRETS_KEY, lambda: NOW)
FIXES = FixDefaults(("dry-run", "local"), 3600, 5.0, FixLimits(100, 1000, 1000.0))
POLLING = RedditPolling(("all",), ("new",), 300)

Client = TestClient[web.Request, web.Application]


class FakeKafka:
    """Whether Kafka answers; with `hangs` it never does, and no call returns."""

    def __init__(self) -> None:
        self.answers = True
        self.hangs = False

    async def ping(self) -> None:
        if self.hangs:
            await asyncio.sleep(3600)
        if not self.answers:
            raise KafkaUnavailable


class FakeDeadLetters:
    """The dead letters that were put here, in one partition; with `away` Kafka does not answer."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []
        self.away = False

    def put(self, original: Record, reason: str = "because", *, index: int | None = None) -> DeadLetter:
        """Add the dead letter of a record, as the agents send it."""
        sent = dead_letter(original, reason, index=index)
        record = Record(sent.topic, 0, len(self.letters), int(NOW.timestamp() * 1000), sent.key, sent.value)
        letter = read_dead_letter(record, sent.headers)
        assert letter is not None
        self.letters.append(letter)
        return letter

    async def newest(self, project_id: str, *, limit: int, before: Sequence[int] | None) -> DeadLetterPage:
        if self.away:
            raise KafkaUnavailable
        older = self.letters[: before[0]] if before else self.letters
        found = [letter for letter in reversed(older) if letter.project_id == project_id]
        shown = found[:limit]
        return DeadLetterPage(tuple(shown), (shown[-1].offset,) if len(found) > limit else None)

    async def get(self, project_id: str, letter_id: str) -> DeadLetter | None:
        if self.away:
            raise KafkaUnavailable
        mine = (letter for letter in self.letters if letter.project_id == project_id)
        return next((letter for letter in mine if letter.id == letter_id), None)


class OneIssue:
    """A GitHub where every repository has one issue."""

    def first(self, repository: str, *, state: Literal["open", "all"], since: datetime | None) -> str:
        return repository

    async def page(self, at: str, *, token: str | None, etag: str | None = None) -> IssuesPage | None:
        issue = {"id": 1, "number": 1, "title": "No way to pay", "state": "open", "updated_at": "2026-11-01T00:00:00Z"}
        return IssuesPage(({**issue, "html_url": f"https://github.com/{at}/issues/1"},), None, None)


class EveryRepository:
    """A GitHub where every repository has a main branch; `tokens` are those that calls brought."""

    def __init__(self) -> None:
        self.tokens: list[str | None] = []

    async def base(self, repository: str, *, branch: str | None, token: str | None) -> BaseCommit:
        self.tokens.append(token)
        return BaseCommit(branch or "main", "5c1f0f4b9f2f6b0c3d1f4a7e8b9c0d1e2f3a4b5c")


class FixedPlanner:
    """A model that writes the same plan for every brief; with an `error` it raises that."""

    name = "a model"

    def __init__(self, planned: PlannedFix, error: PlannerRefuses | PlannerUnavailable | None = None) -> None:
        self.planned = planned
        self.error = error

    async def plan(self, brief: str) -> PlannedFix:
        if self.error is not None:
            raise self.error
        return self.planned


class Worker(RecordingPublisher):
    """A publisher that updates the read model at once, as the worker does later; commands get `outcome`, if any.

    Questions what is near get `near`, if anything.

    While it is `behind`, it does not update jobs; while `delivers` is off, it does not apply messages of control.
    """

    def __init__(self, read_model: RedisReadModel) -> None:
        super().__init__()
        self._read_model = read_model
        self.outcome: CommandOutcome | None = None
        self.behind = False
        self.reason = ""
        self.delivers = True
        self.near: NearAnswer | None = None

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        await super().publish(messages)
        for message in messages:
            if message.topic == "control" and self.delivers:
                await Projection(self._read_model.writer).apply_control(control_message(message.value))
            if message.topic == "job.events" and not self.behind:
                await self._read_model.writer.put_job_steps([JobEvent.model_validate_json(message.value).step()])
            if message.topic == "near.queries" and self.near is not None:
                query = NearQuery.model_validate_json(message.value)
                await self._read_model.near_answers.put(query.id, self.near)
            if message.topic == "job.documents":
                document = JobDocument.model_validate_json(message.value).document()
                await self._read_model.writer.put_documents([document])
            if message.topic == "job.logs" and not self.behind:
                log = JobLog.model_validate_json(message.value)
                await self._read_model.writer.put_job_logs(log.project_id, [log.chunk(self.sent.index(message))])
            if message.topic == "feedback.items" and self.outcome is not None:
                envelope = ItemsEnvelope.model_validate_json(message.value)
                for gone in envelope.deleted:
                    removed = ItemRemoved(gone.id, None, gone.at, gone.command_id)
                    done = CommandDone(gone.command_id or "", "applied", "deleted", NOW)
                    await self._read_model.writer.apply(envelope.project_id, [removed, done])
            if message.topic == "cluster.commands" and self.outcome is not None:
                asked = ClusterCommand.model_validate_json(message.value)
                done = CommandDone(asked.command.id, self.outcome, self.reason, NOW, asked.command.type)
                await self._read_model.writer.apply(asked.project_id, [done])


class World:
    """The systems behind the application on a Redis that it empties first, and ways to fill the read model."""

    def __init__(self, redis: RedisServer) -> None:
        self.redis = redis
        self.read_model = RedisReadModel(RedisAccess(redis.url), notices=True)
        self.publisher = Worker(self.read_model)
        self.dead_letters = FakeDeadLetters()
        self.kafka = FakeKafka()
        self.sign_in = RedisSignIn(RedisAccess(redis.url))
        self.rate_limits = self.limits()
        self.now = NOW

    async def __aenter__(self) -> Self:
        await self.empty()
        return self

    async def empty(self) -> None:
        """Make it as new: nothing in Redis, and nothing published."""
        async with Redis.from_url(self.redis.url) as redis:
            await redis.flushall()
        self.publisher.sent.clear()

    async def __aexit__(self, *exc: object) -> None:
        await self.read_model.close()
        await self.sign_in.close()
        await self.rate_limits.close()
        # aiohttp keeps for ever every application that it has served, and the collector goes through all of them.
        web_app._cached_build_middleware.cache_clear()

    def limits(
        self, *, per_key: int = 60_000, per_project: int = 60_000, megabytes: int = 6_000, items: int = 600_000
    ) -> RedisRateLimits:
        return RedisRateLimits(
            RedisAccess(self.redis.url),
            per_key=per_key,
            per_project=per_project,
            megabytes=megabytes,
            items=items,
            clock=lambda: self.now,
        )

    def app(self, **more: Any) -> web.Application:
        """Return an application; `more` are fields of `Systems` and of `Options` that differ."""
        systems = {name: more.pop(name) for name in [f.name for f in fields(Systems)] if name in more}
        return create_app(
            replace(
                Systems(
                    read_model=self.read_model,
                    publisher=self.publisher,
                    dead_letters=self.dead_letters,
                    kafka=self.kafka,
                    sign_in=self.sign_in,
                    rate_limits=self.rate_limits,
                    issues=OneIssue(),
                    repositories=EveryRepository(),
                    code_hosts=NoHost(),
                    clock=lambda: self.now,
                ),
                **systems,
            ),
            replace(Options(SESSION_KEY, Seal(SECRETS_KEY), JOB_TOKENS, FIXES, POLLING, keyless=True), **more),
        )

    def webhooks(self, keys: str = SECRETS_KEY, ticks: Callable[[], float] = time.monotonic) -> WebhookSecrets:
        return WebhookSecrets(self.publisher, self.read_model.webhook_secrets, Seal(keys), lambda: self.now, ticks)

    async def key(self, *scopes: KeyScope, project: str = "p1", expires_at: datetime | None = None) -> dict[str, str]:
        """Create an API key, and return the header that carries it."""
        api_keys = ApiKeys(self.publisher, self.read_model.api_keys, lambda: NOW)
        new = await api_keys.create(project, name="test", scopes=scopes, by="test", expires_at=expires_at)
        return {"Authorization": f"Bearer {new.secret}"}

    async def member(self, user: str, role: Role, project: str = "p1", *, removed: bool = False) -> Membership:
        """Make a user a member, or a removed member."""
        membership = Membership(project, user, role, NOW, NOW if removed else None)
        await self.read_model.writer.put_member(membership)
        return membership

    async def fill(
        self,
        project: str = "p1",
        cluster: str = "c1",
        size: int = 3,
        *,
        source: str = "manual",
        title: str = "Late card",
    ) -> list[FeedbackItem]:
        """Put a cluster of `size` items into a project, and return the items, the newest last."""
        items = [item(f"{cluster}-{n}", project, source=source, minutes=n) for n in range(size)]
        await self.read_model.writer.put_items(project, items)
        await self.read_model.writer.apply(
            project,
            [
                *(ItemAssigned(i.id, i.created_at, cluster, change="joined", score=0.9, threshold=0.5) for i in items),
                ClusterChanged(cluster, title, "People wait for it", size, (source,), NOW - timedelta(days=2), NOW),
            ],
        )
        return items

    async def assign(self, cluster: str, *items: FeedbackItem, project: str = "p1") -> None:
        """Put stored items into a cluster that there is."""
        events = [ItemAssigned(i.id, i.created_at, cluster, change="joined", score=0.9, threshold=0.5) for i in items]
        await self.read_model.writer.apply(project, events)

    async def mark(self, cluster: str, triage: Triage, project: str = "p1") -> None:
        """Mute, resolve or reopen a cluster."""
        view = await self.read_model.clusters.get(project, cluster)
        assert view is not None
        as_it_is = view.title, view.summary, view.size, view.sources, view.created_at, view.updated_at
        await self.read_model.writer.apply(project, [ClusterChanged(cluster, *as_it_is, triage=triage)])

    async def fix(
        self, job_id: str, state: JobState, *, project: str = "p1", cluster: str = "c1", minutes: int = 0, **more: Any
    ) -> None:
        """Put a job that the clusterer decided on into the read model, in this state.

        It began `minutes` ago; `more` are fields of its step, or of its options.
        """
        at = NOW - timedelta(minutes=minutes)
        options = {name: more.pop(name) for name in [f.name for f in fields(FixOptions)] if name in more}
        fix = Fix(job_id, cluster, "Late card", "kim", at, 1, branch_name(cluster, 1), FixOptions(**options))
        first = JobStep(f"{job_id}-0", job_id, project, cluster, 0, "queued", at, fix=fix, offset=0)
        steps = [first, JobStep(f"{job_id}-1", job_id, project, cluster, 1, "approved", at, fix=fix, offset=1)]
        if state == "queued":
            steps.pop()
        steps.append(JobStep(f"{job_id}-2", job_id, project, cluster, 2, state, NOW, offset=2, **more))
        await self.read_model.writer.put_job_steps(steps)

    async def job(
        self,
        job_id: str = "j1",
        *steps: JobStatus,
        project: str = "p1",
        cluster: str = "c1",
        pr_url: str | None = None,
        log: str = "line",
    ) -> None:
        """Put a job with these steps into the read model."""
        for seq, status in enumerate(steps):
            at = NOW + timedelta(seconds=seq)
            await self.read_model.writer.put_job_steps(
                [
                    JobStep(
                        f"{job_id}-{seq}",
                        job_id,
                        project,
                        cluster,
                        seq,
                        state_of(status),
                        at,
                        log=f"{log} {seq}",
                        pr_url=pr_url,
                    )
                ]
            )


def item(external_id: str, project: str = "p1", *, minutes: float = 0, **more: Any) -> FeedbackItem:
    """Return an item that is an hour old, less these minutes."""
    return make.item(external_id, project, minutes=minutes - 60, **more)
