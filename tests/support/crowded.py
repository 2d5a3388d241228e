"""A project that is as full as strangers and members can make it: the longest texts, thousands of entries."""

from datetime import timedelta

from soulcaster.adapters.redis.lists import MOST_MEMBERS
from soulcaster.domain.api_keys import ApiKey
from soulcaster.domain.events import (
    ClusterChanged,
    ClusterMerged,
    ItemAssigned,
    Proposal,
    ProposalsChanged,
    Theme,
    ThemesChanged,
)
from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.fixes.document import Document
from soulcaster.domain.fixes.fix import Fix, FixOptions, Target
from soulcaster.domain.fixes.job_log import MAX_CHUNK_BYTES, LogChunk
from soulcaster.domain.fixes.outcome import LIST_BYTES, MAX_FILES, FixOutcome
from soulcaster.domain.fixes.plan import MAX_DESCRIPTION_CHARS, MAX_TITLE_CHARS, PlannedFix, new_plan
from soulcaster.domain.lifecycle import JobState, JobStep
from soulcaster.domain.members import LOCAL_OWNER, Membership, User
from soulcaster.domain.near import NEAREST, Near, NearAnswer
from soulcaster.domain.source_state import SourceReport
from soulcaster.domain.webhook_secrets import WebhookSecret
from soulcaster.ports.messaging import Record
from soulcaster.ports.projects import Project
from soulcaster.wire.cluster_events import MAX_PROPOSALS
from soulcaster.wire.feedback import MAX_ITEM_BYTES
from soulcaster.wire.project_config import ProjectConfig, RepositoryRuleConfig, StoredConfig
from tests.support.make import NOW, item, uid
from tests.support.web import World

WORST = '<&"\\\U0001f600'
"""Characters that grow in HTML and in JSON."""

LAST_WORDS = " ".join(f"w{n}" for n in range(50))
"""Words at the end of long texts: a search for all of them reads each text fifty times."""

LONGEST = 30
MANY = 1_200
DOCUMENT_CHARS = 60_000


