"""Rows of tables that Kafka does not acknowledge: nobody takes them for stored."""

import asyncio
from pathlib import Path
from typing import Any

import faust
import pytest

from soulcaster.dev.stack import Stack
from soulcaster.wire.topics import changelog
from tables.acknowledged import AcknowledgedTable
from tables.segmented import declare

pytestmark = pytest.mark.integration

APP = "soulcaster"


@pytest.fixture
async def stack(tmp_path: Path) -> Any:
    async with Stack(tmp_path, partitions=1) as stack:
        await stack.provision()
        yield stack


async def test_a_row_is_stored_when_kafka_has_it_and_lost_when_the_broker_is_away_for_long(stack: Stack) -> None:
    app = faust.App(
        APP,
        broker=f"kafka://{stack.settings.kafka}",
        store="memory://",
        Table=AcknowledgedTable,
        topic_allow_declare=False,
        producer_request_timeout=2.0,  # the worker's is longer
    )
    lost: list[BaseException] = []
    table = declare(app, "clusters", 1, lost=lost.append)
    assert table.changelog_topic.get_topic_name() == changelog(APP, "clusters").name
    app.finalize()
    await app.producer.start()
    try:
        async with asyncio.timeout(60):
            table.send_changelog(0, b"0|p1|a", b"a row")
            await table.stored([0])
        assert lost == []
        await stack.kafka.child.kill()
        table.send_changelog(0, b"0|p1|a", b"another row")
        await table.stored([1])
        assert lost == [], "a row of another partition is not waited for"
        async with asyncio.timeout(60):
            await table.stored([0])
            await app.producer.flush()  # which says nothing
        assert len(lost) == 1
    finally:
        await app.producer.stop()
