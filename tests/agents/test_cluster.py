import asyncio
from collections import Counter

import numpy as np
import pytest

from agents.cluster import Cluster
from soulcaster.domain.commands import StartFix
from soulcaster.domain.events import ClusterChanged, ClusterEvent, CommandDone, ItemAssigned, ItemRemoved
from soulcaster.domain.feedback.items import ComparedItem, Deleted
from soulcaster.domain.ids import cluster_id_for, job_id_for
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.messaging import Record
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.cluster_events import ClusterEvents
from soulcaster.wire.embedded import EmbeddedEnvelope, EmbedderId, pack_vectors
from soulcaster.wire.jobs import FixCommand, JobEvent
from tests.support.agents import Flaky, HashEmbedder, Rows, headers, record, run_batches, stored
from tests.support.make import NOW, compared_item, uid

EMBEDDED, COMMANDS = "feedback.embedded", "cluster.commands"


def embedded(*items: ComparedItem, project: str = "p1", partition: int = 0, version: str = "1") -> Record:
    model = HashEmbedder()
    envelope = EmbeddedEnvelope(
        project_id=project,
        embedder=EmbedderId(name="hash", version=version, dimensions=8),
        items=items,
        vectors=pack_vectors(np.stack([model.vector(i.text) for i in items])),
    )
    return record(EMBEDDED, envelope.to_bytes(), partition=partition, key=project.encode())


def start_fix(n: int, cluster_id: str, *, project: str = "p1", partition: int = 0) -> Record:
    command = ClusterCommand(project_id=project, command=StartFix(f"command {n}", "owner", NOW, cluster_id))
    return record(COMMANDS, command.to_bytes(), partition=partition, key=project.encode())


def events(publisher: Flaky, project: str = "p1") -> list[ClusterEvent]:
    found: list[ClusterEvent] = []
    for message in publisher.of("cluster.events"):
        one = ClusterEvents.model_validate_json(message.value)
        assert message.key == one.project_id.encode()
        if one.project_id == project:
            found += one.events
    return found


def where(publisher: Flaky, project: str = "p1") -> dict[str, str]:
    """Item id -> cluster id, by the events, applied in order."""
    return {e.item_id: e.cluster_id for e in events(publisher, project) if isinstance(e, ItemAssigned)}


def fixes(publisher: Flaky) -> list[str]:
    """Job ids of the fixes that were launched; each was pending before."""
    pending: list[str] = []
    launched = []
    for message in publisher.sent:
        if message.topic == "job.events":
            event = JobEvent.model_validate_json(message.value)
            assert (event.seq, event.status, event.at) == (0, "pending", NOW)
            assert event.log == "requested by owner"
            pending.append(event.job_id)
        if message.topic == "fix.commands":
            command = FixCommand.model_validate_json(message.value)
            assert command.job_id in pending
            assert message.key == command.project_id.encode()
            launched.append(command.job_id)
    assert len(pending) == len(launched)
    return launched


async def run(rows: Rows, publisher: Flaky, *batches: list[Record]) -> list[int]:
    """Run the agent as after a restart: states are loaded from the rows."""
    agent = Cluster(clusters=rows.clusters(), stored=stored, publisher=publisher, clock=lambda: NOW)
    return await run_batches(agent, batches, publisher, rows)


def words(*texts: str) -> list[ComparedItem]:
    return [compared_item(text, text=text) for text in texts]


async def test_alike_is_together_and_every_item_is_in_one_cluster() -> None:
    rows, publisher = Rows(), Flaky()
    items = words("card late", "login slow", "card gone", "login down", "card blue")
    assert await run(rows, publisher, [embedded(*items[:3]), embedded(*items[3:])]) == [7]
    card, login = (cluster_id_for("p1", uid(text)) for text in ("card late", "login slow"))
    assert where(publisher) == {i.id: card if i.text.startswith("card") else login for i in items}
    sizes = {e.cluster_id: e.size for e in events(publisher) if isinstance(e, ClusterChanged)}
    assert sizes == Counter(where(publisher).values()) == {card: 3, login: 2}


async def test_rows_are_written_before_events_are_sent() -> None:
    log: list[str] = []
    rows, publisher = Rows(log), Flaky(log=log)
    items = words("card late")
    await run(rows, publisher, [embedded(*items), start_fix(1, cluster_id_for("p1", items[0].id))])
    first_sent = log.index("cluster.events")
    assert set(log[:first_sent]) == {"row"}
    assert log[first_sent:] == ["cluster.events", "job.events", "fix.commands", "row"]  # the fix must not be sent again


async def test_the_same_again_says_nothing_new() -> None:
    rows, publisher = Rows(), Flaky()
    batch = [embedded(*words("card late", "login slow", "card gone"))]
    await run(rows, publisher, batch)
    told, written = events(publisher), dict(rows)
    again = Flaky()
    assert await run(rows, again, batch, batch) == [0, 0]
    assert {repr(e) for e in events(again) if isinstance(e, ClusterChanged)} <= {repr(e) for e in told}
    assert where(again) == where(publisher)  # the last step is sent once more after a restart
    assert rows == written


