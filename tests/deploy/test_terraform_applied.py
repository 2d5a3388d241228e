"""terraform/, applied by Terraform itself to an AWS that is not there: what comes of it.

The provider knows the schemas of the real one (tests/support/fake_aws.py). What AWS says to the values is not tested.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import pytest
import typer
from cryptography.fernet import Fernet

from soulcaster.adapters.aws.client import LazyClient
from soulcaster.adapters.aws.s3 import S3Archive
from soulcaster.cli.main import app
from soulcaster.processes.archives import archive_at
from soulcaster.processes.base_settings import ProcessSettings
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import LauncherSettings, PollerSettings, WebSettings, WorkerSettings, variables
from soulcaster.processes.system_settings import KafkaSettings
from tests.support.docs import DOCS
from tests.support.fake_aws import IMAGE, SMALLEST, Applied, Terraform

pytestmark = pytest.mark.xdist_group(__name__)

S = TypeVar("S", bound=ProcessSettings)

FERNET = Fernet.generate_key().decode()
SECRETS: Mapping[str, str] = {
    "SOULCASTER_SESSION_KEY": FERNET,
    "SOULCASTER_SECRETS_KEY": FERNET,
    "REDIS_URL": "rediss://:word@cache.example.com:6379/0",
    "SOULCASTER_KAFKA_USER": "soulcaster",
    "SOULCASTER_KAFKA_PASSWORD": "word",
    "SOULCASTER_API_KEY": "word",
    "GITHUB_SECRET": "word",
    "SOULCASTER_MODEL_KEY": "word",
}
"""What people and modules put into Secrets Manager."""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return Terraform(tmp_path_factory.mktemp("aws"))


@pytest.fixture(scope="module")
def everything(given: Terraform) -> Applied:
    return given.apply(
        {
            "zone_id": "Z0123456789",
            "nat_per_zone": True,
            "web_acl_arn": "arn:aws:wafv2:eu-central-1:111122223333:regional/webacl/1",
            "pollers": ["reddit", "github"],
            "secrets": ["GITHUB_SECRET", "SOULCASTER_MODEL_KEY"],
            "settings": {"GITHUB_ID": "1", "SOULCASTER_AGENT": "opencode", "SOULCASTER_MODEL": "a-model"},
            "msk": {"kind": "standard", "instance_type": "kafka.m7g.large"},
            "fixes": {"image": IMAGE},
            "publishing": {"github_repository": "owner/name"},
        }
    )


def test_terraform_finds_nothing_wrong(given: Terraform) -> None:
    given.validate()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any setting of ours."""
    for settings in (WorkerSettings, WebSettings, LauncherSettings, PollerSettings):
        for name, field in settings.model_fields.items():
            for variable in getattr(field.validation_alias, "choices", [f"SOULCASTER_{name.upper()}"]):
                monkeypatch.delenv(str(variable), raising=False)
    return monkeypatch


def start(settings: type[S], container: Mapping[str, Any], bare: pytest.MonkeyPatch) -> S:
    """Return the settings that the process in a container gets."""
    for variable in container["environment"]:
        bare.setenv(variable["name"], variable["value"])
    for secret in container["secrets"]:
        bare.setenv(secret["name"], SECRETS[secret["name"]])
    return settings()


def test_the_worker_starts_with_what_it_gets(everything: Applied, bare: pytest.MonkeyPatch) -> None:
    settings = start(WorkerSettings, everything.container("worker"), bare)
    kafka_access(settings)
    assert settings.redis_url == SECRETS["REDIS_URL"]
    assert (settings.partitions, settings.replication) == (12, 3)
    assert (settings.metrics_host, settings.metrics_port) == ("0.0.0.0", 9464)  # noqa: S104


def test_the_web_server_starts_with_what_it_gets(everything: Applied, bare: pytest.MonkeyPatch) -> None:
    settings = start(WebSettings, everything.container("web"), bare)
    settings.check_web()
    settings.check_secrets_key()
    settings.check_agent()
    kafka_access(settings)
    assert settings.public_url == str(settings.api_url()) == everything.outputs["address"]
    [balanced] = everything.resources["module.web_service.aws_ecs_service.this"]["load_balancer"]
    assert balanced["container_port"] == settings.port
    [check] = everything.resources["module.load_balancer.aws_lb_target_group.this"]["health_check"]
    assert (check["port"], check["path"]) == (str(settings.metrics_port), "/health/live")


