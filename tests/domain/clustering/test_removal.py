"""Items that are deleted: what is left of micro-clusters, clusters, titles and constraints."""

from uuid import UUID

import numpy as np
import pytest

from soulcaster.domain.clustering.clusterer.archive import NOTHING, Archived
from soulcaster.domain.clustering.clusterer.clusterer import Clusterer
from soulcaster.domain.clustering.clusterer.constraints import Constraint, Constraints
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.steps import Step
from soulcaster.domain.commands import (
    Command,
    Configure,
    Merge,
    Move,
    Pin,
    Rebalance,
    Rename,
    Reset,
    Split,
    StartFix,
    Undo,
)
from soulcaster.domain.events import (
    ClusterChanged,
    ClusteringStatus,
    CommandDone,
    ItemAssigned,
    ItemRemoved,
)
from soulcaster.domain.feedback.items import Deleted
from soulcaster.domain.ids import cluster_id_for
from tests.domain.clustering.make import A, B, fed, load, stream, vector, write
from tests.support.make import NOW, compared_item, uid

WHO = ("owner", NOW)
DAY = 24 * 60
CARD, LATER, LOGIN = "card late for order 1", "card late for order 2", "login down"


class Project:
    """A project with its table, which is loaded from it again before every step."""

    def __init__(self, days: int = 0) -> None:
        self.days = days
        self.table: dict[str, bytes] = {}

    @property
    def state(self) -> ProjectClusters:
        return load(self.table, self.days)

    @property
    def core(self) -> Clusterer:
        [core] = self.state.clusterers.values()
        return core

    def keep(self, step: Step) -> Step:
        write(self.table, step.rows)
        return step

    def say(self, *texts: str, like: str | None = None, day: float = 0, named: str | None = None) -> Step:
        """One item a text, named by it; all mean the same as `like`, or what they say."""
        items = [compared_item(named or says, text=says, minutes=day * DAY) for says in texts]
        return self.keep(self.state.add(A, items, np.stack([vector(like or says) for says in texts])))

    def delete(self, *names: str, command: str | None = None) -> Step:
        return self.keep(self.state.remove([Deleted(uid(name), NOW, command) for name in names], NOW))

    def tell(self, command: Command) -> tuple[str, str]:
        [done] = [e for e in self.keep(self.state.apply(command, NOW)).events if isinstance(e, CommandDone)]
        return done.outcome, done.reason

    def where(self, *names: str) -> list[str | None]:
        return self.state.cluster_of([uid(name) for name in names])


def of(name: str) -> str:
    return cluster_id_for("p", uid(name))


def changed(step: Step) -> dict[str, tuple[int, str, str]]:
    return {e.cluster_id: (e.size, e.title, e.summary) for e in step.events if isinstance(e, ClusterChanged)}


def by(step: Step) -> str:
    """The rule by which the one item came to its cluster."""
    [rule] = [e.rule for e in step.events if isinstance(e, ItemAssigned)]
    return rule


def one_group() -> Project:
    """Three items in one micro-cluster, of which the text of the first is kept."""
    project = Project()
    project.say(CARD)
    project.say(LATER, "card late for order 3", like=CARD)
    assert len(project.core.state.index) == 1
    return project


def test_what_is_left_of_a_group_keeps_its_means() -> None:
    project = one_group()
    before = project.core.state.index
    step = project.delete(LATER)
    after = project.core.state.index
    assert [e for e in step.events if isinstance(e, ItemRemoved)] == [ItemRemoved(uid(LATER), of(CARD), NOW)]
    assert changed(step) == {of(CARD): (2, CARD, CARD)}
    assert after.counts[0] == 2
    assert np.array_equal(before.means[0], after.means[0])
    assert np.array_equal(before.word_means[0], after.word_means[0])
    assert project.where(CARD, LATER) == [of(CARD), None]
    assert project.core.state.seen == 2


def test_a_text_that_was_deleted_is_forgotten_until_the_next_item_joins() -> None:
    project = one_group()
    step = project.delete(CARD)
    assert changed(step) == {of(CARD): (2, "", "")}
    found = project.state.cluster(of(CARD))
    assert found is not None
    assert (found.title, found.terms) == ("", ())
    project.say("late card for order 2", like=CARD)
    assert project.core.state.index.micro_clusters[0].title == "late card for order 2"
    project.delete("late card for order 2")
    assert project.core.state.index.micro_clusters[0].title == ""


