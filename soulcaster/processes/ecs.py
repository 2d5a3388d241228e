"""The launch backend `ecs`, composed from the settings."""

from soulcaster.adapters.aws.ecs import EcsClient, Placement
from soulcaster.errors import BadInput
from soulcaster.launcher.backends.ecs import EcsBackend
from soulcaster.processes.settings import LauncherSettings


def ecs_backend(settings: LauncherSettings) -> EcsBackend:
    """Return the backend; it opens its connections at the first launch.

    Raises:
        BadInput: settings are missing; the message names them.
    """
    subnets, security_groups = _ids(settings.ecs_subnet_ids), _ids(settings.ecs_security_group_ids)
    needed = {
        "ECS_CLUSTER_NAME": settings.ecs_cluster_name,
        "ECS_TASK_DEFINITION": settings.ecs_task_definition,
        "ECS_SUBNET_IDS": subnets,
        "ECS_SECURITY_GROUP_IDS": security_groups,
    }
    if missing := [name for name, value in needed.items() if not value]:
        raise BadInput(f"The launch backend ecs needs {', '.join(missing)}; docs/launching.md says what they are.")
    placement = Placement(
        cluster=settings.ecs_cluster_name,
        task_definition=settings.ecs_task_definition,
        subnets=subnets,
        security_groups=security_groups,
        public_ip=settings.ecs_assign_public_ip,
        launch_type=settings.ecs_launch_type,
        container=settings.ecs_container_name,
    )
    return EcsBackend(EcsClient(placement))


def _ids(listed: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in listed.split(",") if each.strip())
