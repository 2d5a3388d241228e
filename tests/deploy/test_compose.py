"""docker-compose.yml: what it says is valid, and what it says of the program is what the program is."""

import json
import re
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from soulcaster.cli.main import app
from soulcaster.processes.base_settings import variables_of
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.redis_access import redis_access
from soulcaster.processes.settings import (
    LauncherSettings,
    PollerSettings,
    WebSettings,
    WorkerSettings,
    variables,
)
from soulcaster.processes.signals import STOP_SECONDS
from soulcaster.processes.system_settings import KafkaSettings
from soulcaster.wire.topics import all_topics
from tests.support.certificates import Authority
from tests.support.docs import DOCS
from tests.support.tools import debian_package, go_program, python_program

ROOT = DOCS.parent
FILE = ROOT / "docker-compose.yml"
OURS = ("topics", "worker", "web", "launcher", "poll-reddit", "poll-github")
GROUPS: dict[str, type[KafkaSettings | PollerSettings]] = {
    "topics": KafkaSettings,
    "worker": WorkerSettings,
    "web": WebSettings,
    "launcher": LauncherSettings,
    "poll-reddit": PollerSettings,
    "poll-github": PollerSettings,
}
"""The settings that each process reads."""

SERVICES: dict[str, Any] = yaml.safe_load(FILE.read_text())["services"]
DECLARED = {name for variable in variables() for name in variable.names.split(", ")}


def environment(service: str) -> dict[str, str]:
    """Return the variables of a service, with the defaults of those that come from the outside."""
    given: dict[str, str] = SERVICES[service]["environment"]
    return {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for name, value in given.items()}


