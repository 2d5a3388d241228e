"""What strangers wrote never acts on the terminal of the person who runs a command."""

import ast
import asyncio
import json
import re
from pathlib import Path

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner

import soulcaster.cli
from soulcaster.adapters.redis.client import RedisAccess
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.cli.main import app
from soulcaster.domain.api_keys import ApiKey
from soulcaster.domain.events import ClusterChanged, ItemAssigned
from soulcaster.domain.fixes.job_log import LogChunk
from soulcaster.domain.lifecycle import JobStep
from soulcaster.domain.source_state import SourceReport
from soulcaster.domain.text.normalize import escaped
from soulcaster.ports.projects import Project
from tests.conftest import RedisServer
from tests.support.make import NOW, item

HOSTILE = "x\x1b[2J\x1b]0;t\x07\x9b31m\r\u202e\u2066\x00\u200f\U000e0041y"
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")

COMMANDS = [
    ("clusters", "-p", "p1"),
    ("clusters", "-p", "p1", "--json"),
    ("clusters", "-p", HOSTILE + "!"),
    ("export", "-p", "p1"),
    ("sources", "-p", "p1"),
    ("sources", "-p", "p1", "--json"),
    ("keys", "list", "-p", "p1"),
    ("keys", "list", "-p", "p1", "--json"),
    ("fix", "list", "-p", "p1"),
    ("fix", "list", "-p", "p1", "--json"),
    ("fix", "show", "j1", "-p", "p1"),
    ("fix", "logs", "j1", "-p", "p1"),
]


async def fill(url: str) -> None:
    """Store what no way in lets through today, but an older version may have stored."""
    async with Redis.from_url(url) as server:
        await server.flushall()
    model = RedisReadModel(RedisAccess(url))
    one = item(HOSTILE, title=HOSTILE, body=HOSTILE)
    await model.writer.put_project(Project("p1", HOSTILE, NOW))
    await model.writer.put_items("p1", [one])
    changed = ClusterChanged("c1", HOSTILE, HOSTILE, 1, (HOSTILE,), NOW, NOW, (HOSTILE,), 0.5)
    await model.writer.apply("p1", [ItemAssigned(one.id, NOW, "c1", change="opened", score=1, threshold=0.5), changed])
    await model.writer.put_api_key(ApiKey("k1", "p1", HOSTILE, "h" * 64, ("read",), NOW, HOSTILE))
    await model.writer.put_source_report("p1", "reddit", SourceReport({}, "failing", NOW, NOW, HOSTILE, NOW))
    step = JobStep("s1", "j1", "p1", "c1", 0, "approved", NOW, log=HOSTILE, error=HOSTILE)
    await model.writer.put_job_steps([step])
    await model.writer.put_job_logs("p1", [LogChunk("j1", None, NOW, HOSTILE + "\n", 0)])
    await model.close()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: "_".join(command[:2]))
def test_a_command_prints_nothing_that_a_terminal_acts_on(
    command: tuple[str, ...], redis_server: RedisServer, tmp_path: Path
) -> None:
    asyncio.run(fill(redis_server.url))
    names = ("UPSTASH_REDIS_URL", "UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN")
    environment: dict[str, str | None] = dict.fromkeys(names) | {"REDIS_URL": redis_server.url}
    done = CliRunner().invoke(app, [*command, "--data-dir", str(tmp_path)], env=environment)
    printed = done.stdout + done.stderr
    if done.exception is not None:
        assert HOSTILE not in str(done.exception)  # it is quoted, with repr
        printed += str(done.exception)
    assert "x\\u001b[2J" in printed or r"x\x1b[2J" in printed or command[:2] == ("fix", "list"), printed
    assert ACTS.search(printed) is None
    if "--json" in command:
        json.loads(done.stdout)


def test_only_one_module_writes() -> None:
    folder = Path(next(iter(soulcaster.cli.__path__)))
    for path in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and path.name != "output.py":
                called = ast.unparse(node.func)
                assert not re.fullmatch(r"print|typer\.s?echo|sys\.std(out|err)\.write", called), path
            if isinstance(node, ast.ImportFrom) and path.name != "bench_tables.py":
                assert not (node.module or "").startswith("rich"), path


def test_an_escaped_json_line_is_the_same_value() -> None:
    line = json.dumps({"a": HOSTILE}, ensure_ascii=False)
    assert json.loads(escaped(line)) == {"a": HOSTILE}
    assert ACTS.search(escaped(line)) is None