def text(size: int) -> str:
    """Return a text of about so many bytes in JSON."""
    return WORST * (size // len(WORST.encode()) - 10)


async def crowd(world: World, project: str = "p1") -> None:
    """Fill a project: the cluster c1 has all items, the job j1 the longest log; the others have what is longest."""
    await _items(world, project)
    await _clusters(world, project)
    await _jobs(world, project)
    await _around(world, project)


async def lengthen(world: World, project: str) -> None:
    """Fill a project with lists as long as one call searches, and with long texts."""
    writer = world.read_model.writer
    await writer.apply(project, [_cluster(f"c{n}", 1, f"No way to pay {n}") for n in range(MOST_MEMBERS)])
    await writer.put_items(project, [item(n, project, body=f"No way to pay {n}", minutes=n) for n in range(3_000)])
    long = "e\u0130" * (MAX_ITEM_BYTES // 4) + LAST_WORDS
    await writer.put_items(project, [item(f"long {n}", project, body=long, minutes=-n) for n in range(20)])


async def _items(world: World, project: str) -> None:
    writer = world.read_model.writer
    long = text(MAX_ITEM_BYTES // 3)
    longest = [item(n, project, title=text(500)[:500], body=long, minutes=n) for n in range(LONGEST // 2)]
    named = {"repo": long, "status": long, "raw_text": "x" * 50_000, "more": [long[:10_000]]}
    longest += [
        item(n, project, body="short", author=long[:20_000], metadata=named, minutes=n)
        for n in range(LONGEST // 2, LONGEST)
    ]
    many = [item(n, project, body=text(3_000), minutes=-n) for n in range(LONGEST, LONGEST + MANY)]
    for some in (longest, many):
        await writer.put_items(project, some)
        await writer.apply(project, [_assigned(one, "c1") for one in some])
    await writer.apply(project, [_cluster("c1", LONGEST + MANY)])
    near = (Near(one.id, f"c{n}", 0.9, 0.9) for n, one in enumerate(longest[:NEAREST], 2))
    world.publisher.near = NearAnswer(tuple(near), tuple(one.id for one in longest[-NEAREST:]))


def _assigned(one: FeedbackItem, cluster: str) -> ItemAssigned:
    return ItemAssigned(
        one.id, one.created_at, cluster, change="joined", score=0.9, threshold=0.5, reason=text(500), embedder="e" * 100
    )


def _cluster(cluster: str, size: int, title: str | None = None) -> ClusterChanged:
    sources = tuple(f"source-{n:030}" for n in range(20))
    title = text(500)[:MAX_TITLE_CHARS] if title is None else title
    terms = ("t" * 40,) * 8
    begun = NOW - timedelta(days=2)
    return ClusterChanged(cluster, title, text(600)[:280], size, sources, begun, NOW, terms=terms, theme_id="t1")


async def _clusters(world: World, project: str) -> None:
    """Add clusters, each with a job that says as much as it may, and some without a title of their own; all in t1."""
    writer = world.read_model.writer
    themes = [Theme(f"t{n}", text(500)[:MAX_TITLE_CHARS], ("t" * 40,) * 8, text(500), MANY, MANY) for n in range(100)]
    await writer.apply(project, [ThemesChanged(tuple(themes))])
    ids = [f"c{n}" for n in range(2, 2 + MANY)]
    await writer.apply(project, [_cluster(cluster, 1) for cluster in ids])
    await writer.apply(project, [ClusterMerged(f"m{n}", "c1", "person", text(600)[:200], n) for n in range(150)])
    untitled = [item(f"u{n}", project, title="u", body=text(MAX_ITEM_BYTES // 3)) for n in range(10)]
    await writer.put_items(project, untitled)
    await writer.apply(project, [_assigned(one, f"c{n}") for n, one in enumerate(untitled, 2)])
    await writer.apply(project, [_cluster(f"c{n}", 1, "") for n in range(2, 12)])
    failed = [_step(f"f{n}", project, cluster, "failed", error=text(4_000)[:2_000]) for n, cluster in enumerate(ids)]
    await writer.put_job_steps(failed)


def _step(job: str, project: str, cluster: str, state: JobState, seq: int = 0, **more: object) -> JobStep:
    return JobStep(f"{job}-{seq}", job, project, cluster, seq, state, NOW, offset=seq, **more)  # type: ignore[arg-type]


async def _jobs(world: World, project: str) -> None:
    """Add jobs of c1 that made as much as is kept, and a log of all sizes."""
    writer = world.read_model.writer
    remarks = (text(480)[:200],) * (LIST_BYTES // 500)
    made = FixOutcome(files=("f" * 200,) * MAX_FILES, flags=remarks, blocked_hosts=remarks)
    plan = new_plan(project, "c1", PlannedFix("t" * MAX_TITLE_CHARS, "d" * MAX_DESCRIPTION_CHARS), by="kim", at=NOW)
    brief = Document("b1", project, "c1", "brief", text(DOCUMENT_CHARS), NOW, ())
    await writer.put_documents([brief, plan.document()])
    target = Target("o" * 39 + "/" + "r" * 100, "b" * 255, "a" * 40)
    options = FixOptions("local", target, brief_id="b1", plan_id=plan.id)
    for n in range(40):
        job = f"j{n}"
        fix = Fix(job, "c1", text(600)[:200], "kim", NOW, n + 1, f"fix-{n}", options)
        first = _step(job, project, "c1", "approved", fix=fix)
        ended = _step(job, project, "c1", "failed", 1, outcome=made, pr_url="https://e.example/" + "p" * 1_900)
        await writer.put_job_steps([first, ended])
    await writer.put_job_steps([_step("j1", project, "c1", "failed", n, log=text(90_000)) for n in range(2, 40)])
    chunks = [LogChunk("j1", None, NOW, text(MAX_CHUNK_BYTES), n) for n in range(25)]
    await writer.put_job_logs(project, chunks)


async def _around(world: World, project: str) -> None:
    """Add members, keys, sources, settings, proposals and dead letters."""
    writer = world.read_model.writer
    await writer.put_project(Project(project, text(600)[:200], NOW, LOCAL_OWNER))
    for n in range(MANY):
        user = uid(n)
        await writer.put_user(User(user, NOW, f"{n}@e.example", text(600)[:200], str(n), "l" * 39))
        await writer.put_member(Membership(project, user, "viewer", NOW + timedelta(seconds=n)))
        at = NOW + timedelta(seconds=n)
        key = ApiKey(uid(f"k{n}"), project, text(300)[:100], f"{n:064}", ("read", "write"), at, text(600)[:200])
        await writer.put_api_key(key)
        await writer.put_project(Project(f"other-{n}", text(600)[:200], NOW, LOCAL_OWNER))
    for n in range(100):
        report = SourceReport({"at": text(15_000)}, "failing", NOW, NOW, text(2_000)[:1_000], NOW)
        await writer.put_source_report(project, f"source-{n}", report)
        await writer.put_webhook_secret(
            WebhookSecret(uid(f"w{n}"), project, f"source-{n}", "s" * 4_000, "9f3c", NOW, text(600)[:200])
        )
    repositories = tuple("o" * 39 + "/" + f"{n:0100}" for n in range(1_000))
    rules = tuple(
        RepositoryRuleConfig(source="sentry", source_project=f"{n:0100}", repository=name, branch="b" * 255)
        for n, name in enumerate(repositories)
    )
    config = ProjectConfig(repositories=repositories, repository_rules=rules)
    await writer.put_project_config(project, StoredConfig(1, config, NOW, "kim"))
    proposals = [Proposal(f"p{n}", "merge", ("c2", "c3"), 0.9, text(500)) for n in range(MAX_PROPOSALS)]
    await writer.apply(project, [ProposalsChanged(tuple(proposals))])
    for n in range(MANY):
        world.dead_letters.put(
            Record("feedback.raw", 0, n, 0, project.encode(), b'{"project_id": "%s"}' % project.encode())
        )