def test_who_says_the_same_goes_on_standing_for_the_group() -> None:
    project = one_group()
    project.say(CARD, named="twin")
    assert changed(project.delete(CARD)) == {of(CARD): (3, CARD, CARD)}
    assert project.core.state.index.micro_clusters[0].text_of == UUID(uid("twin")).bytes
    assert by(project.say(CARD, named="another twin", like="nothing like it")) == "same-text"
    assert project.where("another twin") == [of(CARD)]
    project.delete("twin", "another twin")
    assert changed(project.delete(LATER)) == {of(CARD): (1, "", "")}
    assert by(project.say(CARD, named="stranger", like="nothing like it")) == "near"


def test_a_title_is_made_anew_from_what_is_left() -> None:
    project = Project()
    project.say(CARD, LOGIN)
    project.tell(Merge("m", *WHO, of(CARD), (of(LOGIN),)))
    [title] = {title for _, title, _ in changed(project.keep(project.state.unsent())).values()}
    other = LOGIN if title == CARD else CARD
    assert changed(project.delete(title)) == {of(CARD): (1, other, other)}


def test_the_text_of_an_item_that_was_moved_is_forgotten_where_it_was() -> None:
    project = one_group()
    project.say(LOGIN)
    project.tell(Move("v", *WHO, (uid(CARD),), of(LOGIN)))
    assert project.where(CARD, LATER) == [of(LOGIN), of(CARD)]
    step = project.delete(CARD)
    assert changed(step) == {of(CARD): (2, "", ""), of(LOGIN): (1, LOGIN, LOGIN)}


def test_a_persons_title_stays() -> None:
    project = one_group()
    project.tell(Rename("r", *WHO, of(CARD), "Cards"))
    assert changed(project.delete(CARD)) == {of(CARD): (2, "Cards", "")}


def test_a_cluster_without_items_is_gone_and_what_names_it_is_refused() -> None:
    project = Project()
    project.say(CARD, LOGIN)
    project.tell(Pin("p", *WHO, of(CARD), True))
    step = project.delete(CARD, command="k")
    assert changed(step) == {}
    assert step.events[-1] == CommandDone("k", "applied", "deleted", NOW, None, (of(CARD),))
    assert project.state.cluster(of(CARD)) is None
    for command in (
        Merge("m", *WHO, of(LOGIN), (of(CARD),)),
        Rename("r", *WHO, of(CARD), "x"),
        StartFix("f", *WHO, of(CARD)),
        Split("s", *WHO, of(LOGIN), (uid(CARD),)),
        Move("v", *WHO, (uid(CARD),), of(LOGIN)),
        Undo("u", *WHO, "p"),
    ):
        outcome, reason = project.tell(command)
        assert outcome == "refused"
        assert "deleted" in reason or "no command p stands" in reason
    assert not project.core.state.constraints.by_command


def test_a_command_that_waits_for_an_item_that_is_deleted_is_refused() -> None:
    project = Project()
    project.say(CARD, LOGIN)
    assert project.tell(Move("v", *WHO, (uid("to come"),), of(LOGIN)))[0] == "waiting"
    step = project.delete("to come")
    assert [e for e in step.events if isinstance(e, ItemRemoved)] == [ItemRemoved(uid("to come"), None, NOW)]
    assert [(e.command_id, e.outcome) for e in step.events if isinstance(e, CommandDone)] == [("v", "refused")]
    assert project.say("to come") == Step()
    assert project.where("to come") == [None]


@pytest.mark.parametrize(
    "command",
    [
        Merge("v", *WHO, of(CARD), (of("to come"),)),
        Move("v", *WHO, (uid("to come"),), of(CARD)),
        Move("v", *WHO, (uid(CARD), uid("to come")), of(LOGIN)),
        Split("v", *WHO, of(CARD), (uid("to come"),)),
    ],
)
def test_a_command_waits_for_what_is_not_known_although_the_rest_is_gone(command: Command) -> None:
    project = Project()  # it is loaded again before every step, and what waits is tried
    project.say(CARD, LOGIN)
    assert project.tell(command)[0] == "waiting"
    assert not [e for e in project.delete(CARD).events if isinstance(e, CommandDone)]
    [done] = [e for e in project.say("to come").events if isinstance(e, CommandDone)]
    assert (done.command_id, done.outcome) == ("v", "refused")
    assert "deleted" in done.reason


