"""Kafka and Redis on one data directory, for `soulcaster run`, the tests and the bench."""

from pathlib import Path
from typing import Self

from soulcaster.adapters.kafka.provisioning import Provisioned, set_configs
from soulcaster.dev.child import Child
from soulcaster.dev.kafka import Kafka
from soulcaster.dev.loopback import free_port
from soulcaster.dev.private_files import private_folder
from soulcaster.dev.redis import redis_child, start_redis
from soulcaster.errors import TopicsDiffer
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings
from soulcaster.processes.topics import provision_topics
from soulcaster.wire.topics import all_topics

_WITHOUT_SECURITY = {
    name: field.default
    for name, field in Settings.model_fields.items()
    if name.startswith(("kafka_", "redis_")) and name != "redis_url"
}
"""What reaches a Kafka without users and TLS and a Redis without, whatever the environment says of others."""


class Stack:
    """A real Kafka and a real Redis on free loopback ports.

    `async with Stack(data_dir) as stack:` starts both and stops both. The data stays in `data_dir`, where a later
    stack with other ports finds it. In between, each can be stopped, killed and started separately, on the same ports:

        await stack.kafka.child.kill()      # or .stop(), .pause(), .resume()
        await stack.start_kafka()
        await stack.redis.kill()
        await stack.start_redis()
    """

    def __init__(self, data_dir: Path, *, base: Settings | None = None, partitions: int | None = None) -> None:
        """Choose ports; start nothing yet. `base` holds the settings that do not depend on the stack."""
        self.data_dir = data_dir.resolve()
        self.logs = self.data_dir / "logs"
        private_folder(self.data_dir)
        private_folder(self.logs)
        kafka_port, controller_port, self._redis_port = free_port(), free_port(), free_port()
        self.kafka = Kafka(
            self.data_dir / "kafka", self.logs / "kafka.log", port=kafka_port, controller_port=controller_port
        )
        self.redis: Child = redis_child(self.data_dir / "redis", self.logs / "redis.log", self._redis_port)
        changes: dict[str, str | int | bool] = {
            "replication": 1,
            "keyless": True,
            "kafka": self.kafka.servers,
            "redis_url": f"redis://127.0.0.1:{self._redis_port}/0",
            **_WITHOUT_SECURITY,
        }
        if partitions is not None:
            changes["partitions"] = partitions
        self.settings = (base or Settings()).model_copy(update=changes)

    @property
    def running(self) -> bool:
        """Whether both were started and have not ended."""
        return self.kafka.running and self.redis.running

    def children(self) -> tuple[Child, ...]:
        """Return the processes that exist so far."""
        return (self.redis, self.kafka.child) if self.kafka.prepared else (self.redis,)

    async def start_kafka(self) -> None:
        """Start Kafka, unless it is running, and return when it is ready; see `Kafka.start`."""
        await self.kafka.start()

    async def start_redis(self) -> None:
        """Start Redis, unless it is running, and return when it is ready; see `redis.start_redis`."""
        await start_redis(self.redis, self._redis_port)

    async def start(self) -> None:
        """Start both; if one fails, stop the other.

        Raises:
            StackError: one could not be started.
        """
        try:
            await self.start_redis()
            await self.start_kafka()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop both, Kafka first; their data stays on disk."""
        await self.kafka.stop()
        await self.redis.stop()

    async def provision(self) -> Provisioned:
        """Create every topic that is missing, and give those of an older version the settings of this one.

        Raises:
            TopicsDiffer: one exists with other partitions.
        """
        done = await provision_topics(self.settings)
        if done.differences:
            await set_configs(kafka_access(self.settings), all_topics(self.settings.app_id))  # this Kafka is ours alone
            done = await provision_topics(self.settings)
        if done.differences:
            raise TopicsDiffer("Topics are not as they should be: " + "; ".join(done.differences))
        return done

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()
