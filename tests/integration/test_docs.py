"""The programs in docs/messages.md are run as a reader would run them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from soulcaster.adapters.kafka.tail import tail_lines
from soulcaster.ports.messaging import Record
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings
from soulcaster.services.dead_letters import dead_letter
from soulcaster.services.intake import read
from soulcaster.wire.topics import DEAD_LETTERS, FEEDBACK_RAW
from tests.support.docs import program

pytestmark = pytest.mark.integration

ADDRESS = '"127.0.0.1:9092"'


def run(name: str, folder: Path, settings: Settings, stdin: str = "") -> str:
    text = program(name)
    assert text.count(ADDRESS) == 1
    path = folder / name
    path.write_text(text.replace(ADDRESS, json.dumps(settings.kafka)))
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-I", path], input=stdin, capture_output=True, text=True, timeout=60, check=False, cwd=folder
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


async def lines(settings: Settings, topic: str) -> list[str]:
    return [
        text async for text in tail_lines(kafka_access(settings), topic, from_beginning=True, limit=None, follow=False)
    ]


async def arrived(settings: Settings, external_id: str) -> list[Record]:
    """Return the messages of feedback.raw with that key."""
    found = [json.loads(text) for text in await lines(settings, FEEDBACK_RAW.name)]
    return [
        Record(FEEDBACK_RAW.name, m["partition"], m["offset"], 0, external_id.encode(), json.dumps(m["value"]).encode())
        for m in found
        if m.get("key") == external_id
    ]


async def test_the_program_that_posts(fresh_settings: Settings, tmp_path: Path) -> None:
    before = len(await arrived(fresh_settings, "review-4711"))
    said = run("post.py", tmp_path, fresh_settings)
    *_, new = records = await arrived(fresh_settings, "review-4711")
    assert len(records) == before + 1
    assert said == f"Kafka has it: partition {new.partition}, offset {new.offset}\n"
    [accepted], refused, _ = read(new)
    assert refused == []
    assert (accepted.item.project_id, accepted.item.title) == ("my-app", "Crash on login")


async def test_the_program_that_posts_dead_letters_again(fresh_settings: Settings, tmp_path: Path) -> None:
    key = tmp_path.parent.name + "/replayed"
    wrong = {"project_id": "my-app", "source": "reviews", "external_id": key}
    values = [json.dumps(wrong).encode(), b"\xff not JSON \x00"]
    async with AIOKafkaProducer(bootstrap_servers=fresh_settings.kafka) as producer:
        for value in values:
            letter = dead_letter(Record(FEEDBACK_RAW.name, 0, 0, 1, key.encode(), value), "a test")
            await producer.send_and_wait(letter.topic, letter.value, letter.key, headers=list(letter.headers))
    letters = [text for text in await lines(fresh_settings, DEAD_LETTERS.name) if json.loads(text).get("key") == key]
    assert len(letters) == len(values)
    mended = "".join(letters).replace('"source": "reviews"', '"source": "reviews", "title": "It crashes"')
    assert run("replay.py", tmp_path, fresh_settings, mended) == "posted again to feedback.raw: a test\n" * 2
    again = [json.loads(text) for text in await lines(fresh_settings, FEEDBACK_RAW.name)]
    back = [m for m in again if m.get("key") == key]
    assert [m["value"] for m in back if "value" in m] == [{**wrong, "title": "It crashes"}]
    assert [m["value_base64"] for m in back if "value_base64" in m] == [json.loads(letters[1])["value_base64"]]
