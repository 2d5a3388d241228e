"""terraform/ hangs together, and says what the code says.

AWS's provider cannot be had everywhere, so these tests read the files themselves. test_terraform_applied.py has
Terraform do it, and test_terraform_linters.py others.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import typer
from pydantic import AliasChoices

from soulcaster.cli import poll
from soulcaster.cli.main import app
from soulcaster.processes.base_settings import ProcessSettings
from soulcaster.processes.settings import LauncherSettings, PollerSettings, WebSettings, WorkerSettings
from soulcaster.processes.system_settings import KafkaSettings, RedisSettings
from soulcaster.telemetry.metrics import ALL
from tests.support import terraform
from tests.support.terraform import ROOT, Module, module, references, text
from tests.support.tools import terraform as program

MODULES = [module(folder) for folder in terraform.folders()]
MAIN = MODULES[0]
BUILT_IN = {"each", "count", "path", "self", "terraform"}

PROCESSES: Mapping[str, type[ProcessSettings]] = {
    "topics": KafkaSettings,
    "backup": KafkaSettings,
    "worker": WorkerSettings,
    "web": WebSettings,
    "launcher": LauncherSettings,
    "poller": PollerSettings,
}

of_module = pytest.mark.parametrize("given", MODULES, ids=lambda given: given.name)


def called(path: str) -> Module:
    return module((ROOT / path.strip('"')).resolve())


# ---- it hangs together -----------------------------------------------------------------------------------------------


def test_it_is_formatted() -> None:
    words = [program(), "fmt", "-check", "-recursive", "-diff", str(ROOT)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert done.stdout == ""
    assert done.returncode == 0


def lost(given: Module) -> Iterator[str]:
    """Yield what a module refers to and nobody declares."""
    for where, body in given.bodies():
        for found in references(body):
            if not resolves(given, found):
                yield f"{where}: {'.'.join(found)}"


def resolves(given: Module, found: terraform.Reference) -> bool:
    root, rest = found[0], found[1:]
    if root in BUILT_IN:
        return True
    if root == "var":
        return rest[0] in given.variables and attribute_is_there(given.variables[rest[0]], rest[1:])
    if root == "local":
        return rest[0] in given.locals
    if root == "module":
        return rest[0] in given.calls and (len(rest) == 1 or rest[1] in called(given.calls[rest[0]]["source"]).outputs)
    return found[: 3 if root in {"data", "ephemeral"} else 2] in given.declared


def attribute_is_there(variable: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    """Tell whether the type of a variable has this attribute."""
    type_ = str(variable["type"])
    if not names or not type_.startswith("${object("):
        return True
    return re.search(rf"\b{names[0]} = ", type_) is not None


@of_module
def test_every_reference_leads_somewhere(given: Module) -> None:
    assert list(lost(given)) == []


@of_module
def test_nothing_is_declared_in_vain(given: Module) -> None:
    used = given.references() | {
        found for path in given.folder.glob("*.tftpl") for found in references(f'"{path.read_text()}"')
    }
    assert [name for name in given.variables if ("var", name) not in {found[:2] for found in used}] == []
    assert [name for name in given.locals if ("local", name) not in {found[:2] for found in used}] == []
    read = [found for found in given.declared if found[0] in {"data", "ephemeral"}]
    assert [found for found in read if found not in {each[:3] for each in used}] == []


def test_every_module_and_every_output_of_one_is_used() -> None:
    used = {call["source"].strip('"').removeprefix("./") for call in MAIN.calls.values()}
    assert used == {given.name for given in MODULES[1:]}
    outputs = {
        (called(MAIN.calls[found[1]]["source"]).name, found[2])
        for found in MAIN.references()
        if found[0] == "module" and len(found) > 2
    }
    outputs |= {  # `for each in module.x`: by the name of the loop
        (called(MAIN.calls[name]["source"]).name, output)
        for name in MAIN.calls
        for output in called(MAIN.calls[name]["source"]).outputs
        if ("module", name) in MAIN.references() and f".{output}" in (ROOT / "processes.tf").read_text()
    }
    assert {(given.name, name) for given in MODULES[1:] for name in given.outputs} == outputs


@pytest.mark.parametrize("name", MAIN.calls)
def test_a_module_gets_what_it_needs_and_nothing_else(name: str) -> None:
    call = MAIN.calls[name]
    wanted = called(call["source"]).variables
    given = {key for key in call if not key.startswith("__")} - {"source", "count", "for_each", "depends_on"}
    assert given <= set(wanted)
    assert {key for key, body in wanted.items() if "default" not in body} <= given


@of_module
def test_variables_and_outputs_are_typed_and_described(given: Module) -> None:
    for name, body in given.variables.items():
        assert {"type", "description"} <= set(body), name
        assert text(body["description"]).endswith("."), name
    for name, body in given.outputs.items():
        assert text(body["description"]).endswith("."), name


def test_what_people_give_is_checked() -> None:
    unchecked = [name for name, body in MAIN.variables.items() if "validation" not in body]
    assert {name: text(MAIN.variables[name]["type"]) for name in unchecked} == dict.fromkeys(unchecked, "bool")


@of_module
def test_versions_are_pinned(given: Module) -> None:
    [[providers]] = [block["required_providers"] for block in given.settings["terraform"]]
    version = text(providers["aws"]["version"])
    assert re.fullmatch(r"\d+\.\d+\.\d+" if given is MAIN else r">= \d+\.\d+, < \d+\.0", version)


@of_module
def test_a_readme_says_why_and_has_every_input_and_output(given: Module) -> None:
    why, _, _ = (page := (given.folder / "README.md").read_text()).partition("## Inputs")
    assert len(why.split()) > 30
    assert page == why + terraform.tables(given), "make terraform"


# ---- it says what the code says --------------------------------------------------------------------------------------


def local_names(value: Any) -> set[str]:
    return {found[1] for found in references(value) if found[0] == "local"}


def environment(process: str) -> set[str]:
    """Return the variables that a process gets here, secrets of the operator left out."""
    call = MAIN.calls[process]
    names: set[str] = set()
    for name in local_names([call["environment"], call["secrets"]]):
        if name.endswith(("_environment", "_secrets")):
            names |= set(re.findall(r"\b([A-Z][A-Z0-9_]+)\b(?=['\"]?(?: =|: ))", str(MAIN.locals[name])))
    return names


def variables_of(settings: type[ProcessSettings], *, secret: bool | None = None) -> set[str]:
    """Return the first variable of each setting of a process."""
    found = set()
    for name, field in settings.model_fields.items():
        if secret is None or secret is (field.repr is False):
            alias = field.validation_alias
            found.add(str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"SOULCASTER_{name.upper()}")
    return found


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_gets_settings_that_it_reads(process: str) -> None:
    given = environment(process)
    assert given
    assert given - variables_of(PROCESSES[process]) <= {
        "AWS_REGION"
    }  # test_terraform_applied.py: boto's clients have it


@pytest.mark.parametrize("process", ["topics", "worker", "web", "launcher"])
def test_kafka_and_the_cache_are_reached_as_they_are_set_up(process: str) -> None:
    needed = {"SOULCASTER_KAFKA", "SOULCASTER_KAFKA_SECURITY", "SOULCASTER_KAFKA_MECHANISM", "SOULCASTER_KAFKA_USER"}
    needed |= {"SOULCASTER_KAFKA_PASSWORD", "SOULCASTER_PARTITIONS", "SOULCASTER_REPLICATION"}
    assert needed | (set() if process == "topics" else {"REDIS_URL"}) <= environment(process)


def test_every_secret_goes_to_those_that_read_it() -> None:
    made_here = variables_of(RedisSettings, secret=True) | variables_of(KafkaSettings, secret=True)
    readers: dict[str, list[str]] = {}
    for process in ("worker", "web", "launcher", "poller"):
        for variable in variables_of(PROCESSES[process], secret=True) - made_here:
            readers.setdefault(variable, []).append(process)
    given = MAIN.locals["secret_readers"]
    assert {name: [text(process) for process in given[name]] for name in given if not name.startswith("__")} == readers


def test_every_command_is_one_of_the_program() -> None:
    commands = typer.main.get_group(app).commands
    pollers = typer.main.get_group(poll.app).commands
    for process in PROCESSES:
        assert text(MAIN.calls[process]["command"][0]) in commands
    assert set(re.findall(r'"(\w+)"', str(MAIN.variables["pollers"]["validation"][0]["condition"]))) == set(pollers)


def test_every_metric_that_is_published_is_one_of_ours() -> None:
    ours = {metric.name for metric in ALL}
    published = {text(name) for name in MAIN.locals["metrics"].values() if text(name).startswith("soulcaster_")}
    assert len(published) == 4
    assert published <= ours


# ---- choices that would break us -------------------------------------------------------------------------------------


def declared(kind: str, name: str) -> Mapping[str, Any]:
    return module(ROOT / "modules" / kind).declared[
        next(f for f in module(ROOT / "modules" / kind).declared if f[0] == name)
    ]


def test_kafka_and_cache_are_not_serverless() -> None:
    kinds = {found[0] for given in MODULES for found in given.declared}
    assert kinds & {"aws_msk_serverless_cluster", "aws_elasticache_serverless_cache"} == set()
    group = declared("cache", "aws_elasticache_replication_group")
    assert text(group["cluster_mode"]) == "disabled"
    [parameter] = declared("cache", "aws_elasticache_parameter_group")["parameter"]
    assert (text(parameter["name"]), text(parameter["value"])) == ("maxmemory-policy", "noeviction")


def test_msk_can_read_its_secret() -> None:
    secret = declared("kafka", "aws_secretsmanager_secret")
    assert text(secret["name"]).startswith("AmazonMSK_")
    assert secret["kms_key_id"] == "${var.key_arn}"


@of_module
def test_no_policy_allows_every_action(given: Module) -> None:
    for name, body in given.declared.items():
        if name[:2] != ("data", "aws_iam_policy_document"):
            continue
        for statement in body["statement"]:
            allows = text(statement.get("effect", "Allow")) == "Allow"
            key_policy = text(statement.get("sid", "")) == "AccountDecidesByIam"
            assert not allows or key_policy or not any(text(a).split(":")[-1] == "*" for a in statement["actions"]), (
                name
            )


def test_no_password_is_kept_in_the_state() -> None:
    for given in MODULES:
        for name, body in given.declared.items():
            assert not {"secret_string", "auth_token", "passwords"} & set(body), name
