import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from soulcaster.adapters.kafka.offsets import offsets_of
from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.cli.checks import check_group
from soulcaster.cli.main import app
from soulcaster.ports.messaging import Outgoing
from soulcaster.ports.projects import Project
from soulcaster.processes.groups import consumer_groups
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.redis_access import redis_access
from soulcaster.processes.settings import Settings, variables
from soulcaster.wire.topics import CLUSTER_COMMANDS, DEAD_LETTERS, FEEDBACK_RAW, all_topics, changelog
from tests.integration.conftest import Program
from tests.support.launch_backends import eventually

COMMANDS = (
    "run", "worker", "web", "launcher", "topics", "import", "export", "clusters", "tail", "doctor", "bench",
    "keys", "rebuild",
)  # fmt: skip


def flat(text: str) -> str:
    return " ".join(text.replace("│", " ").replace("•", " ").split())


def test_help_shows_every_command_and_every_setting(program: Program) -> None:
    shown = subprocess.run(  # noqa: S603
        program.command("--help")[:-2], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    text = flat(shown)
    for command in COMMANDS:
        assert f" {command} " in text
    for names, default, description in variables():
        assert names in text
        assert f"default {default}" in text or not default
        assert flat(description).replace("`", "") in text


@pytest.mark.parametrize("command", [*COMMANDS, "bench pipeline", "bench scale", "bench clustering"])
def test_every_command_has_help(command: str) -> None:
    done = CliRunner().invoke(app, [*command.split(), "--help"])
    assert done.exit_code == 0, done.output
    assert f"soulcaster {command} [" in flat(done.output)


def test_a_setting_that_cannot_be_used_is_a_sentence(program: Program) -> None:
    done = program("doctor", code=1, PORT="eighty")
    assert done.stderr.startswith("soulcaster: A setting cannot be used: PORT: ")
    assert done.stderr.count("\n") == 1


def test_doctor_says_what_is_down_and_what_to_do(program: Program) -> None:
    env = {"SOULCASTER_KAFKA": "127.0.0.1:1", "REDIS_URL": "redis://:secret@127.0.0.1:1/0", "PORT": "1"}
    text = program("doctor", code=1, **env)
    assert "Problem: kafka does not answer at 127.0.0.1:1" in text.stdout
    assert "Problem: redis does not answer at redis://…@127.0.0.1:1/0" in text.stdout
    assert "Problem: web does not answer at http://127.0.0.1:1" in text.stdout
    assert text.stdout.count("What to do:") == 3
    assert "secret" not in text.stdout + text.stderr
    report = json.loads(program("doctor", "--json", code=1, **env).stdout)
    assert [part["reachable"] for part in report["parts"]] == [False, False, False]
    assert len(report["problems"]) == 3


@pytest.mark.integration
def test_topics_are_created_once_and_checked(on_stack: Program, fresh_settings: Settings) -> None:
    path = on_stack.data_dir / "stack.json"
    stack = json.loads(path.read_text())
    stack["settings"]["app_id"] += "-other"
    path.write_text(json.dumps(stack))
    missing = on_stack("topics", "--check", code=1)
    name = changelog(stack["settings"]["app_id"], "seen").name
    assert f"differs  {name}: is missing" in missing.stdout
    assert f"created  {name}" in on_stack("topics").stdout
    right = on_stack("topics", "--check").stdout
    assert right.count("right ") == len(all_topics("x"))
    stack["settings"]["partitions"] = 9
    path.write_text(json.dumps(stack))
    assert "has 4 partitions, the setting says 9" in on_stack("topics", code=1).stdout


@pytest.mark.integration
async def test_tail_shows_what_is_there_and_what_comes(on_stack: Program, fresh_settings: Settings) -> None:
    topic = changelog(fresh_settings.app_id, "seen").name  # no other test uses it
    async with KafkaPublisher(kafka_access(fresh_settings)) as publisher:
        await publisher.publish([Outgoing(topic, b"k", b'{"n": %d}' % n) for n in range(5)])
        lines = on_stack("tail", topic, "--from-beginning", "--no-follow").stdout.splitlines()
        assert [json.loads(line)["value"]["n"] for line in lines] == [0, 1, 2, 3, 4]
        assert len(on_stack("tail", topic, "--from-beginning", "-n", "2").stdout.splitlines()) == 2
        assert on_stack("tail", topic, "--no-follow").stdout == ""
        follower = on_stack.start("tail", topic)
        shown = ""
        while not shown:  # until it has found the end and continues from there
            await publisher.publish([Outgoing(topic, b"k", b"later")])
            shown = follower.log.read_text()
    assert json.loads(shown.splitlines()[0])["value_base64"] == "bGF0ZXI="
    os.kill(follower.pid, signal.SIGINT)
    assert await follower.wait() == 130
    assert "Traceback" not in follower.log.read_text()
    assert "There is no topic 'nix'; there are: " in on_stack("tail", "nix", code=1).stderr


@pytest.mark.integration
async def test_a_reader_that_has_enough_ends_it_quietly(
    on_stack: Program, fresh_settings: Settings, tmp_path: Path
) -> None:
    async with KafkaPublisher(kafka_access(fresh_settings)) as publisher:
        topic = changelog(fresh_settings.app_id, "clusters").name
        await publisher.publish([Outgoing(topic, b"k", b"x" * 1000) for _ in range(1000)])
    command = " ".join(on_stack.command("tail", topic, "--from-beginning", "--no-follow"))
    done = subprocess.run(  # noqa: S602, ASYNC221
        f"{command} | head -n 1", shell=True, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


@pytest.mark.integration
async def test_doctor_finds_lag_a_missing_worker_and_dead_letters(on_stack: Program, fresh_settings: Settings) -> None:
    kafka = kafka_access(fresh_settings)
    async with KafkaPublisher(kafka) as publisher:
        await publisher.publish([Outgoing(CLUSTER_COMMANDS.name, b"k", b"not a command")])
        await publisher.publish([Outgoing(DEAD_LETTERS.name, b"k", b"x")])
    report = json.loads(on_stack("doctor", "--json", code=1).stdout)
    assert {part["name"]: part["reachable"] for part in report["parts"]} == {"kafka": True, "redis": True, "web": False}
    assert report["topics_right"] == len(all_topics("x"))
    assert report["topics_differ"] == []
    lag = {(one["group"], one["topic"]): one["lag"] for one in report["behind"]}
    assert lag[fresh_settings.app_id, CLUSTER_COMMANDS.name] >= 1
    assert report["dead_letters"] >= 1
    said = [problem["what"] for problem in report["problems"]]
    assert f"no worker runs (nobody is in the group {fresh_settings.app_id})" in said
    assert any(what.startswith("no launcher runs") for what in said)

    worker = on_stack.start("worker")
    for _ in range(30):
        report = json.loads(on_stack("doctor", "--json", code=1).stdout)
        lag = {(one["group"], one["topic"]): one["lag"] for one in report["behind"]}
        if report["groups"][0]["members"] and not lag[fresh_settings.app_id, CLUSTER_COMMANDS.name]:
            break
    assert report["groups"] == [
        {"name": fresh_settings.app_id, "members": 1},
        {"name": f"{fresh_settings.app_id}-launcher", "members": 0},
    ]
    assert lag[fresh_settings.app_id, CLUSTER_COMMANDS.name] == 0

    # By `check_group` itself: after 10 s the group gives up a paused worker, and a process may take so long to start.
    async with offsets_of(kafka) as offsets, KafkaPublisher(kafka) as publisher:

        async def member() -> bool:
            return await offsets.members(consumers.name) == 1

        consumers = next(group for group in consumer_groups(fresh_settings.app_id) if group.command == "worker")
        existing, found = await offsets.topics(), set[str]()
        for _ in range(10):
            await eventually(member)
            worker.pause()  # a worker that hangs is in its group and commits nothing
            await publisher.publish([Outgoing(FEEDBACK_RAW.name, b"k", b"{}")])
            _, _, problems = await check_group(offsets, consumers, existing)
            worker.resume()
            found |= {problem.what for problem in problems}
            if any("feedback.raw to read and stands still" in what for what in found):
                break
    assert any("feedback.raw to read and stands still" in what for what in found), found


@pytest.mark.integration
async def test_an_unknown_project_is_answered_with_those_there_are(on_stack: Program, fresh_settings: Settings) -> None:
    read_model = RedisReadModel(redis_access(fresh_settings))
    await read_model.writer.put_project(Project("p1", "The [one]"))
    await read_model.close()
    done = on_stack("clusters", "-p", "other", code=1)
    assert done.stderr == "soulcaster: There is no project 'other'; there are: 'The [one]'.\n"
    assert "0 items" in on_stack("clusters", "-p", "The [one]").stdout
    assert on_stack("export", "-p", "p1").stdout == ""
    assert json.loads(on_stack("clusters", "-p", "p1", "--json").stdout) == []