def test_the_launcher_starts_with_what_it_gets(everything: Applied, bare: pytest.MonkeyPatch) -> None:
    settings = start(LauncherSettings, everything.container("launcher"), bare)
    settings.check_secrets_key()
    settings.check_agent()
    kafka_access(settings)
    assert settings.ecs_launch_type == ""
    assert settings.ecs_cluster_name == "soulcaster-fixes"
    assert settings.ecs_task_definition == "soulcaster-fixer"
    assert settings.ecs_container_name == everything.container("fixer")["name"]
    assert settings.ecs_security_group_ids == "aws_security_group.soulcaster-jobs.id"
    assert settings.backends == "ecs"


@pytest.mark.parametrize("poller", ["reddit", "github"])
def test_a_poller_starts_with_what_it_gets(everything: Applied, bare: pytest.MonkeyPatch, poller: str) -> None:
    container = everything.container(f"poller-{poller}")
    settings = start(PollerSettings, container, bare)
    assert str(settings.api_url()) == everything.outputs["address"]
    assert settings.api_key
    assert container["command"] == ["poll", poller]


def test_topics_are_made_with_what_that_gets(everything: Applied, bare: pytest.MonkeyPatch) -> None:
    kafka_access(start(KafkaSettings, everything.container("topics"), bare))


@pytest.mark.parametrize("process", ["topics", "backup", "worker", "web", "launcher", "poller-reddit", "poller-github"])
async def test_what_is_no_setting_of_ours_reaches_aws(
    everything: Applied, bare: pytest.MonkeyPatch, process: str
) -> None:
    ours = {name for variable in variables() for name in variable.names.split(", ")}
    of_aws = {
        variable["name"]: variable["value"]
        for variable in everything.container(process)["environment"]
        if variable["name"] not in ours
    }
    assert of_aws.keys() <= {"AWS_REGION"}, "nobody has shown that a client takes it"
    if process in {"backup", "web", "launcher"}:
        assert of_aws == {"AWS_REGION": SMALLEST["region"]}
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        bare.delenv(name)
    bare.setenv("AWS_CONFIG_FILE", os.devnull)
    for name, value in of_aws.items():
        bare.setenv(name, value)
    for service in ("s3", "ecs") if of_aws else ():
        client = LazyClient(service, read_seconds=1, tries=1)
        opened = await client.open()
        assert opened.meta.region_name == SMALLEST["region"]
        assert f".{SMALLEST['region']}." in opened.meta.endpoint_url
        await client.close()


def test_a_process_reads_its_own_secrets_only(everything: Applied) -> None:
    for address, policy in everything.of_type("aws_iam_policy_document").items():
        if "secrets" not in address:
            continue
        process = address.split(".")[1].removesuffix('["reddit"]').removesuffix('["github"]')
        definition = next(
            json.loads(values["container_definitions"])[0]
            for found, values in everything.of_type("aws_ecs_task_definition").items()
            if found.startswith(address.split(".data.")[0])
        )
        allowed = {arn for statement in policy["statement"] for arn in statement["resources"] if "secret" in arn}
        used = {secret["valueFrom"].split(":username")[0].split(":password")[0] for secret in definition["secrets"]}
        assert allowed == used, process


def statements(everything: Applied, address: str) -> dict[str, Mapping[str, Any]]:
    """Return the statements of a policy by their names."""
    return {one["sid"]: one for one in everything.resources[address]["statement"]}


