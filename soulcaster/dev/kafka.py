"""A real Kafka as a child process: one node in KRaft mode."""

import asyncio
import base64
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.offsets import offsets_of
from soulcaster.dev.child import Child
from soulcaster.dev.kafka_install import class_archive, fetch_jars, find_java
from soulcaster.dev.loopback import accepts
from soulcaster.dev.private_files import private_folder
from soulcaster.errors import KafkaUnavailable, StackError
from soulcaster.wire.topics import DEAD_LETTERS

START_SECONDS = 60.0
ANSWER_SECONDS = 5.0
"""Time limit of the requests that find out whether Kafka is ready."""

STOP_SECONDS = 20.0
FORMAT_STOP_SECONDS = 5.0

DEDUPE_BUFFER_BYTES = 32 * 1024 * 1024
"""Memory of the log cleaner; by default it takes 128 MB."""

LIGHT = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""For one machine: Java starts quickly and uses little CPU, and is not tuned for hours of full load."""

_LOG4J = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %m (%c)%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""


def java_with_kafka(java: str, jars: Sequence[Path]) -> list[str]:
    """Return the command of a light Java that knows Kafka's classes, from their archive where there is one."""
    archive = class_archive(java, jars)
    shared = [f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []
    return [java, "-cp", ":".join(map(str, jars)), *shared, *LIGHT]


class Kafka:
    """One Kafka on one data directory; it can be started, stopped and killed repeatedly, on the same ports."""

    def __init__(
        self,
        data_dir: Path,
        log: Path,
        *,
        port: int,
        controller_port: int,
        more: Mapping[str, str] = MappingProxyType({}),
        users: Sequence[str] = (),
        java_options: Sequence[str] = (),
    ) -> None:
        """Start nothing yet. The ports may differ from those that were used with this data directory before.

        `more` are properties of the broker besides its own, which they replace; `users` are SCRAM users of a new data
        directory, as Kafka's storage tool takes them; `java_options` are options of the broker's Java besides ours.
        """
        self._dir = data_dir.resolve()
        self._log = log
        self.port = port
        self._controller_port = controller_port
        self._more = more
        self._users = users
        self._java_options = java_options
        self._child: Child | None = None

    @property
    def servers(self) -> str:
        """Its bootstrap servers."""
        return f"127.0.0.1:{self.port}"

    @property
    def prepared(self) -> bool:
        """Whether it was ever started."""
        return self._child is not None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.running

    @property
    def child(self) -> Child:
        """Its process.

        Raises:
            StackError: it was never started.
        """
        if self._child is None:
            raise StackError("Kafka was not started")
        return self._child

    async def start(self) -> None:
        """Start it and return when it is ready: the leader of every partition answers.

        Raises:
            StackError: it could not be downloaded, it ended, or it took longer than START_SECONDS.
        """
        if self._child is None:
            java, jars = await asyncio.gather(asyncio.to_thread(find_java), asyncio.to_thread(fetch_jars))
            self._child = await self._prepare(await asyncio.to_thread(java_with_kafka, java, jars))
        self._child.start()
        await self._child.wait_ready(self._ready, START_SECONDS)

    async def stop(self) -> None:
        """Stop it, if it is running."""
        if self._child is not None:
            await self._child.stop()

    async def _prepare(self, java: Sequence[str]) -> Child:
        """Write the configuration, format a new data directory, and return the broker's process."""
        private_folder(self._dir)
        config, log4j = self._dir / "server.properties", self._dir / "log4j2.properties"
        config.write_text("".join(f"{name}={value}\n" for name, value in self._properties().items()))
        log4j.write_text(_LOG4J)
        java = [*java, f"-Dlog4j2.configurationFile={log4j}"]
        if not (self._dir / "data" / "meta.properties").exists():
            await self._format(java, config)
        options = [*self._java_options, "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"]
        return Child("Kafka", [*java, *options, "kafka.Kafka", str(config)], log=self._log, grace=STOP_SECONDS)

    async def _format(self, java: Sequence[str], config: Path) -> None:
        """Give a new data directory its cluster id.

        Raises:
            StackError: Kafka's storage tool failed.
        """
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        command = [
            *java,
            "kafka.tools.StorageTool",
            "format",
            "--ignore-formatted",
            f"--cluster-id={cluster_id}",  # as one argument: an id may begin with a hyphen
            *(f"--add-scram={user}" for user in self._users),
            "-c",
            str(config),
        ]
        tool = Child("Kafka's storage tool", command, log=self._log, grace=FORMAT_STOP_SECONDS)
        tool.start()
        if await tool.wait():
            raise tool.death()

    def _properties(self) -> dict[str, str]:
        max_bytes = str(DEAD_LETTERS.max_bytes)
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": f"BROKER://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller_port}",
            "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "BROKER",
            "controller.listener.names": "CONTROLLER",
            # Static voters: a dynamic quorum (--standalone) stores its address in the log, and would have no leader
            # when the next start uses another port.
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "log.dirs": str(self._dir / "data"),
            "auto.create.topics.enable": "false",
            # After a kill -9 the node waits until its former session has expired; by default 9 s.
            "broker.session.timeout.ms": "4000",
            "broker.heartbeat.interval.ms": "1000",
            "group.initial.rebalance.delay.ms": "0",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "1",
            # By default a group that was stopped for 7 days is forgotten, and would read everything again.
            "offsets.retention.minutes": str(10 * 365 * 24 * 60),
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "share.coordinator.state.topic.num.partitions": "1",
            "message.max.bytes": max_bytes,
            "replica.fetch.max.bytes": max_bytes,
            "fetch.message.max.bytes": max_bytes,
            "log.cleaner.dedupe.buffer.size": str(DEDUPE_BUFFER_BYTES),
            **self._more,
        }

    async def _ready(self) -> bool:
        """Return whether the leader of every existing partition answers."""
        if not await accepts(self.port):
            return False
        access = KafkaAccess(self.servers)
        try:
            async with asyncio.timeout(ANSWER_SECONDS), offsets_of(access, timeout=ANSWER_SECONDS) as offsets:
                await offsets.spans(await offsets.topics())
        except (KafkaUnavailable, TimeoutError):
            return False
        return True
