"""Whatever comes in whatever order: items, people's commands, rounds beside the stream, restarts."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from unittest.mock import patch
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from soulcaster.domain.clustering.clusterer.clusterer import Clusterer
from soulcaster.domain.clustering.clusterer.clusters import Cluster
from soulcaster.domain.clustering.project import archive_schedule
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.steps import Step
from soulcaster.domain.commands import (
    Cleanup,
    Command,
    Configure,
    Merge,
    Move,
    Mute,
    NotePullRequest,
    Pin,
    Rebalance,
    Rename,
    Reopen,
    Reset,
    Resolve,
    Split,
    StartFix,
    Undo,
)
from soulcaster.domain.embedder import EmbedderKey
from soulcaster.domain.events import (
    ClusterChanged,
    ClusterEvent,
    ClusterMerged,
    ClusterPullRequest,
    ClusterRegressed,
    ClusterRestored,
    ClusterSplit,
    CommandDone,
    ItemAssigned,
    ItemRemoved,
    ProposalsChanged,
)
from soulcaster.domain.feedback.items import Deleted
from soulcaster.domain.ids import cluster_id_for, job_id_for
from tests.domain.clustering.make import A, B, load, stream, text, write
from tests.support.make import NOW, uid

POOL = 240
ITEM = {uid(n): n for n in range(POOL)}
Do = Callable[[ProjectClusters], Step]


@dataclass
class Said:
    """What a person's word has left, by items."""

    id: str
    together: set[str]
    one: set[str] = field(default_factory=set)
    other: set[str] = field(default_factory=set)


