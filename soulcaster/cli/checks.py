"""What `soulcaster doctor` checks: systems, embedder, topics and consumer groups. Each check returns what it found."""

import asyncio
import platform
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
from aiokafka import TopicPartition
from pydantic import BaseModel, ConfigDict
from redis.exceptions import RedisError

from soulcaster.adapters.kafka.brokers import read_brokers
from soulcaster.adapters.kafka.damage import BatchReader, batch_reader
from soulcaster.adapters.kafka.dead_letters import newest_damage
from soulcaster.adapters.kafka.lost_records import find_damaged_records, find_lost_records, find_lost_tables
from soulcaster.adapters.kafka.offsets import KafkaOffsets, offsets_of
from soulcaster.adapters.redis.client import redis_client
from soulcaster.adapters.redis.failures import failure
from soulcaster.dev.supervision import Death, read_deaths
from soulcaster.domain.fixes.limits import of_today
from soulcaster.domain.lifecycle import active
from soulcaster.domain.lost_records import DamagedRecords
from soulcaster.errors import BadInput, KafkaRefuses, KafkaUnavailable, RedisRefuses, Unavailable
from soulcaster.http_client import http_session
from soulcaster.ports.embedder import Embedder
from soulcaster.ports.projects import Stats
from soulcaster.ports.read_model import ReadModel
from soulcaster.processes.clock import utc_now
from soulcaster.processes.connections import open_read_model
from soulcaster.processes.groups import ConsumerGroup, consumer_groups
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.redis_access import redis_access
from soulcaster.processes.settings import STACK_FILE, Settings
from soulcaster.processes.topics import provision_topics
from soulcaster.services.fixes import NEWEST_JOBS
from soulcaster.services.source_limit import SourceLimit
from soulcaster.services.storage_limit import MEGABYTE
from soulcaster.wire.topics import DEAD_LETTERS

TIMEOUT_SECONDS = 5.0
"""Time limit of one request to a system."""

MEASURE_SECONDS = 0.5
MEASURED_AT_ONCE = 32
"""How long the embedder is measured, and how many texts it gets at once."""

COUNTED_AT_ONCE = 500
"""Projects whose counts are read together."""

MOST_PROJECTS = 100
"""Projects whose languages are looked up."""

STALL_SECONDS = 4.0
"""A worker commits every second; one that is behind and has not committed for this long has a problem."""


class Part(BaseModel):
    """A system: its address, whether it lets us in, its version, where it reports one, and why it lets us not in."""

    model_config = ConfigDict(frozen=True)

    name: str
    address: str
    reachable: bool
    version: str = ""
    refusal: str = ""


class Behind(BaseModel):
    """How many records of a topic a consumer group still has to read, and the agents that read them."""

    model_config = ConfigDict(frozen=True)

    group: str
    topic: str
    agents: tuple[str, ...]
    lag: int


class Group(BaseModel):
    """A consumer group, and how many processes are in it."""

    model_config = ConfigDict(frozen=True)

    name: str
    members: int


class Problem(BaseModel):
    """What is wrong, and what to do about it."""

    model_config = ConfigDict(frozen=True)

    what: str
    advice: str


class EmbedderSpeed(BaseModel):
    """The embedder of new projects, and how many texts of 54 characters it does here in a second, where measured."""

    model_config = ConfigDict(frozen=True)

    setting: str
    model: str
    texts_per_s: int | None


class SetAside(BaseModel):
    """Records of a topic that nobody can read, in how many places, as the newest dead letters say."""

    model_config = ConfigDict(frozen=True)

    topic: str
    places: int
    records: int


class ForeignItems(BaseModel):
    """How many items of a project are in each language that its embedder does not know, the largest first."""

    model_config = ConfigDict(frozen=True)

    project_id: str
    items: int
    languages: tuple[tuple[str, int], ...]


class Full(BaseModel):
    """A limit that is reached: of what, how much there is, how much there may be, and the setting that says so.

    `project_id` is None for what all projects share.
    """

    model_config = ConfigDict(frozen=True)

    project_id: str | None
    what: str
    used: int
    limit: int
    setting: str


class Report(BaseModel):
    """Everything that was found; without problems all is well."""

    versions: dict[str, str]
    parts: list[Part]
    embedder: EmbedderSpeed | None = None
    topics_right: int = 0
    topics_differ: list[str] = []
    groups: list[Group] = []
    behind: list[Behind] = []
    dead_letters: int | None = None
    set_aside: list[SetAside] = []
    deaths: list[Death] = []
    foreign: list[ForeignItems] = []
    full: list[Full] = []
    problems: list[Problem] = []