def test_it_is_said_once_and_every_command_is_answered_once() -> None:
    project = one_group()
    project.delete(CARD, command="k")
    assert project.delete(CARD, command="k") == Step()
    assert project.delete(CARD) == Step()
    [answer] = project.delete(CARD, command="l").events
    assert answer == CommandDone("l", "applied", "deleted", NOW)
    assert project.say(CARD) == Step()


def test_texts_lead_where_they_lead_after_a_restart() -> None:
    project = one_group()
    state = project.state
    write(project.table, state.remove([Deleted(uid(CARD), NOW)], NOW).rows)
    [core] = state.clusterers.values()
    assert core.state.fingerprints.slots == project.core.state.fingerprints.slots == {}
    write(project.table, state.add(A, [compared_item(CARD + "0", text=CARD + "0")], vector(CARD)[None]).rows)
    assert core.state.fingerprints.slots == project.core.state.fingerprints.slots


def test_it_is_one_row_with_the_new_title_in_it() -> None:
    project = one_group()
    table = dict(project.table)
    first, *_ = project.state.remove([Deleted(uid(CARD), NOW)], NOW).rows
    write(table, [first])
    found = load(table).cluster(of(CARD))
    assert found is not None
    assert (found.size, found.title, found.summary) == (2, "", "")


def test_an_assignment_not_sent_before_a_deletion_is_not_sent_after_it() -> None:
    project = Project()
    project.say(CARD, LOGIN, "sound broken")
    project.delete(CARD)
    told = project.state.unsent().events
    assert {e.item_id for e in told if isinstance(e, ItemAssigned)} == {uid(LOGIN), uid("sound broken")}
    assert of(CARD) not in {e.cluster_id for e in told if isinstance(e, ClusterChanged)}
    assert {e.runner_up_id for e in told if isinstance(e, ItemAssigned)} <= {None, of(LOGIN), of("sound broken")}


def test_a_runner_up_that_was_deleted_is_not_told_as_another() -> None:
    project = Project()
    project.say(CARD)
    [told] = [e for e in project.say(LOGIN).events if isinstance(e, ItemAssigned)]
    assert told.runner_up_id == of(CARD)
    project.delete(CARD)
    project.say("map wrong")  # in the slot that was the card's
    assert project.core.state.index.slots().tolist() == [0, 1]
    [told] = [e for e in project.state.unsent().events if isinstance(e, ItemAssigned) and e.item_id == uid(LOGIN)]
    assert told.runner_up_id is None


def test_a_round_under_way_comes_to_nothing_and_is_not_due_again_for_it() -> None:
    state, _ = fed(120)
    state.apply(Rebalance("r", *WHO), NOW)
    due = state.round_due()
    assert due is not None
    decision = due.decide()
    state.remove([Deleted(uid(0), NOW)], NOW)
    [status] = [e for e in state.finish(due, decision, NOW, 0.1).events if isinstance(e, ClusteringStatus)]
    assert "given up" in status.outcome
    again = state.round_due()
    if again is not None:
        state.finish(again, again.decide(), NOW, 0.1)
    assert not state.stale()
    state.remove([Deleted(uid(1), NOW)], NOW)
    assert not state.stale()


@pytest.mark.parametrize("kind", [Rebalance, Reset])
def test_who_asked_for_a_round_of_what_is_gone_is_answered(kind: type[Rebalance | Reset]) -> None:
    project = Project()
    project.say(CARD, LOGIN)
    state = project.state
    state.apply(kind("r", *WHO), NOW)
    step = state.remove([Deleted(uid(name), NOW) for name in (CARD, LOGIN)], NOW)
    [done] = [e for e in step.events if isinstance(e, CommandDone)]
    assert (done.command_id, done.outcome, done.reason) == ("r", "applied", "nothing is left to cluster")
    assert state.round_due() is None
    assert not state.stale()