class Fold:
    """What a reader of the events knows."""

    def __init__(self) -> None:
        self.where: dict[str, str] = {}
        self.told: dict[str, str] = {}
        self.alias: dict[str, str] = {}
        self.changed: dict[str, ClusterChanged] = {}
        self.embedder: dict[str, str] = {}
        self.said: list[Said] = []
        self.commands: dict[str, Command] = {}
        self.done: dict[str, str] = {}
        self.proposals: tuple[str, ...] = ()
        self.pinned: set[str] = set()
        self.archived: set[str] = set()
        self.deleted: set[str] = set()
        self.time: dict[str, datetime] = {}
        self.regressed: set[str] = set()
        self._before: dict[str, str] = {}
        self._pairs: list[tuple[str, set[str]]] = []

    def resolve(self, cluster_id: str) -> str:
        while cluster_id in self.alias:
            cluster_id = self.alias[cluster_id]
        return cluster_id

    def items(self, cluster_id: str) -> set[str]:
        of = self.resolve(cluster_id)
        return {item for item, cluster in self.where.items() if cluster == of}

    def take(self, events: Iterable[ClusterEvent], *, by_machine: bool = False) -> None:
        self._before = dict(self.where)
        self._pairs = []
        self.regressed = set()
        resolved: set[str] = set()
        for event in events:
            match event:
                case ItemAssigned():
                    self.assigned(event)
                case ItemRemoved():
                    self.removed(event)
                case ClusterPullRequest():
                    resolved.add(event.cluster_id if event.command_id else "")
                case ClusterRegressed():
                    assert self.changed[event.cluster_id].triage == "resolved" or event.cluster_id in resolved
                    # later than all where the newest item was deleted: its time still counts
                    assert event.at >= max(self.time[item] for item in self.items(event.cluster_id))
                    self.regressed.add(event.cluster_id)
                case ClusterSplit():
                    assert event.cluster_id not in self.embedder, "an id is given once"
                    assert event.by == "person" or event.parent_id not in self.pinned
                    self.embedder[event.cluster_id] = self.embedder[event.parent_id]
                case ClusterMerged():
                    self.merged(event)
                case ClusterRestored():
                    assert event.cluster_id in self.alias
                    del self.alias[event.cluster_id]
                    self.where.update((item, self.resolve(self.told[item])) for item in self.archived)
                case ClusterChanged():
                    assert event.cluster_id in self.embedder
                    assert event.cluster_id not in self.alias
                    old = self.changed.get(event.cluster_id)
                    if by_machine and old is not None and old.titled_by == "person":
                        assert (event.title, event.titled_by) == (old.title, "person")
                    if event.cluster_id in self.regressed:
                        assert event.triage == "regressed"
                    self.changed[event.cluster_id] = event
                case CommandDone():
                    self.finished(event)
                case ProposalsChanged():
                    self.proposals = tuple(p.id for p in event.proposals)
        for cluster_id, size in Counter(self.where.values()).items():
            assert self.changed[cluster_id].size == size, "the last that was told of a cluster is how it stands"
        self.pinned = {c for c in set(self.where.values()) if self.changed[c].pinned}

    def assigned(self, event: ItemAssigned) -> None:
        item, cluster_id = event.item_id, event.cluster_id
        assert item not in self.deleted
        assert (item in self.where) == (event.change == "moved")
        self.time[item] = event.item_created_at
        if event.change == "opened":
            assert cluster_id == cluster_id_for("p", item)
            assert cluster_id not in self.embedder, "an id is given once"
            self.embedder[cluster_id] = event.embedder
        if event.rule == "consolidation":
            assert self.where[item] not in self.pinned
            assert cluster_id not in self.pinned
        assert cluster_id not in self.alias
        assert self.embedder[cluster_id] == event.embedder
        self.where[item] = self.told[item] = cluster_id
        if event.rule != "person":
            self._before[item] = cluster_id

    def removed(self, event: ItemRemoved) -> None:
        assert event.item_id not in self.deleted, "an item goes once"
        assert event.cluster_id == self.where.pop(event.item_id, None)
        self.told.pop(event.item_id, None)
        self._before.pop(event.item_id, None)
        self.deleted.add(event.item_id)
        self.archived.discard(event.item_id)
        for said in self.said:
            for items in (said.together, said.one, said.other):
                items.discard(event.item_id)

    def merged(self, event: ClusterMerged) -> None:
        assert event.cluster_id in self.embedder
        assert event.cluster_id not in self.alias
        assert event.into_id not in self.alias
        assert event.into_id != event.cluster_id
        items = self.items(event.cluster_id)
        self.where.update(dict.fromkeys(items, event.into_id))
        self.alias[event.cluster_id] = event.into_id
        if event.by == "person":
            self._pairs.append((event.cluster_id, self.items(event.into_id)))
        else:
            assert not {event.cluster_id, event.into_id} & self.pinned
            self._before = dict(self.where)

    def finished(self, event: CommandDone) -> None:
        assert self.done.get(event.command_id, "waiting") == "waiting", "a command is answered once"
        self.done[event.command_id] = event.outcome
        command = self.commands.get(event.command_id)
        if event.outcome == "applied":
            match command:
                case Merge():
                    self.say(Said(command.id, self.items(command.cluster_id)))
                case Cleanup():
                    for _, items in self._pairs:
                        self.say(Said(command.id, items))
                case Split():
                    one = set(command.item_ids)
                    self.say(Said(command.id, one, one, self.items(command.cluster_id) - one))
                case Move():
                    one = {i for i in command.item_ids if self._before[i] != self.where[i]}
                    sources = {self._before[i] for i in one} - self.alias.keys()
                    other = {i for source in sources for i in self.items(source)}
                    self.say(Said(command.id, one, one, other))
                case Undo():
                    self.said = [s for s in self.said if s.id != command.command_id]
        self._before = dict(self.where)
        self._pairs = []

    def say(self, said: Said) -> None:
        """Remember a word; what is archived stays where it is, and no word binds it."""
        parts = (part - self.archived for part in (said.together, said.one, said.other))
        self.said.append(Said(said.id, *parts))

    def bonds(self) -> list[set[str]]:
        """Items that people want together: what a later word takes off leaves the earlier ones."""
        bonds: list[set[str]] = []
        for said in self.said:
            bonds = [bond - said.one for bond in bonds]
            bonds.append(set(said.together))
        return bonds


