"""`soulcaster doctor`: what is reachable, which versions, how far behind each agent is, and what to do about it."""

import asyncio
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import cast

import aiohttp
import typer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import ApiVersionRequest
from pydantic import BaseModel, ConfigDict
from redis.exceptions import RedisError
from rich.console import Console
from rich.table import Table

from soulcaster.adapters.kafka.offsets import KafkaOffsets, offsets_of
from soulcaster.adapters.kafka.provisioning import provision
from soulcaster.adapters.redis.client import address, by_rest, redis_client
from soulcaster.errors import BadInput, KafkaUnavailable, Unavailable
from soulcaster.processes.settings import STACK_FILE, Settings
from soulcaster.wire.topics import AGENTS, DEAD_LETTERS, FIX_COMMANDS, Topic, all_topics

TIMEOUT_SECONDS = 5.0
STANDSTILL_SECONDS = 4.0
"""A worker commits every second; one that is behind and has not for so long has a problem."""

_FETCH = 1
"""Number of Kafka's fetch API, whose version grows with the broker's."""


class Part(BaseModel):
    """A system: where it should be, whether it answers, and which version it is."""

    model_config = ConfigDict(frozen=True)

    name: str
    address: str
    reachable: bool
    version: str = ""


class Behind(BaseModel):
    """How many messages of a topic a consumer group has still to read; `agents` read it."""

    model_config = ConfigDict(frozen=True)

    group: str
    topic: str
    agents: tuple[str, ...]
    lag: int


class Group(BaseModel):
    """A consumer group and how many processes are in it."""

    model_config = ConfigDict(frozen=True)

    name: str
    members: int


class Problem(BaseModel):
    """What is wrong, and what to do about it."""

    model_config = ConfigDict(frozen=True)

    what: str
    advice: str


class Report(BaseModel):
    """All that the doctor found; healthy when there are no problems."""

    versions: dict[str, str]
    parts: list[Part]
    topics_right: int = 0
    topics_differ: list[str] = []
    groups: list[Group] = []
    behind: list[Behind] = []
    dead_letters: int | None = None
    problems: list[Problem] = []


async def examine(settings: Settings, data_dir: Path) -> Report:
    """Look at everything; takes some seconds where something is down or behind."""
    report = Report(
        versions={
            "soulcaster": version("soulcaster"),
            "python": platform.python_version(),
            "faust-streaming": version("faust-streaming"),
            "aiokafka": version("aiokafka"),
        },
        parts=list(await asyncio.gather(_kafka(settings), _redis(settings), _web(settings))),
    )
    await _examine_embedder(settings, report)
    kafka = report.parts[0]
    if kafka.reachable:
        try:
            await _examine_kafka(settings, report)
        except KafkaUnavailable as error:
            report.problems.append(Problem(what=str(error), advice="it did a moment ago: try again"))
    running = (data_dir / STACK_FILE).exists()
    for part in report.parts:
        if not part.reachable:
            report.problems.append(_unreachable(part, data_dir if running else None))
    return report


def _unreachable(part: Part, stack: Path | None) -> Problem:
    if stack is not None:
        advice = f"the `soulcaster run` of {stack} should have it; its logs are in {stack / 'logs'}"
    elif part.name == "web":
        advice = "start it with `soulcaster web`, or everything with `soulcaster run`"
    else:
        variable = "SOULCASTER_KAFKA"
        if part.name == "redis":
            variable = "UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN" if by_rest(part.address) else "REDIS_URL"
        advice = f"start it or set {variable} to where it is; or start everything here with `soulcaster run`"
    return Problem(what=f"{part.name} does not answer at {part.address}", advice=advice)


# ---- what is reachable -------------------------------------------------------------------------------------------


async def _kafka(settings: Settings) -> Part:
    client = AIOKafkaClient(bootstrap_servers=settings.kafka, request_timeout_ms=int(TIMEOUT_SECONDS * 1000))
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await client.bootstrap()
            brokers = client.cluster.brokers()
            answer = await client.send(client.get_random_node(), ApiVersionRequest())
        fetch = next(newest for api, _oldest, newest in answer.api_versions if api == _FETCH)
        said = f"{len(brokers)} broker{'s' if len(brokers) != 1 else ''}, fetch API {fetch}"
        return Part(name="kafka", address=settings.kafka, reachable=True, version=said)
    except (KafkaError, OSError, TimeoutError):
        return Part(name="kafka", address=settings.kafka, reachable=False)
    finally:
        await client.close()


async def _redis(settings: Settings) -> Part:
    where = address(settings.redis_url)
    try:
        async with redis_client(settings.redis_url, timeout=TIMEOUT_SECONDS) as redis:
            info = cast(dict[str, object], await redis.info("server"))
        said = str(info["redis_version"]) + (", by REST" if by_rest(settings.redis_url) else "")
        return Part(name="redis", address=where, reachable=True, version=said)
    except (RedisError, OSError):
        return Part(name="redis", address=where, reachable=False)


async def _web(settings: Settings) -> Part:
    address = f"http://{settings.host}:{settings.port}"
    try:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{address}/ready") as answer:
            # A web server that is up without its Kafka says 503; what it lacks is told by the others.
            return Part(name="web", address=address, reachable=answer.status in {200, 503})
    except (aiohttp.ClientError, OSError, TimeoutError):
        return Part(name="web", address=address, reachable=False)


