"""Groups that nothing new comes to are archived: their items stay where they are, and their memory is given back."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest

from soulcaster.domain.clustering.clusterer.progress import EARLY_ITEMS
from soulcaster.domain.clustering.features.vectors import Vectors, unit
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.steps import Step
from soulcaster.domain.commands import (
    Cleanup,
    Command,
    Configure,
    Merge,
    Move,
    Pin,
    Rebalance,
    Rename,
    Reset,
    Split,
    Undo,
)
from soulcaster.domain.embedder import EmbedderKey
from soulcaster.domain.events import ClusterChanged, ClusteringStatus, CommandDone, ItemAssigned, ProposalsChanged
from soulcaster.domain.feedback.items import ComparedItem
from soulcaster.domain.ids import cluster_id_for
from soulcaster.domain.segments import SEGMENT_BYTES
from tests.domain.clustering.make import TOPICS, WORDS, A, B, load, stream, vector, write
from tests.support.make import NOW, compared_item, uid

WHO = ("owner", NOW)
DAYS = 10
DAY = 24 * 60
CARD, LOGIN, SLOW, MAP, SOUND = "card late", "login down", "app slow", "map wrong", "sound broken"


def say(
    *texts: str, day: float, key: EmbedderKey = A, source: str = "manual"
) -> tuple[EmbedderKey, list[ComparedItem], Vectors]:
    """One item a text, named by it, all of one day; what begins alike means the same."""
    means = [next((topic for topic in TOPICS if says.startswith(topic)), says) for says in texts]
    items = [compared_item(says, text=says, source=source, minutes=day * DAY) for says in texts]
    return key, items, np.stack([vector(of, key) for of in means])


def of(name: str) -> str:
    return cluster_id_for("p", uid(name))


def answer(step: Step) -> tuple[str, str]:
    [done] = [e for e in step.events if isinstance(e, CommandDone)]
    return done.outcome, done.reason


class Project:
    """A project with its table, which is loaded from it again before every step."""

    def __init__(self, days: int = DAYS) -> None:
        self.days = days
        self.table: dict[str, bytes] = {}

    @property
    def state(self) -> ProjectClusters:
        return load(self.table, self.days)

    def keep(self, step: Step) -> Step:
        write(self.table, step.rows)
        return step

    def say(self, *texts: str, day: float, key: EmbedderKey = A, source: str = "manual") -> Step:
        return self.keep(self.state.add(*say(*texts, day=day, key=key, source=source)))

    def tell(self, command: Command) -> Step:
        step = self.keep(self.state.apply(command, NOW))
        assert answer(step)[0] == "applied", answer(step)
        return step

    def refused(self, command: Command) -> str:
        outcome, reason = answer(self.state.apply(command, NOW))
        assert outcome == "refused"
        return reason

    def round(self, kind: type[Rebalance | Reset] = Rebalance) -> Step:
        """Rounds that somebody asks for; return the last."""
        state = self.state
        self.keep(state.apply(kind(f"round {len(self.table)} {max(self.table)}", *WHO), NOW))
        step = Step()
        while (due := state.round_due()) is not None:
            step = self.keep(state.finish(due, due.decide(), NOW, 0.1))
        return step

    def where(self, *names: str) -> list[str | None]:
        return self.state.cluster_of([uid(name) for name in names])

    def micro_clusters(self) -> int:
        return sum(len(core.state.index) for core in self.state.clusterers.values())

    def size(self, name: str) -> int:
        cluster = self.state.cluster(of(name))
        assert cluster is not None
        return cluster.size


def aged(days: int = DAYS) -> Project:
    """Cards (two, of two sources) and a login that are old, an app that is slow today; a round has been."""
    project = Project(days)
    project.say(CARD, LOGIN, day=0)
    project.say(f"{CARD} 1", day=1, source="reddit")
    project.say(SLOW, day=20)
    project.round()
    return project


def test_what_is_old_is_archived_at_the_end_of_a_round_and_stays_where_it_is() -> None:
    project = aged()
    assert project.micro_clusters() == 1
    assert project.where(CARD, f"{CARD} 1", LOGIN, SLOW) == [of(CARD), of(CARD), of(LOGIN), of(SLOW)]
    found = project.state.cluster(of(CARD))
    assert found is not None
    assert (found.size, found.sources, found.title) == (2, ("manual", "reddit"), CARD)
    assert (found.created_at, found.updated_at) == (NOW, NOW + timedelta(days=1))
    assert not found.slots


def test_by_default_nothing_is_archived() -> None:
    project = aged(days=0)
    assert project.micro_clusters() == 3


def test_a_group_is_as_old_as_its_newest_item() -> None:
    project = Project()
    project.say(CARD, LOGIN, day=0)
    project.say(f"{CARD} 1", day=15)
    project.say(SLOW, day=20)
    project.round()
    assert project.micro_clusters() == 2
    assert [c is not None and bool(c.slots) for c in map(project.state.cluster, (of(CARD), of(LOGIN)))] == [
        True,
        False,
    ]


def test_what_comes_later_is_not_compared_with_it() -> None:
    project = aged()
    [told] = [e for e in project.say("card late again", day=20).events if isinstance(e, ItemAssigned)]
    assert told.change == "opened"
    assert told.runner_up_id in (None, of(SLOW))
    again = compared_item("the same words", text=CARD, minutes=20 * DAY)  # "card late" to the letter
    step = project.keep(project.state.add(A, [again], vector(CARD)[None]))
    [told] = [e for e in step.events if isinstance(e, ItemAssigned)]
    assert told.cluster_id != of(CARD)
    # An item that is sent again is still known.
    assert project.say(CARD, day=20) == Step()


def test_slots_are_used_again_and_the_same_ones_after_a_restart() -> None:
    project = aged()
    state = project.state
    project.keep(state.add(*say(MAP, SOUND, "refund missing", day=20)))
    [core], [again] = state.clusterers.values(), project.state.clusterers.values()
    assert core.state.index.slots().tolist() == again.state.index.slots().tolist() == [0, 1, 2, 3]
    for slot in range(4):
        assert core.state.index.members(slot) == again.state.index.members(slot)
    assert project.where(CARD, LOGIN, MAP) == [of(CARD), of(LOGIN), of(MAP)]


def test_a_round_says_how_many_and_what_is_left() -> None:
    project = Project()
    project.say(CARD, LOGIN, day=0)
    project.say(SLOW, day=20)
    status = [e for e in project.round().events if isinstance(e, ClusteringStatus)][-1]
    assert status.outcome.endswith("; 2 groups archived")
    assert (status.items, status.groups, status.clusters) == (3, 1, 3)


def test_what_a_person_has_said_something_of_is_not_archived() -> None:
    project = Project()
    project.say(CARD, LOGIN, MAP, SOUND, day=0)
    project.tell(Merge("m", *WHO, of(CARD), (of(LOGIN),)))
    project.tell(Pin("p", *WHO, of(MAP), True))
    project.say(SLOW, day=20)
    project.round()
    assert project.micro_clusters() == 4  # but not the sound
    project.tell(Undo("u", *WHO, "m"))
    project.tell(Pin("q", *WHO, of(MAP), False))
    project.round()
    assert project.micro_clusters() == 1
    assert project.where(CARD, LOGIN, MAP) == [of(CARD), of(LOGIN), of(MAP)]


def test_commands_on_what_is_archived() -> None:
    project = aged()
    project.tell(Rename("r", *WHO, of(CARD), "Late cards"))
    project.tell(Pin("p", *WHO, of(LOGIN), True))
    found = project.state.cluster(of(CARD)), project.state.cluster(of(LOGIN))
    assert [(c.shown_title, c.pinned) for c in found if c] == [("Late cards", False), (LOGIN, True)]
    project.tell(Undo("u", *WHO, "r"))
    for command in (
        Merge("m", *WHO, of(SLOW), (of(CARD),)),
        Merge("n", *WHO, of(CARD), (of(SLOW),)),
        Split("s", *WHO, of(CARD), (uid(CARD),)),
        Move("v", *WHO, (uid(CARD),), of(SLOW)),
        Move("w", *WHO, (uid(SLOW),), of(CARD)),
    ):
        assert "archived" in project.refused(command)
    assert project.where(CARD, LOGIN, SLOW) == [of(CARD), of(LOGIN), of(SLOW)]


LOST = "card late or lost"


def half_archived() -> Project:
    """A cluster of cards that has an old group, which is archived, and one of today."""
    project = Project()
    project.say(CARD, LOGIN, MAP, SLOW, day=0)
    near = unit(vector(CARD) + 0.6 * vector("something else"))
    project.keep(project.state.add(A, [compared_item(LOST, text=LOST, minutes=20 * DAY)], near[None]))
    project.round()
    assert project.where(CARD, LOST) == [of(CARD)] * 2
    assert (project.micro_clusters(), project.size(CARD)) == (1, 2)
    return project


def test_a_merge_takes_what_is_archived_along_and_its_undo_gives_it_back() -> None:
    project = half_archived()
    project.say(SOUND, day=20)
    step = project.tell(Merge("m", *WHO, of(SOUND), (of(CARD),)))
    assert [e.size for e in step.events if isinstance(e, ClusterChanged)] == [3]
    assert project.where(CARD, LOST, SOUND) == [of(SOUND)] * 3
    step = project.tell(Undo("u", *WHO, "m"))
    assert {e.cluster_id: e.size for e in step.events if isinstance(e, ClusterChanged)} == {of(CARD): 2, of(SOUND): 1}
    assert project.where(CARD, LOST, SOUND) == [of(CARD), of(CARD), of(SOUND)]
    assert (project.size(CARD), project.size(SOUND)) == (2, 1)


def test_a_split_leaves_what_is_archived_with_the_parent_which_stands_without_another_group() -> None:
    project = half_archived()
    project.tell(Split("s", *WHO, of(CARD), (uid(LOST),)))
    [there, split] = project.where(CARD, LOST)
    assert there == of(CARD) != split
    assert project.size(CARD) == 1
    project.tell(Undo("u", *WHO, "s"))
    assert project.where(CARD, LOST) == [of(CARD)] * 2
    assert project.size(CARD) == 2


def test_a_cluster_from_which_all_but_what_is_archived_is_moved_stands() -> None:
    project = half_archived()
    project.say(SOUND, day=20)
    project.tell(Move("v", *WHO, (uid(LOST),), of(SOUND)))
    assert project.where(CARD, LOST) == [of(CARD), of(SOUND)]
    assert (project.size(CARD), project.size(SOUND)) == (1, 2)
    project.tell(Undo("u", *WHO, "v"))
    assert project.where(CARD, LOST) == [of(CARD)] * 2


def test_proposals_go_with_what_they_name() -> None:
    project = Project()
    project.keep(project.state.add(A, *stream(range(24))))
    project.tell(Configure("broad", *WHO, granularity="broad"))
    [told] = [e for e in project.round().events if isinstance(e, ProposalsChanged)]
    assert told.proposals
    project.say("another thing", day=20)
    *_, last = [e for e in project.round().events if isinstance(e, ProposalsChanged)]
    assert not last.proposals
    for proposal in told.proposals:
        assert "does not stand" in project.refused(Cleanup("c", *WHO, (proposal.id,)))


def test_a_second_embedders_groups_grow_old_by_the_first_ones_items() -> None:
    project = Project()
    project.say(CARD, LOGIN, day=0, key=B)
    project.say(SOUND, day=1, key=B)
    project.round()
    assert project.micro_clusters() == 3
    project.say(SLOW, MAP, day=20)
    project.round()
    assert project.micro_clusters() == 3  # of each embedder the newest stays
    assert project.where(CARD, LOGIN, SOUND) == [of(CARD), of(LOGIN), of(SOUND)]
    assert answer(project.round(Reset))[0] == "applied"
    project.say("card late again", day=20, key=B)
    assert project.where("card late again") == [of("card late again")]


# ---- many ---------------------------------------------------------------------------------------------------------


def many(count: int, start: int, day: float, texts: int | None = None) -> tuple[list[ComparedItem], Vectors]:
    """Items that have nothing in common; or so many texts, again and again."""
    chance = np.random.default_rng(start)
    says = [" ".join(chance.choice(WORDS, 3)) + f" x{start + i % (texts or count)}y" for i in range(count)]
    if texts:
        says = [f"the same {i % texts}" for i in range(count)]
    items = [compared_item(start + i, text=text, minutes=day * DAY) for i, text in enumerate(says)]
    return items, np.stack([vector(text) for text in says])


def assert_counted(state: ProjectClusters, ids: Sequence[str]) -> None:
    """Of these items each that is there is in a cluster, which has as many as it says."""
    for cluster_id, items in Counter(filter(None, state.cluster_of(ids))).items():
        cluster = state.cluster(str(cluster_id))
        assert cluster is not None
        assert cluster.size == items


def test_a_crash_between_any_two_rows_leaves_a_state_that_goes_on() -> None:
    project = Project()
    items, vectors = many(9_000, 0, 0, texts=1)  # one group, whose records take more than a row
    project.keep(project.state.add(A, items, vectors))
    others, vectors = many(1_500, 10_000, 0)
    project.keep(project.state.add(A, others, vectors))
    assert len(project.state.clusterers[A].state.index) > 100
    new, vectors = many(3, 20_000, 20)
    project.keep(project.state.add(A, new, vectors))
    ids = [item.id for item in (*items, *others, *new)]
    state = project.state
    project.keep(state.apply(Rebalance("r", *WHO), NOW))
    due = state.round_due()
    assert due is not None
    rows = list(state.finish(due, due.decide(), NOW, 0.1).rows)
    left, later = [len(state.clusterers[A].state.index)], []
    while left[-1] > 5:
        others, vectors = many(1, 30_000 + len(left), 20)
        rows += state.add(A, others, vectors).rows
        left.append(len(state.clusterers[A].state.index))
        later.append(others[0].id)
    assert len(left) > 1  # not all at once
    expected = state.cluster_of(ids)
    written = [row for row in rows if row.value is not None]
    assert len(written) > 4
    assert max(len(row.value or b"") for row in written) < 2 * SEGMENT_BYTES
    for cut in range(1, len(rows) + 1):
        table = dict(project.table)
        write(table, rows[:cut])
        again = load(table, DAYS)
        assert again.cluster_of(ids) == expected
        assert_counted(again, [*ids, *later])
        write(table, again.apply(Rebalance("again", *WHO), NOW).rows)
        due = again.round_due()
        if due is not None:
            write(table, again.finish(due, due.decide(), NOW, 0.1).rows)
        others, vectors = many(len(left), 40_000, 20)
        for i, item in enumerate(others):
            write(table, again.add(A, [item], vectors[i : i + 1]).rows)
        last = load(table, DAYS)
        assert len(last.clusterers[A].state.index) <= 5 + 2 * len(left)
        assert_counted(last, [*ids, *later, *(item.id for item in others)])


def test_a_long_stream_keeps_few_groups_and_comes_to_rounds_again_and_again() -> None:
    project = Project()
    state = project.state
    most, rounds = 0, []
    for day in range(120):
        step = state.add(A, *many(40, 100 * day, day))
        project.keep(step)
        while (due := state.round_due()) is not None:
            project.keep(state.finish(due, due.decide(), NOW, 0.1))
        [core] = state.clusterers.values()
        most = max(most, len(core.state.index))
        rounds.append(core.state.progress.number)
    assert core.state.seen == 120 * 40 > 4 * EARLY_ITEMS
    assert most < 3 * DAYS * 40
    assert rounds[-1] > rounds[-40]
    assert_counted(state, [uid(100 * day + i) for day in range(120) for i in range(40)])
    assert len(project.state.clusterers[A].state.index) == len(core.state.index)


@pytest.mark.parametrize("wait", [False, True])
def test_a_runner_up_that_is_archived_is_not_told_as_another(wait: bool) -> None:
    project = Project()
    project.say(CARD, LOGIN, day=0)
    state = project.state
    step = project.keep(state.add(*say("login down on card", day=20)))
    [told] = [e for e in step.events if isinstance(e, ItemAssigned)]
    assert told.runner_up_id == of(CARD)
    project.keep(state.apply(Rebalance("now", *WHO), NOW))
    due = state.round_due()
    assert due is not None
    project.keep(state.finish(due, due.decide(), NOW, 0.1))
    if wait:
        project.keep(state.add(*say(MAP, SOUND, day=20)))
    [again] = [e for e in project.state.unsent().events if isinstance(e, ItemAssigned) and e.item_id == told.item_id]
    assert again.runner_up_id is None


def test_what_says_the_same_as_an_archived_group_opens_another() -> None:
    state = load({}, DAYS)
    state.add(*say(CARD, "card late for order 1", day=0))
    state.add(*say(SLOW, day=20))
    state.apply(Rebalance("now", *WHO), NOW)
    due = state.round_due()
    assert due is not None
    state.finish(due, due.decide(), NOW, 0.1)
    again = [compared_item(n, text=says, minutes=20 * DAY) for n, says in enumerate((CARD, "card late for order 2"))]
    step = state.add(A, again, np.stack([vector(CARD)] * 2))
    told = [e for e in step.events if isinstance(e, ItemAssigned)]
    assert [e.cluster_id for e in told] == [cluster_id_for("p", again[0].id)] * 2
