"""The process `soulcaster worker`: a Faust app with the five agents and the two tables.

Faust goes on without an agent that raised, and commits what it had taken. So an agent or a table that fails ends the
process: nothing is acknowledged, nothing is lost, and a supervisor starts it again.
"""

import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import faiss
import faust
import mode
import structlog
from faust.auth import Credentials, OAuthCredentials, SASLCredentials, SSLCredentials
from threadpoolctl import threadpool_limits

from agents.cluster import Cluster
from agents.embed import Embed
from agents.near import Near
from agents.normalize import Normalize
from agents.project import Project
from agents.runtime.batches import EXPRESS_LANES, batches, express_batches
from agents.runtime.delivery import OrderlyApp
from agents.runtime.meter import Meter
from agents.runtime.progress import Progress
from agents.runtime.runner import Agent, run_agent
from agents.runtime.suspension import AwakePublisher, Suspension
from soulcaster.adapters.kafka.access import KafkaAccess, Password
from soulcaster.adapters.kafka.brokers import read_brokers
from soulcaster.adapters.kafka.careful import CarefulConsumer
from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.item_records import RECORD_BYTES
from soulcaster.domain.clustering.project.state import stored_embedders
from soulcaster.domain.embedder import EmbedderKey
from soulcaster.domain.feedback.dedupe import Seen
from soulcaster.domain.feedback.versions import MARK_BYTES
from soulcaster.domain.segments import Segments
from soulcaster.domain.text import language
from soulcaster.ports.embedder import Embedder
from soulcaster.ports.messaging import Publisher
from soulcaster.processes.clock import utc_now
from soulcaster.processes.embedder import ProjectEmbedders
from soulcaster.processes.garbage import collect_rarely
from soulcaster.processes.job_logs import job_logs_expire
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.logs import configure as configure_logs
from soulcaster.processes.redis_access import redis_access
from soulcaster.processes.settings import WorkerSettings
from soulcaster.processes.signals import end_soon
from soulcaster.processes.system_settings import KafkaSettings
from soulcaster.processes.telemetry import telemetry
from soulcaster.processes.worker_watch import WorkerWatch
from soulcaster.services.dead_letters import set_damaged_aside
from soulcaster.services.project_config import ConfigCache
from soulcaster.services.project_limit import ProjectLimit
from soulcaster.services.projection import Projection
from soulcaster.services.source_limit import SourceLimit
from soulcaster.services.storage_limit import MEGABYTE, StorageLimit
from soulcaster.services.threads import BULK_TURN
from soulcaster.wire.topics import AGENTS, DEAD_LETTERS
from tables.acknowledged import AcknowledgedTable
from tables.segmented import ProjectPartition, SegmentedTable, declare, in_slices, partition_of

T = TypeVar("T")

SESSION_SECONDS = 10.0
"""After this long without a heartbeat Kafka gives a worker's partitions to another one."""

HEARTBEAT_SECONDS = SESSION_SECONDS / 4

SWITCH_SECONDS = 0.0005
"""How soon a clustering thread yields to the event loop. With Python's default of 5 ms, each of the loop's many short
waits would take that long."""

SUSPENDED_SECONDS = SESSION_SECONDS - HEARTBEAT_SECONDS - 0.5
"""A worker that did not run for so long may have sent its last heartbeat one session ago."""

log = structlog.get_logger(__name__)

Close = Callable[[], Awaitable[None]]


