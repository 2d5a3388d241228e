"""Machines' texts: found out, cut into templates, and kept apart from people's."""

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.clustering.clusterer.changes import ClusterChanges, Placement
from soulcaster.domain.clustering.clusterer.clusterer import Clusterer
from soulcaster.domain.clustering.clusterer.snapshot_codec import dump_changes, load
from soulcaster.domain.clustering.micro_clusters.micro_cluster import pack_members
from soulcaster.domain.clustering.project.steps import Step
from soulcaster.domain.clustering.templates import kinds
from soulcaster.domain.clustering.templates.crashes import crash_words
from soulcaster.domain.clustering.templates.index import TemplateIndex, generalized, shown
from soulcaster.domain.clustering.templates.kinds import KNOWN_AFTER, MOST_SOURCES, Kinds, likeness
from soulcaster.domain.clustering.templates.words import MOST_WORDS, template_words
from soulcaster.domain.events import ItemAssigned, ProposalsChanged
from tests.domain.clustering.make import A, chance_rows, write
from tests.domain.clustering.make import load as load_project
from tests.support.make import compared_item, uid

LOG = (
    "conn_pool[main] slot={n} worker_{n} lease given",
    "conn_pool[main] slot={n} worker_{n} lease taken back",
    "cache.flush() pages={n} /var/cache/pages_{n}.db written",
    "shard.balance node-{n}:70{n} epoch={n} read_only",
)
PEOPLE = (
    "Why was I charged twice for my order?",
    "I can't find the button to change my password",
    "Where do you show the receipts, please?",
    "My parcel has not come and I have waited for two weeks",
)
TOLD = ["word", "f(x", "(y)", "a.b", "c/d", "end.", "aB", "->", "[ip]", "a::b", "on:", "#1", "e=2", "é.é"]


def lines(count: int) -> list[str]:
    return [LOG[n % len(LOG)].format(n=n + 1) for n in range(count)]


# ---- words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("took 12 ms", "took 340 ms"),
        ("read 5 KB from disk", "read 1.5 GB from disk"),
        ("blocks 1 2 3 lost", "blocks 9 lost"),
        ("sizes (1, 2, 3) of [a9]", "sizes (7) of [b1, b2]"),
        ("from [ip] () at Tue Jul 26", "from [ip] (host-7.example.net) at Mon Jun 3"),
        ("peer [ip]:50 gone", "peer db1:50 gone"),
        ("open shop.example.com:443 failed", "open maps.example.org:80 failed"),
        ("key blk_-[number] lost", "key blk_17 lost"),
    ],
)
def test_what_varies_by_its_form_is_cut(one: str, other: str) -> None:
    assert template_words(one) == template_words(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("block received", "block served"), ("state = up", "state = down"), ("open failed", "open failed twice")],
)
def test_words_stay(one: str, other: str) -> None:
    assert template_words(one) != template_words(other)


def test_a_long_text_has_a_bounded_number_of_words() -> None:
    assert len(template_words("word " * 5000)) == MOST_WORDS


# ---- templates ---------------------------------------------------------------------------------------------------


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def test_the_template_with_most_equal_words_is_nearest_and_equal_words_win() -> None:
    index = TemplateIndex()
    index.set(7, words("disk a b c full"))
    index.set(3, words("disk a b d full"))
    best, second = index.nearest(words("disk a b c gone"))
    assert best is not None
    assert second is not None
    assert (best.slot, best.share, second.slot, second.share) == (7, 0.8, 3, 0.6)
    best, second = index.nearest(words("disk a b d full"))
    assert best is not None
    assert (best.slot, best.share, second) == (3, 1.0, None)
    assert index.nearest(words("disk a b")) == (None, None)


def test_what_is_found_does_not_depend_on_the_order_of_setting() -> None:
    texts = [words(f"job {a} {b} {c} done") for a in "xy" for b in "uv" for c in "pq"]
    there, back = TemplateIndex(), TemplateIndex()
    for slot in range(len(texts)):
        there.set(slot, texts[slot])
    for slot in reversed(range(len(texts))):
        back.set(slot, texts[slot])
    for wanted in [*texts, words("job x u z done"), words("job z z z done")]:
        assert there.nearest(wanted) == back.nearest(wanted)