async def examine(settings: Settings, data_dir: Path) -> Report:
    """Run every check; it takes some seconds where a system is down or a worker is behind."""
    kafka, redis, web = await asyncio.gather(check_kafka(settings), check_redis(settings), check_web(settings))
    report = Report(versions=_versions(), parts=[kafka, redis, web])
    if kafka.reachable:
        try:
            await _examine_kafka(settings, report)
        except KafkaUnavailable as error:
            report.problems.append(Problem(what=str(error), advice="it did a moment ago: try again"))
    if redis.reachable:
        try:
            report.foreign = await foreign_items(settings)
            report.full = await reached_limits(settings)
        except Unavailable as error:
            report.problems.append(Problem(what=str(error), advice="it did a moment ago: try again"))
    # After Kafka: it takes seconds, in which a worker that hangs would leave its group.
    report.embedder, problems = await check_embedder(settings)
    report.problems += problems
    stack_runs = (data_dir / STACK_FILE).exists()
    report.deaths = list(read_deaths(data_dir)) if stack_runs else []
    report.problems += [_death_problem(death) for death in report.deaths if not death.running]
    report.problems += [
        _unreachable_problem(part, data_dir if stack_runs else None) for part in report.parts if not part.reachable
    ]
    return report


def _death_problem(death: Death) -> Problem:
    advice = f"`run` starts it again; if it dies again, read {death.log}"
    return Problem(what=f"{death.name} {death.how}", advice=advice)


def _versions() -> dict[str, str]:
    return {
        "soulcaster": version("soulcaster"),
        "python": platform.python_version(),
        "faust-streaming": version("faust-streaming"),
        "aiokafka": version("aiokafka"),
    }


async def _examine_kafka(settings: Settings, report: Report) -> None:
    """Add to the report what Kafka knows: topics, groups, lag and dead letters."""
    right, differences = await check_topics(settings)
    report.topics_right = right
    report.topics_differ = differences
    report.problems += [_topic_problem(difference) for difference in differences]
    kafka = kafka_access(settings)
    async with (
        offsets_of(kafka, timeout=TIMEOUT_SECONDS) as offsets,
        batch_reader(kafka, timeout=TIMEOUT_SECONDS) as batches,
    ):
        existing = await offsets.topics()
        for consumers in consumer_groups(settings.app_id):
            group, behind, problems = await check_group(offsets, consumers, existing)
            report.groups.append(group)
            report.behind += behind
            report.problems += problems
            report.problems += await check_damage(offsets, batches, consumers, existing)
        damage: Collection[DamagedRecords] = ()
        if DEAD_LETTERS.name in existing:
            spans = await offsets.spans([DEAD_LETTERS.name])
            report.dead_letters = sum(span.end - span.first for span in spans.values())
            if report.dead_letters:
                damage = await newest_damage(kafka, timeout=TIMEOUT_SECONDS)
        report.set_aside = _by_topic(damage)
        report.problems += await check_tables(offsets, batches, settings.app_id, existing, damage)


# ---- systems -----------------------------------------------------------------------------------------------------


async def check_kafka(settings: Settings) -> Part:
    """Say whether a broker answers, how many there are, and how new they are."""
    try:
        brokers = await read_brokers(kafka_access(settings), timeout=TIMEOUT_SECONDS)
    except KafkaRefuses as error:
        return Part(name="kafka", address=settings.kafka, reachable=False, refusal=str(error))
    except KafkaUnavailable:
        return Part(name="kafka", address=settings.kafka, reachable=False)
    described = f"{brokers.count} broker{'s' if brokers.count != 1 else ''}, fetch API {brokers.fetch_version}"
    return Part(name="kafka", address=settings.kafka, reachable=True, version=described)


async def check_redis(settings: Settings) -> Part:
    """Say whether Redis answers, its version, and whether it is reached by Upstash's REST API."""
    access = redis_access(settings)
    try:
        async with redis_client(access, timeout=TIMEOUT_SECONDS) as redis:
            info = await redis.info("server")
    except (RedisError, OSError) as error:
        found = failure(access, error)
        refusal = str(found) if isinstance(found, RedisRefuses) else ""
        return Part(name="redis", address=access.address, reachable=False, refusal=refusal)
    described = str(info["redis_version"]) + (", by REST" if access.by_rest else "")
    return Part(name="redis", address=access.address, reachable=True, version=described)


async def check_web(settings: Settings) -> Part:
    """Say whether the web server answers."""
    where = f"http://{settings.host}:{settings.port}"
    try:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with http_session(timeout=timeout) as session, session.get(f"{where}/ready") as response:
            # A web server without its Kafka or Redis answers 503; the other checks say what it lacks.
            return Part(name="web", address=where, reachable=response.status in {200, 503})
    except (aiohttp.ClientError, OSError, TimeoutError):
        return Part(name="web", address=where, reachable=False)


