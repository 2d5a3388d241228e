"""The pages for people, under /app: rendered on the server, without scripts, all of them behind a session."""

from aiohttp import web
from aiohttp_session import session_middleware

from soulcaster.web.pages import cluster_forms, clusters, members, projects, sign_in
from soulcaster.web.pages.access import requires
from soulcaster.web.pages.session import OPEN, require_session, storage


def create_pages(session_key: str, *, secure: bool) -> web.Application:
    """Return the sub-application of the pages, to be mounted at /app; with `secure` its cookies need https."""
    app = web.Application(middlewares=[session_middleware(storage(session_key, secure=secure)), require_session])
    project = "/projects/{project_id}"
    cluster = f"{project}/clusters/{{cluster_id}}"
    app.add_routes(
        [
            web.get("", projects.start),
            # No HEAD: link previews send it, and it must not use up the token.
            web.get("/sign-in", sign_in.sign_in, name=f"{OPEN}.link", allow_head=False),
            web.get("/sign-in/github", sign_in.github, name=f"{OPEN}.github", allow_head=False),
            web.get("/sign-in/github/callback", sign_in.github_callback, name=f"{OPEN}.callback", allow_head=False),
            web.post("/sign-out", sign_in.sign_out),
            web.get("/projects", projects.list_projects),
            web.get(project, requires("read", clusters.ranking)),
            web.get(cluster, requires("read", clusters.one_cluster)),
            web.post(f"{cluster}/start-fix", requires("launch", cluster_forms.start_fix)),
            web.post(f"{cluster}/cancel", requires("launch", cluster_forms.cancel_job)),
            web.post(f"{cluster}/rename", requires("write", cluster_forms.rename)),
            web.post(f"{cluster}/pin", requires("write", cluster_forms.pin)),
            web.post(f"{cluster}/mute", requires("write", cluster_forms.mute)),
            web.post(f"{cluster}/resolve", requires("write", cluster_forms.resolve)),
            web.post(f"{cluster}/reopen", requires("write", cluster_forms.reopen)),
            web.post(f"{cluster}/merge", requires("write", cluster_forms.merge)),
            web.post(f"{cluster}/split", requires("write", cluster_forms.split)),
            web.post(f"{cluster}/move", requires("write", cluster_forms.move)),
            web.post(f"{cluster}/undo", requires("write", cluster_forms.undo)),
            web.post(f"{project}/rebalance", requires("write", cluster_forms.rebalance)),
            web.post(f"{project}/cleanup", requires("write", cluster_forms.cleanup)),
            web.get(f"{project}/members", requires("admin", members.list_members)),
            web.post(f"{project}/members", requires("admin", members.add)),
            web.post(f"{project}/members/{{user_id}}/role", requires("admin", members.change_role)),
            web.post(f"{project}/members/{{user_id}}/remove", requires("admin", members.remove)),
        ]
    )
    return app
