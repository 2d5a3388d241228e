"""Reading and changing a project's settings."""

from aiohttp import web

from soulcaster.services.project_config import Clustering
from soulcaster.web.api.operation import operation
from soulcaster.web.api.project_config.models import ProjectConfigIn, ProjectConfigOut, SubredditsIn, SubredditsOut
from soulcaster.web.api.responses import json_response
from soulcaster.web.caller import CALLER
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import ProjectQuery, WaitByDefaultQuery, WaitQuery
from soulcaster.web.problems import FieldProblem, Problem, begin_wait
from soulcaster.wire.project_config import ProjectConfig


@operation("GET", "/config/project", {200: ProjectConfigOut}, scope="read")
async def get_project_config(request: web.Request, query: ProjectQuery) -> web.StreamResponse:
    """Get all settings of the project; what was never set has its default."""
    configs = dependencies(request).configs
    stored = await configs.get(query.project_id)
    return json_response(ProjectConfigOut.of(query.project_id, stored, await configs.clustering(query.project_id)))


@operation("PUT", "/config/project", {202: ProjectConfigOut, 200: ProjectConfigOut}, scope="admin", problems=(409,))
async def set_project_config(request: web.Request, query: WaitQuery, body: ProjectConfigIn) -> web.StreamResponse:
    """Set all settings at once: 202 once Kafka has them, 409 when `version` is not their present version.

    What is left out gets its default. A new threshold or granularity goes to the clusterer as a command; with `wait`,
    nothing is set and the response is 409 when the clusterer refuses it.
    """
    configs, clustering = dependencies(request).configs, Clustering(body.threshold, body.granularity)
    if query.wait:
        begin_wait(request, 2 * query.wait)
    change = await configs.change(
        query.project_id,
        body.version,
        lambda _: body.config(),
        by=request[CALLER].name,
        clustering=clustering,
        seconds=query.wait,
    )
    version = change.stored.version
    shown = bool(query.wait) and await configs.until_visible(query.project_id, version, seconds=query.wait)
    out = ProjectConfigOut.of(query.project_id, change.stored, clustering, change.command_id)
    return json_response(out, status=200 if shown else 202)


@operation("GET", "/config/reddit/subreddits", {200: SubredditsOut}, scope="read")
async def get_subreddits(request: web.Request, query: ProjectQuery) -> web.StreamResponse:
    """Get what is polled of Reddit: what the project has set, else what the environment says."""
    given = dependencies(request)
    stored = await given.configs.get(query.project_id)
    return json_response(SubredditsOut.of(query.project_id, stored, given.reddit))


@operation("POST", "/config/reddit/subreddits", {200: SubredditsOut}, scope="admin", problems=(409,))
async def set_subreddits(request: web.Request, query: WaitByDefaultQuery, body: SubredditsIn) -> web.StreamResponse:
    """Set what is polled of Reddit; the response comes once Kafka has it and usually once it can be read."""
    given = dependencies(request)
    names = body.names()
    if not names:
        detail = "At least one subreddit is required."
        raise Problem(400, detail, errors=[FieldProblem(field="subreddits", message=detail)])

    def changed(config: ProjectConfig) -> ProjectConfig:
        more = body.model_dump(include={"sorts", "interval_seconds"}, exclude_none=True)
        reddit = config.sources.reddit.model_copy(update={"subreddits": names, **more})
        return config.model_copy(update={"sources": config.sources.model_copy(update={"reddit": reddit})})

    begin_wait(request, query.wait)
    stored = await given.configs.change_newest(query.project_id, changed, by=request[CALLER].name, seconds=query.wait)
    return json_response(SubredditsOut.of(query.project_id, stored, given.reddit))