def _unreachable_problem(part: Part, stack: Path | None) -> Problem:
    """Say what to do about a system that does not answer; `stack` is the data dir of a `soulcaster run` that is up."""
    variable = "SOULCASTER_KAFKA"
    if part.name == "redis":
        by_rest = part.address.startswith("http")
        variable = "UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN" if by_rest else "REDIS_URL"
    if part.refusal:
        advice = f"check {variable} and the settings beside it in docs/settings.md"
        return Problem(what=part.refusal, advice=advice)
    if stack is not None:
        advice = f"the `soulcaster run` of {stack} should have it; its logs are in {stack / 'logs'}"
    elif part.name == "web":
        advice = "start it with `soulcaster web`, or everything with `soulcaster run`"
    else:
        advice = f"start it or set {variable} to where it is; or start everything here with `soulcaster run`"
    return Problem(what=f"{part.name} does not answer at {part.address}", advice=advice)


# ---- the embedder ------------------------------------------------------------------------------------------------


async def check_embedder(settings: Settings) -> tuple[EmbedderSpeed | None, list[Problem]]:
    """Say which embedder a worker with these settings uses, how fast it is here, and whether it can embed.

    A paid embedder is asked for one word, and its speed is not measured.
    """
    from soulcaster.processes.embedder import make_embedder  # its libraries take a second to import

    try:
        embedder = make_embedder(settings)
        try:
            await embedder.check()
            speed = None if settings.embedder == "gemini" else await _texts_per_s(embedder)
        finally:
            await embedder.close()
    except BadInput as error:
        return None, [Problem(what=str(error), advice="no worker starts with these settings; change them")]
    except Unavailable as error:
        return None, [Problem(what=str(error), advice="a worker waits until it can embed, and loses nothing")]
    return EmbedderSpeed(setting=settings.embedder, model=embedder.name, texts_per_s=speed), []


async def _texts_per_s(embedder: Embedder) -> int:
    """Return how many short texts a second are embedded, by what is done in `MEASURE_SECONDS`; no text comes twice."""
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < MEASURE_SECONDS:
        numbers = range(done, done + MEASURED_AT_ONCE)
        await embedder.embed([f"I was charged twice for order {number:06d}, please refund me." for number in numbers])
        done += MEASURED_AT_ONCE
    return round(done / (time.perf_counter() - began))


async def foreign_items(settings: Settings) -> list[ForeignItems]:
    """Return the projects with items in languages that their embedder does not know, of the first `MOST_PROJECTS`."""
    found = []
    async with open_read_model(settings) as read_model:
        for project in (await read_model.projects.list())[:MOST_PROJECTS]:
            status = await read_model.clustering.status(project.id)
            if status is not None and status.foreign:
                found.append(ForeignItems(project_id=project.id, items=status.items, languages=status.foreign))
    return found


async def reached_limits(settings: Settings) -> list[Full]:
    """Return the limits that projects have reached, and those that all of them have reached together.

    Raises:
        Unavailable: Redis does not answer.
    """
    async with open_read_model(settings) as read_model:
        ids = [project.id for project in await read_model.projects.list()]
        found = [
            Full(project_id=None, what="projects", used=len(ids), **_limit(settings, "projects_from_feedback")),
            Full(project_id=None, what="jobs", used=await read_model.jobs.active(), **_limit(settings, "jobs")),
        ]
        for at in range(0, len(ids), COUNTED_AT_ONCE):
            some = ids[at : at + COUNTED_AT_ONCE]
            for project_id, stats in zip(some, await read_model.projects.stats_of(some), strict=True):
                found += await _used(settings, read_model, project_id, stats)
    return [one for one in found if one.used >= one.limit]


