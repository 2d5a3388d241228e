"""The API describes itself: every route is in the document, and every answer is as the document says."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import positive_data_acceptance

from soulcaster.web.api import OPERATIONS
from soulcaster.web.api.jobs.models import JobOut
from soulcaster.web.api.live_updates import handlers as live_updates
from soulcaster.web.api.operation import operation
from soulcaster.web.parameters import ID_PATTERN, ProjectQuery
from tests.support.openapi import api_document, calls_of
from tests.support.web import Client, World

Check = Callable[[Any, Any, Case[Any]], bool | None]

MORE_THAN_A_SCHEMA_SAYS: list[Check] = [positive_data_acceptance]
"""Text that holds nothing readable, though it is not blank, is refused, and so is an API key that has expired when it
is created."""

WITH_MORE = {"ingest", "api_keys", "plans"}
"""The tags of the operations whose schemas that is true of."""


async def test_every_route_of_the_api_is_in_it(client: Client) -> None:
    answered = await (await client.get("/openapi.json")).json()
    assert answered == api_document()
    here = {
        (route.method, route.resource.canonical)
        for route in client.app.router.routes()
        if route.resource is not None and not route.resource.canonical.startswith("/app") and route.method != "HEAD"
    }
    described = {(method.upper(), path) for path, methods in api_document()["paths"].items() for method in methods}
    assert here - described == {
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
        ("POST", "/ingest/github/sync/{repository}"),  # sends an address of the predecessor's on to the described one
    }
    assert described <= here


def test_names_are_given_once() -> None:
    assert len({op.id for op in OPERATIONS}) == len(OPERATIONS)


def test_everything_it_points_at_is_there() -> None:
    def targets(part: Any) -> set[str]:
        if isinstance(part, dict):
            own = {part["$ref"]} if "$ref" in part else set()
            return own.union(*map(targets, part.values()))
        return set().union(*map(targets, part)) if isinstance(part, list) else set()

    shapes = {f"#/components/schemas/{name}" for name in api_document()["components"]["schemas"]}
    assert targets(api_document()) <= shapes


def test_a_parameter_that_may_be_left_out_is_not_null() -> None:
    (source,) = (p for p in api_document()["paths"]["/feedback"]["get"]["parameters"] if p["name"] == "source")
    assert source["schema"]["type"] == "string"
    assert not source["required"]


def test_a_handler_that_does_not_fit_its_path_is_refused() -> None:
    async def one(request: Any, query: ProjectQuery, job_id: str) -> Any: ...

    with pytest.raises(TypeError, match="which is not what /things/"):
        operation("GET", "/things/{thing_id}", {200: JobOut})(one)


async def test_the_page_shows_every_operation_and_every_shape(client: Client) -> None:
    response = await client.get("/docs")
    assert response.status == 200
    page = await response.text()
    for op in OPERATIONS:
        assert f'id="{op.id}"' in page
    for name in api_document()["components"]["schemas"]:
        assert f'id="shape-{name}"' in page


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.id)
async def test_whatever_is_sent_the_answer_is_as_described(
    guarded: Client, world: World, monkeypatch: pytest.MonkeyPatch, op: Any
) -> None:
    """Made-up calls, good and bad: no 5xx, no status, type or shape that the document does not know."""
    monkeypatch.setattr(live_updates, "STREAM_SECONDS", 0.05)
    world.publisher.outcome = "applied"
    await world.fill()
    headers = await world.key("admin")
    url = str(guarded.make_url("")).rstrip("/")

    @given(case=calls_of(op))
    @settings(
        max_examples=15,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def call(case: Case[Any]) -> None:
        if "project_id" in op.path_parameters:
            case.path_parameters["project_id"] = "p1"
        case.query.pop("wait", None)  # whoever waits for what is not coming waits long
        if "project_id" in case.query and re.fullmatch(ID_PATTERN, str(case.query["project_id"])):
            del case.query["project_id"]  # any other than the key's is not there
        response = case.call(base_url=url, headers=headers, allow_redirects=False)
        assert response.status_code < 500 or op.id == "get_readiness"
        case.validate_response(response, excluded_checks=MORE_THAN_A_SCHEMA_SAYS if op.tag in WITH_MORE else None)

    await asyncio.to_thread(call)