def seconds(duration: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(s|m)", duration).groups()  # type: ignore[union-attr]
    return timedelta(**{{"s": "seconds", "m": "minutes"}[unit]: int(number)}).total_seconds()


# ---- valid -----------------------------------------------------------------------------------------------------------


def test_the_loader_of_compose_takes_it() -> None:
    loader = go_program("github.com/compose-spec/compose-go/v2/cmd", "v2.16.2")
    done = subprocess.run(  # noqa: S603
        [loader, "-format", "json", FILE], capture_output=True, text=True, env={"PATH": ""}, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert set(json.loads(done.stdout)["services"]) >= {"kafka", "redis", "worker", "web", "launcher"}


def test_the_schema_of_compose_takes_it() -> None:
    checker = python_program("check-jsonschema", "0.39.0", "check-jsonschema")
    done = subprocess.run(  # noqa: S603
        [checker, "--builtin-schema", "vendor.compose-spec", FILE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_prometheus_takes_its_configuration() -> None:
    promtool = debian_package("prometheus") / "usr/bin/promtool"
    path = ROOT / "deploy" / "prometheus" / "prometheus.yml"
    done = subprocess.run(  # noqa: S603
        [promtool, "check", "config", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    [job] = yaml.safe_load(path.read_text())["scrape_configs"]
    assert job["job_name"] == "soulcaster"
    [found] = job["dns_sd_configs"]
    assert set(found["names"]) == set(OURS) - {"topics"}
    assert f"SOULCASTER_METRICS_PORT={found['port']}" in (ROOT / "Dockerfile").read_text()


# ---- the program -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", OURS)
def test_every_variable_is_a_setting_that_its_process_reads(service: str) -> None:
    group = GROUPS[service]
    read = {variable for name, field in group.model_fields.items() for variable in variables_of(name, field)}
    assert [name for name in environment(service) if not {name, name.removesuffix("_FILE")} & read] == []


@pytest.mark.parametrize("service", OURS)
def test_the_settings_can_be_used(service: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    subprocess.run([_secrets(tmp_path)], check=True)  # noqa: S603
    for name, value in environment(service).items():
        monkeypatch.setenv(name, value.replace("/run/secrets", str(tmp_path / "secrets")))
    settings = GROUPS[service]()
    if isinstance(settings, WebSettings):
        settings.check_web()
        assert settings.session_key
        assert settings.github_secret == ""
    if isinstance(settings, WebSettings | LauncherSettings):
        settings.check_secrets_key()
        settings.check_agent()
    if isinstance(settings, PollerSettings):
        assert settings.api_url().host == "web"


@pytest.mark.parametrize("service", ["topics", "worker", "web", "launcher"])
def test_a_kafka_and_a_redis_of_ones_own_have_their_certificates(
    service: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    subprocess.run([_secrets(tmp_path)], check=True)  # noqa: S603
    [(folder, mounted, mode)] = [one.split(":") for one in SERVICES[service]["volumes"] if one.startswith("./secrets/")]
    assert mode == "ro"
    authority = Authority(tmp_path / folder)
    issued = authority.issue("soulcaster")
    files = {"CA_FILE": authority.file, "CERTIFICATE_FILE": issued.certificate, "KEY_FILE": issued.key}
    given = {
        f"SOULCASTER_{of}_{name}": f"{mounted}/{path.name}" for of in ("KAFKA", "REDIS") for name, path in files.items()
    }
    given |= {"SOULCASTER_KAFKA_SECURITY": "SSL", "REDIS_URL": "rediss://redis.example.com:6380/0"}
    for name, value in SERVICES[service]["environment"].items():
        from_outside = re.fullmatch(r"\$\{(\w+):-(.*)\}", value)
        chosen = value if from_outside is None else given.get(*from_outside.groups())
        chosen = chosen.replace(mounted, str(tmp_path / folder)).replace("/run/secrets", str(tmp_path / "secrets"))
        monkeypatch.setenv(name, chosen)
    settings = GROUPS[service]()
    assert isinstance(settings, KafkaSettings)
    assert kafka_access(settings).options()["ssl_context"].get_ca_certs()
    if isinstance(settings, WorkerSettings | WebSettings | LauncherSettings):
        assert redis_access(settings).tls is not None


@pytest.mark.parametrize("service", OURS)
def test_every_command_is_one_of_the_program(service: str) -> None:
    command: Any = typer.main.get_command(app)
    for word in SERVICES[service]["command"]:
        command = command.commands[word]
    assert getattr(command, "invoke_without_command", True), "it needs one more word"


def test_no_more_workers_start_than_there_are_partitions() -> None:
    partitions = int(environment("worker")["SOULCASTER_PARTITIONS"])
    assert 2 == SERVICES["worker"]["deploy"]["replicas"] <= partitions


@pytest.mark.parametrize("service", OURS)
def test_a_process_has_time_to_end_by_itself(service: str) -> None:
    assert seconds(SERVICES[service]["stop_grace_period"]) == 2 * STOP_SECONDS


def test_the_broker_takes_the_largest_message() -> None:
    largest = max(topic.max_bytes for topic in all_topics("soulcaster"))
    assert environment("kafka")["KAFKA_MESSAGE_MAX_BYTES"] == str(largest)
    assert environment("kafka")["KAFKA_REPLICA_FETCH_MAX_BYTES"] == str(largest)


# ---- the containers --------------------------------------------------------------------------------------------------


def test_every_image_has_an_exact_version() -> None:
    for name, service in SERVICES.items():
        assert re.search(r":v?\d+\.\d+\.\d+$|@sha256:", service["image"]), name


def test_every_container_is_held_short() -> None:
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["logging"]["options"]["max-size"], name
        assert service.get("privileged") is None, name
    assert [name for name in OURS if not SERVICES[name]["read_only"]] == []


def test_only_web_and_grafana_are_reached_and_only_from_this_machine() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(ports) == {"web", "grafana"}
    assert all(port.startswith("127.0.0.1:") for listed in ports.values() for port in listed)


def test_kafka_and_redis_are_reached_by_our_containers_only() -> None:
    assert yaml.safe_load(FILE.read_text())["networks"]["systems"] == {"internal": True}
    inside = {name for name, service in SERVICES.items() if "systems" in service["networks"]}
    assert inside == {"kafka", "redis", "topics", "worker", "web", "launcher"}


def test_every_file_is_there() -> None:
    sources = [
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", ())
        if volume.startswith("./") and not volume.startswith("./secrets/")  # which deploy/secrets.sh makes
    ]
    assert len(sources) >= 3
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_every_secret_has_its_file_and_is_used(tmp_path: Path) -> None:
    subprocess.run([_secrets(tmp_path)], check=True)  # noqa: S603
    made = {path.name for path in (tmp_path / "secrets").iterdir() if path.is_file()}
    named = yaml.safe_load(FILE.read_text())["secrets"]
    assert {name: secret["file"] for name, secret in named.items()} == {name: f"./secrets/{name}" for name in made}
    assert {name for service in SERVICES.values() for name in service.get("secrets", ())} == made
    for name, service in SERVICES.items():
        files = {
            value.removeprefix("/run/secrets/")
            for value in service.get("environment", {}).values()
            if value.startswith("/run/secrets/")
        }
        assert files == set(service.get("secrets", ())), name


def test_a_secret_that_exists_is_kept(tmp_path: Path) -> None:
    def secrets() -> dict[str, tuple[str, int]]:
        files = (path for path in (tmp_path / "secrets").rglob("*") if path.is_file())
        return {path.name: (path.read_text(), path.stat().st_mode & 0o777) for path in files}

    script = _secrets(tmp_path)
    subprocess.run([script], check=True)  # noqa: S603
    certificate = tmp_path / "secrets" / "tls" / "kafka.pem"
    certificate.write_text("a certificate")
    certificate.chmod(0o444)
    before = secrets()
    done = subprocess.run([script], capture_output=True, text=True, check=True)  # noqa: S603
    assert secrets() == before
    assert done.stdout + done.stderr == ""
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


def test_what_may_be_set_is_a_setting_or_documented() -> None:
    text = FILE.read_text()
    free = set(re.findall(r"\$\{(\w+):-", text))
    assert set(re.findall(r"\$\{(\w+)", text)) == free, "every variable has a default"
    documented = set(re.findall(r"`([A-Z_]+)`", (DOCS / "deploy.md").read_text()))
    assert free - DECLARED - documented == set()


def _secrets(folder: Path) -> Path:
    """Return a copy of the script that makes the secrets in this folder."""
    script = folder / "deploy" / "secrets.sh"
    script.parent.mkdir(exist_ok=True)
    script.write_bytes((ROOT / "deploy" / "secrets.sh").read_bytes())
    script.chmod(0o755)
    return script
