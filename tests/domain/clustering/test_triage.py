"""Clusters that people mute, resolve and reopen, and those that regress."""

from datetime import timedelta

import numpy as np
import pytest

from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.steps import Step
from soulcaster.domain.commands import (
    Command,
    Configure,
    Granularity,
    Merge,
    Move,
    Mute,
    NotePullRequest,
    PullRequestNews,
    Reopen,
    Reset,
    Resolve,
    StartFix,
    Undo,
)
from soulcaster.domain.events import ClusterChanged, ClusterEvent, ClusterPullRequest, ClusterRegressed, CommandDone
from soulcaster.domain.fixes.fix import FixOptions, FollowUp, Target
from soulcaster.domain.ids import cluster_id_for
from soulcaster.domain.lifecycle import Triage, start
from tests.domain.clustering.make import A, fed, load, vector, write
from tests.support.make import NOW, compared_item, uid

CARD, LOGIN = "card late", "login down"
HOUR = timedelta(hours=1)


class Project:
    """A project with its table, which is loaded from it again before every step."""

    def __init__(self, *texts: str) -> None:
        self.table: dict[str, bytes] = {}
        self.asked = 0
        self.say(*texts)

    @property
    def state(self) -> ProjectClusters:
        return load(self.table)

    def keep(self, step: Step) -> Step:
        write(self.table, step.rows)
        return step

    def say(self, *texts: str, like: str | None = None, hours: float = 0) -> Step:
        items = [compared_item(says, text=says, minutes=60 * hours) for says in texts]
        return self.keep(self.state.add(A, items, np.stack([vector(like or says) for says in texts])))

    def tell(self, kind: type[Mute | Resolve | Reopen], name: str = CARD, *, hours: float = 0) -> str:
        """Ask for it at that hour; return the command's id."""
        self.asked += 1
        self.do(kind(f"k{self.asked}", "owner", NOW + hours * HOUR, of(name)))
        return f"k{self.asked}"

    def do(self, command: Command) -> Step:
        step = self.keep(self.state.apply(command, NOW))
        [done] = [e for e in step.events if isinstance(e, CommandDone)]
        assert done.outcome == "applied", done.reason
        return step

    def triage(self, name: str = CARD) -> Triage:
        found = self.state.cluster(of(name))
        assert found is not None
        return found.triage


def of(name: str) -> str:
    return cluster_id_for("p", uid(name))


def told(step: Step, name: str = CARD) -> Triage:
    return [e.triage for e in step.events if isinstance(e, ClusterChanged) and e.cluster_id == of(name)][-1]


def regressed(step: Step) -> list[ClusterRegressed]:
    return [e for e in step.events if isinstance(e, ClusterRegressed)]


@pytest.mark.parametrize(
    ("kind", "triage", "reason"),
    [(Mute, "muted", "muted"), (Resolve, "resolved", "resolved"), (Reopen, "open", "reopened")],
)
def test_what_a_person_says_is_kept_and_told(kind: type[Mute | Resolve | Reopen], triage: Triage, reason: str) -> None:
    project = Project(CARD, LOGIN)
    step = project.do(kind("k", "owner", NOW, of(CARD)))
    assert (told(step), project.triage(), project.triage(LOGIN)) == (triage, triage, "open")
    [done] = [e for e in step.events if isinstance(e, CommandDone)]
    assert (done.kind, done.reason, done.cluster_ids) == (kind.__name__.lower(), reason, (of(CARD),))


def test_a_resolved_cluster_regresses_when_newer_feedback_comes() -> None:
    project = Project(CARD)
    project.tell(Resolve, hours=5)
    step = project.say("card late today", like=CARD, hours=5)  # said before it was resolved, or just then
    assert (regressed(step), told(step)) == ([], "resolved")
    step = project.say("card late again", like=CARD, hours=6)
    assert regressed(step) == [ClusterRegressed(of(CARD), "newer feedback came after it was resolved", NOW + 6 * HOUR)]
    assert (told(step), project.triage()) == ("regressed", "regressed")
    assert regressed(project.say("card late for me", like=CARD, hours=7)) == []


def test_what_was_there_when_it_was_resolved_does_not_make_it_regressed() -> None:
    project = Project(CARD)
    project.say("card late tomorrow", like=CARD, hours=48)
    project.tell(Resolve, hours=5)
    assert project.triage() == "resolved"
    assert regressed(project.say("card late today", like=CARD, hours=47)) == []
    assert len(regressed(project.say("card late again", like=CARD, hours=49))) == 1


