"""What the program of a job gets from the API, and what it reports of its work."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from soulcaster.domain.fixes.fix import Target
from soulcaster.domain.fixes.order import AgentOrder, Credential, FixRules, Report
from soulcaster.domain.fixes.outcome import FixOutcome, TestSummary
from soulcaster.errors import ApiRefuses, Fenced, SourceRefuses
from soulcaster.fixer.job_client import JobAddress, JobClient, job_client
from soulcaster.web.api.jobs.models import JobPatchIn
from soulcaster.wire.job_orders import CredentialOut, JobOrderOut
from tests.support.make import job_order

ORDER = job_order(
    attempt=2,
    branch="soulcaster/fix-c1-2",
    spent_usd=0.5,
    brief="# Brief\n",
    plan="A plan\n\nLook first.",
    target=Target("acme/shop", "main", "a" * 40),
    agent=AgentOrder("command", "m", "gemini", ("fix", "{prompt_file}"), (0.5, 2.0)),
    rules=FixRules(test="make test", hosts=("a.example",), protected=("x/**",)),
    reports=(Report("github", "https://github.com/acme/shop/issues/1"), Report("manual", None)),
)


class Api:
    """The routes of one job: an order, a credential, and what was sent to them."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.answer = web.json_response(CredentialOut(Credential("model", "sk-x", "https://m")).model_dump(mode="json"))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/order"):
            return web.json_response(text=JobOrderOut(ORDER).model_dump_json())
        if request.path.endswith("/logs"):
            return web.json_response({"job_status": "running"})
        self.sent.append(await request.json())
        return self.answer


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
async def client(api: Api) -> AsyncIterator[JobClient]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", api.handle)
    async with TestServer(app) as server, job_client(JobAddress("j1", str(server.make_url("/")), "scj_x")) as client:
        yield client


async def test_an_order_arrives_as_the_server_wrote_it(client: JobClient) -> None:
    assert await client.order() == ORDER


async def test_a_credential_is_asked_for_one_use_and_shows_in_no_text(api: Api, client: JobClient) -> None:
    found = await client.credential("model")
    assert found == Credential("model", "sk-x", "https://m")
    assert api.sent == [{"use": "model"}]
    assert "sk-x" not in repr(found)
    assert "sk-x" not in repr(CredentialOut(found))


async def test_why_there_is_no_credential_is_said(api: Api, client: JobClient) -> None:
    api.answer = web.json_response({"detail": "Our GitHub App is not installed on acme/shop."}, status=422)
    with pytest.raises(SourceRefuses, match="not installed on acme/shop"):
        await client.credential("publish")


async def test_only_a_refused_credential_is_a_reason_of_the_fix(api: Api, client: JobClient) -> None:
    """A report that the API cannot take is our mistake, and no reason to tell people why there is no fix."""
    api.answer = web.json_response({"detail": "cost_usd: Input should be greater than 0"}, status=422)
    with pytest.raises(ApiRefuses, match=r"PATCH /jobs/j1: status 422 \(cost_usd: Input"):
        await client.report("running")


@pytest.mark.parametrize(("status", "error"), [(409, Fenced), (401, ApiRefuses), (403, ApiRefuses)])
async def test_whoever_is_no_present_launch_gets_none(
    api: Api, client: JobClient, status: int, error: type[Exception]
) -> None:
    api.answer = web.json_response({}, status=status)
    with pytest.raises(error):
        await client.credential("clone")


async def test_what_a_job_made_is_reported_as_the_server_reads_it(api: Api, client: JobClient) -> None:
    api.answer = web.json_response({}, status=202)
    outcome = FixOutcome(("a.py",), 3, 1, TestSummary("failed", 9, 1), TestSummary("passed", 11), True, ("look",))
    await client.report("publishing", outcome=outcome, cost_usd=0.25)
    [body] = api.sent
    read = JobPatchIn.model_validate(body)
    assert (read.state, read.outcome, read.cost_usd) == ("publishing", outcome, 0.25)