def test_a_backup_is_made_every_night_and_may_do_nothing_else(
    everything: Applied, bare: pytest.MonkeyPatch, given: Terraform
) -> None:
    container = everything.container("backup")
    kafka_access(start(KafkaSettings, container, bare))
    bucket = everything.outputs["backups"]
    schedule = everything.resources["module.backup_schedule[0].aws_scheduler_schedule.this"]
    [target] = schedule["target"]
    assert target["arn"].endswith(":aws-sdk:ecs:runTask")
    call = json.loads(target["input"])
    assert call["TaskDefinition"] == "soulcaster-backup"
    assert call["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"] == "DISABLED"
    [overrides] = call["Overrides"]["ContainerOverrides"]
    assert overrides["Name"] == container["name"]
    assert overrides["Command"] == ["backup", f"s3://{bucket}/<aws.scheduler.scheduled-time>"]
    assert "<aws.scheduler.scheduled-time>" in target["input"]  # the scheduler does not read JSON's way to write <
    parameters = typer.main.get_command(app).commands["backup"].params  # type: ignore[attr-defined]
    assert [one.name for one in parameters if one.param_type_name == "argument"] == ["place"]
    assert isinstance(archive_at(overrides["Command"][1], "it"), S3Archive)

    starts = statements(everything, "module.backup_schedule[0].data.aws_iam_policy_document.this")
    assert {action for one in starts.values() for action in one["actions"]} == {"ecs:RunTask", "iam:PassRole"}
    task = everything.resources["module.backup[0].aws_ecs_task_definition.this"]
    assert set(starts["PassItsRoles"]["resources"]) == {task["task_role_arn"], task["execution_role_arn"]}
    may = statements(everything, "data.aws_iam_policy_document.backup[0]")
    assert {action for one in may.values() for action in one["actions"]} == {
        "s3:AbortMultipartUpload", "s3:PutObject", "s3:GetObject", "s3:ListBucket",
        "kms:Decrypt", "kms:GenerateDataKey",
    }  # fmt: skip
    assert all(resource.endswith("/*/manifest.json") for resource in may["TellWhetherThereIsOne"]["resources"])
    lifecycle = everything.resources["module.backups[0].aws_s3_bucket_lifecycle_configuration.this"]
    assert lifecycle["rule"][0]["expiration"][0]["days"] == 35
    archive = everything.resources["module.archive.aws_s3_bucket_lifecycle_configuration.this"]
    assert archive["rule"][0]["expiration"] == []

    without = given.apply({"backup": None, "running": False})
    assert without.outputs.get("backups") is None
    assert without.of_type("aws_scheduler_schedule") == {}


def test_every_bucket_refuses_what_is_not_tls(everything: Applied) -> None:
    buckets = everything.of_type("aws_s3_bucket")
    policies = {
        address: statements(everything, address)
        for address in everything.of_type("aws_iam_policy_document")
        if address.rsplit(".data", 1)[0] in {bucket.rsplit(".aws", 1)[0] for bucket in buckets}
    }
    assert len(policies) == len({bucket.rsplit(".aws", 1)[0] for bucket in buckets}) == 3
    for of_bucket in policies.values():
        assert (of_bucket["TlsOnly"]["effect"], of_bucket["TlsOnly"]["actions"]) == ("Deny", ["s3:*"])