def run_worker(settings: WorkerSettings, *, embedder: Embedder | None = None) -> None:
    """Run one Faust worker until SIGTERM or SIGINT; blocks.

    Args:
        settings: addresses, the app's id, the embedder.
        embedder: an embedder to use in place of the one that the settings name.

    Raises:
        BadInput: the settings name no embedder, or one that lacks something, or no way to Kafka.
        KafkaUnavailable: Kafka does not answer, or refuses us.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    configure_logs(settings.log_level)
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:  # it leaves the thread's own loop to Faust
        runner.run(read_brokers(kafka_access(settings)))  # Faust would not say why it cannot reach them
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    worker = _Worker(
        create_app(settings, embedder=embedder),
        loglevel=max(level, logging.WARNING),  # at INFO Faust logs every service it starts
        override_logging=False,
        redirect_stdouts=False,
    )
    language.load()
    collect_rarely()
    log.info("worker starts", kafka=settings.kafka, app_id=settings.app_id, embedder=settings.embedder)
    worker.execute_from_commandline()


def create_app(settings: WorkerSettings, *, embedder: Embedder | None = None) -> faust.App:
    """Return a new Faust app with every agent and table wired, nothing connected yet.

    Raises:
        BadInput: the settings name no embedder, or one that lacks something, or no way to Kafka.
    """
    _use_one_thread()
    kafka = kafka_access(settings)
    to_kafka = KafkaPublisher(kafka)
    suspension = Suspension(SUSPENDED_SECONDS, _end_process)
    publisher = AwakePublisher(to_kafka, suspension)
    app = _faust_app(settings, kafka, publisher)
    read_model = RedisReadModel(
        redis_access(settings), notices=True, logs_expire=job_logs_expire(settings.job_log_ttl_seconds)
    )
    embedders = ProjectEmbedders(settings, embedder)
    connections: list[Close] = [to_kafka.stop, read_model.close, embedders.close]

    def make_seen(_project_id: str, segments: Segments) -> Seen:
        return Seen(segments)

    def make_clusters(project_id: str, segments: Segments) -> ProjectClusters:
        return ProjectClusters(project_id, segments, archive_days=settings.archive_days)

    seen = _table(app, "seen", settings.partitions, MARK_BYTES, make_seen)
    clusters = _table(app, "clusters", settings.partitions, RECORD_BYTES, make_clusters)

    config_of = ConfigCache(read_model.project_config).get
    progress: dict[str, Progress] = {}
    bulk_turn = asyncio.Lock()
    for agent in (
        Normalize(
            config_of=config_of,
            project_limit=ProjectLimit(read_model.projects, settings.projects_from_feedback),
            source_limit=SourceLimit(read_model.sources, settings.sources_per_project),
            storage_limit=StorageLimit(read_model.projects, settings.project_stored_megabytes * MEGABYTE),
            publisher=publisher,
        ),
        Embed(seen=seen, embedders=embedders, used=partial(used_embedders, clusters), publisher=publisher),
        Cluster(clusters=clusters, stored=app.tables["clusters"].stored, publisher=publisher, clock=utc_now),
        Near(clusters=clusters, answers=read_model.near_answers),
        Project(Projection(read_model.writer)),
    ):
        _add_agent(app, agent, publisher, progress, suspension, bulk_turn)
    app.add_dependency(_Connections(connections))
    app.add_dependency(_Awake(suspension))
    app.add_dependency(_Telemetry(settings, WorkerWatch(app, kafka, progress, read_model.projects.totals)))
    return app


async def used_embedders(clusters: SegmentedTable[ProjectClusters], place: ProjectPartition) -> Sequence[EmbedderKey]:
    """Return the embedders that a project has items of, in the order in which they came; loads no state for it."""
    project = clusters.loaded(*place)
    return await clusters.read(*place, stored_embedders) if project is None else project.embedders


def _faust_app(settings: KafkaSettings, kafka: KafkaAccess, publisher: Publisher) -> OrderlyApp:
    return OrderlyApp(
        settings.app_id,
        new_consumer=partial(CarefulConsumer, **kafka.options()),
        set_aside=partial(set_damaged_aside, publisher, clock=utc_now),
        broker=";".join(f"kafka://{server}" for server in kafka.servers.split(",")),
        broker_credentials=_credentials(kafka),
        store="memory://",
        datadir=Path(tempfile.gettempdir()) / "soulcaster-faust",  # Faust creates it and keeps nothing in it
        autodiscover=False,
        web_enabled=False,
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication,
        topic_allow_declare=False,
        topic_disable_leader=True,  # nothing runs on the leader only, and its topic has another number of partitions
        table_standby_replicas=0,
        stream_wait_empty=True,
        broker_session_timeout=SESSION_SECONDS,
        broker_heartbeat_interval=HEARTBEAT_SECONDS,
        broker_commit_interval=1.0,
        broker_max_poll_interval=300.0,
        consumer_max_fetch_size=DEAD_LETTERS.max_bytes,
        consumer_auto_offset_reset="none",  # records that were deleted are not passed over: see delivery.py
        producer_max_request_size=DEAD_LETTERS.max_bytes,
        producer_request_timeout=30.0,
        Table=AcknowledgedTable,
        value_serializer="raw",
    )


def _credentials(kafka: KafkaAccess) -> Credentials | None:
    """Return Faust's form of TLS and login; all its clients get it."""
    if isinstance(kafka.login, Password):
        return SASLCredentials(
            username=kafka.login.user,
            password=kafka.login.password,
            mechanism=kafka.mechanism,
            ssl_context=kafka.tls,
        )
    if kafka.login is not None:
        return OAuthCredentials(oauth_cb=kafka.login, ssl_context=kafka.tls)
    return None if kafka.tls is None else SSLCredentials(kafka.tls)


