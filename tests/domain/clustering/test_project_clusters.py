"""One project's clusters: a command is carried out once, a step is written whole, and items have their assignment."""

import csv
import random
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import soulcaster
from soulcaster.adapters.embedders.static import StaticEmbedder
from soulcaster.domain.clustering.clusterer.changes import ProposedChange
from soulcaster.domain.clustering.clusterer.clusterer import Clusterer
from soulcaster.domain.clustering.consolidation import identity
from soulcaster.domain.clustering.features.vectors import Vectors, unit
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.command_queue import MAX_WAITING_IDS
from soulcaster.domain.clustering.project.item_records import RECORD_BYTES
from soulcaster.domain.clustering.project.round_schedule import MAX_REQUESTED
from soulcaster.domain.clustering.project.steps import Step
from soulcaster.domain.commands import (
    ApproveFix,
    Cleanup,
    Command,
    Configure,
    Merge,
    Move,
    Mute,
    Pin,
    Rebalance,
    Rename,
    Reset,
    Split,
    StartFix,
    Undo,
)
from soulcaster.domain.embedder import EmbedderKey
from soulcaster.domain.events import (
    ClusterChanged,
    ClusteringConfigured,
    ClusterMerged,
    ClusterRestored,
    ClusterSplit,
    CommandDone,
    ItemAssigned,
    ProposalsChanged,
)
from soulcaster.domain.feedback.items import ComparedItem
from soulcaster.domain.fixes.fix import Fix
from soulcaster.domain.fixes.limits import FixLimits
from soulcaster.domain.ids import cluster_id_for, job_id_for
from soulcaster.domain.lifecycle import JobState, JobStep
from soulcaster.domain.segments import Segments
from tests.domain.clustering.make import DIMENSIONS, TOPICS, A, B, chance_rows, fed, load, stream, text, vector, write
from tests.support.make import NOW, compared_item, uid

WHO = ("owner", NOW)
CARD, LOGIN = "card late", "login down"


def say(*texts: str) -> tuple[list[ComparedItem], Vectors]:
    """One item for each text, with the text as its name; texts that begin alike mean the same."""
    means = [next((topic for topic in TOPICS if says.startswith(topic)), says) for says in texts]
    return [compared_item(says, text=says) for says in texts], np.stack([vector(of) for of in means])


def of(name: str) -> str:
    return cluster_id_for("p", uid(name))


def answer(step: Step) -> tuple[str, str]:
    [done] = [e for e in step.events if isinstance(e, CommandDone)]
    return done.outcome, done.reason


def apply(state: ProjectClusters, command: Command) -> Step:
    """Carry out a command that is possible."""
    step = state.apply(command, NOW)
    assert answer(step)[0] == "applied", answer(step)
    return step


def refused(state: ProjectClusters, command: Command) -> str:
    outcome, reason = answer(state.apply(command, NOW))
    assert outcome == "refused"
    return reason


def where(state: ProjectClusters, *names: object) -> list[str | None]:
    return state.cluster_of([uid(name) for name in names])


def round_of(state: ProjectClusters, name: str = "asked") -> Step:
    """Run a round that somebody asked for."""
    state.apply(Rebalance(name, *WHO), NOW)
    due = state.round_due()
    assert due is not None
    return state.finish(due, due.decide(), NOW, 0.1)


# ---- items ------------------------------------------------------------------------------------------------------


def test_an_item_that_comes_twice_in_a_step_is_taken_in_its_newest_version() -> None:
    state = load({})
    items = [compared_item("x", text="old"), compared_item("y", text="else"), compared_item("x", text="new")]
    step = state.add(A, items, chance_rows(3))
    assert [e.item_id for e in step.events if isinstance(e, ItemAssigned)] == [uid("y"), uid("x")]
    cluster = state.cluster(of("x"))
    assert cluster is not None
    assert cluster.title == "new"


