"""The process `soulcaster web`: pages, the JSON API and the intake of feedback."""

import asyncio
import sys
from collections.abc import AsyncIterator

import structlog
from aiohttp import web
from yarl import URL

from soulcaster.adapters.github.issues import GitHubIssues
from soulcaster.adapters.github.repositories import GitHubRepositories
from soulcaster.adapters.kafka.dead_letters import KafkaDeadLetters
from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.adapters.kafka.readiness import KafkaReadiness
from soulcaster.adapters.redis.rate_limits import RedisRateLimits
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.adapters.redis.sign_in_tokens import RedisSignIn
from soulcaster.errors import BadInput, KafkaUnavailable
from soulcaster.ports.sign_in import Entrance
from soulcaster.processes.clock import utc_now
from soulcaster.processes.fixes import fix_defaults
from soulcaster.processes.garbage import freeze
from soulcaster.processes.github_app import github_app
from soulcaster.processes.job_logs import log_archive
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.logs import configure as configure_logs
from soulcaster.processes.planner import make_planner
from soulcaster.processes.pull_requests import code_hosts
from soulcaster.processes.redis_access import redis_access
from soulcaster.processes.settings import WebSettings
from soulcaster.processes.signals import end_soon
from soulcaster.processes.system_settings import MAKE_KEY
from soulcaster.processes.telemetry import telemetry
from soulcaster.services.credentials import ModelAccess
from soulcaster.services.job_orders import OrderDefaults
from soulcaster.services.job_tokens import JobTokens
from soulcaster.services.storage_limit import MEGABYTE
from soulcaster.services.webhook_secrets import Seal
from soulcaster.telemetry.liveness import answering
from soulcaster.web import server
from soulcaster.web.dependencies import LOOPBACK, Options, Systems
from soulcaster.web.guards import host_of
from soulcaster.wire.project_config import reddit_polling

INTAKE_SECONDS = 5.0
"""How long an intake waits for Kafka's acknowledgement before it answers 503."""

SHUTDOWN_SECONDS = 10.0
"""How long requests in progress may take after SIGTERM; the process ends after `signals.STOP_SECONDS`."""

IDLE_SECONDS = 75.0
"""How long a connection may be silent before a request; longer than the minute that load balancers keep theirs."""

SWITCH_SECONDS = 0.0005
"""How long a thread that parses keeps Python's lock while the event loop waits for it; Python's default is ten times as
long, and every step of the loop would wait so."""

log = structlog.get_logger(__name__)


def run_web(settings: WebSettings) -> None:
    """Run the web server until SIGTERM or SIGINT; blocks.

    Raises:
        BadInput: the session key or the secrets key is missing, or another setting of the web server cannot be used.
    """
    configure_logs(settings.log_level)
    settings.check_web()
    settings.check_secrets_key()
    settings.check_agent()
    if not settings.session_key:
        raise BadInput(f"SOULCASTER_SESSION_KEY is not set; {MAKE_KEY}")
    sys.setswitchinterval(SWITCH_SECONDS)
    web.run_app(
        _stopping_in_time(settings),
        host=settings.host,
        port=settings.port,
        print=lambda line: log.info(line),
        access_log=None,  # the application logs its own requests
        shutdown_timeout=SHUTDOWN_SECONDS,
        keepalive_timeout=IDLE_SECONDS,
    )


