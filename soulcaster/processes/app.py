"""The composition root: the only place where ports meet adapters and agents meet topics and tables."""

import asyncio
import gc
import ipaddress
import logging
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast, get_args

import faiss
import faust
import mode
import structlog
from aiohttp import web
from threadpoolctl import threadpool_limits
from yarl import URL

from agents.cluster import cluster
from agents.embed import Embed
from agents.normalize import Normalize
from agents.project import project
from agents.runtime.batches import Batch, InHand, batches
from agents.runtime.delivery import OrderlyApp
from agents.runtime.runner import Agent, run_agent
from soulcaster.adapters.github.issues import GitHubIssues
from soulcaster.adapters.github.sign_in import GitHubSignIn
from soulcaster.adapters.kafka.consumers import GroupConsumer
from soulcaster.adapters.kafka.dead_letters import KafkaDeadLetters
from soulcaster.adapters.kafka.job_ends import KafkaJobEnds
from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.adapters.kafka.readiness import KafkaReadiness
from soulcaster.adapters.redis.rate_limits import RedisRateLimits
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.adapters.redis.sign_in_tokens import RedisSignIn
from soulcaster.domain.clustering.project import RECORD_BYTES, ProjectClusters
from soulcaster.domain.feedback.dedupe import Seen
from soulcaster.domain.feedback.versions import MARK_BYTES
from soulcaster.domain.members import SignUp
from soulcaster.domain.segments import Segments
from soulcaster.domain.text import language
from soulcaster.errors import BadInput, KafkaUnavailable
from soulcaster.launcher.dry_run import DryRun
from soulcaster.launcher.launch import launch_all
from soulcaster.ports.embedder import Embedder
from soulcaster.ports.sign_in import Entrance
from soulcaster.processes.embedder import make_embedder
from soulcaster.processes.logs import configure as configure_logs
from soulcaster.processes.settings import Settings
from soulcaster.services.project_config import ConfigCache
from soulcaster.services.webhook_secrets import Seal
from soulcaster.web.guards import LOOPBACK, host_of
from soulcaster.web.server import create_app as create_web_app
from soulcaster.wire.project_config import reddit_polling
from soulcaster.wire.topics import AGENTS, DEAD_LETTERS, FIX_COMMANDS
from tables.segmented import SegmentedTable, declare, partition_of

log = structlog.get_logger(__name__)

SESSION_SECONDS = 10.0
"""After this long without a heartbeat a worker is taken for dead and its partitions go to another."""

INTAKE_SECONDS = 5.0
"""How long an intake waits for Kafka's acknowledgement before it answers 503."""


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


def create_app(settings: Settings, *, embedder: Embedder | None = None) -> faust.App:
    """Return a Faust app with every agent and table wired; a fresh one each call, nothing connected yet.

    `embedder` is the one that the settings name where none is given.

    Raises:
        BadInput: they name one that there is not, or that lacks what it needs.
    """
    app = OrderlyApp(
        settings.app_id,
        broker=";".join(f"kafka://{server}" for server in settings.kafka.split(",")),
        store="memory://",
        datadir=Path(tempfile.gettempdir()) / "soulcaster-faust",  # Faust makes it; nothing is kept there
        autodiscover=False,
        web_enabled=False,
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication,
        topic_allow_declare=False,
        topic_disable_leader=True,  # nothing here runs on the leader only, and its topic would have other partitions
        table_standby_replicas=0,
        stream_wait_empty=True,
        stream_buffer_maxsize=512,
        broker_session_timeout=SESSION_SECONDS,
        broker_heartbeat_interval=SESSION_SECONDS / 4,
        broker_commit_interval=1.0,
        broker_max_poll_interval=300.0,
        consumer_max_fetch_size=DEAD_LETTERS.max_bytes,
        producer_max_request_size=DEAD_LETTERS.max_bytes,
        producer_request_timeout=30.0,
        value_serializer="raw",
    )
    # Searches and products here are short; a team of threads costs more than it saves.
    faiss.omp_set_num_threads(1)
    threadpool_limits(1)
    publisher = KafkaPublisher(settings.kafka)
    read_model = RedisReadModel(settings.redis_url, notices=True)
    closing: list[Callable[[], Awaitable[None]]] = [publisher.stop, read_model.close]
    if embedder is None:
        embedder = made = make_embedder(settings)
        closing.append(made.close)
    used_embedder = embedder

    def make_seen(_project_id: str, segments: Segments) -> Seen:
        return Seen(segments)

    def make_clusters(project_id: str, segments: Segments) -> ProjectClusters:
        return ProjectClusters(project_id, segments, archive_days=settings.archive_days)

    seen = _table(app, "seen", settings.partitions, MARK_BYTES, make_seen)
    clusters = _table(app, "clusters", settings.partitions, RECORD_BYTES, make_clusters)

    in_hand = InHand(app)

    def wire(name: str, agent: Callable[[AsyncIterator[Batch]], AsyncIterator[int]]) -> None:
        channel = app.topic(*(t.name for t in AGENTS[name]), key_type=bytes, value_type=bytes, allow_empty=True)

        async def actor(stream: Any) -> None:
            await _or_end(name, _drain(agent(batches(stream, in_hand))))

        app.agent(channel, name=name, concurrency=1)(actor)

    def run(agent: Agent) -> None:
        wire(agent.name, lambda batches: run_agent(agent, batches, publisher=publisher))

    async def stored() -> None:
        await app.producer.flush()  # the changelogs of tables go through Faust's own producer

    configs = ConfigCache(read_model)
    run(Normalize(config_of=configs.get, publisher=publisher))
    run(Embed(seen=seen, embedder=used_embedder, publisher=publisher))
    wire("cluster", lambda b: cluster(b, clusters=clusters, stored=stored, publisher=publisher, clock=now))
    wire("project", lambda b: project(b, writer=read_model.writer, publisher=publisher))

    app.add_dependency(_Connections(closing))
    return app


