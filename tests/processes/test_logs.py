"""A log line has ids and never what people wrote, whatever an error quotes."""

import subprocess
import sys

import pytest

from soulcaster.processes.logs import without_quotations
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