@pytest.mark.parametrize(("topics", "proposals"), [(2, False), (3, True)])
def test_titles_and_proposals_are_those_of_rounds_that_are_described_one_by_one(topics: int, proposals: bool) -> None:
    at_once, one_by_one = Clusterer("p", DIMENSIONS), Clusterer("p", DIMENSIONS)
    items, vectors = stream(sorted(range(0, 2000, 5), key=lambda n: n % len(TOPICS) // topics))  # some topics first
    for start, end in ((0, 300), (300, 400)):  # the rounds of the first part follow each other within one call
        rounds = [done for done in at_once.add(items[start:end], vectors[start:end]) if not isinstance(done, list)]
        assert len(rounds) > 2 or start
        for done in one_by_one.add(items[start:end], vectors[start:end]):
            if not isinstance(done, list):
                one_by_one.rounds.describe()
    assert bool(at_once.state.proposals) == proposals
    assert at_once.state.proposals == one_by_one.state.proposals
    assert any(cluster.terms for cluster in at_once.state.clusters)
    for one, other in zip(at_once.state.clusters, one_by_one.state.clusters, strict=True):
        assert one == other or (one.merged_into is not None and one.merged_into == other.merged_into)


def test_nothing_new_is_no_step() -> None:
    state = load({})
    state.add(A, *say(CARD))
    assert state.add(A, [compared_item(CARD, text="said otherwise")], chance_rows(1)) == Step()
    assert state.add(A, [], np.zeros((0, DIMENSIONS), np.float32)) == Step()
    assert state.cluster_of([]) == []
    assert state.cluster_of([uid("unknown")]) == [None]


def test_two_embedders_never_meet() -> None:
    state = load({})
    same = chance_rows(1)
    first = state.add(A, [compared_item("x")], same).events[0]
    second = state.add(B, [compared_item("y")], same).events[0]
    third = state.add(A, [compared_item("z")], same).events[0]
    assert isinstance(first, ItemAssigned)
    assert isinstance(second, ItemAssigned)
    assert isinstance(third, ItemAssigned)
    assert (second.change, second.runner_up_id, second.embedder) == ("opened", None, "b@1")
    assert third.cluster_id == first.cluster_id != second.cluster_id
    assert "two embedders" in refused(state, Merge("m", *WHO, first.cluster_id, (second.cluster_id,)))
    assert "another embedder" in refused(state, Move("v", *WHO, (uid("y"),), first.cluster_id))


def test_the_row_of_a_step_holds_items_and_clusters_together() -> None:
    items, vectors = stream(range(30))
    step = load({}).add(A, items, vectors)
    table: dict[str, bytes] = {}
    write(table, step.rows[:1])  # cut off after the first row: titles can be computed again
    state = load(table)
    sizes = Counter(state.cluster_of([i.id for i in items]))
    assert None not in sizes
    for cluster_id, size in sizes.items():
        cluster = state.cluster(cluster_id or "")
        assert cluster is not None
        assert cluster.size == size


def test_why_an_item_is_where_it_is() -> None:
    state = load({})
    texts = (CARD, "card late", "card late for order 5", "card late for order 6", LOGIN)
    items = [compared_item(n, text=says) for n, says in enumerate(texts)]
    rows = unit(np.array([[1, 0, 0.0], [1, 0, 0], [0.5, 0.9, 0], [0.5, 0.9, 0], [0, 0, 1]], np.float32))
    events = [state.add(EmbedderKey("a", "1", 3), [i], row[None]).events[0] for i, row in zip(items, rows, strict=True)]
    found = [e for e in events if isinstance(e, ItemAssigned)]
    assert [e.rule for e in found][:2] == ["first", "same-text"]
    assert [e.rule for e in found][3:] == ["same-masked-text", "far"]
    assert found[1].score == 1
    assert all((e.score >= e.threshold) == (e.change == "joined") for e in found)
    assert found[4].runner_up_id == found[0].cluster_id or found[4].runner_up_id == found[2].cluster_id


def test_rounds_of_a_small_project_are_done_on_the_way() -> None:
    state, steps = fed(200)
    assert state.round_due() is None
    last = [e for step in steps for e in step.events if isinstance(e, ItemAssigned)][-1]
    assert last.round >= 5
    again, others = fed(200, batch=1)
    assert again.cluster_of([uid(n) for n in range(200)]) == state.cluster_of([uid(n) for n in range(200)])
    assert len(others) == 200


def test_what_is_said_again_and_again_does_not_push_the_rest_together() -> None:
    state = load({})
    often = [compared_item(n, text="the same again") for n in range(1000, 6000)]
    state.add(A, often, np.repeat(vector("the same again")[None], len(often), axis=0))
    state.add(A, *stream(range(200)))
    state.apply(Rebalance("r", *WHO), NOW)
    while (due := state.round_due()) is not None:
        state.finish(due, due.decide(), NOW, 0.1)
    found = state.cluster_of([uid(n) for n in range(200)])
    assert len(set(found)) >= len(TOPICS) - 1


def test_the_same_text_is_together_however_many_there_are() -> None:
    state = load({})
    numbers = [0, 1, 2, 3, 4, 5]
    items = [compared_item(n, text=text(numbers[n % 6])) for n in range(120)]
    state.add(A, items, np.stack([vector(item.text) for item in items]))
    for says in numbers:
        assert len(set(state.cluster_of([item.id for item in items[says::6]]))) == 1


def test_one_text_alone_leaves_others_apart() -> None:
    # A round over a single micro-cluster has nothing to take a threshold from.
    state = load({})
    items = [compared_item(n, text=CARD) for n in range(17)]
    state.add(A, items, np.repeat(vector(CARD)[None], 17, 0))
    state.add(A, *say(LOGIN))
    assert where(state, 0) != where(state, LOGIN)


# ---- an explicit threshold --------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 120), st.integers(1, 12), st.sampled_from([1, 5, 50]))
def test_an_explicit_threshold_is_a_plain_leader_by_the_mean(seed: int, n: int, topics: int, batch: int) -> None:
    chance = np.random.default_rng(seed)
    rows = chance_rows(topics, DIMENSIONS, seed)[chance.integers(0, topics, n)] + 0.15 * chance_rows(n, seed=seed + 1)
    rows = unit(rows).astype(np.float16).astype(np.float32)
    items = [compared_item((seed, i), text=CARD) for i in range(n)]  # words do not count
    table: dict[str, bytes] = {}
    write(table, load(table).apply(Configure("c", *WHO, threshold=0.75, granularity="auto"), NOW).rows)
    for at in range(0, n, batch):
        write(table, load(table).add(A, items[at : at + batch], rows[at : at + batch]).rows)

    means: list[np.ndarray] = []
    counts: list[int] = []
    first: list[int] = []
    expected = []
    for at in range(0, n, batch):
        # In a batch, items are compared with the means at its start and with those it has opened.
        known = [unit(mean.astype(np.float32)[None])[0] for mean in means]
        joined: list[tuple[int, int]] = []
        for i in range(at, min(n, at + batch)):
            cosines = [float(mean @ rows[i]) for mean in known]
            best = max(range(len(cosines)), key=lambda k: cosines[k], default=-1)
            if best < 0 or cosines[best] < 0.75:
                best = len(known)
                known.append(rows[i])
                first.append(i)
                means.append(np.zeros(DIMENSIONS, np.float16))
                counts.append(0)
            joined.append((best, i))
            expected.append(cluster_id_for("p", items[first[best]].id))
        for k in {k for k, _ in joined}:
            new = rows[[i for j, i in joined if j == k]]
            total = means[k].astype(np.float32) * counts[k] + new.sum(0)
            counts[k] += len(new)
            means[k] = (total / counts[k]).astype(np.float16)
    assert load(table).cluster_of([item.id for item in items]) == expected
    assert load(table).round_due() is None
    assert not load(table).stale()


def test_a_threshold_is_given_before_there_are_items_or_not_at_all() -> None:
    state = load({})
    state.add(A, *say(CARD))
    assert "reset" in refused(state, Configure("c", *WHO, threshold=0.75, granularity="auto"))
    apply(state, Configure("d", *WHO, granularity="finer"))


def test_what_is_configured_is_told_and_told_again_after_a_crash() -> None:
    table: dict[str, bytes] = {}
    state = load(table)
    step = state.apply(Configure("c", *WHO, threshold=0.75, granularity="broad"), NOW)
    write(table, step.rows)
    told = ClusteringConfigured(0.75, "broad", NOW, "c")
    assert told in step.events
    assert told in load(table).unsent().events
    step = state.apply(Configure("d", *WHO, granularity="auto"), NOW)
    assert ClusteringConfigured(None, "auto", NOW, "d") in step.events


def test_what_is_refused_is_not_told() -> None:
    state = load({})
    state.add(A, *say(CARD))
    step = state.apply(Configure("c", *WHO, threshold=0.75, granularity="auto"), NOW)
    assert not any(isinstance(event, ClusteringConfigured) for event in step.events)


# ---- commands ---------------------------------------------------------------------------------------------------


def test_a_fix_of_a_cluster_that_is_known() -> None:
    table: dict[str, bytes] = {}
    write(table, load(table).add(A, *say(CARD)).rows)
    asked = StartFix("command 1", *WHO, of(CARD))
    step = load(table).apply(asked, NOW)
    branch = f"soulcaster/fix-{of(CARD)[:8]}-1"
    fix = Fix(job_id_for("command 1"), of(CARD), CARD, "owner", NOW, 1, branch)
    assert step.fixes == (fix,)
    [ordered] = step.job_steps
    assert (ordered.job_id, ordered.state, ordered.fix) == (fix.job_id, "approved", fix)
    write(table, step.rows)
    assert load(table).apply(asked, NOW) == Step()
    again = load(table).apply(StartFix("command 2", *WHO, of(CARD)), NOW)
    assert (answer(again)[0], again.fixes, again.job_steps) == ("refused", (), ())


def test_a_fix_that_was_refused_can_be_requested_again_and_a_replay_of_both_requests_starts_nothing() -> None:
    table: dict[str, bytes] = {}
    write(table, load(table).add(A, *say(CARD)).rows)
    none, one = FixLimits(0, 9, 9.0), FixLimits(1, 9, 9.0)
    early = StartFix("command 1", *WHO, of(CARD), limits=none)
    later = StartFix("command 1", "kim", NOW + timedelta(seconds=1), of(CARD), limits=one)
    step = load(table).apply(early, NOW)
    assert (answer(step)[0], step.fixes) == ("refused", ())
    write(table, step.rows)
    assert load(table).apply(early, NOW) == Step()
    step = load(table).apply(later, NOW)
    assert (answer(step)[0], len(step.fixes)) == ("applied", 1)
    write(table, step.rows)
    for replayed in (early, later, early):
        assert load(table).apply(replayed, NOW) == Step()


def test_a_fix_of_a_cluster_that_is_not_known_yet_waits_for_it() -> None:
    table: dict[str, bytes] = {}
    asked = StartFix("command 1", *WHO, of(CARD))
    step = load(table).apply(asked, NOW)
    assert (answer(step)[0], step.fixes) == ("waiting", ())
    write(table, step.rows)
    assert load(table).apply(asked, NOW) == Step()  # delivered twice
    write(table, load(table).add(A, *say(LOGIN)).rows)
    step = load(table).add(A, *say(CARD))
    assert [fix.job_id for fix in step.fixes] == [job_id_for("command 1")]
    assert answer(step)[0] == "applied"
    write(table, step.rows)
    assert load(table).apply(asked, NOW) == Step()
    assert load(table).add(A, *say("later")).fixes == ()
    assert not any(key.startswith(b"command") for key in Segments(RECORD_BYTES, table).blobs())  # it is done


def test_what_waits_can_be_taken_back() -> None:
    state = load({})
    state.apply(StartFix("command 1", *WHO, of(CARD)), NOW)
    apply(state, Undo("u", *WHO, "command 1"))
    assert state.add(A, *say(CARD)).fixes == ()
    assert state.apply(StartFix("command 1", *WHO, of(CARD)), NOW) == Step()


def two() -> ProjectClusters:
    """Two clusters: three items about cards, two about logins."""
    state = load({})
    state.add(A, *say(CARD, f"{CARD} 1", LOGIN, f"{CARD} 2", f"{LOGIN} 3"))
    assert len(set(where(state, CARD, f"{CARD} 1", f"{CARD} 2"))) == 1
    assert where(state, LOGIN, f"{LOGIN} 3") == [of(LOGIN)] * 2
    return state


CARDS, LOGINS = (CARD, f"{CARD} 1", f"{CARD} 2"), (LOGIN, f"{LOGIN} 3")


def test_merged_and_undone() -> None:
    state = two()
    step = apply(state, Merge("m", *WHO, of(LOGIN), (of(CARD),)))
    assert [(e.cluster_id, e.into_id) for e in step.events if isinstance(e, ClusterMerged)] == [(of(CARD), of(LOGIN))]
    assert set(where(state, *CARDS, *LOGINS)) == {of(LOGIN)}
    found = state.cluster(of(CARD))
    assert found is not None
    assert (found.id, found.size) == (of(LOGIN), 5)
    step = apply(state, Undo("u", *WHO, "m"))
    assert [e.cluster_id for e in step.events if isinstance(e, ClusterRestored)] == [of(CARD)]
    assert {e.cluster_id: e.size for e in step.events if isinstance(e, ClusterChanged)} == {of(CARD): 3, of(LOGIN): 2}
    assert where(state, *CARDS, *LOGINS) == [of(CARD)] * 3 + [of(LOGIN)] * 2
    assert "no command m" in refused(state, Undo("again", *WHO, "m"))


def test_split_and_never_together_again_until_it_is_undone() -> None:
    state = two()
    step = apply(state, Split("s", *WHO, of(CARD), (uid(f"{CARD} 1"),), "The other card"))
    [split] = [e for e in step.events if isinstance(e, ClusterSplit)]
    assert split.parent_id == of(CARD)
    assert where(state, *CARDS) == [of(CARD), split.cluster_id, of(CARD)]
    assert [e.title for e in step.events if isinstance(e, ClusterChanged) and e.titled_by == "person"] == [
        "The other card"
    ]
    assert "command s" in refused(state, Merge("m", *WHO, of(CARD), (split.cluster_id,)))
    round_of(state)
    assert where(state, *CARDS) == [of(CARD), split.cluster_id, of(CARD)]
    apply(state, Undo("u", *WHO, "s"))
    assert where(state, *CARDS) == [of(CARD)] * 3
    found = state.cluster(split.cluster_id)
    assert found is not None
    assert found.id == of(CARD)  # its id stays an alias


@pytest.mark.parametrize("items", [CARDS, (CARD, LOGIN), (CARD, CARD, f"{CARD} 1", f"{CARD} 2")])
def test_a_split_that_cannot_be(items: tuple[str, ...]) -> None:
    state = two()
    refused(state, Split("s", *WHO, of(CARD), tuple(uid(i) for i in items)))
    assert where(state, *CARDS) == [of(CARD)] * 3


def test_an_item_named_twice_is_one() -> None:
    state = two()
    apply(state, Split("s", *WHO, of(LOGIN), (uid(LOGIN), uid(LOGIN))))
    assert len(set(where(state, *LOGINS))) == 2


def test_moved_and_undone() -> None:
    state = two()
    apply(state, Move("v", *WHO, (uid(CARD), uid(f"{CARD} 1")), of(LOGIN)))
    assert where(state, *CARDS) == [of(LOGIN), of(LOGIN), of(CARD)]
    round_of(state)
    assert where(state, CARD, LOGIN) == [of(LOGIN)] * 2
    apply(state, Undo("u", *WHO, "v"))
    assert where(state, *CARDS) == [of(CARD)] * 3


def test_a_cluster_from_which_everything_is_moved_is_an_alias_until_that_is_undone() -> None:
    state = two()
    apply(state, Move("v", *WHO, tuple(uid(i) for i in LOGINS), of(CARD)))
    found = state.cluster(of(LOGIN))
    assert found is not None
    assert (found.id, found.size) == (of(CARD), 5)
    apply(state, Undo("u", *WHO, "v"))
    assert where(state, *LOGINS) == [of(LOGIN)] * 2


def test_what_a_later_word_builds_on_is_undone_first() -> None:
    state = two()
    apply(state, Merge("m", *WHO, of(LOGIN), (of(CARD),)))
    apply(state, Split("s", *WHO, of(LOGIN), (uid(CARD),)))
    assert "command s" in refused(state, Undo("u", *WHO, "m"))
    apply(state, Undo("v", *WHO, "s"))
    apply(state, Undo("w", *WHO, "m"))
    assert where(state, *CARDS, *LOGINS) == [of(CARD)] * 3 + [of(LOGIN)] * 2


def test_what_was_split_off_and_came_back_is_merged_as_it_was() -> None:
    state = two()
    apply(state, Merge("m", *WHO, of(LOGIN), (of(CARD),)))
    apply(state, Split("s", *WHO, of(LOGIN), (uid(CARD),)))
    apply(state, Undo("u", *WHO, "s"))
    apply(state, Configure("c", *WHO, granularity="finer"))
    state.add(A, *stream(range(60)))
    assert len(set(where(state, *CARDS, *LOGINS))) == 1


def test_nothing_is_undone_into_what_it_was_put_apart_from() -> None:
    state = load({})
    state.add(A, *say(CARD, LOGIN, "refund missing"))
    apply(state, Merge("m0", *WHO, of(LOGIN), (of(CARD),)))
    apply(state, Split("s0", *WHO, of(LOGIN), (uid(CARD),)))  # the card is apart from the login
    [own] = where(state, CARD)
    apply(state, Merge("m1", *WHO, str(own), (of("refund missing"),)))
    apply(state, Split("s1", *WHO, str(own), (uid(CARD),)))
    apply(state, Merge("m2", *WHO, str(own), (of(LOGIN),)))  # the refund that stayed, and the login
    assert "command s0" in refused(state, Undo("u", *WHO, "s1"))
    assert where(state, CARD) != where(state, LOGIN) == where(state, "refund missing")
    apply(state, Undo("v", *WHO, "m2"))
    apply(state, Undo("w", *WHO, "s1"))
    assert where(state, CARD) == where(state, "refund missing") != where(state, LOGIN)


def shown(state: ProjectClusters, cluster_id: str) -> tuple[str, bool]:
    found = state.cluster(cluster_id)
    assert found is not None
    return found.shown_title, found.pinned


def test_titles_and_pins_are_undone_in_any_order() -> None:
    state = two()
    apply(state, Rename("r1", *WHO, of(CARD), "one"))
    apply(state, Rename("r2", *WHO, of(CARD), "two"))
    apply(state, Pin("p1", *WHO, of(CARD), True))
    apply(state, Pin("p2", *WHO, of(CARD), False))
    apply(state, Undo("u1", *WHO, "r1"))
    apply(state, Undo("u2", *WHO, "p1"))
    assert shown(state, of(CARD)) == ("two", False)
    apply(state, Undo("u3", *WHO, "r2"))
    assert shown(state, of(CARD))[0].startswith(CARD)


def test_a_title_given_after_a_merge_stays_when_that_is_undone() -> None:
    state = two()
    apply(state, Merge("m", *WHO, of(LOGIN), (of(CARD),)))
    apply(state, Rename("r", *WHO, of(LOGIN), "given"))
    apply(state, Undo("u", *WHO, "m"))
    assert shown(state, of(LOGIN))[0] == "given"
    assert shown(state, of(CARD))[0].startswith(CARD)


def test_what_names_no_item_is_refused_and_what_is_not_known_waits() -> None:
    state = two()
    refused(state, Move("v", *WHO, ("no id",), of(CARD)))
    assert answer(state.apply(Move("w", *WHO, (uid("later"),), of(CARD)), NOW))[0] == "waiting"
    step = state.add(A, *say("later"))
    assert answer(step)[0] == "applied"
    assert where(state, "later") == [of(CARD)]


class CountedSegments(Segments):
    """Segments that count the ids that are looked up in them."""

    looked_up = 0

    def get(self, ids: Sequence[bytes]) -> list[bytes | None]:
        self.looked_up += len(ids)
        return super().get(ids)


def test_commands_that_wait_cost_other_steps_nothing() -> None:
    segments = CountedSegments(RECORD_BYTES, {})
    state = ProjectClusters("p", segments)
    state.add(A, *say(CARD))
    for n in range(50):
        unknown = tuple(uid(f"{n} {i}") for i in range(400))
        assert answer(state.apply(Move(f"m{n}", *WHO, unknown, of(CARD)), NOW))[0] == "waiting"
    assert segments.looked_up < 2 * 50 * 400, "a new one looks at its own ids only"
    segments.looked_up = 0
    for n in range(20):
        apply(state, Rename(f"r{n}", *WHO, of(CARD), f"title {n}"))
        state.add(A, *say(f"{LOGIN} {n}"))
    assert segments.looked_up < 1000


def test_commands_that_wait_for_each_other_are_carried_out_together() -> None:
    table: dict[str, bytes] = {}
    state = load(table)
    write(table, state.add(A, *say(CARD, LOGIN)).rows)
    merge = Merge("second", *WHO, of(CARD), (of("x"),))
    write(table, state.apply(merge, NOW).rows)
    write(table, state.apply(Move("first", *WHO, (uid("x"), uid("y")), of(LOGIN)), NOW).rows)
    for after_restart in (False, True):
        one = load(dict(table)) if after_restart else state
        step = one.add(A, *say("x y z"))
        assert not [e for e in step.events if isinstance(e, CommandDone)], "neither x nor y has come"
        step = one.add(A, *say("y"))
        assert not [e for e in step.events if isinstance(e, CommandDone)]
        done = [e.command_id for e in one.add(A, *say("x")).events if isinstance(e, CommandDone)]
        assert sorted(done) == ["first", "second"]
        assert where(one, "x", "y") == [of(LOGIN), of(LOGIN)]


def test_so_many_ids_may_be_waited_for() -> None:
    state = load({})
    state.add(A, *say(CARD))
    for n in range(MAX_WAITING_IDS // 1000 - 1):
        unknown = tuple(uid(f"{n} {i}") for i in range(999))
        assert answer(state.apply(Move(f"m{n}", *WHO, unknown, of(CARD)), NOW))[0] == "waiting"
    big = tuple(uid(f"more {i}") for i in range(1000))
    outcomes = [
        e.outcome for e in state.apply(Move("big", *WHO, big, of(CARD)), NOW).events if isinstance(e, CommandDone)
    ]
    assert outcomes == ["waiting", "refused"]
    assert answer(state.apply(Move("small", *WHO, big[:900], of(CARD)), NOW))[0] == "waiting"


def test_proposals_are_carried_out_together_and_undone_together() -> None:
    state, _ = fed(30)
    apply(state, Configure("g", *WHO, granularity="broader"))
    step = round_of(state)
    [told] = [e for e in step.events if isinstance(e, ProposalsChanged)]
    assert len(told.proposals) > 1
    before = state.cluster_of([uid(n) for n in range(30)])
    assert "does not stand" in refused(state, Cleanup("x", *WHO, (told.proposals[0].id, "unknown")))
    assert state.cluster_of([uid(n) for n in range(30)]) == before
    apply(state, Cleanup("c", *WHO, tuple(p.id for p in told.proposals)))
    for proposal in told.proposals:
        assert len({found.id for c in proposal.cluster_ids if (found := state.cluster(c))}) == 1
    apply(state, Undo("u", *WHO, "c"))
    assert state.cluster_of([uid(n) for n in range(30)]) == before


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.permutations(range(150)), st.integers(1, 30))
def test_what_differs_by_a_number_only_is_one_cluster(order: list[int], batch: int) -> None:
    says = ("The app crashes when I open the settings page", "My card was declined", "Dark mode is missing")
    texts = [f"Question {n}\n{says[n % 3]} and this is report {n} of it" for n in order]
    embedder = StaticEmbedder()
    key = EmbedderKey(embedder.name, embedder.version, embedder.dimensions)
    vectors = embedder.embed_now(texts)
    state = load({})
    for at in range(0, len(order), batch):
        items = [
            compared_item(n, text=text) for n, text in zip(order[at : at + batch], texts[at : at + batch], strict=True)
        ]
        state.add(key, items, vectors[at : at + batch])
        while (due := state.round_due()) is not None:
            state.finish(due, due.decide(), NOW, 0.1)
    assert len(set(state.cluster_of([uid(n) for n in order]))) == 3


# ---- rounds -----------------------------------------------------------------------------------------------------


def test_a_round_beside_the_stream_is_given_up_when_one_was_done_on_the_way() -> None:
    state, _ = fed(30)
    state.apply(Rebalance("r", *WHO), NOW)
    due = state.round_due()
    assert due is not None
    decision = due.decide()
    assert answer(state.add(A, *stream(range(30, 90))))[0] == "applied"
    before = state.cluster_of([uid(n) for n in range(90)])
    assert answerless(state.finish(due, decision, NOW, 0.1))
    assert state.cluster_of([uid(n) for n in range(90)]) == before
    assert state.round_due() is None


def test_a_reset_waits_for_its_own_round() -> None:
    state, _ = fed(30)
    state.apply(Reset("r", *WHO), NOW)
    assert answerless(state.add(A, *stream(range(30, 90))))  # rounds on the way are bounded
    due = state.round_due()
    assert due is not None
    assert answer(state.finish(due, due.decide(), NOW, 0.1))[0] == "applied"


def answerless(step: Step) -> bool:
    return not any(isinstance(e, CommandDone) for e in step.events)


def test_a_rebalance_survives_a_restart() -> None:
    table: dict[str, bytes] = {}
    write(table, load(table).add(A, *stream(range(10))).rows)
    write(table, load(table).apply(Rebalance("r", *WHO), NOW).rows)
    state = load(table)
    assert state.apply(Rebalance("r", *WHO), NOW) == Step()
    due = state.round_due()
    assert due is not None
    step = state.finish(due, due.decide(), NOW, 0.1)
    assert answer(step)[0] == "applied"
    write(table, step.rows)
    assert load(table).round_due() is None
    assert not load(table).stale()  # even if it moved nothing


def test_a_round_puts_both_embedders_in_order() -> None:
    state = load({})
    state.add(A, *stream(range(10)))
    state.add(B, *stream(range(20, 30), B))
    assert answerless(state.apply(Rebalance("r", *WHO), NOW))
    outcomes = []
    while (due := state.round_due()) is not None:
        outcomes.append((due.embedder, answerless(state.finish(due, due.decide(), NOW, 0.1))))
    assert outcomes == [(A, True), (B, False)]
    assert not state.stale()


def test_a_failed_round_is_not_tried_again_at_once() -> None:
    core_is_due = Clusterer("p", DIMENSIONS)
    assert core_is_due.rounds.until_due() > 0
    state, _ = fed(1030, batch=515)
    state.add(A, *stream(range(1030, 2100)))
    due = state.round_due()
    assert due is not None
    state.failed("no memory", NOW)
    assert state.round_due() is None
    state.apply(Rebalance("r", *WHO), NOW)
    assert state.round_due() is not None
    assert answer(state.failed("no memory", NOW))[0] == "refused"


# ---- quality --------------------------------------------------------------------------------------------------------


def b_cubed_f1(clusters: list[str], labels: list[str]) -> float:
    """B-cubed F1 (Bagga and Baldwin 1998): precision and recall of each item's own cluster, averaged over items."""
    both = Counter(zip(clusters, labels, strict=True))
    of_cluster, of_label = Counter(clusters), Counter(labels)
    pairs = list(zip(clusters, labels, strict=True))
    precision = sum(both[pair] / of_cluster[pair[0]] for pair in pairs) / len(pairs)
    recall = sum(both[pair] / of_label[pair[1]] for pair in pairs) / len(pairs)
    return 2 * precision * recall / (precision + recall)


def test_b_cubed_itself() -> None:
    assert b_cubed_f1(["a", "a", "b"], ["x", "x", "y"]) == 1
    assert b_cubed_f1(["a", "a"], ["x", "y"]) == pytest.approx(2 / 3)
    assert b_cubed_f1(["a", "b"], ["x", "x"]) == pytest.approx(2 / 3)


@pytest.mark.parametrize("seed", [1, 2])
def test_quality_on_real_messages(seed: int) -> None:
    path = Path(soulcaster.__file__).parent / "data" / "banking77.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    random.Random(seed).shuffle(rows)
    items: list[ComparedItem] = [compared_item((seed, n), text=row["text"]) for n, row in enumerate(rows)]
    labels = [row["category"] for row in rows]
    assert (len(rows), len(set(labels))) == (3080, 77)
    embedder = StaticEmbedder()
    vectors = embedder.embed_now([i.text for i in items])
    key = EmbedderKey(embedder.name, embedder.version, embedder.dimensions)
    state = load({})
    for start in range(0, len(items), 100):
        state.add(key, items[start : start + 100], vectors[start : start + 100])
    found = [str(cluster) for cluster in state.cluster_of([i.id for i in items])]
    baseline = max(b_cubed_f1([i.id for i in items], labels), b_cubed_f1(["all"] * len(items), labels))
    assert b_cubed_f1(found, labels) > max(0.35, baseline + 0.2)


# ---- the outbox ----------------------------------------------------------------------------------------------------


def test_what_was_stored_and_not_sent_is_said_after_a_restart() -> None:
    table: dict[str, bytes] = {}
    state = load(table)
    items, vectors = say(CARD, LOGIN)
    steps = [state.add(A, items, vectors)]
    steps.append(apply(state, Merge("m", *WHO, of(CARD), (of(LOGIN),))))
    steps.append(apply(state, StartFix("f", *WHO, of(CARD))))
    for step in steps:
        write(table, step.rows)
    said = [e for step in steps for e in step.events]
    again = load(table).unsent()
    assert {e.item_id for e in again.events if isinstance(e, ItemAssigned)} == {item.id for item in items}
    assert {e.cluster_id for e in again.events if isinstance(e, ItemAssigned)} == {of(CARD)}
    for kind in (ClusterMerged, CommandDone):
        assert [e for e in again.events if isinstance(e, kind)] == [e for e in said if isinstance(e, kind)]
    stands = {e.cluster_id: e for e in said if isinstance(e, ClusterChanged)}
    assert [e for e in again.events if isinstance(e, ClusterChanged)] == [stands[of(CARD)]]
    assert (again.fixes, again.job_steps) == (steps[-1].fixes, steps[-1].job_steps)


def test_what_was_sent_is_not_said_for_ever_and_a_fix_not_twice() -> None:
    table: dict[str, bytes] = {}
    state = load(table)
    write(table, state.add(A, *say(CARD)).rows)
    write(table, state.sent())
    write(table, state.add(A, *say(LOGIN)).rows)
    assert [e.item_id for e in load(table).unsent().events if isinstance(e, ItemAssigned)] == [uid(LOGIN)]
    write(table, state.sent())
    write(table, apply(state, StartFix("f", *WHO, of(CARD))).rows)
    assert load(table).unsent().fixes
    write(table, state.sent())
    assert not load(table).unsent().fixes


def test_an_assignment_says_the_same_from_its_record() -> None:
    table: dict[str, bytes] = {}
    state = load(table)
    told = []
    for at in range(0, 40, 10):
        step = state.add(A, *stream(range(at, at + 10)))
        write(table, step.rows)
        told += [e for e in step.events if isinstance(e, ItemAssigned)]
    last = {e.item_id: e for e in told}
    for event in load(table).unsent().events:
        if isinstance(event, ItemAssigned):
            one = last[event.item_id]
            assert [event.cluster_id] == state.cluster_of([event.item_id])  # where it is now, merges included
            merged = one.change == "opened" and one.cluster_id != event.cluster_id
            assert (event.change, event.rule) == ("joined" if merged else one.change, one.rule)
            assert (event.round, event.calibration, event.embedder) == (one.round, one.calibration, one.embedder)
            assert event.score == pytest.approx(one.score, abs=1e-3)  # kept as a float16


def test_a_split_that_is_proposed_is_done_when_asked() -> None:
    state, _ = fed(200)
    core = next(iter(state.clusterers.values()))
    number = max(range(len(core.state.clusters)), key=lambda n: len(core.state.clusters[n].slots))
    half = tuple(core.state.clusters[number].slots[:1])
    core.state.proposals = (ProposedChange("torn", number, -1, 0.1, half),)
    whole = core.state.clusters[number].size
    step = apply(state, Cleanup("c", *WHO, ("torn",)))
    [split] = [e for e in step.events if isinstance(e, ClusterSplit)]
    assert split.parent_id == core.state.clusters[number].id
    found = state.cluster(split.cluster_id)
    assert found is not None
    assert found.size + core.state.clusters[number].size == whole
    apply(state, Undo("u", *WHO, "c"))
    assert core.state.clusters[number].size == whole


def test_a_reset_that_takes_several_rounds_is_answered_after_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    state, _ = fed(80)
    monkeypatch.setattr(identity, "MOST_MERGED", 1)
    monkeypatch.setattr(identity, "MOST_ITEMS", 1)
    apply(state, Configure("c", *WHO, granularity="finer"))
    state.apply(Reset("r", *WHO), NOW)
    answers: list[CommandDone] = []
    rounds = 0
    while (due := state.round_due()) is not None:
        step = state.finish(due, due.decide(), NOW, 0.1)
        rounds += 1
        answered = [e for e in step.events if isinstance(e, CommandDone) and e.command_id == "r"]
        assert not answers or not answered
        answers += answered
        assert rounds < 500
    assert [answer.outcome for answer in answers] == ["applied"]
    assert rounds > 1


# ---- jobs ---------------------------------------------------------------------------------------------------------


def job_steps(job_id: str, *states: JobState, first: int = 10, fix: Fix | None = None) -> list[JobStep]:
    return [
        JobStep(f"{job_id} {n} {state}", job_id, "p1", of(CARD), n, state, NOW, offset=first + n, fix=fix)
        for n, state in enumerate(states)
    ]


def test_a_late_step_of_a_forgotten_job_begins_nothing() -> None:
    table: dict[str, bytes] = {}
    state = load(table)
    write(table, state.add(A, *say(CARD)).rows)
    step = apply(state, StartFix("f1", *WHO, of(CARD)))
    write(table, step.rows)
    write(table, state.sent())
    job_id = job_id_for("f1")
    write(table, state.take_job_steps(job_steps(job_id, "approved", "cancelled"), NOW).rows)
    later = NOW + timedelta(days=2)
    write(table, state.take_job_steps([], later).rows)
    for again in (state, load(table)):
        assert again.take_job_steps(job_steps(job_id, "launching", first=90), later).rows == ()
        assert not load(table).unsent().job_steps
    assert apply(load(table), StartFix("f2", *WHO, of(CARD))).fixes


def test_a_job_of_somebody_elses_agent_holds_its_cluster_until_it_ends_and_never_again() -> None:
    table: dict[str, bytes] = {}
    state = load(table)
    write(table, state.add(A, *say(CARD)).rows)
    write(table, state.take_job_steps(job_steps("their own id", "approved"), NOW).rows)
    assert "under way" in refused(load(table), StartFix("f1", *WHO, of(CARD)))
    write(table, state.take_job_steps(job_steps("their own id", "failed", first=20), NOW).rows)
    write(table, state.take_job_steps([], NOW + timedelta(days=2)).rows)
    assert state.take_job_steps(job_steps("their own id", "running", first=30), NOW).rows == ()
    assert apply(load(table), StartFix("f1", *WHO, of(CARD))).fixes


def test_of_two_jobs_that_wait_only_one_is_approved_when_their_clusters_have_merged() -> None:
    state = load({})
    state.add(A, *say(CARD, LOGIN))
    apply(state, StartFix("f1", *WHO, of(CARD), approved=False))
    apply(state, StartFix("f2", *WHO, of(LOGIN), approved=False))
    apply(state, Merge("m", *WHO, of(CARD), (of(LOGIN),)))
    assert "under way" in refused(state, ApproveFix("a1", *WHO, job_id_for("f1"))), "the other one waits, too"
    state.take_job_steps(job_steps(job_id_for("f2"), "cancelled"), NOW)
    [fix] = apply(state, ApproveFix("a1", WHO[0], NOW + timedelta(seconds=1), job_id_for("f1"))).fixes
    assert fix.job_id == job_id_for("f1")


def test_a_job_of_a_muted_cluster_is_not_approved() -> None:
    state = load({})
    state.add(A, *say(CARD))
    apply(state, StartFix("f1", *WHO, of(CARD), approved=False))
    apply(state, Mute("mute", *WHO, of(CARD)))
    assert "muted" in refused(state, ApproveFix("a1", *WHO, job_id_for("f1")))


def test_a_project_of_one_item_takes_little_memory() -> None:
    wide, [row] = EmbedderKey("e", "1", 256), unit(np.ones((1, 256), np.float32))
    projects = []
    tracemalloc.start()
    try:
        for n in range(20):
            project = ProjectClusters(f"p{n}", Segments(RECORD_BYTES, {}))
            project.add(wide, [compared_item(n)], row[None])
            projects.append(project)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken / len(projects) < 40_000


def test_so_many_commands_may_wait_for_a_round() -> None:
    state = load({})
    state.add(A, *say(CARD))
    for n in range(MAX_REQUESTED):
        assert not [e for e in state.apply(Rebalance(f"r{n}", *WHO), NOW).events if isinstance(e, CommandDone)]
    assert "too many commands" in refused(state, Rebalance("more", *WHO))
    assert "too many commands" in refused(state, Reset("reset", *WHO))
    due = state.round_due()
    assert due is not None
    state.finish(due, due.decide(), NOW, 0.1)
    assert answer(state.apply(Rebalance("after", *WHO), NOW))[0] == "applied", "those that waited are answered"
