"""The Kafka of docker-compose.yml: a real broker starts with what its container is told, and creates our topics."""

from pathlib import Path

import pytest
import yaml

from soulcaster.dev.child import Child
from soulcaster.dev.kafka_install import fetch_jars, find_java
from soulcaster.dev.loopback import accepts, free_port
from soulcaster.errors import StackError
from soulcaster.processes.settings import Settings
from soulcaster.processes.topics import provision_topics
from tests.support.docs import DOCS

pytestmark = pytest.mark.integration

SERVICE = yaml.safe_load((DOCS.parent / "docker-compose.yml").read_text())["services"]["kafka"]
OF_THE_IMAGE = ("CLUSTER_ID", "KAFKA_HEAP_OPTS")
"""Variables that are no property of a broker."""


def properties(folder: Path, broker: int, controller: int) -> str:
    """Return the broker's properties as the image makes them of its variables, for this machine."""
    given = {name: value for name, value in SERVICE["environment"].items() if name not in OF_THE_IMAGE}
    named = {name.removeprefix("KAFKA_").lower().replace("_", "."): value for name, value in given.items()}
    named["log.dirs"] = str(folder / "data")
    text = "".join(f"{name}={value}\n" for name, value in named.items())
    here = {"kafka:9092": f"127.0.0.1:{broker}", "kafka:9093": f"127.0.0.1:{controller}"}
    listeners = {"//:9092": f"//127.0.0.1:{broker}", "//:9093": f"//127.0.0.1:{controller}"}
    for there, local in (here | listeners).items():
        assert there in text
        text = text.replace(there, local)
    return text


async def test_a_broker_starts_with_what_it_is_told_and_has_our_topics(tmp_path: Path) -> None:
    try:
        jars = fetch_jars()
    except StackError as error:
        pytest.skip(f"Kafka cannot be had: {error}")
    port = free_port()
    config = tmp_path / "server.properties"
    config.write_text(properties(tmp_path, port, free_port()))
    java = [find_java(), "-Xmx512m", "-cp", ":".join(map(str, jars))]
    tool = [*java, "kafka.tools.StorageTool", "format", "-t", SERVICE["environment"]["CLUSTER_ID"], "-c", str(config)]
    formatting = Child("format", tool, log=tmp_path / "format.log", grace=10)
    formatting.start()
    assert await formatting.wait() == 0, formatting.log.read_text()

    broker = Child("Kafka", [*java, "kafka.Kafka", str(config)], log=tmp_path / "kafka.log", grace=30)
    broker.start()
    try:
        await broker.wait_ready(lambda: accepts(port), 120)
        done = await provision_topics(Settings(kafka=f"127.0.0.1:{port}"))
    finally:
        await broker.stop()
    assert done.differences == ()
    assert "feedback.raw" in done.created
