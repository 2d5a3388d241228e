from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from redis.asyncio import Redis

from soulcaster.adapters.kafka.offsets import offsets_of
from soulcaster.adapters.kafka.provisioning import set_configs
from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.dev.stack import Stack
from soulcaster.errors import StackError, TopicsDiffer
from soulcaster.ports.messaging import Outgoing, Record
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings
from soulcaster.processes.topics import provision_topics
from soulcaster.services.dead_letters import dead_letter, send_dead_letters
from soulcaster.wire.topics import CONTROL, DEAD_LETTERS, FEEDBACK_RAW, MAX_MESSAGE_BYTES, TOPICS, all_topics

pytestmark = pytest.mark.integration


async def post(settings: Settings, count: int) -> None:
    async with KafkaPublisher(kafka_access(settings), timeout=30) as publisher:
        await publisher.publish([Outgoing(FEEDBACK_RAW.name, str(i).encode(), b"x") for i in range(count)])


async def messages(settings: Settings) -> int:
    async with offsets_of(kafka_access(settings)) as offsets:
        return sum(s.end - s.first for s in (await offsets.spans([FEEDBACK_RAW.name])).values())


async def test_what_was_acknowledged_survives_kills_restarts_and_other_ports(jars: None, tmp_path: Path) -> None:
    async with Stack(tmp_path, partitions=2) as stack:
        assert len((await stack.provision()).created) == len(all_topics(stack.settings.app_id))
        assert not (await stack.provision()).created
        for folder in (stack.data_dir, stack.logs, stack.data_dir / "kafka", stack.data_dir / "redis"):
            assert folder.stat().st_mode & 0o077 == 0, f"others may look into {folder}"
        await post(stack.settings, 100)
        async with Redis.from_url(stack.settings.redis_url) as redis:
            await redis.set("kept", "yes")

        await stack.kafka.child.kill()
        await stack.redis.kill()
        assert not stack.running
        await stack.start_kafka()
        await stack.start_redis()
        assert stack.running
        assert await messages(stack.settings) == 100
        await post(stack.settings, 1)

        await stack.kafka.child.stop()
        await stack.start_kafka()
        assert await messages(stack.settings) == 101
        await stack.kafka.child.kill()
        await stack.redis.kill()

    async with Stack(tmp_path, partitions=2) as again:
        assert again.settings.kafka != stack.settings.kafka
        assert not (await again.provision()).created
        assert await messages(again.settings) == 101
        async with Redis.from_url(again.settings.redis_url) as redis:
            assert await redis.get("kept") == b"yes"

    assert not again.running
    assert not any(child.running for child in again.children())


async def test_topics_take_their_largest_message_and_a_dead_letter_more(stack: Stack, fresh_settings: Settings) -> None:
    async with KafkaPublisher(kafka_access(fresh_settings), timeout=30) as publisher:
        letter = Outgoing(DEAD_LETTERS.name, b"k", b"x" * MAX_MESSAGE_BYTES, headers=(("reason", b"r" * 1000),))
        await publisher.publish([letter])


async def test_dead_letters_of_blanks_take_no_room(stack: Stack, fresh_settings: Settings) -> None:
    blanks = Record(FEEDBACK_RAW.name, 0, 0, 1, b"k", b" " * MAX_MESSAGE_BYTES)
    sizes = []
    async with KafkaPublisher(kafka_access(fresh_settings), timeout=30) as publisher:
        for count in (1, 10):
            await send_dead_letters(publisher, [dead_letter(blanks, "it is empty")] * count, "invalid")
            logs = stack.data_dir.glob(f"kafka/**/{DEAD_LETTERS.name}-*/*.log")
            sizes.append(sum(log.stat().st_size for log in logs))
    before, after = sizes
    assert 0 < before < after < before + MAX_MESSAGE_BYTES


async def test_topics_of_an_older_version_get_the_settings_of_this_one(stack: Stack, fresh_settings: Settings) -> None:
    control = replace(CONTROL, name=f"{fresh_settings.app_id}-seen-changelog", cleanup="delete")
    await set_configs(kafka_access(fresh_settings), [control])
    [difference, *_] = (await provision_topics(fresh_settings)).differences
    assert difference.startswith(control.name)
    upgraded = Stack(stack.data_dir)
    upgraded.settings = fresh_settings
    assert not (await upgraded.provision()).differences


async def test_a_topic_of_other_partitions_is_told(fresh_settings: Settings, tmp_path: Path) -> None:
    other = Stack(tmp_path)
    other.settings = fresh_settings.model_copy(update={"partitions": 7})
    with pytest.raises(TopicsDiffer, match="has 4 partitions, the setting says 7"):
        await other.provision()


async def test_kafka_makes_no_topic_by_itself(stack: Stack, fresh_settings: Settings) -> None:
    async with offsets_of(kafka_access(fresh_settings)) as offsets:
        assert not await offsets.spans(["nobody.asked"])
        assert "nobody.asked" not in await offsets.topics()
        assert {t.name for t in TOPICS} <= await offsets.topics()


async def test_both_listen_on_loopback_only(stack: Stack) -> None:
    for child in stack.children():
        listening = [c for c in psutil.Process(child.pid).net_connections() if c.status == psutil.CONN_LISTEN]
        assert listening
        assert {c.laddr.ip.removeprefix("::ffff:") for c in listening} == {"127.0.0.1"}


async def test_a_broken_data_dir_is_one_error_and_leaves_nothing(jars: None, tmp_path: Path) -> None:
    (tmp_path / "kafka" / "data").mkdir(parents=True)
    (tmp_path / "kafka" / "data" / "meta.properties").write_text("version=1\ncluster.id=x\nnode.id=99\n")
    stack = Stack(tmp_path)
    with pytest.raises(StackError, match=r"Kafka ended with exit code 1: .*Stored node id 99.*its log is .*kafka.log"):
        await stack.start()
    assert not any(child.running for child in stack.children())
