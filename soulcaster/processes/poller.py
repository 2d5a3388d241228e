"""The processes `soulcaster poll reddit` and `soulcaster poll github`: clients of the HTTP API."""

import time

import aiohttp
import structlog
from yarl import URL

from soulcaster.errors import BadInput
from soulcaster.http_client import http_session
from soulcaster.pollers.api_client import ApiClient
from soulcaster.pollers.github import GitHubPoller
from soulcaster.pollers.reddit import RedditPoller
from soulcaster.pollers.reddit_client import Credentials, RedditClient, RedditConfig
from soulcaster.processes.addresses import http_address
from soulcaster.processes.clock import utc_now
from soulcaster.processes.logs import configure as configure_logs
from soulcaster.processes.settings import PollerSettings
from soulcaster.processes.signals import run_until_stopped
from soulcaster.processes.telemetry import telemetry
from soulcaster.telemetry.liveness import LOOPS

log = structlog.get_logger(__name__)


def run_reddit_poller(settings: PollerSettings) -> None:
    """Poll Reddit until SIGTERM or SIGINT; blocks. The next start repeats a reading that it interrupts.

    Raises:
        BadInput: a setting cannot be used, or the API refuses a request.
    """
    configure_logs(settings.log_level)
    run_until_stopped(_poll_reddit(settings))


def run_github_poller(settings: PollerSettings) -> None:
    """Sync repositories on GitHub until SIGTERM or SIGINT; blocks. The API finishes a sync that it interrupts.

    Raises:
        BadInput: a setting cannot be used, or the API refuses a request.
    """
    configure_logs(settings.log_level)
    run_until_stopped(_poll_github(settings))


def reddit_config(settings: PollerSettings) -> RedditConfig:
    """Return how Reddit is read.

    Raises:
        BadInput: an address is not one, or only one of client id and secret is set.
    """
    site = _address("SOULCASTER_REDDIT_URL", settings.reddit_url)
    if bool(settings.reddit_client_id) != bool(settings.reddit_client_secret):
        raise BadInput("REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET go together, and one is missing.")
    credentials = mirror = None
    if settings.reddit_client_id:
        api = _address("SOULCASTER_REDDIT_API_URL", settings.reddit_api_url)
        credentials = Credentials(settings.reddit_client_id, settings.reddit_client_secret, api)
    elif settings.reddit_json_url:
        mirror = _address("SOULCASTER_REDDIT_JSON_URL", settings.reddit_json_url)
    return RedditConfig(site, settings.reddit_user, credentials, mirror)


async def _poll_reddit(settings: PollerSettings) -> None:
    api = settings.api_url()
    config = reddit_config(settings)
    async with (
        telemetry(settings, "reddit-poller", LOOPS.liveness),
        http_session() as ours,
        http_session(cookie_jar=aiohttp.DummyCookieJar()) as theirs,
    ):
        reddit = RedditClient(theirs, config, clock=time.monotonic)
        log.info("Reddit poller starts", api=str(api), reddit=reddit.way, user_agent=reddit.user_agent)
        if not config.user:
            log.warning("SOULCASTER_REDDIT_USER is not set; Reddit asks for the account responsible for the poller")
        client = ApiClient(ours, api, settings.api_key)
        await RedditPoller(client, reddit, clock=time.monotonic, now=utc_now).run()


async def _poll_github(settings: PollerSettings) -> None:
    api = settings.api_url()
    async with telemetry(settings, "github-poller", LOOPS.liveness), http_session() as session:
        log.info("GitHub poller starts", api=str(api), minutes=settings.github_sync_minutes)
        client = ApiClient(session, api, settings.api_key)
        await GitHubPoller(client, interval=settings.github_sync_minutes * 60.0, clock=time.monotonic).run()


def _address(variable: str, value: str) -> URL:
    return http_address(variable, value.rstrip("/"))
