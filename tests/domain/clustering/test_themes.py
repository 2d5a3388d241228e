"""Themes: broad groups of clusters, under ids that stay, named by what their texts share."""

import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soulcaster.domain.clustering.clusterer import snapshot_codec
from soulcaster.domain.clustering.clusterer.clusters import Cluster
from soulcaster.domain.clustering.clusterer.state import ClusterState
from soulcaster.domain.clustering.consolidation.linkage import RoundConstraints
from soulcaster.domain.clustering.consolidation.plan import Plan, plan
from soulcaster.domain.clustering.consolidation.theme_titles import ThemeVocabulary, theme_words
from soulcaster.domain.clustering.consolidation.themes import (
    LEAST_TEXTS,
    MOST_THEMES,
    ThemeGroup,
    ThemePlan,
    broad_threshold,
    find_themes,
)
from soulcaster.domain.clustering.features.vectors import Slots, Vectors, unit
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.item_records import RECORD_BYTES
from soulcaster.domain.clustering.project.steps import Step
from soulcaster.domain.commands import Command, Merge, Move, Rebalance, Split, Undo
from soulcaster.domain.embedder import EmbedderKey
from soulcaster.domain.events import ClusterChanged, ClusterEvent, CommandDone, Theme, ThemesChanged
from soulcaster.domain.feedback.items import ComparedItem, Deleted
from soulcaster.domain.segments import Segments
from tests.domain.clustering.graphs import known, one_source
from tests.domain.clustering.make import chance_rows, load, write
from tests.support.make import NOW, compared_item, uid

WHO = ("owner", NOW)
KEY = EmbedderKey("t", "1", 64)
AREAS = {
    "billing": ("refund missing", "invoice wrong", "charge twice", "receipt lost"),
    "sound": ("volume low", "speaker crackles", "headset silent", "microphone dead"),
    "maps": ("route wrong", "street unknown", "traffic ignored", "zoom stuck"),
    "other": ("dark mode please",),
}
SALT = 0
THEMED = ("billing", "sound", "maps")
WORDS = ("today", "again", "monday", "phone", "update", "blue", "ticket", "week")


def direction(name: str) -> Vectors:
    [row] = chance_rows(1, KEY.dimensions, zlib.crc32(f"{SALT} {name}".encode()))
    return np.asarray(row)


def items_of(area: str, problem: str, count: int = 8) -> tuple[list[ComparedItem], Vectors]:
    """Items about a problem of an area; all mean nearly the same."""
    texts = [f"{problem} in {area} {word}" for word in WORDS[:count]]
    rows = [direction(problem) + 0.3 * direction(says) for says in texts]
    return [compared_item(says, text=says) for says in texts], unit(np.stack(rows))


class Themed:
    """A project with three areas of four problems, loaded from its rows before every step."""

    def __init__(self) -> None:
        self.table: dict[str, bytes] = {}
        self.events: list[ClusterEvent] = []
        self.rounds = 0
        for area, problems in AREAS.items():
            for problem in problems:
                self.keep(self.state.add(KEY, *items_of(area, problem)))
        self.round()

    @property
    def state(self) -> ProjectClusters:
        return load(self.table)

    def keep(self, step: Step) -> Step:
        write(self.table, step.rows)
        self.events += step.events
        return step

    def tell(self, command: Command) -> None:
        """Carry out a command that is possible."""
        step = self.keep(self.state.apply(command, NOW))
        [done] = [event for event in step.events if isinstance(event, CommandDone)]
        assert done.outcome == "applied", done.reason

    def round(self) -> None:
        """A round that finds the areas as themes: what a round finds is tested on its own, below."""
        self.rounds += 1
        state = self.state
        self.keep(state.apply(Rebalance(f"round {self.rounds}", *WHO), NOW))
        due = state.round_due()
        assert due is not None
        decision = replace(due.decide(), themes=self._areas(due.snapshot.theme_of))
        self.keep(state.finish(due, decision, NOW, 0.1))

    def _areas(self, theme_of: Mapping[int, str]) -> ThemePlan:
        [core] = self.state.clusterers.values()
        groups = []
        for area, problems in AREAS.items():
            found = [core.state.clusters.find(self.cluster_of(area, problem)) for problem in problems]
            numbers = tuple(sorted({number for number in found if number is not None}))
            # The rounds on the way have found themes of their own, which the first of these rounds does not continue.
            earlier = [theme_of[number] for number in numbers if number in theme_of and self.rounds > 1]
            if len(numbers) > 1:
                groups.append(ThemeGroup(numbers, 0.25, earlier[0] if earlier else None))
        return ThemePlan(tuple(groups), 0.125, -0.02)

    def themes(self) -> tuple[Theme, ...]:
        """The themes as the last event has them."""
        return [event.themes for event in self.events if isinstance(event, ThemesChanged)][-1]

    def theme_of(self, area: str, problem: str) -> str | None:
        """The theme that events say a problem's cluster is in; the state says the same."""
        cluster_id = self.cluster_of(area, problem)
        told = [e.theme_id for e in self.events if isinstance(e, ClusterChanged) and e.cluster_id == cluster_id][-1]
        found = self.state.cluster(cluster_id)
        assert found is not None
        assert told == found.theme_id
        return told

    def cluster_of(self, area: str, problem: str) -> str:
        [found] = set(self.state.cluster_of([item.id for item in items_of(area, problem)[0]])) - {None}
        assert found is not None
        return found

    def of_area(self, area: str) -> str:
        """The one theme of an area."""
        [theme_id] = {self.theme_of(area, problem) for problem in AREAS[area]}
        assert theme_id is not None
        return theme_id


