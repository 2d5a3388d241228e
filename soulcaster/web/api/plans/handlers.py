"""Reading plans, and writing one: by the model, or by a person."""

from aiohttp import web

from soulcaster.domain.fixes.plan import InvalidPlan
from soulcaster.ports.planner import MAX_SECONDS
from soulcaster.services.lookup import known_job
from soulcaster.web.api.operation import operation
from soulcaster.web.api.plans.models import PlanIn, PlanOut
from soulcaster.web.api.responses import json_response
from soulcaster.web.caller import CALLER, count_made
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import ProjectQuery
from soulcaster.web.problems import begin_wait, field_problem


@operation("GET", "/clusters/{cluster_id}/plan", {200: PlanOut}, scope="read")
async def get_plan(request: web.Request, query: ProjectQuery, cluster_id: str) -> web.StreamResponse:
    """Get the newest plan of a cluster, which its next fix is given; 404 when it has none."""
    return json_response(PlanOut.of(await dependencies(request).plans.get(query.project_id, cluster_id)))


@operation("POST", "/clusters/{cluster_id}/plan", {200: PlanOut}, scope="launch", problems=(409, 502))
async def write_plan(
    request: web.Request, query: ProjectQuery, body: PlanIn | None, cluster_id: str
) -> web.StreamResponse:
    """Store the plan in the body, or let the model write one when there is no body: 200 once Kafka has it.

    409 when no model is set up, 502 when it writes no plan, 503 when it does not answer.
    """
    given = dependencies(request)
    plans = given.plans
    await count_made(given, "plans", query.project_id)
    await given.storage_limit.check(query.project_id)
    if body is None:
        begin_wait(request, MAX_SECONDS)
        return json_response(PlanOut.of(await plans.generate(query.project_id, cluster_id)))
    try:
        plan = await plans.edit(query.project_id, cluster_id, body.title, body.description, by=request[CALLER].name)
    except InvalidPlan as error:
        raise field_problem("body", str(error)) from error
    return json_response(PlanOut.of(plan))


@operation("GET", "/jobs/{job_id}/plan", {200: PlanOut}, scope="read", job_tokens=True)
async def get_job_plan(request: web.Request, query: ProjectQuery, job_id: str) -> web.StreamResponse:
    """Get the plan that a job was given; 404 when it was given the brief alone."""
    given = dependencies(request)
    job = await known_job(given.read_model.jobs, query.project_id, job_id)
    plan_id = None if job.fix is None else job.fix.options.plan_id
    return json_response(PlanOut.of(await given.plans.of_job(job.project_id, plan_id)))