def test_a_removed_template_is_not_found() -> None:
    index = TemplateIndex()
    index.set(0, words("a b c"))
    index.set(1, words("a b c"))
    index.remove(0)
    best, _ = index.nearest(words("a b c"))
    assert best is not None
    assert best.slot == 1
    index.remove(1)
    index.remove(1)
    assert (index.nearest(words("a b c")), len(index)) == ((None, None), 0)


def test_a_template_keeps_what_is_equal() -> None:
    assert shown(generalized(words("user ann logged in"), words("user bob logged in"))) == "user * logged in"


# ---- kinds -------------------------------------------------------------------------------------------------------


def test_log_lines_look_like_a_machine_and_questions_like_people() -> None:
    assert {likeness(line) for line in lines(8)} == {"machine"}
    assert {likeness(text) for text in PEOPLE} == {"person"}
    assert likeness("session closed for user root") == "unclear"


def test_a_source_decides_what_is_unclear_once_it_is_known() -> None:
    kinds = Kinds()
    unclear = compared_item("u", source="syslog", text="session closed for user root")
    assert not kinds.is_machine(unclear)
    for n, line in enumerate(lines(KNOWN_AFTER)):
        kinds.is_machine(compared_item(n, source="syslog", text=line))
    assert kinds.is_machine(unclear)
    assert not kinds.is_machine(compared_item("v", source="forum", text=unclear.text))
    assert not kinds.is_machine(compared_item("w", source="syslog", text=PEOPLE[0]))


def test_a_line_of_code_that_says_my_does_not_make_a_source_a_persons() -> None:
    """Half of the lines say "my", among ids and signs."""
    kinds = Kinds()
    for n, line in enumerate(lines(KNOWN_AFTER)):
        text = f"peer {n} left, my id = {n + 1}, term = {n} and quorum lost" if n % 2 else line
        kinds.is_machine(compared_item(n, source="quorum", text=text))
    assert kinds.is_machine(compared_item("u", source="quorum", text="session closed for user root"))


@pytest.mark.parametrize(
    "text", ["card late 1", "5 stars", "iPhone 14 broken", "and/or", "refund of $20 missing", "$%&"]
)
def test_people_say_numbers_too(text: str) -> None:
    assert not Kinds().is_machine(compared_item("x", text=text))


PLAINLY_UNSAID = re.compile(r"[0-9_=<>|{}\[\]#*]|::|[a-z][A-Z]|\w[./\\]\w|\w\(|^\w+:$", re.ASCII)


@given(st.text("aB.:/\\(>_1[#\u00e9- ", max_size=12) | st.lists(st.sampled_from(TOLD), max_size=3).map(" ".join))
def test_the_quick_pattern_finds_the_words_that_the_plain_one_finds(text: str) -> None:
    words = [word for word in text.split() if word.isascii()]
    assert kinds._Text(text).unsaid == sum(1 for word in words if PLAINLY_UNSAID.search(word))


def test_ratings_are_no_template_and_make_no_machine() -> None:
    kinds = Kinds()
    ratings = [f"{n % 5}/5" if n % 2 else "+1" for n in range(3 * KNOWN_AFTER)]
    assert not any(kinds.is_machine(compared_item(n, source="survey", text=text)) for n, text in enumerate(ratings))
    assert not kinds.is_machine(compared_item("u", source="survey", text="session closed for user root"))
    for n, line in enumerate(lines(8 * KNOWN_AFTER)):
        kinds.is_machine(compared_item(f"log {n}", source="survey", text=line))
    assert kinds.is_machine(compared_item("v", source="survey", text="session closed for user root"))
    assert not kinds.is_machine(compared_item("w", source="survey", text="1/10"))


def test_only_so_many_sources_are_remembered() -> None:
    kinds = Kinds()
    for n in range(MOST_SOURCES + 50):
        kinds.is_machine(compared_item(n, source=f"s{n}", text="x"))
    assert len(kinds.sources) == MOST_SOURCES


