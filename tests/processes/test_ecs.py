import pytest

from soulcaster.errors import BadInput
from soulcaster.processes.ecs import ecs_backend
from soulcaster.processes.settings import LauncherSettings
from tests.support.ecs_server import CLUSTER, CONTAINER, DEFINITION, EcsServer
from tests.support.launch_backends import make_launch

NEEDED = {
    "ECS_CLUSTER_NAME": CLUSTER,
    "ECS_TASK_DEFINITION": DEFINITION,
    "ECS_SUBNET_IDS": "subnet-1, subnet-2",
    "ECS_SECURITY_GROUP_IDS": "sg-1,",
}


async def test_the_settings_reach_ecs(monkeypatch: pytest.MonkeyPatch) -> None:
    async with EcsServer() as server:
        others = {"ECS_CONTAINER_NAME": CONTAINER, "ECS_ASSIGN_PUBLIC_IP": "true", "ECS_LAUNCH_TYPE": "EC2"}
        for name, value in {**NEEDED, **others}.items():
            monkeypatch.setenv(name, value)
        backend = ecs_backend(LauncherSettings())
        await backend.launch(make_launch())
        await backend.close()
        [asked] = server.asked("RunTask")
    assert (asked["cluster"], asked["taskDefinition"], asked["launchType"]) == (CLUSTER, DEFINITION, "EC2")
    assert asked["networkConfiguration"]["awsvpcConfiguration"] == {
        "subnets": ["subnet-1", "subnet-2"],
        "securityGroups": ["sg-1"],
        "assignPublicIp": "ENABLED",
    }


@pytest.mark.parametrize("missing", [[name] for name in NEEDED] + [list(NEEDED)])
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, missing: list[str]) -> None:
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)
    for name in missing:
        monkeypatch.setenv(name, " , " if name.endswith("_IDS") else "")
    with pytest.raises(BadInput) as raised:
        ecs_backend(LauncherSettings())
    assert [name for name in NEEDED if name in str(raised.value)] == missing