@pytest.fixture(scope="module")
def base() -> Themed:
    return Themed()


@pytest.fixture
def themed(base: Themed) -> Themed:
    """A copy of a project whose first themes are found."""
    copy = object.__new__(Themed)
    copy.table, copy.events, copy.rounds = dict(base.table), list(base.events), base.rounds
    return copy


# ---- finding them ------------------------------------------------------------------------------------------------


def test_the_themes_of_a_round_are_in_the_events(themed: Themed) -> None:
    ids = {area: themed.of_area(area) for area in THEMED}
    assert len(set(ids.values())) == 3
    by_id = {theme.id: theme for theme in themed.themes()}
    assert set(by_id) == set(ids.values())
    for area, theme_id in ids.items():
        theme = by_id[theme_id]
        assert (theme.items, theme.clusters) == (32, 4)
        assert area in theme.terms
        assert theme.title == ", ".join(theme.terms[:3])
        assert theme.why.startswith(
            f"Its clusters share {', '.join(theme.terms)} and are at least 0.25 alike on average, "
        )
    assert [theme.items for theme in themed.themes()] == sorted((t.items for t in by_id.values()), reverse=True)


def planned(rows: Vectors) -> Plan:
    near = np.argsort(-(rows @ rows.T), axis=1)[:, 1:13]
    neighbours = np.full((len(rows), 12), -1, np.int64)
    neighbours[:, : near.shape[1]] = near
    ones, all_worded = np.ones(len(rows), np.int64), np.ones(len(rows), np.bool_)
    n = len(rows)
    return plan(rows, ones, neighbours, all_worded, known(n), one_source(n), RoundConstraints())


def themed_rows(areas: int, problems: int, items: int, seed: int) -> tuple[Vectors, Slots]:
    """Rows of problems that have something of their area in common, and the problem of each."""
    of_area = np.repeat(chance_rows(areas, 64, seed), problems, axis=0)
    of_problem = np.repeat(unit(of_area + chance_rows(areas * problems, 64, seed + 1)), items, axis=0)
    rows = unit(of_problem + 0.7 * chance_rows(len(of_problem), 64, seed + 2))
    return rows, np.repeat(np.arange(areas * problems), items)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(4, 7), st.integers(2, 4))
def test_problems_of_an_area_are_found_as_one_theme(seed: int, areas: int, problems: int) -> None:
    rows, final = themed_rows(areas, problems, 8, seed)
    rows = unit(rows - rows.mean(0))
    found = find_themes(planned(rows), final, np.ones(len(rows), np.int64), rows[:, 0] < 2, {})
    wanted = {tuple(range(at, at + problems)) for at in range(0, areas * problems, problems)}
    assert len(wanted & {group.clusters for group in found.groups}) >= areas - 2  # two areas may be alike by chance


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 5), st.integers(1, 12))
def test_a_cluster_is_in_one_theme_at_most_and_an_id_in_one(seed: int, n: int, areas: int, clusters: int) -> None:
    chance = np.random.default_rng(seed)
    rows = unit(chance_rows(areas, 16, seed)[chance.integers(0, areas, n)] + chance_rows(n, 16, seed + 1))
    final, counts = chance.integers(0, clusters, n), chance.integers(1, 5, n)
    before = {int(number): f"t{chance.integers(0, 3)}" for number in set(final.tolist()) if chance.random() < 0.6}
    worded = np.ones(n, np.bool_)
    found = find_themes(planned(rows), final, counts, worded, before)
    grouped = [number for group in found.groups for number in group.clusters]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) <= set(final.tolist())
    assert all(len(group.clusters) > 1 for group in found.groups)
    assert all(group.linkage >= found.threshold - 1e-6 for group in found.groups)
    ids = [group.theme_id for group in found.groups if group.theme_id is not None]
    assert len(ids) == len(set(ids))
    # The largest share of an earlier theme keeps its id, and what continues one shares something with it.
    shared: Counter[tuple[str, int]] = Counter()
    size = np.bincount(final, weights=counts)
    for at, group in enumerate(found.groups):
        for number in group.clusters:
            if number in before:
                shared[before[number], at] += int(size[number])
    if shared:
        largest = max(shared.values())
        assert any(found.groups[at].theme_id == name for (name, at), items in shared.items() if items == largest)
    for at, group in enumerate(found.groups):
        assert group.theme_id is None or shared[group.theme_id, at] > 0
    items = [sum(size[number] for number in group.clusters) for group in found.groups]
    assert items == sorted(items, reverse=True)