def test_a_muted_cluster_stays_muted() -> None:
    project = Project(CARD)
    project.tell(Mute)
    step = project.say("card late today", like=CARD, hours=99)
    assert (regressed(step), told(step)) == ([], "muted")


@pytest.mark.parametrize("kind", [Merge, Move])
def test_a_resolved_cluster_regresses_when_people_bring_it_newer_feedback(kind: type[Merge | Move]) -> None:
    for hours, expected in ((1, "resolved"), (9, "regressed")):
        project = Project(CARD)
        project.say(LOGIN, hours=hours)
        project.tell(Resolve, hours=5)
        merge = Merge("m", "owner", NOW, of(CARD), (of(LOGIN),))
        step = project.do(merge if kind is Merge else Move("m", "owner", NOW, (uid(LOGIN),), of(CARD)))
        assert (told(step), len(regressed(step))) == (expected, int(expected == "regressed"))


def cluster_anew(state: ProjectClusters, granularity: Granularity) -> list[ClusterEvent]:
    """Everything by that wish; return what was told."""
    state.apply(Configure(f"{granularity}, please", "owner", NOW, granularity=granularity), NOW)
    state.apply(Reset(f"{granularity}, now", "owner", NOW), NOW)
    events: list[ClusterEvent] = []
    while (due := state.round_due()) is not None:
        events += state.finish(due, due.decide(), NOW, 0.1).events
    return events


def test_a_resolved_cluster_regresses_when_a_round_brings_it_newer_feedback() -> None:
    state, _ = fed(100)
    items = [uid(n) for n in range(100)]
    cluster_anew(state, "finer")
    resolved = {}
    for n, cluster_id in enumerate(sorted({c for c in state.cluster_of(items) if c})):
        state.apply(Resolve(f"r{n}", "owner", NOW - HOUR, cluster_id), NOW)
        cluster = state.cluster(cluster_id)
        assert cluster is not None
        resolved[cluster_id] = cluster.last
    events = cluster_anew(state, "broader")
    newer = {e.cluster_id for e in events if isinstance(e, ClusterRegressed)}
    standing = {c for c in state.cluster_of(items) if c} & resolved.keys()
    assert len(standing) > len(newer) > 0
    for cluster_id in standing:
        cluster = state.cluster(cluster_id)
        assert cluster is not None
        assert (cluster.triage == "regressed") == (cluster.last > resolved[cluster_id]) == (cluster_id in newer)


def test_of_merged_clusters_the_one_that_stays_says_what_it_is_and_an_undo_gives_the_other_back() -> None:
    project = Project(CARD, LOGIN)
    project.tell(Mute, LOGIN)
    merge = Merge("m", "owner", NOW, of(CARD), (of(LOGIN),))
    assert told(project.do(merge)) == "open"
    step = project.do(Undo("u", "owner", NOW, "m"))
    assert (told(step, CARD), told(step, LOGIN)) == ("open", "muted")


def test_undo_gives_back_what_it_was_before_but_for_what_was_said_later() -> None:
    project = Project(CARD)
    mute, resolve, reopen = project.tell(Mute), project.tell(Resolve), project.tell(Reopen)
    assert project.triage() == "open"
    project.do(Undo("u1", "owner", NOW, resolve))  # the reopening, which is later, stands
    assert project.triage() == "open"
    assert told(project.do(Undo("u2", "owner", NOW, reopen))) == "muted"
    assert told(project.do(Undo("u3", "owner", NOW, mute))) == "open"


def test_a_resolution_that_comes_back_by_an_undo_holds() -> None:
    project = Project(CARD)
    project.tell(Resolve)
    reopen = project.tell(Reopen)
    project.say("card late today", like=CARD, hours=9)
    assert told(project.do(Undo("u", "owner", NOW, reopen))) == "resolved"
    assert len(regressed(project.say("card late again", like=CARD, hours=10))) == 1


def test_a_regression_that_was_stored_and_not_sent_is_sent_after_a_restart() -> None:
    project = Project(CARD)
    project.tell(Resolve)
    project.say("card late today", like=CARD, hours=9)
    step = project.state.unsent()
    assert [e.cluster_id for e in regressed(step)] == [of(CARD)]
    assert told(step) == "regressed"


