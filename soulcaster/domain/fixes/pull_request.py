"""What people read of a fix on GitHub: the message of its commit, the pull request, an issue, comments.

Titles, summaries and names of files are strangers' words; `harmless` makes them so. All else is ours.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from soulcaster.domain.fixes import harmless
from soulcaster.domain.fixes.order import JobOrder, Report
from soulcaster.domain.fixes.outcome import FixOutcome, TestSummary
from soulcaster.domain.text.normalize import visible
from soulcaster.domain.text.secrets import without_secrets

MAX_BODY = 65_536
"""Characters of a text at GitHub."""

SUBJECT_CHARS = 72
"""Characters of the first line of a commit, as git's own guidelines have it; GitHub cuts longer ones."""

TITLE_CHARS = 120
SUMMARY_CHARS = 6_000
FLAG_CHARS = 400
URL_CHARS = 300
MAX_LISTED = 20
"""How many flags, hosts and files are listed."""

JOB_TRAILER = "Soulcaster-Job"
"""The trailer of each commit of a job (git-interpret-trailers(1)); its value is the id of the job."""

_URL = re.compile(r"https://([A-Za-z0-9.-]+)(?::\d+)?(/[A-Za-z0-9._~%/+-]*)?(?:\?[A-Za-z0-9._~%&=+-]*)?")

_HOSTS = {"reddit": ("reddit.com",), "sentry": ("sentry.io",)}
"""Hosts of a source that a report may link to; others are shown as text, because anybody may post any address."""


@dataclass(frozen=True, slots=True)
class Story:
    """All that a pull request tells of a fix.

    `summary` is what the coding agent says that it did, `spent_usd` what the job has spent, `issue` the number of the
    issue that the fix is for, `closes` whether it was opened for it. `flags` are remarks for the reviewer about how it
    was published.
    """

    order: JobOrder
    outcome: FixOutcome
    summary: str
    spent_usd: float = 0.0
    issue: int | None = None
    closes: bool = False
    flags: tuple[str, ...] = ()


def pull_request_title(order: JobOrder) -> str:
    """Return the title of a pull request."""
    return f"Fix: {harmless.title(order.title, TITLE_CHARS) or 'a reported problem'}"


def commit_message(order: JobOrder) -> str:
    """Return the message of a commit, with the trailer that tells whose it is."""
    begin = "Follow-up: " if order.follow_up is not None else "Fix: "
    subject = begin + (harmless.title(order.title, SUBJECT_CHARS - len(begin)) or "a reported problem")
    about = f"Made by a coding agent for {_count(order.items, 'report')}; see the pull request."
    return f"{subject}\n\n{about}\n\n{JOB_TRAILER}: {order.job_id}\n"


def pull_request_body(story: Story) -> str:
    """Return the text of a pull request in Markdown, of at most `MAX_BODY` characters."""
    order = story.order
    parts = [
        "## The problem",
        harmless.quoted(order.title, TITLE_CHARS * 3),
        f"{_reported(order)}.",
        *_reports(order),
        *_issue(story),
        "## The change",
        *_change(story),
        "## The tests",
        *_tests(story.outcome),
        *_remarks(story),
        "---",
        _footer(story),
        job_marker(order),
    ]
    return "\n\n".join(parts)


def follow_up_comment(story: Story) -> str:
    """Return the comment that says what a follow-up did."""
    commit = f" in {story.outcome.commit}" if story.outcome.commit else ""
    parts = [f"The change was made{commit}.", *_change(story), *_tests(story.outcome), *_remarks(story)]
    return "\n\n".join([*parts, _footer(story)])


def earlier_comment(order: JobOrder, commit: str) -> str:
    """Return the comment of a follow-up whose commit an earlier launch made, which ended before it could say so."""
    said = f"The change was made in {commit}. Its files and tests are not listed here."
    return f"{said}\n\n{_footer(Story(order, FixOutcome(), ''))}"


def made_earlier(commit: str) -> str:
    """Return the remark that an earlier launch of a job published, and the present one did not."""
    return (
        f"An earlier launch of this job made the commit {commit[:12]}. What is said of files and tests is of a later "
        "try, which was not published."
    )


def moved_on(tested: str, head: str) -> str:
    """Return the remark that a pull request got other commits while a follow-up of it was made."""
    return (
        f"The tests ran on {tested[:12]}. The pull request has gone on to {head[:12]} since. The change was put on top "
        "of that, and these tests did not run there."
    )


def issue_title(order: JobOrder) -> str:
    """Return the title of the issue of a cluster."""
    return harmless.title(order.title, TITLE_CHARS) or "A reported problem"


def issue_body(order: JobOrder) -> str:
    """Return the text of the issue of a cluster."""
    said = harmless.quoted(order.title, TITLE_CHARS * 3)
    note = "Soulcaster opened this issue from feedback, because the settings of the project say so."
    return "\n\n".join([said, f"{_reported(order)}.", *_reports(order), note])


