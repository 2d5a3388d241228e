"""The pages for people, under /app: rendered on the server, all of them behind a session.

Every page works without a script. Those with the log of a job have a small one, static/job.js, which follows it.
"""

from aiohttp import web
from aiohttp_session import session_middleware

from soulcaster.web.pages import cluster_forms, clusters, job_forms, jobs, members, plan_forms, projects, sign_in
from soulcaster.web.pages.access import of_person, requires
from soulcaster.web.pages.session import OPEN, require_session, storage


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
            web.post("/sign-out", sign_in.sign_out),
            web.get("/projects", of_person(projects.list_projects)),
            web.get(project, requires("read", clusters.ranking)),
            web.get(cluster, requires("read", clusters.one_cluster)),
            web.post(f"{cluster}/start-fix", requires("launch", job_forms.start_fix)),
            web.post(f"{cluster}/plan", requires("launch", plan_forms.store)),
            web.post(f"{cluster}/write-plan", requires("launch", plan_forms.write)),
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
            web.get("/jobs", of_person(jobs.list_all)),
            web.get(f"{project}/jobs", requires("read", jobs.list_jobs)),
            web.get(job, requires("read", jobs.one_job)),
            web.get(f"{job}/facts", requires("read", jobs.facts)),
            web.get(f"{job}/log", requires("read", jobs.follow_log), allow_head=False),
            web.post(f"{job}/approve", requires("launch", job_forms.approve)),
            web.post(f"{job}/cancel", requires("launch", job_forms.cancel)),
            web.post(f"{job}/retry", requires("launch", job_forms.retry)),
            web.get(f"{project}/members", requires("admin", members.list_members)),
            web.post(f"{project}/members", requires("admin", members.add)),
            web.post(f"{project}/members/{{user_id}}/role", requires("admin", members.change_role)),
            web.post(f"{project}/members/{{user_id}}/remove", requires("admin", members.remove)),
        ]
    )
    return app