async def create_app(settings: WebSettings) -> web.Application:
    """Return the web application on Kafka, Redis and GitHub; it closes its connections when it is cleaned up.

    Raises:
        BadInput: a setting of the web server cannot be used.
    """
    origin = settings.public_origin()
    reddit = reddit_polling(settings.reddit_subreddits, settings.reddit_sorts, settings.reddit_poll_interval_seconds)
    kafka = kafka_access(settings)
    publisher = KafkaPublisher(kafka, timeout=INTAKE_SECONDS)
    read_model = RedisReadModel(redis_access(settings))
    readiness = KafkaReadiness(kafka)
    issues = GitHubIssues(settings.github_api_url, utc_now)
    sign_in = RedisSignIn(redis_access(settings))
    rate_limits = RedisRateLimits(
        redis_access(settings),
        per_key=settings.key_requests_per_minute,
        per_project=settings.project_requests_per_minute,
        megabytes=settings.project_megabytes_per_minute,
        items=settings.project_items_per_minute,
        clock=utc_now,
    )
    archive = log_archive(settings.log_archive)
    planner = make_planner(settings)
    app_tokens = github_app(settings)
    repositories = GitHubRepositories(settings.github_api_url, utc_now, app=app_tokens)
    app = server.create_app(
        Systems(
            read_model=read_model,
            publisher=publisher,
            dead_letters=KafkaDeadLetters(kafka),
            kafka=readiness,
            sign_in=sign_in,
            rate_limits=rate_limits,
            issues=issues,
            repositories=repositories,
            code_hosts=code_hosts(settings, app_tokens),
            clock=utc_now,
            entrance=_entrance(settings, origin),
            log_archive=archive,
            planner=planner,
            app_tokens=app_tokens,
        ),
        Options(
            session_key=settings.session_key,
            seal=Seal(settings.secrets_key),
            job_tokens=JobTokens(settings.secrets_key, utc_now),
            fixes=fix_defaults(settings),
            reddit=reddit,
            orders=OrderDefaults(
                author=settings.author(),
                git_url=settings.github_url,
                api_url=settings.github_api_url,
                public_url=settings.public_url or None,
            ),
            model=_model(settings),
            github_token=settings.github_token,
            keyless=settings.keyless,
            secure_cookies=origin is not None and origin.scheme == "https",
            allowed_hosts=_hosts(settings),
            cors_origins=frozenset(origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()),
            secrets=settings.secrets(),
            projects_from_feedback=settings.projects_from_feedback,
            sources_per_project=settings.sources_per_project,
            stored_bytes=settings.project_stored_megabytes * MEGABYTE,
        ),
    )
    connecting = asyncio.create_task(_connect(publisher))

    async def close(_app: web.Application) -> None:
        await connecting
        await publisher.stop()
        for connection in (readiness, issues, repositories, sign_in, rate_limits, read_model):
            await connection.close()
        for optional in (archive, planner):
            if optional is not None:
                await optional.close()

    async def watched(_app: web.Application) -> AsyncIterator[None]:
        async with telemetry(settings, "web", answering):
            yield

    app.on_cleanup.append(close)
    app.cleanup_ctx.append(watched)
    # The objects of the application live as long as the process. Frozen, they cost no full collection, which would
    # otherwise stop every response for 0.2 s.
    freeze()
    return app


async def _stopping_in_time(settings: WebSettings) -> web.Application:
    async def stop(_app: web.Application) -> None:
        end_soon()

    app = await create_app(settings)
    app.on_shutdown.append(stop)
    return app


def _hosts(settings: WebSettings) -> tuple[str, ...]:
    """Return the host names that the server answers to: those by which people and our own programs reach it."""
    ours = (settings.public_origin(), settings.api_url())
    return (*LOOPBACK, *(host_of(url) for url in ours if url is not None))


def _model(settings: WebSettings) -> ModelAccess | None:
    if settings.coding_agent() is None:
        return None
    return ModelAccess(settings.model_address(), settings.key_of_model())


def _entrance(settings: WebSettings, origin: URL | None) -> Entrance | None:
    """Return how people sign in by GitHub; None when no OAuth app is set."""
    if not settings.github_id:
        return None
    from soulcaster.adapters.github.sign_in import GitHubSignIn  # a server without it starts 0.2 s sooner

    github = GitHubSignIn(
        settings.github_id, settings.github_secret, url=settings.github_url, api_url=settings.github_api_url
    )
    return Entrance(github, settings.sign_up_policy(), None if origin is None else str(origin))


async def _connect(publisher: KafkaPublisher) -> None:
    """Connect before the first request needs it; when Kafka is unavailable, that request tries again."""
    try:
        await publisher.connect()
    except KafkaUnavailable as error:
        log.warning("Kafka cannot be used yet", cause=str(error))