def test_a_project_whose_items_are_all_gone_goes_on() -> None:
    project = Project()
    project.keep(project.state.add(A, *stream(range(40))))
    for n in range(40):
        project.keep(project.state.remove([Deleted(uid(n), NOW)], NOW))
    assert (project.core.state.seen, len(project.core.state.index)) == (0, 0)
    for command in (Rebalance("r", *WHO), Reset("s", *WHO), Configure("c", *WHO, granularity="fine")):
        assert project.tell(command)[0] == "applied"
    project.keep(project.state.add(A, *stream(range(40, 90))))
    project.keep(project.state.add(B, *stream(range(90, 95), B)))
    found = project.state.cluster_of([uid(n) for n in range(95)])
    assert found[:40] == [None] * 40
    assert None not in found[40:]
    # Of the second embedder nothing is left; the first goes on without it.
    project.keep(project.state.remove([Deleted(uid(n), NOW) for n in range(90, 95)], NOW))
    state = project.state
    project.keep(state.apply(Reset("t", *WHO), NOW))
    done = []
    while (due := state.round_due()) is not None:
        done += [e for e in state.finish(due, due.decide(), NOW, 0.1).events if isinstance(e, CommandDone)]
    assert [(e.command_id, e.outcome) for e in done] == [("t", "applied")]


def test_archived_items_are_deleted_too() -> None:
    project = Project(days=10)
    project.say(CARD, LOGIN)
    project.say(LATER, like=CARD, day=1)
    project.say("app slow", day=30)
    state = project.state
    project.keep(state.apply(Rebalance("r", *WHO), NOW))
    while (due := state.round_due()) is not None:
        project.keep(state.finish(due, due.decide(), NOW, 0.1))
    assert len(project.core.state.index) == 1
    step = project.delete(CARD)
    assert changed(step) == {of(CARD): (1, "", "")}
    assert project.where(CARD, LATER, LOGIN) == [None, of(CARD), of(LOGIN)]
    assert changed(project.delete(LATER, LOGIN)) == {}
    assert [project.state.cluster(of(name)) for name in (CARD, LOGIN)] == [None, None]
    assert (project.core.state.seen, project.core.state.archive.items) == (1, 0)


def test_what_is_archived_counts_less() -> None:
    of = Archived(3, 1.0, 5.0, ("manual",))
    assert of.less(1) == Archived(2, 1.0, 5.0, ("manual",))
    assert of.less(3) == NOTHING


def test_words_forget_groups_and_go_with_the_last() -> None:
    said = Constraints(
        [
            Constraint("m", "merge", 1, must_link=[1, 2, 3], before={1: 0, 2: 0, 3: 4}),
            Constraint("s", "split", 2, must_link=[3], one_side=[3], other_side=[1, 2], before={3: 0}),
            Constraint("r", "rename", 3, cluster=7),
            Constraint("q", "resolve", 4, cluster=8),
        ]
    )
    assert sorted(said.forget({3}, {7})) == ["m", "r", "s"]
    assert said.by_command.keys() == {"m", "s", "q"}
    assert said.slots() == {1, 2}
    assert said.by_command["m"].before == {1: 0, 2: 0}
    assert 3 not in said.must_link
    assert sorted(said.forget({1, 2}, ())) == ["m", "s"]
    assert said.by_command.keys() == {"q"}
    assert (said.must_link, said.cannot_link) == ({}, {})


def test_a_cluster_is_called_by_what_opened_it_though_another_group_has_a_lower_slot() -> None:
    project = Project()
    state = project.state
    for says in (LOGIN, CARD):
        project.keep(state.add(A, [compared_item(says, text=says)], vector(says)[None]))
    project.keep(state.remove([Deleted(uid(LOGIN), NOW)], NOW))
    project.keep(state.add(A, [compared_item("again", text="card late again")], vector(CARD)[None]))
    assert [micro_cluster.title for micro_cluster in project.core.state.index.micro_clusters] == [
        "card late again",
        CARD,
    ]
    assert changed(project.say(CARD, named="once more")) == {of(CARD): (3, CARD, CARD)}