class ProjectMachine(RuleBasedStateMachine):
    """One project that runs on, and its twin, which is loaded from its rows before each step."""

    archive_days = 0
    apart = 1

    def __init__(self) -> None:
        super().__init__()
        self.table: dict[str, bytes] = {}
        self._again: ProjectClusters | None = None
        self.state = self.load()
        self.fold = Fold()
        self.count = 0
        self.fixes: list[str] = []

    def load(self) -> ProjectClusters:
        return load(self.table, self.archive_days)

    @property
    def again(self) -> ProjectClusters:
        """What a restart after the last step finds; to look at."""
        if self._again is None:
            self._again = self.load()
        return self._again

    # ---- what happens --------------------------------------------------------------------------------------------

    def do(self, step: Do, twin: ProjectClusters | None = None, *, by_machine: bool = False) -> Step:
        mine, theirs = step(self.state), step(twin or self.again)
        self._again = None
        for event, other in zip(sorted_events(mine.events), sorted_events(theirs.events), strict=True):
            assert event == other
        assert mine.fixes == theirs.fixes
        assert bool(mine.rows) == bool(theirs.rows)
        write(self.table, theirs.rows)
        self.fold.take(mine.events, by_machine=by_machine)
        self.fold.archived = set(self.fold.where) - live(self.state)
        self.fixes += [fix.job_id for fix in mine.fixes]
        return mine

    def say(self, command: Command) -> Step:
        self.fold.commands[command.id] = command
        return self.do(lambda state: state.apply(command, NOW))

    def asked(self) -> tuple[str, str]:
        self.count += 1
        return f"command {self.count}", "owner"

    def cluster_id(self, data: st.DataObject) -> str:
        """One that stands, one that once did, or one that is not known yet."""
        standing = sorted(set(self.fold.where.values()))
        kind = data.draw(st.sampled_from(["standing"] * 12 + ["alias", "any"]))
        if kind == "standing" and standing:
            return data.draw(st.sampled_from(standing))
        if kind == "alias" and self.fold.embedder:
            return data.draw(st.sampled_from(sorted(self.fold.embedder)))
        return cluster_id_for("p", uid(data.draw(st.integers(0, POOL - 1))))

    def some(self, data: st.DataObject, items: set[str]) -> tuple[str, ...]:
        if not items or data.draw(st.integers(0, 15)) == 0:
            return (uid(data.draw(st.integers(0, POOL - 1))),)
        return tuple(data.draw(st.lists(st.sampled_from(sorted(items)), min_size=1, max_size=4)))

    @initialize(count=st.integers(1, 150), step=st.sampled_from([1, 7, 11]))
    def begin(self, count: int, step: int) -> None:
        self.add(0, count, step, A)

    @rule(
        start=st.integers(0, POOL - 1),
        count=st.integers(1, 40),
        step=st.sampled_from([1, 1, 6, 7]),
        key=st.sampled_from([A, A, A, A, B]),
    )
    def add(self, start: int, count: int, step: int, key: EmbedderKey) -> None:
        if any(
            isinstance(c, Reset) and self.fold.done.get(c.id) in (None, "waiting") for c in self.fold.commands.values()
        ):
            key = A  # see round: no reset is of two embedders
        numbers = [(start + i * step) % POOL for i in range(count)]
        items, vectors = stream(numbers, key, apart=self.apart)
        known = set(self.fold.where)
        told = self.do(lambda state: state.add(key, items, vectors))
        come = {item.id for item in items} - self.fold.deleted
        assert set(self.fold.where) == known | come
        first = {e.item_id for e in told.events if isinstance(e, ItemAssigned) and e.change != "moved"}
        assert first == come - known

    @rule(data=st.data(), count=st.integers(1, 3), asked=st.booleans())
    def delete(self, data: st.DataObject, count: int, asked: bool) -> None:
        """Items there are, archived ones among them; some that are not there yet, and some that are gone already."""
        kinds = [self.fold.where, self.fold.where, self.fold.where, self.fold.archived, self.fold.deleted, ITEM]
        ids = [
            data.draw(st.sampled_from(sorted(data.draw(st.sampled_from([kind for kind in kinds if kind])))))
            for _ in range(count)
        ]
        command_id = self.asked()[0] if asked else None
        tombstones = [Deleted(item_id, NOW, command_id) for item_id in ids]
        known = self.fold.deleted | set(ids)
        self.do(lambda state: state.remove(tombstones, NOW))
        assert self.fold.deleted == known
        assert command_id is None or self.fold.done[command_id] == "applied"
        assert self.do(lambda state: state.remove(tombstones, NOW)) == Step()

    @rule(data=st.data())
    def merge(self, data: st.DataObject) -> None:
        into, *others = dict.fromkeys(self.cluster_id(data) for _ in range(data.draw(st.integers(2, 4))))
        self.say(Merge(*self.asked(), NOW, into, tuple(others)))

    @rule(data=st.data(), title=st.sampled_from([None, "given"]))
    def split(self, data: st.DataObject, title: str | None) -> None:
        cluster_id = self.cluster_id(data)
        self.say(Split(*self.asked(), NOW, cluster_id, self.some(data, self.fold.items(cluster_id)), title))

    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        items = set(self.fold.where) if data.draw(st.booleans()) else self.fold.items(self.cluster_id(data))
        self.say(Move(*self.asked(), NOW, self.some(data, items), self.cluster_id(data)))

    @rule(data=st.data(), title=st.sampled_from([None, "one", "two"]))
    def rename(self, data: st.DataObject, title: str | None) -> None:
        self.say(Rename(*self.asked(), NOW, self.cluster_id(data), title))

    @rule(data=st.data(), pinned=st.booleans())
    def pin(self, data: st.DataObject, pinned: bool) -> None:
        self.say(Pin(*self.asked(), NOW, self.cluster_id(data), pinned))

    @rule(data=st.data(), kind=st.sampled_from([Mute, Resolve, Resolve, Reopen]))
    def triage(self, data: st.DataObject, kind: type[Mute | Resolve | Reopen]) -> None:
        command = kind(*self.asked(), NOW, self.cluster_id(data))
        self.say(command)
        if self.fold.done[command.id] == "applied":
            wanted = {Mute: "muted", Resolve: "resolved", Reopen: "open"}[kind]
            cluster_id = self.fold.resolve(command.cluster_id)
            if cluster_id in self.fold.changed:
                assert self.fold.changed[cluster_id].triage == wanted
            else:  # opened and merged within one step: its id leads somewhere, and nobody has heard of it
                assert cluster_id not in self.fold.where.values()

    @rule(data=st.data(), hours=st.sampled_from([-9999, 0, 9999]))
    def merge_a_pull_request(self, data: st.DataObject, hours: int) -> None:
        cluster_id, at = self.cluster_id(data), NOW + timedelta(hours=hours)
        before = self.fold.changed.get(self.fold.resolve(cluster_id))
        command = NotePullRequest(*self.asked(), NOW, cluster_id, "o/n#1", "https://x/1", "merged", at, resolves=True)
        self.say(command)
        after = self.fold.changed.get(self.fold.resolve(cluster_id))
        if self.fold.done[command.id] == "applied" and before is not None and after is not None:
            kept = before.triage in ("muted", "resolved")
            newer = after.updated_at > min(at, NOW)  # a time that is still to come cannot be true
            assert after.triage == (before.triage if kept else "regressed" if newer else "resolved")

    @precondition(lambda self: self.fold.said)
    @rule(data=st.data())
    def undo_a_word(self, data: st.DataObject) -> None:
        self.say(Undo(*self.asked(), NOW, data.draw(st.sampled_from(self.fold.said[::-1])).id))

    @precondition(lambda self: self.fold.commands)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        undone = data.draw(st.sampled_from(list(self.fold.commands)[::-1]))
        self.say(Undo(*self.asked(), NOW, undone))

    @precondition(lambda self: self.fold.proposals)
    @rule(data=st.data())
    def clean_up(self, data: st.DataObject) -> None:
        proposals = data.draw(st.lists(st.sampled_from(self.fold.proposals), min_size=1, max_size=3, unique=True))
        self.say(Cleanup(*self.asked(), NOW, tuple(proposals)))

    @rule(granularity=st.sampled_from(["finer", "auto", "broader"]), threshold=st.sampled_from([None, None, 0.9]))
    def configure(self, granularity: str, threshold: float | None) -> None:
        if threshold is None or self.fold.where:
            self.say(Configure(*self.asked(), NOW, threshold, granularity=granularity))  # type: ignore[arg-type]

    @rule(data=st.data())
    def start_fix(self, data: st.DataObject) -> None:
        self.say(StartFix(*self.asked(), NOW, self.cluster_id(data)))

    @precondition(lambda self: self.fold.commands)
    @rule(data=st.data())
    def say_again(self, data: st.DataObject) -> None:
        command = data.draw(st.sampled_from(list(self.fold.commands.values())))
        told = self.do(lambda state: state.apply(command, NOW))
        assert told == Step()

    @rule(
        data=st.data(), kind=st.sampled_from([Rebalance, Reset]), between=st.sampled_from(["", "", "items", "command"])
    )
    def round(self, data: st.DataObject, kind: type[Rebalance | Reset], between: str) -> None:
        """A round beside the stream that somebody asks for."""
        if len(set(self.fold.embedder.values())) > 1:
            kind = Rebalance  # a reset of two embedders begins anew after a restart, also for the one that is done
        self.say(kind(*self.asked(), NOW))
        twin = self.load()
        dues = [(state, state.round_due()) for state in (self.state, twin)]
        decided = {id(state): (due, due.decide()) for state, due in dues if due is not None}
        assert len(decided) != 1
        if decided:
            assert self.state.round_due() is None
        if between == "items":
            items = stream(((data.draw(st.integers(0, POOL - 1)) + i) % POOL for i in range(4)), apart=self.apart)
            self.do(lambda state: state.add(A, *items), twin)
        elif between == "command":
            command = Merge(*self.asked(), NOW, self.cluster_id(data), (self.cluster_id(data),))
            self.fold.commands[command.id] = command
            self.do(lambda state: state.apply(command, NOW), twin)
        if decided:
            self.do(lambda state: state.finish(*decided[id(state)], NOW, 0.5), twin, by_machine=True)

    # ---- what holds ----------------------------------------------------------------------------------------------

    @invariant()
    def every_item_is_in_one_standing_cluster(self) -> None:
        items = sorted(self.fold.where)
        expected = [self.fold.where[item] for item in items]
        texts = {text(n) for item, n in ITEM.items() if item not in self.fold.deleted}
        assert [self.fold.resolve(self.fold.told[item]) for item in items] == expected
        for state in (self.state, self.again):
            assert state.cluster_of(items) == expected
            members: dict[str, list[str]] = defaultdict(list)
            for core in state.clusterers.values():
                in_clusters = [slot for cluster in core.state.clusters for slot in cluster.slots]
                assert sorted(in_clusters) == core.state.index.slots().tolist()
                assert len(in_clusters) == len(core.state.index)
                for cluster in core.state.clusters:
                    assert cluster.merged_into is None or not (cluster.slots or cluster.archived)
                    assert cluster.is_deleted or cluster.merged_into is not None or cluster.id in expected
                    assert not cluster.is_deleted or (cluster.title, cluster.given_title, cluster.size) == ("", None, 0)
                    self.says_nothing_of_what_is_gone(core, cluster, texts)
                    for slot in cluster.slots:
                        of = core.state.index.members(slot)
                        assert len(of) == core.state.index.counts[slot] > 0
                        members[cluster.id] += [str(UUID(bytes=item_id)) for item_id, _, _ in of]
            expected_members = {c: sorted(self.fold.items(c) - self.fold.archived) for c in members}
            assert {c: sorted(of) for c, of in members.items()} == expected_members
            assert sum(map(len, members.values())) + len(self.fold.archived) == len(items)

    def says_nothing_of_what_is_gone(self, core: Clusterer, cluster: Cluster, texts: set[str]) -> None:
        """Texts are of items that were not deleted, or of one that says the same; so are fingerprints."""
        for slot in cluster.slots:
            micro_cluster = core.state.index.micro_clusters[slot]
            if micro_cluster.summary:
                assert micro_cluster.summary == text(ITEM[speaker := str(UUID(bytes=micro_cluster.text_of))])
                assert speaker not in self.fold.deleted
            else:
                assert micro_cluster.fingerprints[0] == 0
            assert set(micro_cluster.fingerprints[1:]) <= {says for _, _, says in core.state.index.members(slot)}
        assert not cluster.slots or not cluster.summary or cluster.summary in texts

    @invariant()
    def no_word_names_what_is_gone(self) -> None:
        for core in self.state.clusterers.values():
            assert core.state.constraints.slots() <= set(core.state.index.slots().tolist())
            assert (
                core.state.constraints.by_command.keys()
                == self.again.clusterers[self.key_of(core)].state.constraints.by_command.keys()
            )

    @invariant()
    def texts_lead_where_they_lead_after_a_restart(self) -> None:
        for core, again in zip(self.state.clusterers.values(), self.again.clusterers.values(), strict=True):
            assert core.state.fingerprints.slots == again.state.fingerprints.slots

    def key_of(self, core: Clusterer) -> EmbedderKey:
        return next(key for key, of in self.state.clusterers.items() if of is core)

    @invariant()
    def a_resolved_cluster_has_nothing_newer(self) -> None:
        for state in (self.state, self.again):
            for cluster_id in set(self.fold.where.values()):
                cluster = state.cluster(cluster_id)
                assert cluster is not None
                assert cluster.triage == self.fold.changed[cluster_id].triage
                assert cluster.triage != "resolved" or cluster.last <= cluster.resolved_at

    @invariant()
    def every_id_there_was_leads_to_a_standing_cluster(self) -> None:
        standing = set(self.fold.where.values())
        for cluster_id in self.fold.embedder:
            cluster = self.state.cluster(cluster_id)
            if cluster is None:
                assert not self.fold.items(cluster_id)
                continue
            assert cluster.id == self.fold.resolve(cluster_id)
            assert cluster.id in standing
            told = self.fold.changed[cluster.id]
            assert (cluster.size, cluster.sources) == (told.size, told.sources)
            assert (cluster.created_at, cluster.updated_at) == (told.created_at, told.updated_at)

    @invariant()
    def what_people_said_something_of_is_not_archived(self) -> None:
        for said in self.fold.said:
            assert not self.fold.archived & (said.together | said.one | said.other)

    @invariant()
    def what_people_said_holds(self) -> None:
        for bond in self.fold.bonds():
            assert len({self.fold.where[item] for item in bond}) <= 1
        for said in self.fold.said:
            one, other = ({self.fold.where[item] for item in items} for items in (said.one, said.other))
            assert not one & other

    @invariant()
    def a_fix_is_launched_once_for_what_is_known(self) -> None:
        asked = [c for c in self.fold.commands.values() if isinstance(c, StartFix)]
        assert sorted(self.fixes) == sorted(job_id_for(c.id) for c in asked if self.fold.done[c.id] == "applied")
        # One may be known that nobody has heard of: opened and merged in one step.
        assert all(self.fold.done[c.id] != "waiting" for c in asked if c.cluster_id in self.fold.embedder)

    @invariant()
    def every_command_was_answered(self) -> None:
        asked = {c.id for c in self.fold.commands.values() if not isinstance(c, Rebalance | Reset)}
        assert asked <= self.fold.done.keys()


