"""What the judge of `make faults` finds in topics made up here."""

import json

from soulcaster.domain.ids import item_id
from soulcaster.ports.messaging import Record
from soulcaster.wire.topics import CLUSTER_EVENTS, FEEDBACK_EMBEDDED, FEEDBACK_ITEMS, FEEDBACK_RAW
from tests.faults.judge import Hops
from tests.support.make import NOW_MS
from tests.support.recount import Log, Shown, compare

NOTHING = Log(set(), {}, {}, {}, {}, set()), Shown(set(), {}, {}, set(), set(), {})
TOPICS = (FEEDBACK_RAW, FEEDBACK_ITEMS, FEEDBACK_EMBEDDED, CLUSTER_EVENTS)


def raw(offset: int, external_id: str) -> Record:
    item = {"project_id": "p", "source": "s", "external_id": external_id, "body": "It is slow."}
    return Record(FEEDBACK_RAW.name, 0, offset, NOW_MS, None, json.dumps(item).encode())


def hops(*records: Record, committed: int) -> Hops:
    topics = {topic.name: [r for r in records if r.topic == topic.name] for topic in TOPICS}
    return Hops(topics, [], {(FEEDBACK_RAW.name, 0): committed})


def test_what_is_committed_without_an_effect_is_hidden_and_what_is_not_committed_is_not() -> None:
    found = hops(raw(0, "a"), raw(1, "b"), raw(2, "c"), committed=2)
    one_is_there = Log({item_id("p", "s", "a")}, {}, {}, {}, {}, set()), NOTHING[1]
    assert found.hidden({"p": one_is_there}, {}) == [f"{item_id('p', 's', 'b')} of {(FEEDBACK_RAW.name, 0, 1)}"]


def test_poison_is_hidden_unless_it_is_a_dead_letter() -> None:
    poison = Record(FEEDBACK_RAW.name, 0, 0, 0, None, b"{")
    assert len(hops(poison, committed=1).hidden({"p": NOTHING}, {})) == 1
    assert hops(poison, committed=1).hidden({"p": NOTHING}, {(FEEDBACK_RAW.name, 0, 0): b"{"}) == []


def everywhere(cluster: str, size: int) -> tuple[Log, Shown]:
    at = {"i": cluster}
    return (
        Log({"i"}, dict(at), {cluster: size}, dict(at), {cluster: size}, {"i"}),
        Shown({"i"}, dict(at), dict(at), set(), set(), {cluster: size}),
    )


def test_an_item_in_one_cluster_everywhere_is_all_right() -> None:
    found = compare({"i"}, *everywhere("c", 1))
    assert (found.lost, found.doubled) == (set(), ())


def test_an_item_that_is_missing_anywhere_is_lost() -> None:
    for place in ("items", "assigned", "stored", "seen"):
        log, shown = everywhere("c", 1)
        getattr(log, place).clear()
        assert compare({"i"}, log, shown).lost == {"i"}
    for place in ("items", "assigned", "members"):
        log, shown = everywhere("c", 1)
        getattr(shown, place).clear()
        assert compare({"i"}, log, shown).lost == {"i"}
    log, shown = everywhere("c", 1)
    shown.unclustered.add("i")
    assert compare({"i"}, log, shown).lost == {"i"}


def test_another_cluster_a_wrong_size_and_a_strange_item_are_double_effects() -> None:
    log, shown = everywhere("c", 1)
    log.stored["i"] = "d"
    assert len(compare({"i"}, log, shown).doubled) == 1
    assert len(compare({"i"}, *everywhere("c", 2)).doubled) == 1
    log, shown = everywhere("c", 1)
    shown.doubled.add("i")
    assert len(compare({"i"}, log, shown).doubled) == 1
    log, shown = everywhere("c", 1)
    log.items.add("j")
    assert len(compare({"i"}, log, shown).doubled) == 1
