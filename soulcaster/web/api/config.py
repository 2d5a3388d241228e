"""A project's settings."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from soulcaster.services.project_config import Clustering
from soulcaster.web.api.answers import answer
from soulcaster.web.api.config_models import ProjectConfigIn, ProjectConfigOut, SubredditsIn, SubredditsOut
from soulcaster.web.api.operation import operation
from soulcaster.web.caller import CALLER
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import Scope
from soulcaster.web.problems import FieldProblem, Problem, allow_more
from soulcaster.wire.project_config import ProjectConfig


class ConfigQuery(Scope):
    """Query of PUT /config/project: how many seconds to wait until the settings can be read."""

    wait: Annotated[float, Field(ge=0, le=30)] = 0


class SubredditsQuery(Scope):
    """The same of POST /config/reddit/subreddits, whose clients read at once what they have set."""

    wait: Annotated[float, Field(ge=0, le=30)] = 2


@operation("GET", "/config/project", {200: ProjectConfigOut}, scope="read")
async def project(request: web.Request, query: Scope) -> web.StreamResponse:
    """Show all settings of the project, the defaults where none were set."""
    given = dependencies(request)
    stored = await given.configs.get(query.project_id)
    return answer(ProjectConfigOut.of(query.project_id, stored, await given.configs.clustering(query.project_id)))


@operation("PUT", "/config/project", {202: ProjectConfigOut, 200: ProjectConfigOut}, scope="admin", problems=(409,))
async def set_project(request: web.Request, query: ConfigQuery, body: ProjectConfigIn) -> web.StreamResponse:
    """Set all settings at once: 202 once Kafka has them, 409 where they have another version than is sent along.

    What is left out has its default. Another threshold or granularity is sent to the clusterer as a command; with a
    wait, 409 and nothing is set where it is refused.
    """
    configs, wanted = dependencies(request).configs, Clustering(body.threshold, body.granularity)
    if query.wait:
        allow_more(request, 2 * query.wait)
    change = await configs.change(
        query.project_id,
        body.version,
        lambda _: body.config(),
        by=request[CALLER].name,
        clustering=wanted,
        seconds=query.wait,
    )
    version = change.stored.version
    shown = bool(query.wait) and await configs.until_visible(query.project_id, version, seconds=query.wait)
    out = ProjectConfigOut.of(query.project_id, change.stored, wanted, change.command_id)
    return answer(out, status=200 if shown else 202)


@operation("GET", "/config/reddit/subreddits", {200: SubredditsOut}, scope="read")
async def subreddits(request: web.Request, query: Scope) -> web.StreamResponse:
    """Show what is polled of Reddit: what the project has set, and else what the environment says."""
    given = dependencies(request)
    stored = await given.configs.get(query.project_id)
    return answer(SubredditsOut.of(query.project_id, stored, given.reddit))


@operation("POST", "/config/reddit/subreddits", {200: SubredditsOut}, scope="admin", problems=(409,))
async def set_subreddits(request: web.Request, query: SubredditsQuery, body: SubredditsIn) -> web.StreamResponse:
    """Set what is polled of Reddit: once Kafka has it, and as a rule once it can be read."""
    given = dependencies(request)
    names = tuple(dict.fromkeys(name.strip().lower() for name in body.subreddits if name.strip()))
    if not names:
        detail = "At least one subreddit is required."
        raise Problem(400, detail, errors=[FieldProblem(field="subreddits", message=detail)])

    def changed(config: ProjectConfig) -> ProjectConfig:
        more = body.model_dump(include={"sorts", "interval_seconds"}, exclude_none=True)
        reddit = config.sources.reddit.model_copy(update={"subreddits": names, **more})
        return config.model_copy(update={"sources": config.sources.model_copy(update={"reddit": reddit})})

    allow_more(request, query.wait)
    stored = await given.configs.change_newest(query.project_id, changed, by=request[CALLER].name, seconds=query.wait)
    return answer(SubredditsOut.of(query.project_id, stored, given.reddit))
