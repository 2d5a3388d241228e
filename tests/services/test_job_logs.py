"""Writing to the log of a job: redacted before it is published, in chunks."""

import asyncio

import pytest

from soulcaster.domain.fixes.job_log import WRITTEN_BYTES
from soulcaster.services import job_logs
from soulcaster.services.job_logs import JobLogs
from soulcaster.wire.job_logs import JobLog
from tests.support.make import NOW
from tests.support.publisher import RecordingPublisher

KNOWN = "correct horse battery"


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture
def logs(publisher: RecordingPublisher) -> JobLogs:
    return JobLogs(publisher, lambda: NOW, [KNOWN])


def published(publisher: RecordingPublisher) -> list[JobLog]:
    assert {(message.topic, message.key) for message in publisher.sent} <= {("job.logs", b"p1")}
    return [JobLog.model_validate_json(message.value) for message in publisher.sent]


async def test_lines_are_redacted_and_published(logs: JobLogs, publisher: RecordingPublisher) -> None:
    await logs.append("p1", "j1", f"{KNOWN}\nof the request", token=7, secrets=["of the request"])
    expected = JobLog(job_id="j1", project_id="p1", token=7, at=NOW, text="[secret]\n[secret]\n")
    assert published(publisher) == [expected]


async def test_no_text_is_a_heartbeat(logs: JobLogs, publisher: RecordingPublisher) -> None:
    await logs.append("p1", "j1", "", token=7)
    assert published(publisher) == [JobLog(job_id="j1", project_id="p1", token=7, at=NOW, text="")]


async def test_a_long_text_is_several_records(logs: JobLogs, publisher: RecordingPublisher) -> None:
    text = f"{'ü' * 1023}\n" * 500
    await logs.append("p1", "j1", text)
    found = published(publisher)
    assert "".join(log.text for log in found) == text
    assert [len(log.text.encode()) <= WRITTEN_BYTES for log in found] == [True] * 16


async def test_each_job_has_a_redactor_of_its_own(logs: JobLogs) -> None:
    assert await logs.redact("j1", "-----BEGIN PRIVATE KEY-----\n") == "[secret]\n"
    assert await logs.redact("j2", "of another job\n") == "of another job\n"
    assert await logs.redact("j1", "the key itself\n") == ""


async def test_the_chunks_of_one_job_are_redacted_in_their_order(
    logs: JobLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is long, so a thread redacts it; the second must wait for what it finds."""
    monkeypatch.setattr(job_logs, "AT_ONCE_CHARS", 100)
    long = f"{'a line of a program that prints much' * 2}\n" * 20_000 + "-----BEGIN PRIVATE KEY-----\n"
    first, second = await asyncio.gather(logs.redact("j1", long), logs.redact("j1", "the key itself\n"))
    assert first.endswith("much\n[secret]\n")
    assert second == ""