# ---- crashes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("KeyError: 'a1'\nload load.py\nseen in the cellar", "KeyError: 'b2'\nload load.py\nand on a train"),
        (
            "(KeyError) no key a1\nAcme.Stock.take/2 stock.ex\nsince Monday",
            "(KeyError) no key b2\nAcme.Stock.take/2 stock.ex",
        ),
        (
            "PHP Fatal error: Uncaught Oops: no stock in Stock.php:7\nAcme\\Stock->take Stock.php\nsince Monday",
            "PHP Fatal error: Uncaught Oops: no stock in Stock.php:9\nAcme\\Stock->take Stock.php",
        ),
        ("load load.py\nKeyError: 'a1'", "load load.py\nKeyError: 'b2'\nWhy?"),
        (
            "thread 'main' panicked at src/a.rs:4:1:\nno host\na::b a.rs",
            "thread 'main' panicked at src/a.rs:5:1:\nno host\na::b a.rs",
        ),
    ],
)
def test_a_crash_is_what_is_thrown_and_the_frames(one: str, other: str) -> None:
    assert crash_words(one) == crash_words(other) is not None


@pytest.mark.parametrize(
    "other",
    ["KeyError: 'a1'\nsave load.py", "ValueError: 'a1'\nload load.py", "KeyError: 'a1'\nload load.py\nmain main.py"],
)
def test_another_frame_or_type_is_another_crash(other: str) -> None:
    index = TemplateIndex()
    index.set(0, crash_words("KeyError: 'a1'\nload load.py") or ())
    assert index.nearest(crash_words(other) or ())[0] is None


@pytest.mark.parametrize(
    "text",
    ["KeyError: 'a1'", "See\nthe picture.png", "KeyError: 'a'\nload load.py\n" + "I clicked and then it said so " * 8],
)
def test_what_a_person_reports_is_no_crash(text: str) -> None:
    assert crash_words(text) is None


# ---- in the clusterer --------------------------------------------------------------------------------------------


def placed(clusterer: Clusterer, texts: Sequence[str], source: str, first: int = 0) -> list[Placement]:
    items = [compared_item((source, first + n), source=source, text=text) for n, text in enumerate(texts)]
    vectors = np.repeat(chance_rows(1), len(texts), axis=0)  # all the same: only templates tell them apart
    return [p for done in clusterer.add(items, vectors) if isinstance(done, list) for p in done]


def clusters(clusterer: Clusterer, placements: Sequence[Placement]) -> list[str]:
    return [clusterer.state.cluster_at(p.slot).id for p in placements]


def test_a_template_is_a_cluster_whatever_the_vectors_say() -> None:
    clusterer = Clusterer("p", 16)
    found = placed(clusterer, lines(80), "syslog")
    ids = clusters(clusterer, found)
    assert [len({ids[n] for n in range(kind, 80, 4)}) for kind in range(4)] == [1] * 4
    assert len(set(ids)) == 4
    assert {p.rule for p in found} == {"template"}
    assert shown(found[2].template or ()).startswith("cache.flush * pages = *")


def test_people_and_machines_do_not_meet() -> None:
    clusterer = Clusterer("p", 16)
    machine = placed(clusterer, lines(40), "syslog")
    people = placed(clusterer, [f"{text} {word}" for word in "abcdefgh" for text in PEOPLE], "form")
    more = placed(clusterer, lines(80)[40:], "syslog", 40)
    assert not set(clusters(clusterer, people)) & set(clusters(clusterer, [*machine, *more]))
    assert {p.template is None for p in people} == {True}
    assert all(p.change == "joined" for p in more)


def test_no_round_touches_templates() -> None:
    clusterer = Clusterer("p", 16)
    machine = placed(clusterer, lines(40), "syslog")
    before = clusters(clusterer, machine)
    people = [f"{text} {word}" for word in "abcdefgh" for text in PEOPLE]
    done = list(
        clusterer.add(
            [compared_item(("form", n), source="form", text=text) for n, text in enumerate(people)],
            np.repeat(chance_rows(1), len(people), axis=0),
        )
    )
    assert any(isinstance(one, ClusterChanges) for one in done)
    assert clusters(clusterer, machine) == before


