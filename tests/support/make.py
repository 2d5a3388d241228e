"""Values for tests, short to write."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from soulcaster.domain.feedback.items import ComparedItem, FeedbackItem
from soulcaster.domain.fixes.order import Author, FixRules, JobOrder
from soulcaster.domain.ids import item_id
from soulcaster.domain.lifecycle import JobStatus, JobStep, state_of

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def uid(name: object) -> str:
    """A UUID of its own for everything that has one."""
    return str(uuid5(NAMESPACE_DNS, str(name)))


def item(
    external_id: object = "1",
    project: str = "p1",
    *,
    source: str = "manual",
    title: str = "My card is late",
    body: str = "It has been two weeks now.",
    minutes: float = 0,
    **more: Any,
) -> FeedbackItem:
    at = NOW + timedelta(minutes=minutes)
    return FeedbackItem(
        id=item_id(project, source, str(external_id)),
        project_id=project,
        source=source,
        external_id=str(external_id),
        title=title,
        body=body,
        created_at=at,
        received_at=at,
        **more,
    )


def compared_item(
    name: object, *, source: str = "manual", text: str = "It is late.", minutes: float = 0
) -> ComparedItem:
    return ComparedItem(uid(name), source, text[:80], text, NOW + timedelta(minutes=minutes))


def step(
    seq: int,
    status: JobStatus = "running",
    *,
    job: str = "j1",
    project: str = "p1",
    cluster: str = "c1",
    log: str | None = None,
    pr_url: str | None = None,
    error: str | None = None,
) -> JobStep:
    at = NOW + timedelta(seconds=seq)
    own = uid((job, seq, status, log, pr_url, error))
    return JobStep(own, job, project, cluster, seq, state_of(status), at, log=log, pr_url=pr_url, error=error)


def job_order(**fields: Any) -> JobOrder:
    """The order of a job with neither repository nor agent, and with these fields."""
    plain = JobOrder(
        job_id="j1",
        cluster_id="c1",
        title="Late card",
        attempt=1,
        branch="soulcaster/fix-c1-1",
        stop_at="pr",
        seconds=60,
        budget_usd=5.0,
        spent_usd=0.0,
        brief="",
        plan=None,
        target=None,
        agent=None,
        rules=FixRules(),
        author=Author("Soulcaster", "bot@example.org"),
        git_url="https://github.com",
        api_url="https://api.github.com",
        cluster_url=None,
        items=1,
    )
    return replace(plain, **fields)