# ---- the embedder ------------------------------------------------------------------------------------------------


async def _examine_embedder(settings: Settings, report: Report) -> None:
    """See whether a worker with these settings could embed; where that is paid, it costs one word."""
    if settings.embedder == "static":
        return
    from soulcaster.processes.embedder import make_embedder

    try:
        embedder = make_embedder(settings)
        try:
            await embedder.check()
        finally:
            await embedder.close()
    except BadInput as error:
        report.problems.append(Problem(what=str(error), advice="no worker starts with these settings; change them"))
    except Unavailable as error:
        report.problems.append(Problem(what=str(error), advice="a worker waits until it can embed, and loses nothing"))


# ---- topics, groups and lag --------------------------------------------------------------------------------------


async def _examine_kafka(settings: Settings, report: Report) -> None:
    found = await provision(
        settings.kafka,
        all_topics(settings.app_id),
        partitions=settings.partitions,
        replication=settings.replication,
        create=False,
    )
    report.topics_right = len(found.right)
    report.topics_differ = list(found.differences)
    for difference in found.differences:
        what, _, advice = difference.partition("; ")
        report.problems.append(Problem(what=f"topic {what}", advice=advice))

    launcher = f"{settings.app_id}-launcher"
    reads = {settings.app_id: _read_by(AGENTS), launcher: _read_by({"launcher": (FIX_COMMANDS,)})}
    async with offsets_of(settings.kafka, timeout=TIMEOUT_SECONDS) as offsets:
        existing = await offsets.topics()
        for group, topics in reads.items():
            present = {topic: agents for topic, agents in topics.items() if topic in existing}
            members = await offsets.members(group)
            report.groups.append(Group(name=group, members=members))
            behind = await _behind(offsets, group, present)
            report.behind += behind
            if not members:
                command = "launcher" if group == launcher else "worker"
                report.problems.append(
                    Problem(what=f"no {command} runs (nobody is in the group {group})",
                            advice=f"start one with `soulcaster {command}`, or everything with `soulcaster run`")
                )  # fmt: skip
            elif group == settings.app_id and any(one.lag for one in behind):
                report.problems += await _standstill(offsets, group, behind)
        if DEAD_LETTERS.name in existing:
            spans = await offsets.spans([DEAD_LETTERS.name])
            report.dead_letters = sum(span.end - span.first for span in spans.values())


async def _behind(offsets: KafkaOffsets, group: str, topics: Mapping[str, tuple[str, ...]]) -> list[Behind]:
    committed = await offsets.committed(group)
    lag = dict.fromkeys(topics, 0)
    for tp, span in (await offsets.spans(topics)).items():
        lag[tp.topic] += max(0, span.end - max(committed.get(tp, 0), span.first))
    return [Behind(group=group, topic=t, agents=agents, lag=lag[t]) for t, agents in topics.items()]


def _read_by(agents: Mapping[str, tuple[Topic, ...]]) -> dict[str, tuple[str, ...]]:
    """Return which agents read each topic."""
    readers: dict[str, tuple[str, ...]] = {}
    for agent, topics in agents.items():
        for topic in topics:
            readers[topic.name] = (*readers.get(topic.name, ()), agent)
    return readers


async def _standstill(offsets: KafkaOffsets, group: str, behind: Sequence[Behind]) -> list[Problem]:
    """Return a problem for each topic that is behind and does not move while we look."""
    before = await offsets.committed(group)
    await asyncio.sleep(STANDSTILL_SECONDS)
    after = await offsets.committed(group)
    problems = []
    for one in behind:
        mine = [tp for tp in after if tp.topic == one.topic]
        if one.lag and all(after[tp] == before.get(tp) for tp in mine):
            agents = " and ".join(one.agents)
            problems.append(
                Problem(
                    what=f"{agents} has {one.lag:,} messages of {one.topic} to read and stands still",
                    advice="look into the worker's log; stop the worker and start it again, nothing is lost",
                )
            )
    return problems


# ---- how it is shown ---------------------------------------------------------------------------------------------


def show(report: Report) -> None:
    """Print the report for people."""
    console = Console(highlight=False)
    console.print("  ".join(f"{name} {number}" for name, number in report.versions.items()))
    parts = Table("", "Address", "Version", box=None, pad_edge=False)
    for part in report.parts:
        state = "[green]up[/green]  " if part.reachable else "[red]down[/red]"
        parts.add_row(f"{state} {part.name}", part.address, part.version)
    console.print(parts)
    if report.groups:
        differ = f", {len(report.topics_differ)} differ" if report.topics_differ else ""
        console.print(f"\nTopics: {report.topics_right} right{differ}")
        for group in report.groups:
            console.print(f"Group {group.name}: {group.members} running")
        lags = Table("To read", "Topic", "By", box=None, pad_edge=False)
        for one in report.behind:
            lags.add_row(f"{one.lag:>7,}", one.topic, ", ".join(one.agents))
        console.print(lags)
    if report.dead_letters:
        console.print(
            f"\n{report.dead_letters:,} dead letters, messages that could not be used; see them and why with:\n"
            "  soulcaster tail dead-letters --from-beginning --no-follow"
        )
    for problem in report.problems:
        typer.echo(f"\nProblem: {problem.what}\n  What to do: {problem.advice}")
    if not report.problems:
        console.print("\nAll is well.")
