"""The settings of the launch backends; docs/launching.md says more about each."""

from pathlib import Path
from typing import ClassVar

from pydantic import AliasChoices, Field

from soulcaster.processes.base_settings import ProcessSettings
from soulcaster.processes.data_dir import DEFAULT_DATA_DIR


class BackendSettings(ProcessSettings):
    """Settings of the launch backends `local`, `ecs` and `e2b`; only those of a backend that is used matter."""

    section: ClassVar[str] = "Launch backends"

    local_jobs_folder: Path = Field(
        DEFAULT_DATA_DIR / "jobs",
        description="Folder in which the backend `local` keeps a folder for each launch, on a disk of this machine.",
    )
    local_memory_mb: int = Field(
        4096, ge=1, description="Most memory of a job of the backend `local`, all its processes together, in MB."
    )
    local_output_mb: int = Field(20, ge=1, description="Most that such a job may print, in MB.")
    local_disk_mb: int = Field(10_240, ge=1, description="Most that the files of such a job may take, in MB.")
    local_without_isolation: bool = Field(
        False,
        description="Run such jobs without isolation where bubblewrap does not work. They can then read and change "
        "whatever the launcher can.",
    )
    local_tools: str = Field(
        "",
        description="Folders outside of /usr with tools that such jobs may use, separated by colons, such as a "
        "toolchain of Rust. They see them read-only, with `bin` on their `PATH`, and without known files of "
        "credentials.",
    )
    ecs_cluster_name: str = Field(
        "",
        validation_alias=AliasChoices("ECS_CLUSTER_NAME"),
        description="Name or ARN of the Amazon ECS cluster that runs jobs; credentials and region come from AWS's own "
        "variables and files.",
    )
    ecs_task_definition: str = Field(
        "",
        validation_alias=AliasChoices("ECS_TASK_DEFINITION"),
        description="Task definition of a job: family, family:revision or ARN.",
    )
    ecs_container_name: str = Field(
        "",
        validation_alias=AliasChoices("ECS_CONTAINER_NAME"),
        description="Container of that task definition that gets the job's variables; empty means its first one.",
    )
    ecs_subnet_ids: str = Field(
        "",
        validation_alias=AliasChoices("ECS_SUBNET_IDS"),
        description="Subnets of the tasks, comma-separated, best in several availability zones.",
    )
    ecs_security_group_ids: str = Field(
        "",
        validation_alias=AliasChoices("ECS_SECURITY_GROUP_IDS"),
        description="Security groups of the tasks, comma-separated; they limit what a job can reach.",
    )
    ecs_assign_public_ip: bool = Field(
        False,
        validation_alias=AliasChoices("ECS_ASSIGN_PUBLIC_IP"),
        description="Give each task a public address; it needs one in a subnet without NAT or VPC endpoints.",
    )
    ecs_launch_type: str = Field(
        "FARGATE",
        validation_alias=AliasChoices("ECS_LAUNCH_TYPE"),
        description="What runs the tasks: `FARGATE`, `EC2`, or empty for the cluster's default capacity providers.",
    )
    e2b_api_key: str = Field(
        "",
        repr=False,
        exclude=True,
        validation_alias=AliasChoices("E2B_API_KEY"),
        description="Key of E2B, for the backend `e2b`, which runs each job in a sandbox there.",
    )
    kilocode_template: str = Field(
        "base",
        validation_alias=AliasChoices("KILOCODE_TEMPLATE_NAME", "KILOCODE_TEMPLATE_ID"),
        description="Name or id of the template of those sandboxes; the program of jobs must be in it.",
    )
    e2b_sandbox_ttl_seconds: int = Field(
        0,
        ge=0,
        le=86_400,
        validation_alias=AliasChoices("E2B_SANDBOX_TTL_SECONDS"),
        description="Seconds that such a sandbox may live at least. It may always live twelve minutes longer than the "
        "time limit of its job; E2B allows 1 hour on its Hobby plan and 24 hours on Pro.",
    )