def test_nothing_runs_as_more_than_it_needs(everything: Applied) -> None:
    for values in everything.of_type("aws_ecs_task_definition").values():
        for container in json.loads(values["container_definitions"]):
            assert container["privileged"] is False
            if container["name"] == "fixer":
                assert container["linuxParameters"]["capabilities"] == {"add": ["SYS_ADMIN"]}
                assert container["dockerSecurityOptions"] == ["no-new-privileges"]
            else:
                assert container["readonlyRootFilesystem"] is True
                assert container["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}
    fixer = everything.resources["module.fixer[0].aws_ecs_task_definition.this"]
    assert fixer["task_role_arn"] is None
    assert fixer["requires_compatibilities"] == ["EC2"]


def inbound(everything: Applied) -> Iterator[tuple[str, str]]:
    """Yield which group lets which group in, by their names."""
    for values in everything.of_type("aws_vpc_security_group_ingress_rule").values():
        yield (
            values["security_group_id"].split(".")[1],
            (values["referenced_security_group_id"] or values["cidr_ipv4"]).split(".")[1],
        )


def test_only_clients_reach_kafka_and_the_cache(everything: Applied) -> None:
    rules = list(inbound(everything))
    assert [who for group, who in rules if group in {"soulcaster-kafka", "soulcaster-cache"}] == [
        "soulcaster-clients"
    ] * 2
    for address, values in everything.of_type("aws_ecs_service").items():
        [network] = values["network_configuration"]
        client = "aws_security_group.soulcaster-clients.id" in network["security_groups"]
        assert client is ("poller" not in address)
        assert network["assign_public_ip"] is False


def test_workers_grow_fast_and_shrink_slowly_and_never_beyond_partitions(everything: Applied, given: Terraform) -> None:
    target = everything.resources["module.workers.aws_appautoscaling_target.this"]
    assert (target["min_capacity"], target["max_capacity"]) == (2, 6)
    more, fewer = (
        everything.resources[f"module.workers.aws_cloudwatch_metric_alarm.{name}"] for name in ("more", "fewer")
    )
    assert more["metric_name"] == fewer["metric_name"] == "soulcaster_backlog_seconds"
    assert more["evaluation_periods"] * more["period"] <= 300
    assert fewer["evaluation_periods"] * fewer["period"] >= 1800
    [steps] = everything.resources["module.workers.aws_appautoscaling_policy.fewer"][
        "step_scaling_policy_configuration"
    ]
    assert [float(step["scaling_adjustment"]) for step in steps["step_adjustment"]] == [-1]
    refused = given.refusal({"partitions": 4, "workers": {"most": 5}})
    assert "further workers would be idle" in refused


def test_the_collector_publishes_what_scaling_and_alarms_read(everything: Applied) -> None:
    definition = everything.resources["module.worker.aws_ecs_task_definition.this"]
    [_, collector] = json.loads(definition["container_definitions"])
    [variable] = collector["environment"]
    published = variable["value"]
    for values in everything.of_type("aws_cloudwatch_metric_alarm").values():
        if (values["namespace"] or "").startswith("Soulcaster"):
            assert f'"^{values["metric_name"]}$"' in published
            assert f"namespace: {values['namespace']}\n" in published
            assert values["dimensions"] == {"process": "worker"}
            assert "dimensions: [[process]]" in published


def test_alarms_lead_to_the_runbook(everything: Applied) -> None:
    sections = set(re.findall(r"^## (\w+)$", (DOCS / "runbook.md").read_text(), re.MULTILINE))
    named = {
        word
        for values in everything.of_type("aws_cloudwatch_metric_alarm").values()
        for word in re.findall(r"Soulcaster\w+", values["alarm_description"])
    }
    assert len(named) > 4
    assert named <= sections


def test_the_check_of_health_is_the_images(everything: Applied) -> None:
    [_, program] = everything.container("worker")["healthCheck"]["command"]
    assert f" /usr/local/bin/{program}\n" in (DOCS.parent / "Dockerfile").read_text()


def test_every_log_is_encrypted_and_ends(everything: Applied) -> None:
    logs = everything.of_type("aws_cloudwatch_log_group")
    assert len(logs) > 5
    for values in logs.values():
        assert values["retention_in_days"] == 365
        assert values["kms_key_id"] == everything.outputs["key_arn"]
        assert values["name"].startswith("/soulcaster/")  # what the key's policy allows


def test_every_process_has_a_role_of_its_own(everything: Applied) -> None:
    roles = [values["task_role_arn"] for values in everything.of_type("aws_ecs_task_definition").values()]
    used = [role for role in roles if role]
    assert len(used) == len(set(used)) == len(roles) - 1  # jobs have none


def test_a_kafka_that_is_brought_is_used(given: Terraform, bare: pytest.MonkeyPatch) -> None:
    brought = {
        "servers": "kafka.example.com:9093",
        "port": 9093,
        "secret_arn": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:mine",
    }
    made = given.apply({"kafka": brought, "running": False})
    assert made.of_type("aws_msk_cluster") == {}
    container = made.container("worker")
    settings = start(WorkerSettings, container, bare)
    assert settings.kafka == "kafka.example.com:9093"
    assert {"name": "SOULCASTER_KAFKA_PASSWORD", "valueFrom": f"{brought['secret_arn']}:password::"} in container[
        "secrets"
    ]
    for values in made.of_type("aws_ecs_service").values():
        assert values["desired_count"] == 0
    for values in made.of_type("aws_cloudwatch_metric_alarm").values():
        assert values["alarm_name"].endswith(("more", "fewer")) or values["actions_enabled"] is False


def test_what_people_give_is_refused_with_words(given: Terraform) -> None:
    wrong: Mapping[str, tuple[Any, str]] = {
        "image": ("soulcaster:latest", "a tag can come to mean another image"),
        "settings": ({"GITHUB_TOKEN": "word"}, "settings must hold no secret"),
        "secrets": (["MY_WORD"], "secrets must be secret settings"),
        "pollers": (["twitter"], "pollers can be reddit and github"),
        "msk": ({"kind": "serverless"}, "msk.kind must be express or standard"),
        "log_days": (8, "log_days must be a number of days that CloudWatch offers"),
    }
    refused = given.refusal({name: value for name, (value, _) in wrong.items()})
    for name, (_, words) in wrong.items():
        assert words in refused, name