async def _used(settings: Settings, read_model: ReadModel, project_id: str, stats: Stats) -> list[Full]:
    """Return what a project has of everything that is limited."""
    sources = await SourceLimit(read_model.sources, settings.sources_per_project).used(project_id)
    used = {
        "project_stored_megabytes": ("megabytes stored", stats.stored_bytes // MEGABYTE),
        "sources_per_project": ("sources", sources),
    }
    if stats.jobs:
        newest = await read_model.jobs.list(project_id, limit=NEWEST_JOBS, offset=0)
        used |= {
            "project_jobs": ("jobs under way", sum(active(job) for job in newest.items)),
            "project_jobs_per_day": ("jobs within 24 hours", len(of_today(newest.items, utc_now()))),
        }
    return [
        Full(project_id=project_id, what=what, used=count, **_limit(settings, setting))
        for setting, (what, count) in used.items()
    ]


def _limit(settings: Settings, setting: str) -> dict[str, Any]:
    return {"limit": getattr(settings, setting), "setting": f"SOULCASTER_{setting.upper()}"}


# ---- topics, groups and lag --------------------------------------------------------------------------------------


async def check_topics(settings: Settings) -> tuple[int, list[str]]:
    """Return how many topics are as they should be, and how the others differ.

    Raises:
        KafkaUnavailable: no broker answers.
    """
    found = await provision_topics(settings, create=False)
    return len(found.right), list(found.differences)


def _topic_problem(difference: str) -> Problem:
    what, _, advice = difference.partition("; ")
    return Problem(what=f"topic {what}", advice=advice)


async def check_group(
    offsets: KafkaOffsets, consumers: ConsumerGroup, existing: set[str]
) -> tuple[Group, list[Behind], list[Problem]]:
    """Return a group, its lag on each of its existing topics, and a problem if it has lost records or does not move.

    Raises:
        KafkaUnavailable: no broker answers.
    """
    members = await offsets.members(consumers.name)
    places = await _places(offsets, consumers.name, existing & set(consumers.readers))
    behind = _behind(consumers, places, existing)
    lost = await find_lost_records(offsets, consumers.name, existing & set(consumers.readers))
    problems = [Problem(what=f"{consumers.command} has lost records of {one.what}", advice=one.advice) for one in lost]
    if not members:
        problems.append(
            Problem(
                what=f"no {consumers.command} runs (nobody is in the group {consumers.name})",
                advice=f"start one with `soulcaster {consumers.command}`, or everything with `soulcaster run`",
            )
        )
    elif consumers.command == "worker" and any(one.lag for one in behind):  # a launcher commits a job at its end
        problems += await _stalls(offsets, consumers.name, behind, places)
    return Group(name=consumers.name, members=members), behind, problems


async def check_damage(
    offsets: KafkaOffsets, batches: BatchReader, consumers: ConsumerGroup, existing: set[str]
) -> list[Problem]:
    """Return a problem for each partition whose next record the broker cannot give to a group.

    Raises:
        KafkaUnavailable: no broker answers.
    """
    damaged = await find_damaged_records(offsets, batches, consumers.name, existing & set(consumers.readers))
    return [Problem(what=f"{consumers.command} cannot read {one.what}", advice=one.advice) for one in damaged]


def _by_topic(damage: Collection[DamagedRecords]) -> list[SetAside]:
    places, records = Counter(one.topic for one in damage), Counter[str]()
    for one in damage:
        records[one.topic] += one.count
    return [SetAside(topic=topic, places=places[topic], records=records[topic]) for topic in sorted(places)]


async def check_tables(
    offsets: KafkaOffsets,
    batches: BatchReader,
    app_id: str,
    existing: set[str],
    damage: Collection[DamagedRecords],
) -> list[Problem]:
    """Return a problem for each partition of the workers' tables that has lost rows, by damage that is known too.

    Raises:
        KafkaUnavailable: no broker answers.
    """
    lost = await find_lost_tables(offsets, batches, app_id, existing, damage)
    return [Problem(what=f"worker has lost a table: {one.what}", advice=one.advice) for one in lost]


@dataclass(frozen=True)
class _Place:
    """How far a group has read a partition: the next offset it reads, and how many records it still has to read."""

    next_offset: int
    lag: int


async def _places(offsets: KafkaOffsets, group: str, topics: Collection[str]) -> dict[TopicPartition, _Place]:
    committed = await offsets.committed(group)
    places = {}
    for tp, span in (await offsets.spans(topics)).items():
        next_offset = max(committed.get(tp, 0), span.first)
        places[tp] = _Place(next_offset, max(0, span.end - next_offset))
    return places


def _behind(consumers: ConsumerGroup, places: Mapping[TopicPartition, _Place], existing: set[str]) -> list[Behind]:
    lag: Counter[str] = Counter()
    for tp, place in places.items():
        lag[tp.topic] += place.lag
    return [
        Behind(group=consumers.name, topic=topic, agents=agents, lag=lag[topic])
        for topic, agents in consumers.readers.items()
        if topic in existing
    ]


async def _stalls(
    offsets: KafkaOffsets, group: str, behind: Sequence[Behind], places: Mapping[TopicPartition, _Place]
) -> list[Problem]:
    """Return a problem for each topic that is behind at `places`, and that nothing is read of for `STALL_SECONDS`.

    Only partitions that are behind count, and only against the offsets that they were found behind with: a commit
    that comes a moment later is progress.
    """
    await asyncio.sleep(STALL_SECONDS)
    committed = await offsets.committed(group)
    problems = []
    for one in behind:
        waiting = {tp: place for tp, place in places.items() if tp.topic == one.topic and place.lag}
        if waiting and all(committed.get(tp, 0) <= place.next_offset for tp, place in waiting.items()):
            agents = " and ".join(one.agents)
            problems.append(
                Problem(
                    what=f"{agents} has {one.lag:,} messages of {one.topic} to read and stands still",
                    advice="look into the worker's log; stop the worker and start it again, nothing is lost",
                )
            )
    return problems
