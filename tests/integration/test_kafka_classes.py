"""Kafka's classes come from their archive."""

import asyncio
import subprocess

import pytest

from soulcaster.dev.kafka import java_with_kafka
from soulcaster.dev.kafka_classes import make_class_archive
from soulcaster.dev.kafka_install import fetch_jars, find_java

pytestmark = pytest.mark.integration


def test_java_takes_the_archive_that_was_made(jars: None) -> None:
    archive = asyncio.run(make_class_archive())
    command = java_with_kafka(find_java(), fetch_jars())
    assert f"-XX:SharedArchiveFile={archive}" in command
    must = ["-Xshare:on", "-Xlog:class+load", "kafka.tools.StorageTool", "--help"]
    done = subprocess.run([*command, *must], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    loaded = [line for line in done.stdout.splitlines() if "org.apache.kafka.common.utils.Exit " in line]
    assert ["shared objects file" in line for line in loaded] == [True], done.stdout[-500:]