async def test_a_crash_before_the_row_tells_the_same_again() -> None:
    rows, lost, publisher, again = Rows(), Rows(), Flaky(), Flaky()
    await run(rows, publisher, [embedded(*words("card late", "login slow"))])
    lost.update(rows)
    batch = [embedded(*words("card gone", "blue card", "login down"))]
    await run(rows, publisher, batch)
    await run(lost, again, batch)
    assert [m.value for m in again.sent] == [m.value for m in publisher.sent[1:]]
    assert lost == rows


async def test_projects_and_partitions_are_apart() -> None:
    rows, publisher = Rows(), Flaky()
    batch = [
        embedded(*words("card late"), project="p1", partition=0),
        embedded(*words("card late"), project="p2", partition=3),
        embedded(*words("card gone"), project="p1", partition=0),
    ]
    assert await run(rows, publisher, batch) == [3 + 2]
    assert set(where(publisher, "p1").values()) == {cluster_id_for("p1", uid("card late"))}
    assert set(where(publisher, "p2").values()) == {cluster_id_for("p2", uid("card late"))}
    assert {key.decode().rsplit("|", 1)[0] for key in rows} == {"0|p1", "3|p2"}


async def test_two_versions_of_an_embedder_do_not_meet() -> None:
    rows, publisher = Rows(), Flaky()
    old, new, later = words("card late", "card gone", "card blue")
    await run(rows, publisher, [embedded(old), embedded(new, version="2"), embedded(later)])
    found = where(publisher)
    assert found[old.id] == found[later.id] != found[new.id]


async def test_many_items_at_once() -> None:
    rows, publisher = Rows(), Flaky()
    items = [compared_item(n, text=f"{['card', 'login', 'fee', 'app'][n % 4]} {n}") for n in range(300)]
    await run(rows, publisher, [embedded(*items[:150]), embedded(*items[150:])])
    assert where(publisher).keys() == {i.id for i in items}
    assert len(set(where(publisher).values())) == 4


async def test_others_run_between_the_projects_of_a_batch() -> None:
    rows, publisher, turns = Rows(), Flaky(), 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(others())
    many = [embedded(*words("card late"), project=f"p{n}") for n in range(50)]
    await run(rows, publisher, many)
    running.cancel()
    assert turns >= len(many)


async def test_a_fix_of_a_known_cluster_is_launched_once() -> None:
    rows, publisher = Rows(), Flaky()
    [item] = words("card late")
    asked = start_fix(1, cluster_id_for("p1", item.id))
    await run(rows, publisher, [embedded(item), asked, asked])
    await run(rows, publisher, [asked])
    assert fixes(publisher) == [job_id_for("command 1")]
    [command] = [FixCommand.model_validate_json(m.value) for m in publisher.of("fix.commands")]
    assert (command.cluster_title, command.requested_by, command.requested_at) == ("card late", "owner", NOW)
    again = start_fix(2, command.cluster_id)
    await run(rows, publisher, [again])
    [refused] = [e for e in events(publisher) if isinstance(e, CommandDone) and e.outcome == "refused"]
    assert "is under way" in refused.reason
    [ordered] = [JobEvent.model_validate_json(m.value) for m in publisher.of("job.events")]
    end = ordered.model_copy(update={"id": "end", "status": "failed", "state": "failed", "fix": None})
    await run(rows, publisher, [record("job.events", end.to_bytes()), start_fix(3, command.cluster_id)])
    assert fixes(publisher) == [job_id_for("command 1"), job_id_for("command 3")]
    [_, second] = [FixCommand.model_validate_json(m.value) for m in publisher.of("fix.commands")]
    assert (command.attempt, second.attempt) == (1, 2)


async def test_a_fix_of_a_cluster_not_known_yet_waits_for_it_over_a_restart() -> None:
    rows, publisher = Rows(), Flaky()
    [item] = words("card late")
    asked = start_fix(1, cluster_id_for("p1", item.id))
    await run(rows, publisher, [asked], [embedded(*words("login slow"))])
    assert fixes(publisher) == []
    await run(rows, publisher, [asked])
    await run(rows, publisher, [embedded(item)])
    assert fixes(publisher) == [job_id_for("command 1")]
    await run(rows, publisher, [asked], [embedded(item)])
    assert fixes(publisher) == [job_id_for("command 1")]


async def test_a_command_reaches_only_its_own_project() -> None:
    rows, publisher = Rows(), Flaky()
    [item] = words("card late")
    await run(rows, publisher, [embedded(item), start_fix(1, cluster_id_for("p1", item.id), project="p2")])
    assert fixes(publisher) == []


async def test_it_waits_while_kafka_is_away() -> None:
    rows, publisher = Rows(), Flaky(KafkaUnavailable(), KafkaUnavailable())
    [item] = words("card late")
    await run(rows, publisher, [embedded(item), start_fix(1, cluster_id_for("p1", item.id))])
    assert list(where(publisher)) == [item.id]
    assert fixes(publisher) == [job_id_for("command 1")]


