"""The client of ECS against moto's server, which checks requests and builds answers by AWS's own descriptions.

moto starts tasks as RUNNING, ignores clientTokens and never fails; `tests/support/ecs_server.py` does these.
"""

from collections.abc import AsyncIterator, Iterator

import aioboto3
import pytest

from soulcaster.adapters.aws.ecs import EcsClient, Placement
from soulcaster.errors import EcsRefuses
from soulcaster.ports.launch_backend import Task
from tests.support.aws import lead_aws_to, moto_server
from tests.support.launch_backends import make_launch

pytestmark = pytest.mark.xdist_group(__name__)

LAUNCH = make_launch()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto_server() as address:
        yield address


@pytest.fixture
async def placement(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Placement:
    """A cluster, a Fargate task definition and a network."""
    lead_aws_to(endpoint, monkeypatch)
    async with aioboto3.Session().client("ec2") as ec2:
        vpc = (await ec2.create_vpc(CidrBlock="10.0.0.0/16"))["Vpc"]["VpcId"]
        await ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})  # moto's tasks need it
        subnet = (await ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24"))["Subnet"]["SubnetId"]
        group = (await ec2.create_security_group(GroupName=vpc, Description="of jobs", VpcId=vpc))["GroupId"]
    async with aioboto3.Session().client("ecs") as ecs:
        await ecs.create_cluster(clusterName="jobs")
        await ecs.register_task_definition(
            family="coding-agent",
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="1024",
            memory="2048",
            containerDefinitions=[
                {"name": "agent", "image": "agent:1", "cpu": 1024, "memory": 2048, "essential": True, "stopTimeout": 5}
            ],
        )
    return Placement("jobs", "coding-agent", (subnet,), (group,))


@pytest.fixture
async def client(placement: Placement) -> AsyncIterator[EcsClient]:
    client = EcsClient(placement, tries=1)
    yield client
    await client.close()


async def test_a_task_is_run_found_and_stopped(client: EcsClient) -> None:
    ran = await client.run(LAUNCH.key, LAUNCH.environment())
    assert ":task/" in ran.id
    assert await client.started_by(LAUNCH.key) == [ran.id]
    assert await client.describe([ran.id]) == [Task(ran.id, "running")]
    assert await client.stop(ran.id)
    assert await client.describe([ran.id]) == [Task(ran.id, "ended", "cancelled by Soulcaster; agent: exit code 0")]
    assert await client.started_by(LAUNCH.key) == [ran.id]


async def test_the_task_has_the_variables(client: EcsClient, placement: Placement) -> None:
    ran = await client.run(LAUNCH.key, LAUNCH.environment())
    async with aioboto3.Session().client("ecs") as ecs:
        [task] = (await ecs.describe_tasks(cluster=placement.cluster, tasks=[ran.id]))["tasks"]
    [override] = task["overrides"]["containerOverrides"]
    assert override["name"] == "agent"
    assert {each["name"]: each["value"] for each in override["environment"]} == LAUNCH.environment()
    assert task["startedBy"] == LAUNCH.key
    assert task["launchType"] == "FARGATE"


async def test_what_is_not_there_is_refused(placement: Placement) -> None:
    for wrong, words in (
        (Placement("no-cluster", placement.task_definition, placement.subnets, placement.security_groups), "ECS_CLU"),
        (Placement(placement.cluster, "no-family", placement.subnets, placement.security_groups), "ECS_TASK_DEF"),
    ):
        client = EcsClient(wrong, tries=1)
        with pytest.raises(EcsRefuses, match=words):
            await client.run(LAUNCH.key, LAUNCH.environment())
        await client.close()
