"""Ordering fixes, composed from the settings for the processes that do it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from soulcaster.adapters.github.repositories import GitHubRepositories
from soulcaster.domain.fixes.limits import FixLimits
from soulcaster.domain.fixes.model_prices import has_known_price
from soulcaster.domain.fixes.order import AgentOrder
from soulcaster.ports.messaging import Publisher
from soulcaster.ports.read_model import ReadModel
from soulcaster.processes.clock import utc_now
from soulcaster.processes.fix_settings import OrderingSettings
from soulcaster.processes.github_app import github_app
from soulcaster.processes.planner import make_planner
from soulcaster.services.fix_services import fix_services
from soulcaster.services.fixes import FixDefaults, Fixes


def fix_defaults(settings: OrderingSettings) -> FixDefaults:
    """Return what holds where neither a request nor a project says otherwise.

    Raises:
        BadInput: the settings of the coding agent cannot be used.
    """
    agent = settings.agent_order()
    limits = FixLimits(settings.project_jobs, settings.project_jobs_per_day, settings.project_usd_per_day)
    return FixDefaults(
        settings.backend_names(),
        settings.job_seconds,
        settings.job_usd,
        limits,
        jobs_in_all=settings.jobs,
        github_token="" if settings.github_app_id else settings.github_token,
        agent=agent,
        price_known=agent is not None and _price_is_known(agent, settings.model_address()),
        keeps_tokens=not settings.github_app_id and not settings.github_token,
    )


def _price_is_known(agent: AgentOrder, url: str) -> bool:
    return agent.usd_per_million is not None or has_known_price(agent.model, agent.api, url)


@asynccontextmanager
async def open_fixes(settings: OrderingSettings, publisher: Publisher, read_model: ReadModel) -> AsyncIterator[Fixes]:
    """Give the service that orders fixes, for processes without a web server."""
    planner = make_planner(settings)
    async with AsyncExitStack() as stack:
        if planner is not None:
            stack.push_async_callback(planner.close)
        repositories = await stack.enter_async_context(
            GitHubRepositories(settings.github_api_url, utc_now, app=github_app(settings))
        )
        yield fix_services(read_model, publisher, repositories, planner, None, fix_defaults(settings), utc_now).fixes