def gone(*names: str, command: str | None = "k1") -> Record:
    value = EmbeddedEnvelope(
        project_id="p1",
        embedder=EmbedderId(name="hash", version="1", dimensions=8),
        items=(),
        vectors="",
        deleted=tuple(Deleted(uid(name), NOW, command) for name in names),
    ).to_bytes()
    return record(EMBEDDED, value)


async def test_a_deleted_item_is_told_of_and_answered_once() -> None:
    rows, publisher = Rows(), Flaky()
    items = words("card late", "card gone", "login slow")
    await run(rows, publisher, [embedded(*items), gone("card late"), gone("login slow", command=None)])
    card, login = (cluster_id_for("p1", uid(text)) for text in ("card late", "login slow"))
    told = events(publisher)
    assert [e for e in told if isinstance(e, ItemRemoved)] == [
        ItemRemoved(uid("card late"), card, NOW, "k1"),
        ItemRemoved(uid("login slow"), login, NOW),
    ]
    assert told[-1] == CommandDone("k1", "applied", "deleted", NOW, None, (card,))
    sizes = {e.cluster_id: e.size for e in told if isinstance(e, ClusterChanged)}
    assert sizes == {card: 1, login: 1}  # that of the login is from before
    assert "card late" not in [e.title for e in told if isinstance(e, ClusterChanged)][-1:]
    again = Flaky()
    await run(rows, again, [embedded(*items), gone("card late"), gone("login slow", command=None)])
    # The last step is sent once more after a restart; deleted items stay deleted.
    assert not [e for e in events(again) if isinstance(e, ItemAssigned) and e.item_id != uid("card gone")]
    state = await rows.clusters().state(0, "p1")
    assert state.cluster_of([i.id for i in items]) == [None, card, None]
    assert state.cluster(login) is None


async def test_a_deletion_that_was_stored_and_not_sent_is_sent_after_a_restart() -> None:
    rows, publisher = Rows(), Flaky()
    items = words("card late", "card gone")
    await run(rows, publisher, [embedded(*items)])
    rows.enter(0)
    states = rows.clusters()
    step = (await states.state(0, "p1")).remove([Deleted(uid("card late"), NOW, "k1")], NOW)
    states.write(0, "p1", step.rows)
    again = Flaky()
    await run(rows, again, [gone("card late")])
    told = events(again)
    assert ItemRemoved(uid("card late"), cluster_id_for("p1", uid("card late")), NOW, "k1") in told
    assert [e.outcome for e in told if isinstance(e, CommandDone)] == ["applied"]
    [changed] = [e for e in told if isinstance(e, ClusterChanged)]
    assert (changed.size, changed.title) == (1, "card gone")


POISON = [
    record(EMBEDDED, b""),
    record(EMBEDDED, b"hello"),
    record(EMBEDDED, embedded(*words("x")).value, key=None),
    record(COMMANDS, b'{"type":"explode"}'),
    record(COMMANDS, None),
    embedded(ComparedItem("not a uuid", "x", "t", "t", NOW)),
]
POISON[2] = record(EMBEDDED, (POISON[2].value or b"").replace(b'"vectors":"', b'"vectors":"AAAA'))


@pytest.mark.parametrize("poison", POISON, ids=range(len(POISON)))
@pytest.mark.parametrize("alone", [True, False])
async def test_poison_is_set_aside_and_the_others_pass(poison: Record, alone: bool) -> None:
    rows, publisher = Rows(), Flaky()
    good = words("card late", "card gone", "card blue")
    batch = [embedded(good[0]), poison, embedded(good[1]), embedded(good[2])]
    await run(rows, publisher, *([[one] for one in batch] if alone else [batch]))
    assert list(where(publisher)) == [i.id for i in good]
    assert [letter.value for letter in publisher.letters] == [poison.value or b""]
    assert headers(publisher.letters[0])["offset"] == str(poison.offset)
    [changed] = [e for e in events(publisher)[-1:] if isinstance(e, ClusterChanged)]
    assert changed.size == 3  # no item is counted twice, although the batch was tried before


async def test_rows_that_cannot_be_written_leave_nothing_in_memory() -> None:
    rows, publisher = Rows(), Flaky()
    rows.fail = [RuntimeError("the changelog is away")]
    items = words("card late", "card gone")
    await run(rows, publisher, [embedded(*items)], [embedded(*words("card blue"))])
    assert publisher.letters == []
    sizes = {e.cluster_id: e.size for e in events(publisher) if isinstance(e, ClusterChanged)}
    assert sizes == {cluster_id_for("p1", uid("card late")): 3}
    found = (await rows.clusters().state(0, "p1")).cluster(cluster_id_for("p1", uid("card late")))
    assert found is not None
    assert found.size == 3


async def test_what_can_never_be_sent_is_set_aside_and_holds_up_nobody() -> None:
    rows, publisher = Rows(), Flaky()
    publisher.refuses = b"unlucky"
    await run(
        rows, publisher, [embedded(*words("card late")), embedded(*words("unlucky"))], [embedded(*words("later"))]
    )
    assert {uid("card late"), uid("later")} <= set(where(publisher))
    assert publisher.letters
    assert all(b"unlucky" in letter.value for letter in publisher.letters)
