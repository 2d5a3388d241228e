"""The forms of a cluster's plan: a person stores one, or lets the model write one."""

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel

from soulcaster.domain.fixes.plan import MAX_DESCRIPTION_CHARS, MAX_TITLE_CHARS, InvalidPlan, Plan
from soulcaster.domain.text.given import OneLine, Text
from soulcaster.errors import Conflict, PlannerRefuses, PlannerUnavailable
from soulcaster.ports.planner import MAX_SECONDS
from soulcaster.services.waiting import until
from soulcaster.web.bodies import read_form
from soulcaster.web.caller import count_made
from soulcaster.web.dependencies import dependencies
from soulcaster.web.pages import outcomes
from soulcaster.web.pages.access import ACCESS
from soulcaster.web.pages.addresses import cluster_path
from soulcaster.web.pages.session import leave_notice
from soulcaster.web.parameters import path_id
from soulcaster.web.problems import begin_wait


class PlanForm(BaseModel):
    """A plan as a person wrote it."""

    title: Annotated[str, OneLine(MAX_TITLE_CHARS, blank="")] | None
    description: Annotated[str, Text(2 * MAX_DESCRIPTION_CHARS, blank="")] | None
    """A longer one than a plan may have comes through, and is refused with a notice."""


async def store(request: web.Request) -> web.StreamResponse:
    """POST .../clusters/{cluster_id}/plan: store what the person wrote as the plan of the cluster."""
    form = await read_form(request, PlanForm)
    access, cluster_id = request[ACCESS], path_id(request, "cluster_id")
    await _check_room(request)
    try:
        plan = await dependencies(request).plans.edit(
            access.project.id, cluster_id, form.title or "", form.description or "", by=access.user
        )
    except InvalidPlan as error:
        await leave_notice(request, str(error))
    else:
        await _say(request, plan)
    raise web.HTTPSeeOther(cluster_path(access.project.id, cluster_id))


async def write(request: web.Request) -> web.StreamResponse:
    """POST .../clusters/{cluster_id}/write-plan: let the model write the plan of the cluster."""
    project_id, cluster_id = request[ACCESS].project.id, path_id(request, "cluster_id")
    await _check_room(request)
    begin_wait(request, MAX_SECONDS)
    try:
        plan = await dependencies(request).plans.generate(project_id, cluster_id)
    except (Conflict, PlannerRefuses, PlannerUnavailable) as error:
        await leave_notice(request, f"No plan was written. {error}")
    else:
        await _say(request, plan)
    raise web.HTTPSeeOther(cluster_path(project_id, cluster_id))


async def _check_room(request: web.Request) -> None:
    """Return when the project may have one more plan.

    Raises:
        Problem: 429 when it made many within the hour.
        QuotaExceeded: it stores as much as it may.
    """
    given, project_id = dependencies(request), request[ACCESS].project.id
    await count_made(given, "plans", project_id)
    await given.storage_limit.check(project_id)


async def _say(request: web.Request, plan: Plan) -> None:
    """Wait a moment until the plan can be read, and leave a notice of it."""
    documents = dependencies(request).read_model.documents
    shown = await until(
        lambda: documents.newest_plan(plan.project_id, plan.cluster_id),
        lambda found: found is not None and found.id == plan.id,
        seconds=outcomes.OUTCOME_SECONDS,
    )
    stored = "The plan is stored; the next fix is given it."
    await leave_notice(request, stored if shown is not None and shown.id == plan.id else f"{stored} Reload to see it.")