def no_issue(repository: str) -> str:
    """Return the remark that there is no issue, although the project wants one."""
    return f"The project wants an issue for each fix, but issues are turned off in {repository}, so there is none."


def job_marker(order: JobOrder) -> str:
    """Return the hidden mark of what a job opened at GitHub."""
    return f"<!-- soulcaster job {order.job_id} -->"


def _reported(order: JobOrder) -> str:
    where = f", see [all of them]({order.cluster_url})" if order.cluster_url else ""
    return f"{_count(order.items, 'report')}{where}"


def _reports(order: JobOrder) -> list[str]:
    lines = [line for report in order.reports[:MAX_LISTED] if (line := _report(report, order))]
    return ["\n".join(dict.fromkeys(lines))] if lines else []


def _report(report: Report, order: JobOrder) -> str:
    """Return a line for a report with an address; it is a link only where its host is that of its source."""
    source = harmless.inline(report.source, 40)
    url = report.url or ""
    found = _URL.fullmatch(url) if len(url) <= URL_CHARS else None
    if found is None:
        return f"- {source}: {harmless.code(url, URL_CHARS)}" if url else ""
    host = found[1].lower()
    if any(host == known or host.endswith(f".{known}") for known in _HOSTS.get(report.source, ())):
        return f"- [{source}]({url})"
    if report.source == "github" and (number := own_issue(report, order)) is not None:
        return f"- {source}: #{number}"
    return f"- {source}: {harmless.code(url, URL_CHARS)}"


def own_issue(report: Report, order: JobOrder) -> int | None:
    """Return the number of the issue that a report is, if it is one of the repository of the fix."""
    if report.source != "github" or report.url is None or order.target is None:
        return None
    place = re.escape(f"{order.git_url.rstrip('/')}/{order.target.repository}/issues/")
    found = re.fullmatch(rf"{place}([1-9]\d{{0,8}})(?:#issuecomment-\d+)?", report.url, re.IGNORECASE)
    return int(found[1]) if found else None


def _issue(story: Story) -> list[str]:
    if story.issue is None:
        return []
    return [f"Closes #{story.issue}" if story.closes else f"Issue: #{story.issue}"]


def _change(story: Story) -> Iterator[str]:
    outcome = story.outcome
    files = [harmless.code(path, 200) for path in outcome.files[:MAX_LISTED]]
    more = len(outcome.files) - len(files)
    listed = ", ".join(files) + (f" and {more} more" if more > 0 else "")
    yield f"{_count(len(outcome.files), 'file')}, {outcome.added:,} lines added, {outcome.deleted:,} removed: {listed}."
    if story.summary.strip():
        yield "The coding agent says:"
        yield harmless.quoted(without_secrets(visible(story.summary)), SUMMARY_CHARS)


def _tests(outcome: FixOutcome) -> Iterator[str]:
    if outcome.before is None and outcome.after is None:
        yield "The tests were not run."
        return
    head = "| | passed | failed | skipped | flaky | |\n|---|---|---|---|---|---|"
    rows = [_row("before", outcome.before), _row("after", outcome.after)]
    yield "\n".join([head, *(row for row in rows if row)])
    if outcome.shows_bug is not None:
        yield (
            "A new test fails without the change and passes with it."
            if outcome.shows_bug
            else "The new tests also pass without the change, so they do not show the problem."
        )
    else:
        yield "No new test shows the problem."


def _row(name: str, run: TestSummary | None) -> str:
    if run is None:
        return ""
    said = {"none": "there are no tests", "broken": "the tests could not be run"}.get(run.status, run.status)
    return f"| {name} | {run.passed} | {run.failed} | {run.skipped} | {run.flaky} | {said} |"


def _remarks(story: Story) -> Iterator[str]:
    outcome = story.outcome
    listed = [*story.flags, *outcome.flags][:MAX_LISTED]
    flags = [f"- {harmless.inline(flag, FLAG_CHARS)}" for flag in listed]
    if outcome.blocked_hosts:
        hosts = ", ".join(harmless.code(host, 100) for host in outcome.blocked_hosts[:MAX_LISTED])
        flags.append(f"- Something in the sandbox tried to reach hosts that are not allowed, in vain: {hosts}.")
    if flags:
        yield "## For the reviewer"
        yield "\n".join(flags)


def _footer(story: Story) -> str:
    order = story.order
    cost = f"It cost ${story.spent_usd:.2f}. " if story.spent_usd else ""
    where = f" [The cluster]({order.cluster_url})." if order.cluster_url else ""
    return (
        f"A coding agent made this change; no person has read it yet. {cost}To have it changed, comment "
        f"`@soulcaster` and what you want, or review it; only people who may write to the repository are obeyed.{where}"
        f" Job `{order.job_id}`."
    )


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
