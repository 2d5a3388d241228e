"""A log line has ids and never what people wrote, whatever an error quotes."""

import asyncio
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from cryptography.fernet import Fernet

from soulcaster.bench.programs import WEB, stack_variables
from soulcaster.dev.loopback import free_port
from soulcaster.processes.base_settings import environment_with
from soulcaster.processes.logs import without_quotations
from soulcaster.processes.settings import Settings
from soulcaster.services.waiting import until
from tests.conftest import RedisServer

TEXT = "my card 4711 does not work"

PROGRAM = f"""
import asyncio, logging, structlog
from soulcaster.processes.logs import configure
from soulcaster.wire.feedback import ItemsEnvelope
from soulcaster.adapters.redis.client import RedisAccess, redis_client

configure("INFO")
log = structlog.get_logger()
value = b'{{"project_id": "p1", "items": [{{"title": "{TEXT}"}}], "schema_version": "{TEXT}"}}'
try:
    ItemsEnvelope.model_validate_json(value)
except ValueError as error:
    log.exception("a record failed", record="feedback.items[3]@17")
    log.warning("the same", cause=repr(error))
    logging.getLogger("a.library").exception("and %s", error)


async def full(url):
    redis = redis_client(RedisAccess(url), timeout=5.0)
    pipe = redis.pipeline(transaction=False)
    pipe.execute_command("HINCRBY", "{TEXT}", "field", "x")
    try:
        await pipe.execute()
    except Exception:
        log.exception("a write failed")
    await redis.aclose()

import sys
asyncio.run(full(sys.argv[1]))
"""


def test_no_line_acts_on_the_terminal_of_whoever_reads_it() -> None:
    program = """
import logging, structlog
from soulcaster.processes.logs import configure
configure("INFO")
hostile = chr(27) + "[2J" + chr(0x9b) + chr(0x202e) + chr(13)
structlog.get_logger().warning("ours", said=hostile)
logging.getLogger("a.library").warning("theirs %s", hostile)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)  # noqa: S603
    shown = done.stderr.decode()
    assert shown.count("[2J") == 2
    assert not set(shown) & {"\x1b", "\x9b", "\u202e", "\r"}


def test_errors_do_not_quote_people(redis_server: RedisServer) -> None:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", PROGRAM, redis_server.url], capture_output=True, text=True, check=True
    )
    assert "my card" not in done.stderr + done.stdout
    assert done.stderr.count("input_value=…, input_type=str") >= 3
    assert "Command # 1 (HINCRBY …) of pipeline caused error: (\\'value is not an integer" in done.stderr
    assert "record='feedback.items[3]@17'" in done.stderr
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("text", ["a line", "Command # 1 is not the first", "input_value= alone"])
def test_other_lines_stay_as_they_are(text: str) -> None:
    assert without_quotations(text) == text


LOSING = """
import asyncio, logging, sys, structlog
from soulcaster.processes.logs import configure
from soulcaster.telemetry.metrics import LOG_LINES_LOST

configure("INFO")
structlog.get_logger().info("a request")
logging.getLogger("a.library").warning("a warning")
print("a banner")
try:
    raise OSError("no")
except OSError:
    structlog.get_logger().exception("it failed")
with open(sys.argv[1], "w") as found:
    found.write(str(LOG_LINES_LOST._value.get()))
"""


@pytest.mark.parametrize("where", [">/dev/full 2>/dev/full", ">&- 2>/dev/full"])
def test_lines_that_cannot_be_written_are_counted_and_nothing_fails(where: str, tmp_path: Path) -> None:
    found = tmp_path / "found"
    command = ["sh", "-c", f'exec "$@" {where}', "sh", sys.executable, "-c", LOSING, str(found)]
    assert subprocess.run(command, check=False).returncode == 0  # noqa: S603
    assert float(found.read_text()) >= 3


async def test_a_web_server_whose_log_cannot_be_written_starts_and_answers(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    settings = Settings(redis_url=redis_server.url, kafka="127.0.0.1:1", port=free_port())
    key = Fernet.generate_key().decode()
    keys = {"SOULCASTER_SESSION_KEY": key, "SOULCASTER_SECRETS_KEY": key, "SOULCASTER_KEYLESS": "true"}
    command = ["sh", "-c", 'exec "$@" >/dev/full 2>/dev/full', "sh", sys.executable, *WEB]
    environment = environment_with({**stack_variables(settings), **keys, "PORT": str(settings.port)})
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    url = f"http://127.0.0.1:{settings.port}"
    try:
        async with aiohttp.ClientSession() as http:

            async def status(path: str) -> int:
                try:
                    async with http.get(url + path) as answer:
                        return answer.status
                except aiohttp.ClientConnectionError:
                    return 0

            assert await until(lambda: status("/health"), bool, seconds=60) == 200
            assert await status("/stats?project_id=p1") == 200
            assert await status("/jobs/unknown?project_id=p1") == 404
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        if process.returncode is None:
            process.kill()


STRANGER = """
import asyncio, sys
from aiohttp import web
from soulcaster.processes.logs import configure

configure("INFO")


async def main():
    runner = web.AppRunner(web.Application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    reader, writer = await asyncio.open_connection(*runner.addresses[0])
    writer.write(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\nX-API-Key: my-secret\\x01\\r\\n\\r\\n")
    print((await reader.readline()).decode())
    await runner.cleanup()


asyncio.run(main())
"""


def test_a_request_that_is_no_http_is_not_quoted() -> None:
    done = subprocess.run([sys.executable, "-c", STRANGER], capture_output=True, text=True, check=True)  # noqa: S603
    assert " 400 " in done.stdout
    assert "127.0.0.1" in done.stderr
    assert "my-secret" not in done.stderr
    assert done.stderr.count("\n") == 1
