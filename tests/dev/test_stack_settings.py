"""The embedded Kafka and Redis have neither users nor TLS, whatever the environment says of others."""

from pathlib import Path

import pytest

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.bench.programs import stack_variables
from soulcaster.dev.stack import Stack
from soulcaster.processes.base_settings import environment_with
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.redis_access import redis_access
from soulcaster.processes.settings import Settings

OTHERS = {
    "SOULCASTER_KAFKA_SECURITY": "SASL_SSL",
    "SOULCASTER_KAFKA_MECHANISM": "PLAIN",
    "SOULCASTER_KAFKA_USER": "somebody",
    "SOULCASTER_KAFKA_PASSWORD": "of another Kafka",
    "SOULCASTER_KAFKA_CA_FILE": "/of/another/kafka",
    "SOULCASTER_REDIS_CA_FILE": "/of/another/redis",
}


def test_a_stack_and_its_programs_are_reached_in_the_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in OTHERS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "url").write_text("rediss://of-another")
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "url"))
    stack = Stack(tmp_path)
    assert kafka_access(stack.settings) == KafkaAccess(stack.kafka.servers)
    assert redis_access(stack.settings).url.startswith("redis://127.0.0.1:")
    variables = environment_with(stack_variables(stack.settings))
    for name in (*OTHERS, "REDIS_URL_FILE"):
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert kafka_access(Settings()) == KafkaAccess(stack.kafka.servers)
    assert redis_access(Settings()) == redis_access(stack.settings)
