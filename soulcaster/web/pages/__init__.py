"""The pages for people, under /app: server-rendered, no script, all behind a session."""

from aiohttp import web
from aiohttp_session import session_middleware

from soulcaster.web.pages import clusters, projects, sign_in
from soulcaster.web.pages.session import SIGN_IN_ROUTE, guarded, storage


def create_pages(session_key: str) -> web.Application:
    """Return the sub-application of the pages, to be mounted at /app."""
    app = web.Application(middlewares=[session_middleware(storage(session_key)), guarded])
    app.add_routes(
        [
            web.get("", projects.start),
            # HEAD, which previews of links use, must not use up the token.
            web.get("/sign-in", sign_in.sign_in, name=SIGN_IN_ROUTE, allow_head=False),
            web.post("/sign-out", sign_in.sign_out),
            web.get("/projects", projects.list_projects),
            web.get("/projects/{project_id}", clusters.ranking),
            web.get("/projects/{project_id}/clusters/{cluster_id}", clusters.one),
            web.post("/projects/{project_id}/clusters/{cluster_id}/start-fix", clusters.start_fix),
            web.post("/projects/{project_id}/clusters/{cluster_id}/rename", clusters.rename),
            web.post("/projects/{project_id}/clusters/{cluster_id}/pin", clusters.pin),
            web.post("/projects/{project_id}/clusters/{cluster_id}/mute", clusters.mute),
            web.post("/projects/{project_id}/clusters/{cluster_id}/resolve", clusters.resolve),
            web.post("/projects/{project_id}/clusters/{cluster_id}/reopen", clusters.reopen),
            web.post("/projects/{project_id}/clusters/{cluster_id}/merge", clusters.merge),
            web.post("/projects/{project_id}/clusters/{cluster_id}/split", clusters.split),
            web.post("/projects/{project_id}/clusters/{cluster_id}/move", clusters.move),
            web.post("/projects/{project_id}/clusters/{cluster_id}/undo", clusters.undo),
            web.post("/projects/{project_id}/rebalance", clusters.rebalance),
            web.post("/projects/{project_id}/cleanup", clusters.cleanup),
        ]
    )
    return app
