"""The worker's app, with nothing connected: its agents and tables, and the settings that prevent loss."""

import asyncio
from collections.abc import Mapping

import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings
from soulcaster.processes.worker import create_app
from soulcaster.wire.topics import TABLES, TOPICS, all_topics
from tests.support.agents import HashEmbedder

SETTINGS = Settings(kafka="127.0.0.1:1,127.0.0.1:2", app_id="test", partitions=5, redis_url="redis://127.0.0.1:1/0")


async def test_exactly_these_agents_and_tables() -> None:
    app = create_app(SETTINGS)
    assert {name.rsplit(".", 1)[-1] for name in app.agents} == {"normalize", "embed", "cluster", "near", "project"}
    assert set(app.tables) == set(TABLES)
    for agent in app.agents.values():
        assert agent.concurrency == 1


async def test_agents_read_raw_bytes_of_topics_there_are() -> None:
    app = create_app(SETTINGS)
    read = {name: agent.channel.topics for name, agent in app.agents.items()}
    assert {topic for topics in read.values() for topic in topics} <= {topic.name for topic in TOPICS}
    assert read["normalize"] == ("feedback.raw",)
    assert read["embed"] == ("feedback.items",)
    assert set(read["cluster"]) == {"feedback.embedded", "cluster.commands", "job.events"}
    assert read["near"] == ("near.queries",)
    assert set(read["project"]) == {
        "feedback.items",
        "cluster.events",
        "job.events",
        "job.logs",
        "job.documents",
        "control",
    }
    for agent in app.agents.values():
        assert (agent.channel.key_type, agent.channel.value_type, agent.channel.allow_empty) == (bytes, bytes, True)
    assert app.conf.value_serializer == "raw"


async def test_tables_are_raw_and_their_changelogs_are_ours() -> None:
    app = create_app(SETTINGS)
    ours = {topic.name for topic in all_topics("test")}
    for table in app.tables.values():
        assert (table.key_serializer, table.value_serializer) == ("raw", "raw")
        assert (table.key_type, table.value_type) == (bytes, bytes)
        assert table.partitions == 5
        assert table.changelog_topic.get_topic_name() in ours


async def test_settings_that_keep_the_promise() -> None:
    conf = create_app(SETTINGS).conf
    assert conf.stream_wait_empty is True
    assert conf.processing_guarantee.value == "at_least_once"
    assert conf.web_enabled is False
    assert conf.autodiscover is False
    assert conf.table_standby_replicas == 0
    assert conf.topic_allow_declare is False
    assert 10 <= conf.broker_session_timeout <= 15
    assert conf.broker_heartbeat_interval < conf.broker_session_timeout / 3 + 0.1
    assert conf.topic_partitions == 5
    assert {str(url) for url in conf.broker} == {"kafka://127.0.0.1:1", "kafka://127.0.0.1:2"}
    assert conf.id == "test"


IN_CLEAR = {"kafka_security": "SASL_PLAINTEXT", "kafka_mechanism": "PLAIN", "kafka_user": "u", "kafka_password": "p"}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"kafka_security": "SSL"},
        IN_CLEAR,
        {**IN_CLEAR, "kafka_security": "SASL_SSL", "kafka_mechanism": "SCRAM-SHA-512"},
        {"kafka_security": "SASL_SSL", "kafka_mechanism": "OAUTHBEARER", "kafka_token_file": __file__},
    ],
)
async def test_clients_of_faust_reach_kafka_as_ours_do(given: dict[str, str]) -> None:
    def shown(security: Mapping[str, object]) -> dict[str, object]:
        return {name: one if isinstance(one, str) else type(one) for name, one in security.items() if one is not None}

    settings = SETTINGS.model_copy(update=given)
    of_faust = credentials_to_aiokafka_auth(create_app(settings).conf.broker_credentials)
    assert shown(of_faust) == shown(kafka_access(settings).security())


@pytest.mark.parametrize("_", range(2))
def test_an_app_is_made_anew_each_time(_: int) -> None:
    async def made() -> int:
        one, other = create_app(SETTINGS, embedder=HashEmbedder()), create_app(SETTINGS)
        assert one is not other
        assert one.tables["seen"] is not other.tables["seen"]
        return len(one.agents)

    assert asyncio.run(made()) == 5
