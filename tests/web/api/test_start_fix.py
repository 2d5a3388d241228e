from uuid import UUID

import pytest

from soulcaster.domain.commands import StartFix
from soulcaster.domain.events import ClusterMerged
from soulcaster.domain.ids import job_id_for
from soulcaster.domain.lifecycle import JobStatus
from soulcaster.errors import KafkaUnavailable
from soulcaster.wire.cluster_commands import ClusterCommand
from tests.support.answers import problem
from tests.support.make import NOW
from tests.support.web import Client, World

HERE = {"project_id": "p1"}


async def test_a_fix_is_a_command_on_kafka(world: World, client: Client) -> None:
    await world.fill()
    answer = await client.post("/clusters/c1/start_fix", params=HERE)
    assert answer.status == 202
    document, message = world.publisher.sent
    assert (document.topic, message.topic, message.key) == ("job.documents", "cluster.commands", b"p1")
    envelope = ClusterCommand.model_validate_json(message.value)
    command = envelope.command
    assert isinstance(command, StartFix)
    assert (command.type, envelope.project_id, command.cluster_id) == ("start_fix", "p1", "c1")
    assert (command.requested_at, UUID(command.id).version) == (NOW, 5)
    assert await answer.json() == {
        "status": "ok",
        "message": "Fix asked for",
        "job_id": job_id_for(command.id),
        "command_id": command.id,
        "cluster_id": "c1",
        "project_id": "p1",
        "runner": "dry-run",
        "approved": True,
    }


@pytest.mark.parametrize("steps", [("pending",), ("pending", "running")])
async def test_409_while_a_fix_is_under_way(world: World, client: Client, steps: tuple[JobStatus, ...]) -> None:
    await world.fill()
    await world.job("j1", *steps)
    await problem(await client.post("/clusters/c1/start_fix", params=HERE), 409)
    assert world.publisher.sent == []


async def test_again_after_it_has_ended(world: World, client: Client) -> None:
    await world.fill()
    await world.job("j1", "pending", "failed")
    assert (await client.post("/clusters/c1/start_fix", params=HERE)).status == 202


async def test_a_fix_of_a_merged_cluster_is_the_others(world: World, client: Client) -> None:
    await world.fill(cluster="c1")
    await world.fill(cluster="c2")
    await world.job("j1", "pending", "failed", cluster="c1")
    first = await (await client.post("/clusters/c1/start_fix", params=HERE)).json()
    await world.read_model.writer.apply("p1", [ClusterMerged("c2", "c1", "person", "same", 1)])
    again = await (await client.post("/clusters/c2/start_fix", params=HERE)).json()
    assert again == first
    await world.job("j2", "pending", "failed", cluster="c2")
    after = await (await client.post("/clusters/c1/start_fix", params=HERE)).json()
    assert after["cluster_id"] == "c1"
    assert after["job_id"] != first["job_id"]


async def test_404_for_a_cluster_that_is_not_here(world: World, client: Client) -> None:
    await world.fill(project="p2")
    await problem(await client.post("/clusters/c1/start_fix", params=HERE), 404)
    await problem(await client.post("/clusters/nope/start_fix", params=HERE), 404)
    await problem(await client.post("/clusters/c1/start_fix"), 400)
    assert world.publisher.sent == []


async def test_503_while_kafka_is_away(world: World, client: Client) -> None:
    await world.fill()
    world.publisher.fail = KafkaUnavailable()
    await problem(await client.post("/clusters/c1/start_fix", params=HERE), 503)
