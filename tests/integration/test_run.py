import asyncio
import json
import os
import re
import shutil
import signal
import socket
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import psutil
import pytest

from soulcaster.adapters.kafka.offsets import offsets_of
from soulcaster.dev.child import Child
from soulcaster.dev.demo import NAME as DEMO_NAME
from soulcaster.dev.loopback import PORTS, free_port, port_is_free
from soulcaster.dev.run import run
from soulcaster.dev.supervision import read_deaths
from soulcaster.errors import BadInput, StackError
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings, load_settings
from soulcaster.wire.topics import FEEDBACK_RAW
from tests.integration.conftest import Program

pytestmark = pytest.mark.integration

UP = "Ctrl-C stops everything."
DEMO_ITEMS = 3080


async def end_with(child: Child, number: signal.Signals) -> int:
    os.kill(child.pid, number)
    return await asyncio.wait_for(child.wait(), 60)


def child_of_run(program: Program, word: str) -> psutil.Process:
    stack = json.loads((program.data_dir / "stack.json").read_text())
    [found] = [c for c in psutil.Process(stack["pid"]).children() if word in " ".join(c.cmdline())]
    return found


async def posted(program: Program) -> int:
    async with offsets_of(kafka_access(load_settings(program.data_dir))) as offsets:
        return sum(s.end - s.first for s in (await offsets.spans([FEEDBACK_RAW.name])).values())


async def test_from_nothing_to_a_ranked_list_and_back(jars: None, program: Program) -> None:
    port = str(free_port())
    watched = next(base for base in PORTS if all(port_is_free(base + n) for n in range(5)))
    first = program.run("--port", port, SOULCASTER_METRICS_PORT=str(watched))
    said = await program.said(first, UP)
    assert f"{DEMO_NAME}: 3,080 messages in " in said
    assert f"Soulcaster is up at http://127.0.0.1:{port}" in said
    messages = await posted(program)

    # the link signs in, once
    link = re.search(r"http://\S+/app/sign-in\?token=\S+", said)
    assert link is not None
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(link[0]) as answer:
            assert answer.status == 200
            assert "/app" in answer.url.path
            assert DEMO_NAME.split("'")[0] in await answer.text()
        async with session.get(f"http://127.0.0.1:{port}/app") as answer:
            assert answer.status == 200
    async with aiohttp.ClientSession() as stranger, stranger.get(link[0]) as answer:
        assert answer.status >= 400

    # the other commands find it, and the gold labels were not sent
    lines = [json.loads(line) for line in program("export", "-p", DEMO_NAME).stdout.splitlines()]
    assert len({line["id"] for line in lines}) == DEMO_ITEMS
    assert all(line["cluster_id"] for line in lines)
    assert "All is well." in program("doctor").stdout
    raw = program("tail", "feedback.raw", "--from-beginning", "--no-follow").stdout
    assert "card_arrival" not in raw
    stack = (program.data_dir / "stack.json").read_text()
    key = program.data_dir / "session.key"
    assert key.read_text() not in stack
    assert key.stat().st_mode & 0o777 == 0o600

    # each process has its own port for those who watch it
    names = []
    async with aiohttp.ClientSession() as session:
        for number in range(5):
            async with session.get(f"http://127.0.0.1:{watched + number}/metrics") as answer:
                names += re.findall(r'soulcaster_build_info\{process="([\w-]+)"', await answer.text())
            async with session.get(f"http://127.0.0.1:{watched + number}/health/live") as answer:
                assert (answer.status, (await answer.json())["live"]) == (200, True)
    assert names == ["worker", "web", "launcher", "reddit-poller", "github-poller"]

    # everything listens on loopback only
    for process in psutil.Process(first.pid).children(recursive=True):
        for c in process.net_connections():
            assert c.status != psutil.CONN_LISTEN or c.laddr.ip.removeprefix("::ffff:") == "127.0.0.1"

    # a second one on the same data dir is refused, and does no harm
    refused = program("run", "--port", str(free_port()), code=1)
    assert refused.stderr.startswith(f"soulcaster: Soulcaster runs on {program.data_dir} already")
    assert first.running

    assert await end_with(first, signal.SIGINT) == 0
    await program.gone()
    assert not (program.data_dir / "stack.json").exists()

    # a second start finds it all and posts nothing
    second = program.run("--port", port)
    assert f"{DEMO_NAME}: 3,080 messages in " in await program.said(second, UP)
    assert await posted(program) == messages
    assert "Posting" not in second.log.read_text()
    assert await end_with(second, signal.SIGTERM) == 0
    await program.gone()


