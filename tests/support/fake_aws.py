"""Terraform, run for real against a provider that knows AWS's schemas and calls nobody.

The provider takes the place that Terraform looks for the real one at. It makes everything at once, so what comes of the
files can be looked at, with every expression evaluated and every name and type checked.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.support import aws_schema, terraform, tools

SOURCE = Path(__file__).parents[1] / "deploy" / "schema_provider"
SECONDS = 300
IMAGE = f"111122223333.dkr.ecr.eu-central-1.amazonaws.com/soulcaster@sha256:{'0' * 64}"

SMALLEST: Mapping[str, Any] = {
    "region": "eu-central-1",
    "zones": ["eu-central-1a", "eu-central-1b", "eu-central-1c"],
    "domain": "soulcaster.example.com",
    "certificate_arn": "arn:aws:acm:eu-central-1:111122223333:certificate/1",
    "image": IMAGE,
    "alarm_emails": ["operators@example.com"],
}
"""What every installation must say."""


@dataclass(frozen=True)
class Applied:
    """What an apply has made, by address, such as `module.web.aws_ecs_task_definition.this`."""

    resources: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, Any]

    def of_type(self, type_: str) -> dict[str, Mapping[str, Any]]:
        """Return all resources of a type."""
        return {address: values for address, values in self.resources.items() if f"{type_}." in address}

    def container(self, process: str) -> Mapping[str, Any]:
        """Return the definition of the container of a process."""
        [values] = [
            v for v in self.of_type("aws_ecs_task_definition").values() if v["family"] == f"soulcaster-{process}"
        ]
        found: Mapping[str, Any] = json.loads(values["container_definitions"])[0]
        return found


class Terraform:
    """A copy of terraform/ in a folder of its own, with the provider that calls nobody."""

    def __init__(self, folder: Path) -> None:
        """Copy it, and let Terraform find modules and provider.

        A test skips where Terraform, Go or the schemas cannot be had.
        """
        self._program = tools.terraform()
        self._folder = folder / "terraform"
        shutil.copytree(terraform.ROOT, self._folder)
        (self._folder / "here_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
        settings = folder / "terraform.rc"
        settings.write_text(
            f'disable_checkpoint = true\nprovider_installation {{ filesystem_mirror {{ path = "{_mirror()}" }} }}\n'
        )
        self._environment = {
            **os.environ,
            "TF_CLI_CONFIG_FILE": str(settings),
            "TF_IN_AUTOMATION": "1",
            "SCHEMA_PROVIDER_FILE": str(_schema_file()),
        }
        self._run("init")

    def validate(self) -> None:
        """Have Terraform check names and types of everything."""
        self._run("validate")

    def apply(self, variables: Mapping[str, Any]) -> Applied:
        """Make everything anew with these variables."""
        (self._folder / "terraform.tfstate").unlink(missing_ok=True)
        self._run("apply", "-auto-approve", *self._given(variables))
        state = json.loads(self._run("show", "-json", json_=True))["values"]
        return Applied(
            dict(_resources(state["root_module"])), {name: out["value"] for name, out in state["outputs"].items()}
        )

    def refusal(self, variables: Mapping[str, Any]) -> str:
        """Return why Terraform refuses to plan with these variables."""
        done = self._call("plan", *self._given(variables))
        assert done.returncode == 1, done.stdout
        return " ".join(done.stderr.replace("│", " ").split())

    def _given(self, variables: Mapping[str, Any]) -> list[str]:
        (self._folder / "given.tfvars.json").write_text(json.dumps({**SMALLEST, **variables}))
        return ["-var-file=given.tfvars.json", "-input=false"]

    def _run(self, *words: str, json_: bool = False) -> str:
        done = self._call(*words, color=not json_)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    def _call(self, command: str, *words: str, color: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603
            [self._program, command, *words, *(["-no-color"] if color else [])],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


def _resources(found: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for resource in found.get("resources", []):
        yield resource["address"], resource["values"]
    for child in found.get("child_modules", []):
        yield from _resources(child)


def _mirror() -> Path:
    """Return the folder in which Terraform finds the provider under the real one's name and version."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("the provider that calls nobody needs Go, which is not installed here")
    system = subprocess.run([go, "env", "GOOS", "GOARCH"], capture_output=True, text=True, check=True).stdout.split()  # noqa: S603
    version = aws_schema.PROVIDER_VERSION
    place = tools.fetched(
        f"schema-provider-{_digest(*sorted(SOURCE.iterdir()))}",
        lambda place: tools.run(
            [go, "build", "-C", str(SOURCE), "-p", "1", "-o", str(_provider(place, system)), "."], "the provider"
        ),
    )
    assert _provider(place, system).exists(), version
    return place


def _provider(place: Path, system: list[str]) -> Path:
    version = aws_schema.PROVIDER_VERSION
    folder = place / "registry.terraform.io" / "hashicorp" / "aws" / version / "_".join(system)
    return folder / f"terraform-provider-aws_v{version}"


def _schema_file() -> Path:
    """Return the file with the schemas of everything that terraform/ declares."""
    wanted: dict[str, set[str]] = {"resource": set(), "data": set(), "ephemeral": set()}
    for folder in terraform.folders():
        for found in terraform.module(folder).declared:
            wanted["resource" if len(found) == 2 else found[0]].add(found[-2])
    asked = json.dumps({kind: sorted(types) for kind, types in wanted.items()})
    wheel = tools.python_wheel("cdktn-provider-aws", aws_schema.VERSION)
    name = sha256(asked.encode() + Path(aws_schema.__file__).read_bytes()).hexdigest()[:16]
    file = tools.FOLDER / f"aws-schema-{name}.json"
    with FileLock(f"{file}.lock", timeout=SECONDS):
        if not file.exists():
            file.write_text(json.dumps(aws_schema.schemas(wheel, wanted)))
    return file


def _digest(*paths: Path) -> str:
    return sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]