def test_templates_that_share_many_words_are_proposed_and_not_merged() -> None:
    state = load_project({})
    said = ("given out", "taken back")
    texts = [f"db_pool[main] slot={n} worker_{n} shard_a::lease {said[n % 2]}" for n in range(24)]
    step = state.add(A, [compared_item(n, source="syslog", text=text) for n, text in enumerate(texts)], chance_rows(24))
    ids = {event.cluster_id for event in step.events if isinstance(event, ItemAssigned)}
    (proposed,) = (event.proposals for event in step.events if isinstance(event, ProposalsChanged))
    assert len(ids) == 2
    assert [(one.kind, set(one.cluster_ids)) for one in proposed] == [("merge", ids)]
    assert proposed[0].reason == "their templates share 71% of their words; from 80% on they would be one"


def test_after_a_restart_it_goes_on_as_without() -> None:
    live = Clusterer("p", 16)
    texts = [*lines(60), "session closed for user root", "session closed for user ann", *lines(30)]
    first = placed(live, texts[:50], "syslog")
    blobs, titles = dump_changes(live.state)
    again = Clusterer("p", 16)
    members: dict[int, bytearray] = defaultdict(bytearray)
    for p in first:
        members[p.slot] += pack_members([(uid_bytes(p), p.item.created_at.timestamp(), p.fingerprint)])
    load(again.state, {**blobs, **titles}, members)
    assert again.state.kinds.sources == live.state.kinds.sources
    there, here = placed(live, texts[50:], "syslog", 50), placed(again, texts[50:], "syslog", 50)
    assert [(p.slot, p.rule, p.score, p.template) for p in there] == [
        (p.slot, p.rule, p.score, p.template) for p in here
    ]
    assert dump_changes(live.state) == dump_changes(again.state)


def decided(placement: Placement) -> tuple[object, ...]:
    return placement.slot, placement.rule, placement.score, placement.template


def uid_bytes(placement: Placement) -> bytes:
    return bytes.fromhex(placement.item.id.replace("-", ""))


def test_a_freed_template_is_not_joined() -> None:
    clusterer = Clusterer("p", 16)
    found = placed(clusterer, lines(8), "syslog")
    clusterer.state.free([found[0].slot])
    assert placed(clusterer, lines(1), "syslog", 8)[0].change == "opened"


def test_an_explicit_threshold_knows_no_templates() -> None:
    clusterer = Clusterer("p", 16, threshold=0.72)
    assert len(set(clusters(clusterer, placed(clusterer, lines(20), "syslog")))) == 1


def test_why_names_the_template_now_and_after_a_restart() -> None:
    table: dict[str, bytes] = {}
    state = load_project(table)
    items = [compared_item(n, source="syslog", text=line) for n, line in enumerate(lines(12))]
    step = state.add(A, items, chance_rows(12))
    write(table, step.rows)
    (reason,) = reasons(step, 10)
    assert reason is not None
    assert "cache.flush * pages = *" in reason
    again = load_project(table).unsent()
    assert reasons(again, 10) == [reason]


def reasons(step: Step, n: int) -> list[str | None]:
    return [e.reason for e in step.events if isinstance(e, ItemAssigned) and e.item_id == uid(n)]


def test_what_came_before_its_source_was_known_gets_the_template_if_it_is_alone() -> None:
    clusterer = Clusterer("p", 16)
    (early,) = placed(clusterer, ["session closed for root"], "syslog")
    placed(clusterer, lines(20), "syslog", 1)
    same, other = placed(clusterer, ["session closed for root", "session closed for 17"], "syslog", 30)
    assert (early.template, same.slot, same.template) == (None, early.slot, ("session", "closed", "for", "root"))
    assert other.change == "opened"


def test_what_similarity_put_together_before_is_left_unless_a_person_has_touched_it() -> None:
    for touched in (False, True):
        clusterer = Clusterer("p", 16)
        items = [compared_item(n, source="syslog", text=text) for n, text in enumerate(("session closed", "disk full"))]
        (early,) = clusterer.add(items, chance_rows(2))
        assert isinstance(early, list)
        placed(clusterer, lines(20), "syslog", 2)
        state = clusterer.state
        state.merge({state.index.number_of(early[1].slot): state.index.number_of(early[0].slot)})
        clusterer.state.cluster_at(early[0].slot).pinned = touched
        again = placed(clusterer, ["session closed", "session closed"], "syslog", 30)
        assert {p.slot == early[0].slot for p in again} == {touched}
        assert len(set(clusters(clusterer, again))) == 1