def _use_one_thread() -> None:
    """Let FAISS and BLAS use one thread: searches and products are so short that several threads cost more."""
    faiss.omp_set_num_threads(1)
    threadpool_limits(1)


def _add_agent(
    app: OrderlyApp,
    agent: Agent,
    publisher: Publisher,
    progress: dict[str, Progress],
    suspension: Suspension,
    bulk_turn: asyncio.Lock,
) -> None:
    """Let the app run an agent on its topics; from then on its progress is in `progress`."""
    names = (topic.name for topic in AGENTS[agent.name])
    topics = app.topic(*names, key_type=bytes, value_type=bytes, allow_empty=True)

    async def actor(stream: Any) -> None:
        progress[agent.name] = stream.channel.queue.progress
        BULK_TURN.set(bulk_turn)
        try:
            lanes = [batches(stream, app.in_progress, suspension.check, most_bytes=agent.batch_bytes)]
            if agent.express:
                lanes += [express_batches(stream, app.in_progress, suspension.check) for _ in range(EXPRESS_LANES)]
            await run_agent(agent, lanes, publisher=publisher, meter=Meter(agent.name))
        except asyncio.CancelledError:
            raise
        except BaseException:
            _end_process(f"the agent {agent.name} raised")

    app.agent(topics, name=agent.name, concurrency=1)(actor)


def _table(
    app: faust.App, name: str, partitions: int, width: int, make: Callable[[str, Segments], T]
) -> SegmentedTable[T]:
    """Declare a table and reload its states after every recovery."""

    def lost(error: BaseException) -> None:
        _end_process(f"Kafka did not acknowledge a row of the table {name} in time ({error!r})")

    table = declare(app, name, partitions, lost=lost)
    states = SegmentedTable(table, width, make)

    async def recovered() -> None:
        try:
            assigned = {partition.partition for partition in app.assignor.assigned_actives()}
            async for key in in_slices(table.data):
                if partition_of(key) not in assigned:
                    del table.data[key]  # in the store only: another worker has the row now; its changelog keeps it
            await states.reload()
        except Exception:
            _end_process(f"the table {name} could not be loaded after recovery")

    table.on_recover(recovered)
    return states


class _Worker(faust.Worker):  # type: ignore[misc]
    """The program around the app."""

    async def stop(self) -> None:
        """Stop in order, but not for ever."""
        end_soon()
        await super().stop()


class _Connections(mode.Service):  # type: ignore[misc]  # mode ships no types that hold under --strict
    """Closes the agents' connections; as a dependency of the app it stops after the agents."""

    def __init__(self, closing: Sequence[Close]) -> None:
        super().__init__()
        self._closing = closing

    async def on_stop(self) -> None:
        for close in self._closing:
            await close()


class _Awake(mode.Service):  # type: ignore[misc]
    """Notices while the app runs that the process was suspended."""

    def __init__(self, suspension: Suspension) -> None:
        super().__init__()
        self._suspension = suspension

    async def on_start(self) -> None:
        self.add_future(self._suspension.run())


class _Telemetry(mode.Service):  # type: ignore[misc]
    """Serves the worker's metrics and liveness while the app runs; nobody looks where nobody is told."""

    def __init__(self, settings: WorkerSettings, watch: WorkerWatch) -> None:
        super().__init__()
        self._settings = settings
        self._watch = watch

    async def on_start(self) -> None:
        await self.add_async_context(telemetry(self._settings, "worker", self._watch.stalls.liveness))
        if self._settings.metrics_port:
            self.add_future(self._watch.run())


def _end_process(why: str) -> None:
    log.critical(why, exc_info=True)
    logging.shutdown()
    os._exit(os.EX_SOFTWARE)