@pytest.mark.parametrize(("kind", "expected"), [(Mute, "muted"), (Resolve, "resolved"), (Reopen, "open")])
def test_people_decide_about_a_regressed_cluster_and_take_it_back(
    kind: type[Mute | Resolve | Reopen], expected: Triage
) -> None:
    project = Project(CARD)
    project.tell(Resolve)
    project.say("card late today", like=CARD, hours=9)
    decision = project.tell(kind, hours=10)
    assert project.triage() == expected
    assert told(project.do(Undo("u", "owner", NOW, decision))) == "regressed"


def note(news: PullRequestNews, *, hours: float, resolves: bool, command: str = "n") -> NotePullRequest:
    at = NOW + hours * HOUR
    return NotePullRequest(command, "github", at, of(CARD), "o/n#1", "https://x/1", news, at, resolves)


def pulls(step: Step) -> list[ClusterPullRequest]:
    return [e for e in step.events if isinstance(e, ClusterPullRequest)]


def test_a_merged_pull_request_resolves_a_cluster_as_of_the_merge() -> None:
    project = Project(CARD)
    step = project.do(note("merged", hours=5, resolves=True))
    assert (told(step), regressed(step)) == ("resolved", [])
    expected = ClusterPullRequest(of(CARD), "merged", "o/n#1 is merged", "https://x/1", NOW + 5 * HOUR, "n")
    assert pulls(step) == [expected]
    step = project.say("card late today", like=CARD, hours=5)  # said before the merge
    assert (told(step), regressed(step)) == ("resolved", [])
    assert told(project.say("card late again", like=CARD, hours=6)) == "regressed"


def test_feedback_that_came_between_a_merge_and_the_news_of_it_makes_the_cluster_regressed() -> None:
    project = Project(CARD)
    project.say("card late again", like=CARD, hours=6)
    step = project.do(note("merged", hours=5, resolves=True))
    assert (told(step), len(regressed(step)), project.triage()) == ("regressed", 1, "regressed")


@pytest.mark.parametrize("kind", [Mute, Resolve])
def test_what_people_have_decided_outweighs_a_merged_pull_request(kind: type[Mute | Resolve]) -> None:
    project = Project(CARD)
    project.tell(kind)
    before = project.triage()
    step = project.do(note("merged", hours=5, resolves=True))
    assert (project.triage(), [e.command_id for e in pulls(step)]) == (before, [None])


def test_other_news_of_a_pull_request_is_only_noted() -> None:
    project = Project(CARD)
    reasons: dict[PullRequestNews, str] = {
        "opened": "o/n#1 is open",
        "merged": "o/n#1 is merged; it waits for a release",
        "closed": "o/n#1 is closed without a merge",
    }
    for number, (news, reason) in enumerate(reasons.items()):
        step = project.do(note(news, hours=5, resolves=False, command=f"n{number}"))
        assert ([e.reason for e in pulls(step)], project.triage()) == ([reason], "open")


def test_the_resolution_by_a_pull_request_is_taken_back_and_does_not_come_again() -> None:
    project = Project(CARD)
    merged = note("merged", hours=5, resolves=True)
    project.do(merged)
    assert told(project.do(Undo("u", "owner", NOW, merged.id))) == "open"
    assert project.keep(project.state.apply(merged, NOW)) == Step()
    assert project.triage() == "open"


def test_a_follow_up_works_on_the_branch_of_its_pull_request_and_has_it_from_the_beginning() -> None:
    project = Project(CARD)
    url = "https://github.com/o/n/pull/1"
    follow_up = FollowUp(1, "ada", "rename it", "soulcaster/fix-12345678-1", url)
    options = FixOptions(target=Target("o/n", "main", "a" * 40), follow_up=follow_up)
    step = project.do(StartFix("f", "owner", NOW, of(CARD), options))
    assert [(fix.branch, fix.attempt) for fix in step.fixes] == [("soulcaster/fix-12345678-1", 1)]
    assert [(s.pr_url, start(s).pr_state) for s in step.job_steps] == [(url, "open")]


def test_a_fix_of_a_regressed_cluster_may_start() -> None:
    project = Project(CARD)
    project.tell(Resolve)
    project.say("card late today", like=CARD, hours=9)
    assert len(project.do(StartFix("f", "owner", NOW, of(CARD))).fixes) == 1
