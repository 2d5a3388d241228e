"""The pages for people, under /app: server-rendered, no script, all behind a session."""

from aiohttp import web
from aiohttp_session import session_middleware

from soulcaster.web.pages import clusters, members, projects, sign_in
from soulcaster.web.pages.rights import to
from soulcaster.web.pages.session import OPEN, guarded, storage


def create_pages(session_key: str, *, secure: bool) -> web.Application:
    """Return the sub-application of the pages, to be mounted at /app; `secure` keeps its cookies to https."""
    app = web.Application(middlewares=[session_middleware(storage(session_key, secure=secure)), guarded])
    project = "/projects/{project_id}"
    cluster = f"{project}/clusters/{{cluster_id}}"
    app.add_routes(
        [
            web.get("", projects.start),
            # HEAD, which previews of links use, must not use up the token.
            web.get("/sign-in", sign_in.sign_in, name=f"{OPEN}.link", allow_head=False),
            web.get("/sign-in/github", sign_in.github, name=f"{OPEN}.github", allow_head=False),
            web.get("/sign-in/github/callback", sign_in.github_callback, name=f"{OPEN}.callback", allow_head=False),
            web.post("/sign-out", sign_in.sign_out),
            web.get("/projects", projects.list_projects),
            web.get(project, to("read", clusters.ranking)),
            web.get(cluster, to("read", clusters.one)),
            web.post(f"{cluster}/start-fix", to("launch", clusters.start_fix)),
            web.post(f"{cluster}/cancel", to("launch", clusters.cancel)),
            web.post(f"{cluster}/rename", to("write", clusters.rename)),
            web.post(f"{cluster}/pin", to("write", clusters.pin)),
            web.post(f"{cluster}/mute", to("write", clusters.mute)),
            web.post(f"{cluster}/resolve", to("write", clusters.resolve)),
            web.post(f"{cluster}/reopen", to("write", clusters.reopen)),
            web.post(f"{cluster}/merge", to("write", clusters.merge)),
            web.post(f"{cluster}/split", to("write", clusters.split)),
            web.post(f"{cluster}/move", to("write", clusters.move)),
            web.post(f"{cluster}/undo", to("write", clusters.undo)),
            web.post(f"{project}/rebalance", to("write", clusters.rebalance)),
            web.post(f"{project}/cleanup", to("write", clusters.cleanup)),
            web.get(f"{project}/members", to("admin", members.listed)),
            web.post(f"{project}/members", to("admin", members.add)),
            web.post(f"{project}/members/{{user_id}}/role", to("admin", members.change)),
            web.post(f"{project}/members/{{user_id}}/remove", to("admin", members.remove)),
        ]
    )
    return app