def live(state: ProjectClusters) -> set[str]:
    """The items that are not archived."""
    slots = ((core, slot) for core in state.clusterers.values() for slot in core.state.index.slots().tolist())
    return {str(UUID(bytes=item_id)) for core, slot in slots for item_id, _, _ in core.state.index.members(slot)}


def sorted_events(events: Sequence[ClusterEvent]) -> list[ClusterEvent]:
    """Events, those of items that follow one another in the order of their ids."""
    found: list[ClusterEvent] = []
    run: list[ItemAssigned] = []
    for event in [*events, None]:
        if isinstance(event, ItemAssigned):
            run.append(event)
            continue
        run.sort(key=lambda e: e.item_id)
        found += run
        run = []
        if event is not None:
            found.append(event)
    return found


class ArchivingMachine(ProjectMachine):
    """Items come from four days, in no order; what is two days older than the newest is archived, a few at a time."""

    archive_days = 2
    apart = 60

    def __init__(self) -> None:
        super().__init__()
        self.archived: set[str] = set()
        self.few = patch.object(archive_schedule, "ARCHIVED_BYTES", 2_000)
        self.few.start()

    def teardown(self) -> None:
        self.few.stop()

    @invariant()
    def what_is_archived_stays_so(self) -> None:
        assert self.archived - self.fold.deleted <= self.fold.archived
        self.archived = self.fold.archived


TestProject = ProjectMachine.TestCase
TestArchivingProject = ArchivingMachine.TestCase
TestProject.settings = TestArchivingProject.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