class _Connections(mode.Service):  # type: ignore[misc]  # mode ships no types that hold under --strict
    """Closes the connections of the agents; a child of the app, so it is stopped after the agents are."""

    def __init__(self, closing: Sequence[Callable[[], Awaitable[None]]]) -> None:
        super().__init__()
        self._closing = closing

    async def on_stop(self) -> None:
        for close in self._closing:
            await close()


def _table(app: faust.App, name: str, partitions: int, width: int, make: Callable[[str, Segments], Any]) -> Any:
    """Declare a table and keep the states over it true to its rows after every recovery."""
    table = declare(app, name, partitions)
    states = SegmentedTable(table, width, make)

    async def recovered() -> None:
        try:
            assigned = {tp.partition for tp in app.assignor.assigned_actives()}
            for key in [key for key in table.data if partition_of(key) not in assigned]:
                del table.data[key]  # straight from the store: another worker owns the row now
            states.reload()
        except Exception:
            _end(f"the table {name} could not be taken up after recovery")

    table.on_recover(recovered)
    return states


async def _drain(results: AsyncIterator[int]) -> None:
    async for _ in results:
        pass


async def _or_end(name: str, work: Coroutine[Any, Any, None]) -> None:
    """Run an agent; one that raises ends the process, for Faust would go on without it."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except BaseException:
        _end(f"the agent {name} raised")


def _end(what: str) -> None:
    """End the process at once: nothing is acknowledged, so nothing is lost, and a supervisor starts it again."""
    log.critical(what, exc_info=True)
    logging.shutdown()
    os._exit(os.EX_SOFTWARE)


def run_worker(settings: Settings, *, embedder: Embedder | None = None) -> None:
    """Run one Faust worker until it is told to stop (SIGTERM, SIGINT); blocks."""
    # Clustering runs in a thread; at the default of 5 ms each of the loop's many short waits would cost as much.
    sys.setswitchinterval(0.0005)
    configure_logs(settings.log_level)
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    worker = faust.Worker(
        create_app(settings, embedder=embedder),
        loglevel=max(level, logging.WARNING),  # Faust tells of each of its services at INFO
        override_logging=False,
        redirect_stdouts=False,
    )
    language.load()
    log.info("worker starts", kafka=settings.kafka, app_id=settings.app_id)
    worker.execute_from_commandline()


def run_web(settings: Settings) -> None:
    """Run the web server until it is told to stop; blocks.

    Raises:
        BadInput: there is no session key, no key for secrets, or a setting of the web server cannot be used.
    """
    configure_logs(settings.log_level)
    check_web(settings)
    for name, key in (("SESSION", settings.session_key), ("SECRETS", settings.secrets_key)):
        if not key:
            raise BadInput(
                f"SOULCASTER_{name}_KEY is not set; make one, and keep it: "
                'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
            )
    web.run_app(
        _web(settings),
        host=settings.host,
        port=settings.port,
        print=lambda line: log.info(line),
        access_log=None,  # the application logs its own requests
        shutdown_timeout=10.0,
    )


def check_web(settings: Settings) -> None:
    """Return when the web server's settings can be used together.

    Raises:
        BadInput: they cannot: above all, whoever reaches a server that lets calls without a key pass may do everything.
    """
    public = _public_url(settings)
    if settings.keyless and not _is_loopback(settings.host):
        raise BadInput(
            f"SOULCASTER_KEYLESS lets everybody in who can reach {settings.host or 'every address of this machine'}; "
            "it goes with a loopback SOULCASTER_HOST alone."
        )
    if settings.keyless and public is not None and not _is_loopback(public.host or ""):
        raise BadInput(f"SOULCASTER_KEYLESS lets everybody in who can reach {public}; it goes with no public address.")
    if bool(settings.github_id) != bool(settings.github_secret):
        raise BadInput("GITHUB_ID and GITHUB_SECRET go together, and one is missing.")
    if settings.sign_up not in get_args(SignUp):
        raise BadInput(f"SOULCASTER_SIGN_UP is {' or '.join(get_args(SignUp))}, not {settings.sign_up!r}.")


def _public_url(settings: Settings) -> URL | None:
    """Return the origin by which browsers reach the web server, if one is set.

    Raises:
        BadInput: it is no origin.
    """
    if not settings.public_url:
        return None
    try:
        url = URL(settings.public_url)
        good = url.scheme in {"http", "https"} and url == url.origin()
    except ValueError:
        good = False
    if good:
        return url.origin()
    raise BadInput("SOULCASTER_PUBLIC_URL is no address of a server: it should be as https://soulcaster.example.com.")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _web(settings: Settings) -> web.Application:
    seal = Seal(settings.secrets_key)
    reddit = reddit_polling(settings.reddit_subreddits, settings.reddit_sorts, settings.reddit_poll_interval_seconds)
    publisher = KafkaPublisher(settings.kafka, timeout=INTAKE_SECONDS)
    read_model = RedisReadModel(settings.redis_url)
    kafka = KafkaReadiness(settings.kafka)
    issues = GitHubIssues(settings.github_api_url, now)
    sign_in = RedisSignIn(settings.redis_url)
    rate_limits = RedisRateLimits(
        settings.redis_url,
        per_key=settings.key_requests_per_minute,
        per_project=settings.project_requests_per_minute,
        clock=now,
    )
    public = _public_url(settings)
    public_url = None if public is None else str(public)
    entrance = None
    if settings.github_id:
        github = GitHubSignIn(
            settings.github_id, settings.github_secret, url=settings.github_url, api_url=settings.github_api_url
        )
        entrance = Entrance(github, cast(SignUp, settings.sign_up), public_url)
    app = create_web_app(
        read_model=read_model,
        publisher=publisher,
        dead_letters=KafkaDeadLetters(settings.kafka),
        kafka=kafka,
        sign_in=sign_in,
        rate_limits=rate_limits,
        clock=now,
        session_key=settings.session_key,
        seal=seal,
        reddit=reddit,
        issues=issues,
        github_token=settings.github_token,
        keyless=settings.keyless,
        entrance=entrance,
        secure_cookies=public is not None and public.scheme == "https",
        allowed_hosts=(*LOOPBACK, *([] if public is None else [host_of(public)])),
        cors_origins=frozenset(origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()),
    )

    connecting = asyncio.create_task(_connect(publisher))

    async def close(_app: web.Application) -> None:
        await connecting
        await publisher.stop()
        await kafka.close()
        await issues.close()
        await sign_in.close()
        await rate_limits.close()
        await read_model.close()

    app.on_cleanup.append(close)
    # What is there now stays: without this a full collection looks at all of it, for which nobody is answered in 0.2 s.
    gc.collect()
    gc.freeze()
    return app


async def _connect(publisher: KafkaPublisher) -> None:
    """Connect before the first request has to wait for it; where Kafka is away, that one tries again."""
    try:
        await publisher.connect()
    except KafkaUnavailable as error:
        log.warning("Kafka does not answer yet", cause=str(error))


def run_launcher(settings: Settings) -> None:
    """Run the launcher until it is told to stop; blocks."""
    configure_logs(settings.log_level)
    asyncio.run(_launcher(settings))


async def _launcher(settings: Settings) -> None:
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel if task else loop.stop)
    log.info("launcher starts", kafka=settings.kafka)
    consumer = GroupConsumer(settings.kafka, FIX_COMMANDS.name, f"{settings.app_id}-launcher")
    with suppress(asyncio.CancelledError):  # told to stop: a job under way is not committed and runs again
        async with KafkaPublisher(settings.kafka) as publisher, consumer:
            await launch_all(
                consumer.records(),
                backend=DryRun(),
                publisher=publisher,
                ends=KafkaJobEnds(settings.kafka),
                clock=now,
                commit=consumer.commit,
            )