def test_there_are_no_themes_where_little_is_known_or_nothing_is_alike() -> None:
    few = chance_rows(LEAST_TEXTS - 1, 16)
    assert broad_threshold(few)[1] == float("inf")
    assert find_themes(planned(few), np.arange(len(few)), np.ones(len(few), np.int64), few[:, 0] < 2, {}).groups == ()
    apart = np.eye(40, dtype=np.float32)
    assert find_themes(planned(apart), np.arange(40), np.ones(40, np.int64), apart[:, 0] < 2, {}).groups == ()


def test_only_the_largest_groups_are_themes() -> None:
    pairs = np.repeat(np.eye(MOST_THEMES + 5, dtype=np.float32), 2, axis=0)
    counts = np.ones(len(pairs), np.int64)
    counts[10] = 7
    found = find_themes(planned(pairs), np.arange(len(pairs)), counts, pairs[:, 0] < 2, {})
    assert len(found.groups) == MOST_THEMES
    assert found.groups[0].clusters == (10, 11)


def test_the_threshold_follows_how_alike_texts_are() -> None:
    """Where all texts have something in common, they are a theme only if they have more than that."""
    rows = chance_rows(400, 64)
    common = unit(rows + 1.5 * common_row(64))
    usual, threshold = broad_threshold(rows)
    common_usual, common_threshold = broad_threshold(common)
    assert abs(usual) < 0.02
    assert 0.1 < threshold < 0.25
    assert common_usual > 0.5
    assert common_threshold > common_usual + 0.05


def common_row(dimensions: int) -> Vectors:
    return chance_rows(1, dimensions, 99)


# ---- ids stay ----------------------------------------------------------------------------------------------------


def test_a_new_cluster_is_in_no_theme_until_a_round_puts_it_into_one(themed: Themed) -> None:
    before = {area: themed.of_area(area) for area in THEMED}
    themed.keep(themed.state.add(KEY, *items_of("sound", "cable broken")))
    assert themed.theme_of("sound", "cable broken") is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(AREAS, "sound", (*AREAS["sound"], "cable broken"))
        themed.round()
    assert {area: themed.of_area(area) for area in THEMED} == before
    assert themed.theme_of("sound", "cable broken") == before["sound"]
    assert {theme.id: theme.clusters for theme in themed.themes()}[before["sound"]] == 5


def test_a_cluster_that_no_theme_of_the_round_has_is_in_none(themed: Themed) -> None:
    sound = themed.of_area("sound")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(AREAS, "sound", AREAS["sound"][1:])
        themed.keep(themed.state.add(KEY, *items_of("other", "light mode")))
        themed.round()
    assert themed.theme_of("sound", "volume low") is None
    assert {theme.id: theme.clusters for theme in themed.themes()}[sound] == 3


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10**6))
def test_a_theme_that_is_divided_keeps_its_id_with_the_larger_part(seed: int) -> None:
    chance = np.random.default_rng(seed)
    rows, final = themed_rows(4, 3, 8, seed)
    counts = chance.integers(1, 9, len(rows))
    before = dict.fromkeys(range(6), "earlier")
    groups = find_themes(planned(rows), final, counts, rows[:, 0] < 2, before).groups
    ids = {group.clusters: group.theme_id for group in groups}
    size = np.bincount(final, weights=counts)
    larger, smaller = sorted([(0, 1, 2), (3, 4, 5)], key=lambda one: -size[list(one)].sum())
    assert (ids[larger], ids[smaller]) == ("earlier", None)


def test_the_outbox_sends_the_themes_again(themed: Themed) -> None:
    [told] = [e for e in themed.state.unsent().events if isinstance(e, ThemesChanged)]
    assert told.themes == themed.themes()
    themed.keep(themed.state.add(KEY, *items_of("other", "light mode", 1)))
    assert not [event for event in themed.events[-2:] if isinstance(event, ThemesChanged)]


def test_rows_of_an_earlier_version_have_no_themes() -> None:
    state = ClusterState("p", 4)
    state.add_cluster(Cluster("c", "Title", "", theme_id="t"))
    blobs, _ = snapshot_codec.dump_changes(state)
    [key] = [key for key in blobs if key.startswith(b"c")]
    blobs[key] = msgspec.msgpack.encode(msgspec.msgpack.decode(blobs[key])[:-1])
    fresh = ClusterState("p", 4)
    snapshot_codec.load(fresh, {key: blobs[key]}, {})
    assert [cluster.theme_id for cluster in fresh.clusters] == [None]
    assert list(fresh.themes) == []


