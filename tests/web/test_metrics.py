"""What the web server counts of its requests."""

from soulcaster.errors import KafkaUnavailable
from tests.support.metrics import Growth
from tests.support.web import Client, World


async def test_requests_are_counted_by_the_pattern_of_their_route(client: Client) -> None:
    growth = Growth()
    await client.get("/")
    for name in ("one", "two"):
        await client.get(f"/jobs/{name}", params={"project_id": "p1"})
    await client.get("/no/such/page")
    await client.request("PURGE", "/")
    counted = growth.by("soulcaster_http_requests_total", "method", "route", "status")
    assert counted.pop(("GET", "/", "2xx")) == 1
    assert counted.pop(("other", "none", "4xx")) == 1
    assert counted.pop(("GET", "none", "4xx")) == 1
    [((method, route, status), count)] = counted.items()
    assert (method, status, count) == ("GET", "4xx", 2)
    assert route.startswith("/jobs/{")
    assert growth.of("soulcaster_http_request_seconds_count", route=route) == 2


async def test_posted_items_are_counted_once_acknowledged(world: World, client: Client) -> None:
    growth = Growth()
    item = {"project_id": "p1", "source": "x", "external_id": "1", "body": "late"}
    answer = await client.post("/ingest/feedback", json=item)
    assert answer.status < 300, await answer.text()
    world.publisher.fail = KafkaUnavailable()
    assert (await client.post("/ingest/feedback", json=item)).status == 503
    assert growth.by("soulcaster_items_posted_total", "outcome") == {("acknowledged",): 1, ("unavailable",): 1}


async def test_refusals_are_counted_by_route_and_status(world: World, guarded: Client) -> None:
    growth = Growth()
    reader = await world.key("read")
    for key in (None, {"X-API-Key": "wrong"}, reader):
        await guarded.post("/clusters/c1/rename", params={"project_id": "p1"}, json={"title": "x"}, headers=key)
    await guarded.get("/app/projects")
    counted = growth.by("soulcaster_http_refusals_total", "route", "status")
    assert counted == {
        ("/clusters/{cluster_id}/rename", "401"): 2,
        ("/clusters/{cluster_id}/rename", "403"): 1,
        ("/app/projects", "401"): 1,
    }