@pytest.mark.parametrize(("word", "name"), [(" launcher ", "The launcher"), ("kafka.Kafka", "Kafka")])
async def test_a_part_that_dies_is_started_again(jars: None, program: Program, word: str, name: str) -> None:
    port = free_port()
    started = program.run("--no-demo", "--port", str(port))
    await program.said(started, UP)
    child_of_run(program, word).kill()
    await program.said(started, f"{name} runs again.")
    assert f"{name} was killed by SIGKILL; it is started again." in started.log.read_text()
    found = {death.name: death for death in read_deaths(program.data_dir)}
    assert (found[name].deaths, found[name].running) == (1, True)
    assert len(found) == 1 or name == "Kafka"  # the worker ends when it has lost Kafka, and waits for it
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        item = {"text": "It is slow"}
        while True:
            async with session.post(f"http://127.0.0.1:{port}/ingest/manual?project_id=p1", json=item) as answer:
                if answer.status == 202:
                    break
            await asyncio.sleep(0.2)
    assert await end_with(started, signal.SIGINT) == 0
    await program.gone()
    assert not (program.data_dir / "processes.json").exists()


async def test_what_everything_needs_and_dies_again_and_again_ends_it(jars: None, program: Program) -> None:
    started = program.run("--no-demo", "--port", str(free_port()))
    await program.said(started, UP)
    for number in range(4):
        async with asyncio.timeout(60):
            while started.log.read_text().count("The worker runs again.") < number:
                await asyncio.sleep(0.1)
        child_of_run(program, " worker ").kill()
    assert await asyncio.wait_for(started.wait(), 60) == 1
    said = started.log.read_text()
    assert f"soulcaster: The worker was killed by SIGKILL; its log is {program.data_dir}/logs/" in said
    assert "Traceback" not in said
    await program.gone()
    assert not (program.data_dir / "stack.json").exists()


async def test_when_it_is_killed_itself_nothing_is_left(jars: None, program: Program) -> None:
    started = program.run("--no-demo", "--port", str(free_port()))
    await program.said(started, UP)
    assert len(program.processes()) == 8
    assert await end_with(started, signal.SIGKILL) == -signal.SIGKILL
    await program.gone()
    assert load_settings(program.data_dir).kafka == Settings().kafka  # the stack file of a killed run is ignored
    again = program.run("--no-demo", "--port", str(free_port()))
    await program.said(again, UP)
    assert await end_with(again, signal.SIGINT) == 0
    await program.gone()


@pytest.mark.parametrize(
    "part", ["redis-server", "kafka.Kafka", " worker ", " web ", " poll github "], ids=lambda part: part.strip()
)
async def test_stopped_while_it_starts_nothing_is_left(jars: None, program: Program, part: str) -> None:
    started = program.run("--port", str(free_port()))

    async def is_there() -> bool:
        return any(part in command for command in program.processes())

    await started.wait_ready(is_there, 60)
    assert await end_with(started, signal.SIGINT) == 0
    said = started.log.read_text()
    assert "Stopped. Nothing is left running" in said
    assert "Traceback" not in said
    await program.gone()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_stopped_before_anything_is_started(program: Program, number: signal.Signals) -> None:
    """The signal arrives in the middle of an import, at the first dataclass that is made after `run` was called."""
    hook = program.data_dir.with_name("hook")
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import dataclasses, os, sys\n"
        "made = dataclasses._process_class\n"
        "def process(cls, *arguments):\n"
        "    if cls.__module__.startswith('soulcaster.adapters'):\n"
        f"        exec('os.kill(os.getpid(), {int(number)})', {{'os': os}})\n"
        "    return made(cls, *arguments)\n"
        "dataclasses._process_class = process\n"
    )
    done = program("run", "--port", str(free_port()), PYTHONPATH=str(hook))
    assert done.stdout == "Stopped before it was up.\n"
    assert not program.data_dir.exists()


def test_a_port_in_use_is_a_sentence(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = program("run", "--port", str(port), code=1)
    assert done.stderr == (
        f"soulcaster: Port {port} is in use; stop what listens there, or say --port with another one.\n"
    )
    assert not program.processes()


def test_no_network_at_the_first_download_is_a_sentence(program: Program, tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:1"
    done = program(
        "run", "--port", str(free_port()), code=1,
        M2_REPO=str(tmp_path / "m2"), HTTPS_PROXY=nowhere, HTTP_PROXY=nowhere, https_proxy=nowhere, http_proxy=nowhere,
    )  # fmt: skip
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("soulcaster: Kafka 4.2.1 could not be downloaded from Maven Central; a network is needed")
    assert not program.processes()


def test_a_data_dir_that_cannot_be_is_a_sentence(program: Program) -> None:
    program.data_dir.write_text("a file")
    done = program("run", "--port", str(free_port()), code=1)
    assert done.stderr.startswith(f"soulcaster: The data dir {program.data_dir} cannot be used: ")


@pytest.fixture
def signals() -> Iterator[None]:
    """`run` sets signal handlers; restore the earlier ones."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_a_full_disk_is_a_sentence(signals: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10**10, 10**10 - 5 * 10**7, 5 * 10**7))
    with pytest.raises(StackError, match=r"Only 50 MB are free on the disk of .*; Kafka needs 1 GB"):
        run(tmp_path / "data", Settings(), port=free_port(), demo=False)


def test_a_disk_that_cannot_be_written_is_a_sentence(
    signals: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: Path, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(BadInput, match="cannot be used: Permission denied"):
        run(tmp_path / "data", Settings(), port=free_port(), demo=False)
