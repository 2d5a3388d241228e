"""The pages for people, under /app: rendered on the server, all of them behind a session.

Every page works without a script. Those with the log of a job have a small one, static/job.js, which follows it.
"""

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp_session import session_middleware

from soulcaster.domain.api_keys import KeyScope
from soulcaster.web.pages import (
    cluster_forms,
    clusters,
    job_forms,
    jobs,
    members,
    plan_forms,
    projects,
    sessions,
    sign_in,
    themes,
)
from soulcaster.web.pages.access import of_person, requires
from soulcaster.web.pages.session import OPEN, own_form, require_session, storage


def create_pages(session_key: str, *, secure: bool) -> web.Application:
    """Return the sub-application of the pages, to be mounted at /app; with `secure` its cookies need https."""
    app = web.Application(middlewares=[session_middleware(storage(session_key, secure=secure)), require_session])
    project = "/projects/{project_id}"
    cluster = f"{project}/clusters/{{cluster_id}}"
    job = f"{project}/jobs/{{job_id}}"
    app.add_routes(
        [
            web.get("", of_person(projects.start)),
            # No HEAD: link previews send it, and it must not use up the token.
            web.get("/sign-in", sign_in.sign_in, name=f"{OPEN}.link", allow_head=False),
            web.get("/sign-in/github", sign_in.github, name=f"{OPEN}.github", allow_head=False),
            web.get("/sign-in/github/callback", sign_in.github_callback, name=f"{OPEN}.callback", allow_head=False),
            web.post("/sign-out", of_person(own_form(sign_in.sign_out))),
            web.get("/sessions", of_person(sessions.list_sessions)),
            web.post("/sessions/end-others", of_person(own_form(sessions.end_others))),
            web.post("/sessions/end-all", of_person(own_form(sessions.end_all))),
            web.post("/sessions/{session_id}/end", of_person(own_form(sessions.end))),
            web.get("/projects", of_person(projects.list_projects)),
            web.get(project, requires("read", clusters.ranking)),
            web.get(f"{project}/themes", requires("read", themes.list_themes)),
            web.get(cluster, requires("read", clusters.one_cluster)),
            web.get(f"{cluster}/near", requires("read", clusters.near_clusters)),
            web.get(f"{project}/items/{{item_id}}", requires("read", clusters.one_item)),
            _form(f"{cluster}/start-fix", "launch", job_forms.start_fix),
            _form(f"{cluster}/plan", "launch", plan_forms.store),
            _form(f"{cluster}/write-plan", "launch", plan_forms.write),
            _form(f"{cluster}/rename", "write", cluster_forms.rename),
            _form(f"{cluster}/pin", "write", cluster_forms.pin),
            _form(f"{cluster}/mute", "write", cluster_forms.mute),
            _form(f"{cluster}/resolve", "write", cluster_forms.resolve),
            _form(f"{cluster}/reopen", "write", cluster_forms.reopen),
            _form(f"{cluster}/merge", "write", cluster_forms.merge),
            _form(f"{cluster}/split", "write", cluster_forms.split),
            _form(f"{cluster}/move", "write", cluster_forms.move),
            _form(f"{cluster}/undo", "write", cluster_forms.undo),
            _form(f"{project}/rebalance", "write", cluster_forms.rebalance),
            _form(f"{project}/cleanup", "write", cluster_forms.cleanup),
            web.get("/jobs", of_person(jobs.list_all)),
            web.get(f"{project}/jobs", requires("read", jobs.list_jobs)),
            web.get(job, requires("read", jobs.one_job)),
            web.get(f"{job}/facts", requires("read", jobs.facts)),
            web.get(f"{job}/log", requires("read", jobs.follow_log), allow_head=False),
            _form(f"{job}/approve", "launch", job_forms.approve),
            _form(f"{job}/cancel", "launch", job_forms.cancel),
            _form(f"{job}/retry", "launch", job_forms.retry),
            web.get(f"{project}/members", requires("admin", members.list_members)),
            _form(f"{project}/members", "admin", members.add),
            _form(f"{project}/members/{{user_id}}/role", "admin", members.change_role),
            _form(f"{project}/members/{{user_id}}/remove", "admin", members.remove),
        ]
    )
    return app


def _form(path: str, scope: KeyScope, handler: Handler) -> web.RouteDef:
    """Return the route of a form: whoever may not use it is refused before its body is read."""
    return web.post(path, requires(scope, own_form(handler)))