# ---- people ------------------------------------------------------------------------------------------------------


def test_a_merge_takes_its_theme_along_and_an_undo_brings_it_back(themed: Themed) -> None:
    sound, billing = themed.of_area("sound"), themed.of_area("billing")
    into, other = themed.cluster_of("sound", "volume low"), themed.cluster_of("billing", "refund missing")
    themed.tell(Merge("m", *WHO, into, (other,)))
    assert themed.theme_of("sound", "volume low") == sound
    assert {t.id: (t.items, t.clusters) for t in themed.themes()}[billing] == (24, 3)
    assert {t.id: (t.items, t.clusters) for t in themed.themes()}[sound] == (40, 4)
    themed.tell(Undo("u", *WHO, "m"))
    assert themed.theme_of("billing", "refund missing") == billing
    assert {t.id: (t.items, t.clusters) for t in themed.themes()}[billing] == (32, 4)


def test_a_merge_into_a_cluster_without_a_theme_gives_it_one(themed: Themed) -> None:
    themed.keep(themed.state.add(KEY, *items_of("sound", "cable broken")))
    new, old = themed.cluster_of("sound", "cable broken"), themed.cluster_of("maps", "zoom stuck")
    maps = themed.of_area("maps")
    themed.tell(Merge("m", *WHO, new, (old,)))
    assert themed.theme_of("sound", "cable broken") == maps


def test_what_people_split_off_or_move_stays_in_a_theme(themed: Themed) -> None:
    sound = themed.of_area("sound")
    cluster = themed.cluster_of("sound", "volume low")
    some = tuple(item.id for item in items_of("sound", "volume low")[0][:3])
    themed.tell(Split("s", *WHO, cluster, some))
    [new] = set(themed.state.cluster_of(some))
    assert new is not None
    assert new != cluster
    split_off = themed.state.cluster(new)
    assert split_off is not None
    assert split_off.theme_id == sound
    assert {t.id: (t.items, t.clusters) for t in themed.themes()}[sound] == (32, 5)
    themed.tell(Move("v", *WHO, some, themed.cluster_of("maps", "zoom stuck")))
    assert {t.id: (t.items, t.clusters) for t in themed.themes()}[sound] == (29, 4)


def test_a_theme_of_one_cluster_is_dissolved(themed: Themed) -> None:
    sound = themed.of_area("sound")
    into, *others = (themed.cluster_of("sound", problem) for problem in AREAS["sound"])
    themed.tell(Merge("m", *WHO, into, tuple(others)))
    assert sound not in {theme.id for theme in themed.themes()}
    assert themed.theme_of("sound", "volume low") is None
    themed.tell(Undo("u", *WHO, "m"))
    assert {themed.theme_of("sound", problem) for problem in AREAS["sound"]} == {None}
    themed.round()
    assert themed.of_area("sound")


# ---- deletion ----------------------------------------------------------------------------------------------------


def test_no_theme_shows_a_word_of_a_deleted_item(themed: Themed) -> None:
    says = ("volume low in sound zebrafish", "headset silent in sound zebrafish")
    rows = [direction(of.partition(" in ")[0]) for of in says]
    themed.keep(themed.state.add(KEY, [compared_item(of, text=of) for of in says], unit(np.stack(rows))))
    themed.round()
    state = themed.state
    shown = [t for t in themed.themes() if "zebrafish" in t.terms]
    step = themed.keep(state.remove([Deleted(uid(of), NOW, None) for of in says], NOW))
    assert "zebrafish" not in str(themed.themes())
    assert b"zebrafish" not in b"".join(
        blob for key, blob in Segments(RECORD_BYTES, themed.table).blobs().items() if b"\0h" in key
    )
    assert bool(shown) <= any(isinstance(event, ThemesChanged) for event in step.events)


# ---- names -------------------------------------------------------------------------------------------------------


def test_terms_are_what_texts_share_and_other_themes_do_not() -> None:
    cards = theme_words(["card lost abroad", "card stolen today", "new card please"])
    logins = theme_words(["login fails today", "login page empty", "cannot login today"])
    vocabulary = ThemeVocabulary([cards, logins])
    assert vocabulary.terms(cards)[0] == "card"
    assert vocabulary.terms(logins) == ("login", "today")
    lost = theme_words(["cards late", "all cards late", "card lost", "one card lost", "cards"])
    assert set(ThemeVocabulary([lost, logins]).terms(lost)) == {"cards", "late", "lost"}
    assert ThemeVocabulary([theme_words(["one", "other"])]).terms(theme_words(["one", "other"])) == ()
