"""The clustering core of one project and one embedder: sees each item once, puts itself right later, can say why.

An item joins a tight group (`groups.py`) or opens one; a group belongs to a cluster, which has the public id. Equal
text comes before similarity. An item whose nearest group is `TIGHT` or nearer joins it; another opens a group in the
cluster whose three nearest groups are nearest to it on average, if that reaches the threshold, else in a cluster of its
own. The threshold is the one at which the last round's own groups would best have been placed as they are
(`consolidation.online_cut`): it calibrates itself from the stream. A round (`identity.decide`) works on a snapshot,
anywhere; `finish` carries out what it decided. People's word (`constraints.py`) comes before both.

Within a block of items all are compared with the groups as they were at its start and with those it has opened.
"""

import math
import struct
import sys
from bisect import insort
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from operator import itemgetter
from uuid import UUID

import msgspec
import numpy as np

from soulcaster.domain.assignment import Change, Rule
from soulcaster.domain.clustering import titles
from soulcaster.domain.clustering.archive import NOTHING, Archived
from soulcaster.domain.clustering.consolidation import NEIGHBOURS, Wishes
from soulcaster.domain.clustering.constraints import TRIAGE, Constraints, Word
from soulcaster.domain.clustering.groups import Exemplar, Groups, GroupsCopy
from soulcaster.domain.clustering.identity import Decision, Snapshot, decide
from soulcaster.domain.clustering.lexical import Lexicon, fingerprints
from soulcaster.domain.clustering.vectors import Vectors
from soulcaster.domain.commands import Granularity, Merge, Move, Mute, Pin, Rename, Reopen, Resolve, Split, Undo
from soulcaster.domain.feedback.items import Brief
from soulcaster.domain.ids import cluster_id_for, id_bytes, proposal_id_for, split_id_for
from soulcaster.domain.lifecycle import Triage
from soulcaster.errors import BadInput

TIGHT = 0.8
"""From this similarity on an item is taken for one more of a group."""

PRIOR_CUT = 0.5
"""The threshold before the first round."""

FIRST_ROUND = 16
GROWTH = 1.5
"""A round is due when there are so many times the items of the last one, archived ones aside: all rounds together cost
O(1) an item."""

EARLY = 1024
"""Up to so many items rounds are carried out on the way, for they take a tenth of a second at most."""

_BLOCK = 256
_PROPOSALS = 20
_SUMMARY_CHARS = 280
_TITLE_CHARS = 200


@dataclass(slots=True)
class Cluster:
    """A cluster as it stands.

    `groups` are slots; `archived` is what it has besides, that of its aliases included; `into` is the cluster it was
    merged into, its id then an alias; `told` is the size it had when its title and terms were taken, which is one
    while they are those of the item that opened it; `resolved_at` the time (epoch seconds) from which on feedback
    counts as newer.
    """

    id: str
    title: str
    summary: str
    groups: list[int] = field(default_factory=list)
    archived: Archived = NOTHING
    size: int = 0
    sources: tuple[str, ...] = ()
    first: float = float("inf")
    last: float = float("-inf")
    terms: tuple[str, ...] = ()
    coherence: float | None = None
    given_title: str | None = None
    pinned: bool = False
    parent_id: str | None = None
    into: int | None = None
    told: int = 0
    triage: Triage = "open"
    resolved_at: float = 0.0

    @property
    def gone(self) -> bool:
        """Return whether all its items were deleted."""
        return self.into is None and not self.groups and not self.archived

    @property
    def shown_title(self) -> str:
        """Return the title a person gave, else the machine's."""
        return self.given_title or self.title

    @property
    def created_at(self) -> datetime:
        """Return the time of its first item."""
        return datetime.fromtimestamp(self.first, UTC)

    @property
    def updated_at(self) -> datetime:
        """Return the time of its last item."""
        return datetime.fromtimestamp(self.last, UTC)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an item went and why; `runner_up` is the next best cluster's nearest group, if there was one.

    Groups are slots; `text` is the fingerprint of what the item says.
    """

    item: Brief
    slot: int
    change: Change
    rule: Rule
    score: float
    threshold: float
    runner_up: int | None
    runner_up_score: float | None
    text: int


@dataclass(frozen=True, slots=True)
class Moved:
    """A group that has changed cluster; its items are its members."""

    slot: int
    score: float
    old_score: float


@dataclass(frozen=True, slots=True)
class ClusterChanges:
    """What a round or a command has done; clusters by their numbers."""

    moved: tuple[Moved, ...] = ()
    merged: tuple[tuple[int, int], ...] = ()
    split: tuple[int, ...] = ()
    restored: tuple[int, ...] = ()
    changed: tuple[int, ...] = ()
    moved_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Failed:
    """A round that could not be computed, and why; the next one comes when it is due."""

    reason: str


Added = list[Placement] | ClusterChanges | Failed
"""What `add` has done: items assigned, or a round carried out, or not."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Two clusters that may be one; or, where there are groups, a cluster that they may be split off."""

    id: str
    one: int
    other: int
    linkage: float
    groups: tuple[int, ...] = ()


class _ClusterBlob(msgspec.Struct, array_like=True):
    id: str
    given_title: str | None
    pinned: bool
    parent_id: str | None
    into: int | None
    archived: Archived | None = None
    triage: Triage = "open"
    resolved_at: float = 0.0


class _ToldBlob(msgspec.Struct, array_like=True):
    title: str
    summary: str
    terms: tuple[str, ...]
    coherence: float | None
    told: int


class _Calibration(msgspec.Struct, array_like=True):
    seen: int
    words_seen: int
    background: bytes
    centred_at: int
    cut: float
    linkage_cut: float
    calibration: int
    round: int
    round_at: int
    changed: bool
    settled: bool
    suggestions: list[tuple[str, int, int, float, tuple[int, ...]]]


_MEMBER = struct.Struct("<16sdQ")

_encode = msgspec.msgpack.Encoder().encode
_decode_cluster = msgspec.msgpack.Decoder(_ClusterBlob).decode
_decode_told = msgspec.msgpack.Decoder(_ToldBlob).decode
_decode_calibration = msgspec.msgpack.Decoder(_Calibration).decode
_decode_word = msgspec.msgpack.Decoder(Word).decode


class Clusterer:
    """An online clusterer; not safe to use from two threads at once, but a `Snapshot` is its own."""

    def __init__(self, project_id: str, dimensions: int, *, threshold: float | None = None) -> None:
        """Start empty.

        `threshold` is an explicit cosine: items join the cluster whose mean they are that near to, raw vectors alone
        counting, and no round changes anything.
        """
        self._project_id = project_id
        self._explicit = threshold
        self.groups = Groups(dimensions) if threshold is None else Groups(dimensions, words=0.0)
        self.clusters: list[Cluster] = []
        self.numbers: dict[str, int] = {}
        self._archive: dict[int, Archived] = {}
        self._lexicon = Lexicon()
        self._prints: dict[int, int] = {}
        self._seen = 0
        self._archived = 0
        self._centred_at = 0
        self.cut = PRIOR_CUT
        self.linkage_cut = PRIOR_CUT
        self.calibration = 0
        self.round = 0
        self._round_at = 0
        self._round_epoch = 0
        self._settled = True
        self._epoch = 0
        self.suggestions: tuple[Suggestion, ...] = ()
        self.constraints = Constraints()
        self._dirty_clusters: set[int] = set()
        self._dirty_told: set[int] = set()
        self._dirty_words: set[str] = set()
        self._dirty = False

    @property
    def seen(self) -> int:
        """Return the number of items."""
        return self._seen

    @property
    def _live(self) -> int:
        """Return the number of items that are not archived."""
        return self._seen - self._archived

    # ---- online --------------------------------------------------------------------------------------------------

    def add(self, items: Sequence[Brief], vectors: Vectors, granularity: Granularity = "auto") -> Iterator[Added]:
        """Assign items, in order, and yield what was done; vectors are unit rows, shape (len(items), dimensions).

        Up to `EARLY` items, rounds that come due are carried out on the way; later `until_due` says when one is.
        """
        at = 0
        while at < len(items):
            until = self.until_due() if self._live < EARLY else None
            to = min(len(items), at + _BLOCK, len(items) if until is None else at + max(1, until))
            yield self._block(items[at:to], vectors[at:to])
            at = to
            if until is not None and self.until_due() <= 0:
                snapshot = self.snapshot(granularity)
                try:
                    decision = decide(snapshot)
                except Exception as error:
                    self._round_at = self._seen
                    yield Failed(repr(error))
                    continue
                outcome = self.finish(snapshot, decision)
                if outcome is not None:
                    yield outcome

    def _block(self, items: Sequence[Brief], vectors: Vectors) -> list[Placement]:
        words = self._lexicon.add([item.text for item in items])
        self._seen += len(items)
        if self._explicit is None and 2 * self._centred_at <= self._seen <= EARLY:
            self._centred_at = self._seen
            self._centre(self.groups.copy().centred(vectors))
        groups = self.groups
        groups.reserve(len(items))
        features = groups.features(vectors, words)
        similarities, slots = groups.nearest(features)
        within = features @ features.T
        near = list(zip(similarities.tolist(), slots.tolist(), groups.cluster[slots].tolist(), strict=True))
        tight = TIGHT if self._explicit is None else self._explicit
        within_opened = np.empty((len(items), len(items)), np.float32)
        opened: list[tuple[int, int]] = []
        row_of: dict[int, int] = {}
        joins: list[int] = []
        assignments = []
        for row, item in enumerate(items):
            candidates = list(zip(*near[row], strict=True))
            if opened:
                floor = candidates[-1][0] if len(candidates) == NEIGHBOURS else -2.0
                inner = within_opened[row, : len(opened)]
                closer = (inner > floor).nonzero()[0].tolist()
                if closer:
                    candidates += [(float(inner[i]), *opened[i]) for i in closer]
                    candidates.sort(key=itemgetter(0), reverse=True)
                    del candidates[NEIGHBOURS:]
            title, summary, at = item.title[:_TITLE_CHARS], item.text[:_SUMMARY_CHARS], item.created_at.timestamp()
            exact, masked = fingerprints(item.text)
            same, rule = self._same(exact, masked)
            score = threshold = 1.0
            if same is not None and rule == "same-masked-text":
                # What differs may be all that matters: "error 404" is not "error 500". So they must be near as well.
                inside = row_of.get(same)
                other = features[inside] if inside is not None else groups.rows(np.array([same]))[0]
                score, threshold = float(features[row] @ other), self.cut
                same = same if score >= threshold else None
            change: Change = "joined"
            if same is not None:
                slot = same
                number = int(groups.cluster[slot])
                runner_up = _nearest_beside(number, candidates)
            elif candidates and candidates[0][0] >= tight:
                score, slot, number = candidates[0]
                rule, threshold = "near", tight
                runner_up = _nearest_beside(number, candidates)
            else:
                best, runner_up = self._best(candidates)
                threshold = self.cut if self._explicit is None else tight
                score = best[1] if best else -1.0
                if best and score >= threshold and self._explicit is None:
                    rule, number = "near", int(groups.cluster[best[0]])
                else:
                    rule, change = "far" if best else "first", "opened"
                    runner_up = best
                    number = self._make(Cluster(cluster_id_for(self._project_id, item.id), title, summary, told=1))
                exemplar = Exemplar(id_bytes(item.id), title, summary, (), at, at, (masked, exact))
                slot = groups.open(exemplar, number, [candidate[1] for candidate in candidates])
                insort(self.clusters[number].groups, slot)
                self._claim(slot)
                row_of[slot] = row
                within_opened[:, len(opened)] = within[row]
                opened.append((slot, number))
            joins.append(slot)
            self._count_in(slot, number, item, at, exact)
            assignments.append(
                Placement(
                    item,
                    slot,
                    change,
                    rule,
                    score,
                    threshold,
                    runner_up[0] if runner_up else None,
                    runner_up[1] if runner_up else None,
                    exact,
                )
            )
        groups.join(joins, vectors, words)
        return assignments

    def _claim(self, slot: int) -> None:
        """Have its texts lead to a group; of those that are the same but for what is masked, to the lowest slot."""
        masked, *exact = self.groups.exemplars[slot].prints
        self._prints.update(dict.fromkeys(exact, slot))
        owner = self._prints.get(masked)
        if masked and (owner is None or (slot < owner and masked not in self.groups.exemplars[owner].prints[1:])):
            self._prints[masked] = slot

    def _same(self, exact: int, masked: int) -> tuple[int | None, Rule]:
        """Return the group that has said the same; an explicit threshold knows nothing but cosines."""
        if self._explicit is not None:
            return None, "near"
        same = self._prints.get(exact)
        if same is None and masked != exact:
            return self._prints.get(masked), "same-masked-text"
        return same, "same-text"

    def _best(
        self, candidates: Sequence[tuple[float, int, int]]
    ) -> tuple[tuple[int, float] | None, tuple[int, float] | None]:
        """Return (nearest group, score) of the best cluster among candidates, and of the next; see `best_clusters`."""
        nearest: dict[int, list[float]] = {}
        first: dict[int, int] = {}
        for similarity, slot, number in candidates:
            if number not in nearest:
                nearest[number], first[number] = [similarity], slot
            elif len(nearest[number]) < 3:
                nearest[number].append(similarity)
        best: tuple[int, float] | None = None
        second: tuple[int, float] | None = None
        for number, found in nearest.items():
            # Where all three are found there is nothing to look up.
            score = sum(found) / (3 if len(found) == 3 else min(3, len(self.clusters[number].groups)))
            if best is None or score > best[1]:
                best, second = (first[number], score), best
            elif second is None or score > second[1]:
                second = (first[number], score)
        return best, second

    def _opens(self, exemplar: Exemplar, cluster: Cluster) -> bool:
        """Return whether it is the first item of this group that has opened the cluster."""
        return cluster_id_for(self._project_id, str(UUID(bytes=exemplar.item_id))) == cluster.id

    def _make(self, cluster: Cluster) -> int:
        number = len(self.clusters)
        self.clusters.append(cluster)
        self.numbers[cluster.id] = number
        self._dirty_clusters.add(number)
        return number

    def _count_in(self, slot: int, number: int, item: Brief, at: float, text: int) -> None:
        cluster, exemplar = self.clusters[number], self.groups.exemplars[slot]
        exemplar.sources = _with(exemplar.sources, item.source)
        exemplar.first = min(exemplar.first, at)
        exemplar.last = max(exemplar.last, at)
        exemplar.members += _MEMBER.pack(id_bytes(item.id), at, text)
        if not exemplar.title and not exemplar.summary:  # those of its first item were deleted
            exemplar.text_of = id_bytes(item.id)
            exemplar.title, exemplar.summary = item.title[:_TITLE_CHARS], item.text[:_SUMMARY_CHARS]
            if cluster.told == 1:
                self._dirty_told.add(number)
        cluster.size += 1
        cluster.sources = _with(cluster.sources, item.source)
        cluster.first = min(cluster.first, at)
        cluster.last = max(cluster.last, at)

    def _centre(self, copied: GroupsCopy) -> None:
        self.groups.centre(copied.publish(copied.rows()))

    # ---- consolidation -------------------------------------------------------------------------------------------

    def until_due(self) -> int:
        """Return after how many items a round is due, zero or less where it is; by an explicit threshold, never."""
        if self._explicit is not None:
            return sys.maxsize
        return max(FIRST_ROUND, math.ceil(GROWTH * (self._round_at - self._archived))) - self._live

    def reconsider(self) -> None:
        """Have the next round look at everything anew: what it goes by has changed."""
        self._epoch += 1
        self._dirty = True

    @property
    def settled(self) -> bool:
        """Return whether the last round left nothing to a later one."""
        return self._settled or not len(self.groups)

    def stale(self) -> bool:
        """Return whether a round could change anything: there are items, commands or settings it has not seen."""
        new = (self._seen, self._epoch) != (self._round_at, self._round_epoch)
        return self._explicit is None and new and len(self.groups) > 0

    def snapshot(self, granularity: Granularity = "auto", *, anew: bool = False) -> Snapshot:
        """Return what a round works on; `anew` lets it change as much as it will."""
        pinned = self._pinned()
        bonds = {**self.constraints.bonds, **{slot: -1 - number for slot, number in pinned.items()}}
        self.groups.mark()
        groups = self.groups.copy()
        slots = groups.slots.tolist()
        place = {slot: at for at, slot in enumerate(slots)} if bonds or self.constraints.sides else {}
        wishes = Wishes(
            {place[slot]: bond for slot, bond in bonds.items()},
            {place[slot]: sides for slot, sides in self.constraints.sides.items()},
            frozenset(place[slot] for slot in pinned),
            granularity,
        )
        return Snapshot(
            groups,
            wishes,
            [self.groups.exemplars[slot] for slot in slots],
            self._lexicon.copy(),
            [cluster.told - cluster.archived.items for cluster in self.clusters],
            self._seen,
            self._epoch,
            anew,
        )

    def _pinned(self) -> dict[int, int]:
        """Return the groups of pinned clusters, and the number of theirs."""
        pinned = ((n, c) for n, c in enumerate(self.clusters) if c.pinned and c.into is None)
        return {slot: number for number, cluster in pinned for slot in cluster.groups}

    def finish(self, snapshot: Snapshot, decision: Decision) -> ClusterChanges | None:
        """Carry out what a round decided; None, and nothing is done, if a command or another round came in between."""
        if snapshot.epoch != self._epoch or snapshot.seen < self._round_at:
            return None
        self.groups.centre(decision.published)
        self._centred_at = snapshot.seen
        self.round += 1
        born = {number: self._born(parent, number, decision) for number, parent in decision.parents.items()}
        self._merge(decision.merged)
        self._put({move.slot: born.get(move.to, move.to) for move in decision.moves})
        for number, title in decision.titles.items():
            self._tell(born.get(number, number), title)
        self._dirty = True
        if len(snapshot.groups.count) > 1:
            self.cut = decision.online.cut  # a single group says nothing of how near others have to be
        self.linkage_cut = decision.cut
        self.calibration += 1
        self._round_at, self._round_epoch, self._settled = snapshot.seen, self._epoch, decision.settled
        self._suggest(decision)
        changed = {born.get(number, number) for number in decision.titles}
        return ClusterChanges(
            tuple(Moved(move.slot, move.linkage, move.old_linkage) for move in decision.moves),
            tuple(sorted(decision.merged.items())),
            tuple(born.values()),
            (),
            tuple(sorted(number for number in changed if self.clusters[number].groups)),
            decision.moved_share,
        )

    def _born(self, parent: int, number: int, decision: Decision) -> int:
        first = min(move.slot for move in decision.moves if move.to == number)
        of = self.clusters[parent]
        return self._make(
            Cluster(
                split_id_for(of.id, self.groups.exemplars[first].item_id.hex(), f"round {self.round}"),
                "",
                "",
                parent_id=of.id,
            )
        )

    def _suggest(self, decision: Decision) -> None:
        found = []
        for apart in decision.apart:
            one, other = self.clusters[apart.one], self.clusters[apart.other]
            try:
                self.constraints.check_together([*one.groups, *other.groups])
            except BadInput:
                continue
            found.append(
                Suggestion(proposal_id_for("merge", [one.id, other.id]), apart.one, apart.other, apart.linkage)
            )
        splits = []
        for torn in decision.torn[:_PROPOSALS]:
            first = str(UUID(bytes=self.groups.exemplars[torn.groups[0]].item_id))
            proposal = proposal_id_for("split", [self.clusters[torn.number].id, first])
            splits.append(Suggestion(proposal, torn.number, -1, torn.linkage, torn.groups))
        self.suggestions = (*found[:_PROPOSALS], *splits)

    # ---- archiving -----------------------------------------------------------------------------------------------

    def newest(self) -> float:
        """Return the time of the newest item that is not archived, in epoch seconds; without one, minus infinity."""
        return max((exemplar.last for exemplar in self.groups.exemplars), default=float("-inf"))

    def lapsed(self, before: float) -> list[int]:
        """Return the groups whose newest item is older than this (epoch seconds).

        But for those that a person's word names, or that are in a pinned cluster, and for the newest: these are never
        archived, so there is always one.
        """
        before = min(before, self.newest())
        old = [slot for slot, exemplar in enumerate(self.groups.exemplars) if -math.inf < exemplar.last < before]
        kept = self.constraints.named() | self._pinned().keys() if old else set()
        return [slot for slot in old if slot not in kept]

    def archive(self, slots: Sequence[int]) -> None:
        """Give groups up; their items stay in their clusters.

        A round that is under way is given up: it knows these groups.
        """
        for slot in slots:
            number = int(self.groups.cluster[slot])
            self.clusters[number].archived += self._count_out(slot, int(self.groups.count[slot]))
            if self.clusters[number].told == 1:  # the item that says what it is called may go with it
                self._dirty_told.add(number)
        self._free(slots)
        self._give_up_round()

    def _free(self, slots: Sequence[int]) -> None:
        """Take groups out of their clusters and give them up."""
        gone = set(slots)
        lost = {text for slot in slots for text in self._disown(slot, self.groups.exemplars[slot].prints)}
        for number in set(self.groups.cluster[slots].tolist()):
            self.clusters[number].groups = [slot for slot in self.clusters[number].groups if slot not in gone]
        self.groups.free(slots)
        self._claim_again(lost)
        self.suggestions = tuple(
            s
            for s in self.suggestions
            if gone.isdisjoint(s.groups) and all(self.clusters[n].groups for n in (s.one, s.other) if n >= 0)
        )

    def _disown(self, slot: int, prints: tuple[int, ...], kept: tuple[int, ...] = (0,)) -> set[int]:
        """Have a group's texts, but those it keeps, lead to it no more; return those that another group may have."""
        masked, *exact = prints
        owned = {text for text in {masked, *exact} - set(kept) if self._prints.get(text) == slot}
        for text in owned:
            del self._prints[text]
        return owned - set(exact)

    def _claim_again(self, lost: Collection[int]) -> None:
        """Have masked texts that lead nowhere any more lead to a group that has them."""
        for slot in self.groups.slots().tolist() if lost else ():
            if self.groups.exemplars[slot].prints[0] in lost:
                self._claim(slot)

    def _give_up_round(self) -> None:
        """Have a round that is under way come to nothing, and none be due for it."""
        if self._round_epoch == self._epoch:
            self._round_epoch += 1
        self._epoch += 1

    def _count_out(self, slot: int, items: int) -> Archived:
        """Have the cluster of a group remember so many of its items as archived, and return what it remembers."""
        exemplar, number = self.groups.exemplars[slot], int(self.groups.cluster[slot])
        of = Archived(items, exemplar.first, exemplar.last, exemplar.sources)
        self._archive[number] = self._archive.get(number, NOTHING) + of
        self._archived += items
        self._dirty_clusters.add(number)
        return of

    def _archive_rest(self) -> None:
        """Count items as archived that groups have lost to a step that was cut off (`ProjectClusters._archive`)."""
        for slot in self.groups.slots().tolist():
            left = len(self.groups.exemplars[slot].members) // _MEMBER.size
            lost = int(self.groups.count[slot]) - left
            if lost:
                self._count_out(slot, lost)
                self.groups.recount(slot, left)

    def _count_archived(self) -> list[int]:
        """Take anew what each cluster has archived, that of its aliases included; return those for which it differs."""
        totals: dict[int, Archived] = {}
        for number, of in self._archive.items():
            into = self.standing(number)
            totals[into] = totals.get(into, NOTHING) + of
        differs = [n for n, c in enumerate(self.clusters) if c.archived != totals.get(n, NOTHING)]
        for number in differs:
            self.clusters[number].archived = totals.get(number, NOTHING)
        return differs

    # ---- deletion ------------------------------------------------------------------------------------------------

    def remove(
        self, items: Mapping[int, Collection[bytes]], archived: Mapping[int, int], texts: Mapping[bytes, int]
    ) -> tuple[int, ...]:
        """Take items out for good, and return the numbers of the clusters that are others without them.

        `items` are ids (16 bytes) by group; `archived` is how many are archived, by their cluster's number; `texts` has
        the fingerprint of what each of all these said. Vectors of single items are not kept, so what is left of a group
        keeps its means. What has no items any more is gone, and with it what people have said of it. A round that is
        under way is given up: it knows these items.
        """
        self._seen -= len(texts)
        self._round_at = max(0, self._round_at - len(texts))
        self._dirty = True
        touched = {int(self.groups.cluster[slot]) for slot in items}
        for slot, ids in items.items():
            self._take_out(slot, ids)
        for number, count in archived.items():
            self._archive[number] = self._archive[number].less(count)
            self._archived -= count
            self._dirty_clusters.add(number)
            touched.add(self.standing(number))
        if archived:
            self._count_archived()
        emptied = [slot for slot in sorted(items) if not self.groups.count[slot]]
        if emptied:
            self._free(emptied)
        self._give_up_round()
        touched |= self._silence(texts)
        gone = set()
        for number in touched:
            self._recount(number)
            cluster = self.clusters[number]
            if not cluster.groups:
                # Of what is archived there are no texts: the title may have been of an item that is gone.
                self._tell(number, titles.NONE)
            if cluster.gone:
                cluster.given_title = None
                self._dirty_clusters.add(number)
                gone.add(number)
        self._dirty_words.update(self.constraints.forget(set(emptied), gone))
        self._retell(touched)
        return tuple(sorted(touched))

    def _take_out(self, slot: int, ids: Collection[bytes]) -> None:
        """Take items out of a group."""
        stay = [member for member in self.members(slot) if member[0] not in ids]
        self.groups.recount(slot, len(stay))
        if not stay:
            return
        old = self.groups.exemplars[slot]
        said = {text for _, _, text in stay}
        new = replace(
            old,
            item_id=min(item_id for item_id, _, _ in stay) if old.item_id in ids else old.item_id,
            first=min(time for _, time, _ in stay),
            last=max(time for _, time, _ in stay),
            prints=(old.prints[0], *(text for text in old.prints[1:] if text in said)),
            members=bytearray(b"".join(_MEMBER.pack(*member) for member in stay)),
        )
        self.groups.stand_for(slot, new)
        self._disown(slot, old.prints, new.prints)

    def _silence(self, texts: Mapping[bytes, int]) -> set[int]:
        """Take the texts of these items from the groups that they stand for; return the clusters of those.

        Not where another item says the same. A group may have the text of an item that has been moved to another.
        """
        changed = set()
        for slot in self.groups.slots().tolist():
            old = self.groups.exemplars[slot]
            if old.text_of not in texts:
                continue
            same = [item_id for item_id, _, text in self.members(slot) if text == texts[old.text_of]]
            if same:
                self.groups.stand_for(slot, replace(old, text_of=min(same)))
                continue
            prints = (0, *old.prints[1:])
            new = replace(old, title="", summary="", prints=prints, text_of=old.item_id)
            self.groups.stand_for(slot, new)
            self._claim_again(self._disown(slot, old.prints, prints))
            changed.add(int(self.groups.cluster[slot]))
        return changed

    # ---- what changes clusters -----------------------------------------------------------------------------------

    def _merge(self, fates: Mapping[int, int]) -> None:
        """Merge clusters into others, which stay as open, muted or resolved as they were."""
        for number, into in fates.items():
            loser, winner = self.clusters[number], self.clusters[into]
            for slot in loser.groups:
                self.groups.assign(slot, into)
            winner.groups += loser.groups
            winner.archived += loser.archived
            winner.size += loser.size
            winner.first, winner.last = min(winner.first, loser.first), max(winner.last, loser.last)
            for source in loser.sources:
                winner.sources = _with(winner.sources, source)
            winner.pinned = winner.pinned or loser.pinned
            winner.given_title = winner.given_title or loser.given_title
            loser.groups, loser.archived, loser.size = [], NOTHING, 0
            loser.into = into
            self._dirty_clusters.update((number, into))
            if loser.told > 1:
                self._dirty_told.add(number)
        for into in set(fates.values()):
            self.clusters[into].groups.sort()

    def _put(self, where: Mapping[int, int]) -> None:
        """Put groups into clusters."""
        left: dict[int, set[int]] = {}
        for slot in where:
            left.setdefault(int(self.groups.cluster[slot]), set()).add(slot)
        for number, slots in left.items():
            cluster = self.clusters[number]
            cluster.groups = [slot for slot in cluster.groups if slot not in slots]
        for slot, number in where.items():
            self.groups.assign(slot, number)
            self.clusters[number].groups.append(slot)
        for number in left.keys() | set(where.values()):
            self._recount(number)
            self._dirty_clusters.add(number)

    def _recount(self, number: int) -> None:
        """Take a cluster's figures anew from its groups and what it has archived."""
        cluster = self.clusters[number]
        cluster.groups.sort()
        cluster.size = cluster.archived.items
        if cluster.groups:
            cluster.size += int(self.groups.count[cluster.groups].sum())
        parts: list[Exemplar | Archived] = [self.groups.exemplars[slot] for slot in cluster.groups]
        if cluster.archived:
            parts.append(cluster.archived)
        cluster.sources = tuple(sorted({source for part in parts for source in part.sources}))
        cluster.first = min((part.first for part in parts), default=cluster.first)
        cluster.last = max((part.last for part in parts), default=cluster.last)

    def _tell(self, number: int, title: titles.Title) -> None:
        cluster = self.clusters[number]
        cluster.title, cluster.summary, cluster.terms = title.title, title.summary, title.terms
        cluster.coherence, cluster.told = title.coherence, title.size + cluster.archived.items
        self._dirty_told.add(number)

    def _retell(self, numbers: Iterable[int]) -> None:
        """Take title, terms and coherence of these clusters anew."""
        for number in numbers:
            slots = np.array(self.clusters[number].groups)
            if len(slots):
                of = titles.title(self.groups, self.groups.rows(slots), slots, self.groups.exemplars, self._lexicon)
                self._tell(number, of)

    def reopened(self, number: int) -> bool:
        """Open a cluster that was resolved if it has newer feedback since; return whether it has."""
        cluster = self.clusters[number]
        if cluster.triage != "resolved" or cluster.last <= cluster.resolved_at:
            return False
        cluster.triage = "open"
        self._dirty_clusters.add(number)
        return True

    # ---- people's word -------------------------------------------------------------------------------------------

    def resolve(self, cluster_id: str) -> int | None:
        """Return the number of the cluster an id stands for, aliases followed; None for one not known."""
        number = self.numbers.get(cluster_id)
        return None if number is None else self.standing(number)

    def standing(self, number: int) -> int:
        """Return the cluster that a number stands for, aliases followed."""
        while (into := self.clusters[number].into) is not None:
            number = into
        return number

    def merge(self, command: Merge) -> ClusterChanges:
        """Make clusters one.

        Raises:
            BadInput: a person has put some of them apart, they are one already, or of one all items are archived.
        """
        into = self._known(command.cluster_id)
        others = sorted({self._known(other) for other in command.cluster_ids} - {into})
        if not others:
            raise BadInput("these are one cluster already")
        for number in (into, *others):
            self._check_live(number)
        together = [slot for number in (into, *others) for slot in self.clusters[number].groups]
        self.constraints.check_together(together)
        before = {slot: int(self.groups.cluster[slot]) for slot in together}
        word = self._word(command.id, "merge", together=together, before=before, merged=others)
        word.cluster = into
        word.title, word.pinned = self.clusters[into].given_title, self.clusters[into].pinned
        fates = dict.fromkeys(others, into)
        self._merge(fates)
        return self._said(word, ClusterChanges(merged=tuple(fates.items()), changed=(into,)))

    def split(self, command: Split, items: Mapping[int, Sequence[bytes]]) -> ClusterChanges:
        """Make a cluster of some items; `items` are their ids (16 bytes) by group.

        Raises:
            BadInput: they are not all of this cluster, or are all it has.
        """
        number = self._known(command.cluster_id)
        if any(int(self.groups.cluster[slot]) != number for slot in items):
            raise BadInput("some of these items are not in this cluster")
        if sum(len(set(ids)) for ids in items.values()) >= self.clusters[number].size:
            raise BadInput("these are all items of the cluster; nothing would stay")
        one = self._carve(items)
        other = [slot for slot in self.clusters[number].groups if slot not in set(one)]
        before = dict.fromkeys(one, number)
        parent = self.clusters[number]
        exemplar = self.groups.exemplars[one[0]]
        new = self._make(
            Cluster(
                split_id_for(parent.id, exemplar.item_id.hex(), command.id),
                exemplar.title,
                exemplar.summary,
                given_title=command.title,
                parent_id=parent.id,
            )
        )
        self._put(dict.fromkeys(one, new))
        word = self._word(command.id, "split", together=one, one=one, other=other, before=before)
        word.cluster = new
        moved = tuple(Moved(slot, 1.0, 1.0) for slot in one)
        return self._said(word, ClusterChanges(moved=moved, split=(new,), changed=(number, new)))

    def move(self, command: Move, items: Mapping[int, Sequence[bytes]]) -> ClusterChanges:
        """Put items into a cluster.

        Raises:
            BadInput: they are there already, a person has put them apart from what is there, or all that is there is
                archived.
        """
        into = self._known(command.cluster_id)
        self._check_live(into)
        items = {slot: ids for slot, ids in items.items() if int(self.groups.cluster[slot]) != into}
        if not items:
            raise BadInput("these items are in this cluster already")
        self.constraints.check_together([*items, *self.clusters[into].groups])
        one = self._carve(items)
        before = {slot: int(self.groups.cluster[slot]) for slot in one}
        sources = sorted(set(before.values()))
        other = [slot for number in sources for slot in self.clusters[number].groups if slot not in before]
        anchor = max(self.clusters[into].groups, key=lambda slot: (self.groups.count[slot], -slot))
        emptied = [
            number
            for number in sources
            if before.keys() >= set(self.clusters[number].groups) and not self.clusters[number].archived
        ]
        word = self._word(
            command.id, "move", together=[*one, anchor], one=one, other=other, before=before, merged=emptied
        )
        word.cluster = into
        self._put(dict.fromkeys(one, into))
        for number in emptied:
            self.clusters[number].into = into
        changed = (into, *(number for number in sources if number not in emptied))
        moved = tuple(Moved(slot, 1.0, 1.0) for slot in one)
        merged = tuple((number, into) for number in emptied)
        return self._said(word, ClusterChanges(moved=moved, merged=merged, changed=changed))

    def rename(self, command: Rename) -> ClusterChanges:
        """Give a cluster a title, or give it back to the machine."""
        number = self._known(command.cluster_id)
        word = self._word(command.id, "rename")
        word.cluster, word.title = number, self.clusters[number].given_title
        self.clusters[number].given_title = command.title
        self._dirty_clusters.add(number)
        return self._said(word, ClusterChanges(changed=(number,)))

    def pin(self, command: Pin) -> ClusterChanges:
        """Pin or unpin a cluster."""
        number = self._known(command.cluster_id)
        word = self._word(command.id, "pin")
        word.cluster, word.pinned = number, self.clusters[number].pinned
        self.clusters[number].pinned = command.pinned
        self._dirty_clusters.add(number)
        return self._said(word, ClusterChanges(changed=(number,)))

    def triage(self, command: Mute | Resolve | Reopen) -> ClusterChanges:
        """Mute, resolve or reopen a cluster; what it has by now does not open it again, however new it says it is."""
        number = self._known(command.cluster_id)
        cluster = self.clusters[number]
        word = self._word(command.id, command.type)
        word.cluster, word.triage, word.resolved_at = number, cluster.triage, cluster.resolved_at
        cluster.triage = TRIAGE[command.type]
        cluster.resolved_at = max(command.requested_at.timestamp(), cluster.last)
        self._dirty_clusters.add(number)
        return self._said(word, ClusterChanges(changed=(number,)))

    def undo(self, command: Undo) -> ClusterChanges:
        """Take a word back; groups go back to where they were, if they are still where the word has put them.

        Raises:
            BadInput: there is no such word, or a later one builds on it.
        """
        word = self.constraints.words.get(command.command_id)
        if word is None:
            raise BadInput(f"no command {command.command_id} stands that could be undone")
        later = [w for w in self.constraints.words.values() if w.order > word.order]
        if word.of_cluster:
            self._unsay(word, later)
            self._take_back(self.constraints.without(command.command_id), word)
            return ClusterChanges(changed=(word.cluster,) if self.clusters[word.cluster].into is None else ())
        self.check_undo([command.command_id])
        rest = self.constraints.without(command.command_id)
        restored, back = self._way_back(word, rest)
        for number in restored:
            self.clusters[number].into = None
        left = {int(self.groups.cluster[slot]) for slot in back}
        differs = self._count_archived()
        self._put(back)
        for number in differs:
            self._recount(number)
        self._take_back(rest, word)
        merged = []
        for number in left:
            if not self.clusters[number].groups and not self.clusters[number].archived:
                into = next(iter(back.values()))
                self.clusters[number].into = into
                merged.append((number, into))
        standing = {number for number in (*left, *differs) if self.clusters[number].into is None}
        changed = standing | set(back.values())
        if word.kind == "merge" and self.clusters[word.cluster].into is None:
            self._unsay(word, later)
            changed.add(word.cluster)
        self._retell(changed)
        moved = tuple(Moved(slot, 1.0, 1.0) for slot in back)
        return ClusterChanges(moved, tuple(merged), (), restored, tuple(sorted(changed)))

    def check_undo(self, command_ids: Sequence[str]) -> None:
        """Return if no later word builds on these, but one of these.

        Raises:
            BadInput: there is one; the message names it.
        """
        for word in (self.constraints.words[of] for of in command_ids):
            for w in self.constraints.words.values():
                if w.order > word.order and w.command_id not in command_ids and _builds_on(w, word):
                    raise BadInput(f"command {w.command_id} came after it and builds on it; undo that first")

    def _way_back(self, word: Word, rest: Constraints) -> tuple[tuple[int, ...], dict[int, int]]:
        """Return the merged clusters that stand again without a word, and where which of its groups go.

        They go to the cluster they came from, or to what that was merged into since; but to those they are bonded
        with, wherever a round has put these.

        Raises:
            BadInput: a person has put them apart from what is there now.
        """
        peers = {bond: slot for slot, bond in rest.bonds.items() if slot not in word.before}
        back: dict[int, int] = {}
        for slot, number in word.before.items():
            peer = peers.get(rest.bonds.get(slot, -1))
            into = number if number in word.merged else self.standing(number)
            back[slot] = into if peer is None else int(self.groups.cluster[peer])
        for number in set(back.values()):
            stay = [slot for slot in self.clusters[number].groups if slot not in back]
            rest.check_together([*stay, *(slot for slot, to in back.items() if to == number)])
        restored = tuple(number for number in word.merged if number in back.values())
        return restored, {slot: to for slot, to in back.items() if int(self.groups.cluster[slot]) != to}

    def _unsay(self, word: Word, later: Sequence[Word]) -> None:
        """Give a cluster what it had before a word, but for what later ones have said of it."""
        cluster = self.clusters[word.cluster]
        if word.kind in TRIAGE:
            then = next((w for w in later if w.kind in TRIAGE and w.cluster == word.cluster), None)
            if then is not None:
                then.triage, then.resolved_at = word.triage, word.resolved_at
                self._dirty_words.add(then.command_id)
            else:
                cluster.triage, cluster.resolved_at = word.triage, max(word.resolved_at, cluster.last)
            self._dirty_clusters.add(word.cluster)
            return
        for kind in ("rename", "pin") if word.kind == "merge" else (word.kind,):
            after = next((w for w in later if w.kind in (kind, "merge") and w.cluster == word.cluster), None)
            if after is not None:
                self._dirty_words.add(after.command_id)
            of = cluster if after is None else after
            if kind == "pin":
                of.pinned = word.pinned
            elif after is None:
                cluster.given_title = word.title
            else:
                after.title = word.title
        self._dirty_clusters.add(word.cluster)

    def _take_back(self, rest: Constraints, word: Word) -> None:
        self.constraints = rest
        self._dirty_words.add(word.command_id)
        self._epoch += 1

    def _known(self, cluster_id: str) -> int:
        number = self.resolve(cluster_id)
        if number is None:
            raise BadInput(f"there is no cluster {cluster_id}")
        if self.clusters[number].gone:
            raise BadInput(f"all items of cluster {cluster_id} were deleted; it is gone")
        return number

    def _check_live(self, number: int) -> None:
        cluster = self.clusters[number]
        if not cluster.groups:
            raise BadInput(f"all items of cluster {cluster.id} are archived; it stays as it is")

    def _word(self, command_id: str, kind: str, **parts: object) -> Word:
        return Word(command_id, kind, self.constraints.next_order(), **parts)  # type: ignore[arg-type]

    def _said(self, word: Word, outcome: ClusterChanges) -> ClusterChanges:
        self.constraints.add(word)
        self._dirty_words.add(word.command_id)
        self._epoch += 1
        if not word.of_cluster:
            self._retell(outcome.changed)
        return outcome

    def _carve(self, items: Mapping[int, Sequence[bytes]]) -> list[int]:
        """Return groups that have exactly these items; a group that has others too is divided.

        Vectors of single items are not kept: both parts have the mean of all, which all were near to. What says the
        same as an item that leaves follows it.
        """
        whole: list[int] = []
        carved: dict[int, int] = {}
        for slot, ids in sorted(items.items()):
            old = self.groups.exemplars[slot]
            wanted = set(ids)
            members = list(_MEMBER.iter_unpack(old.members))
            leaving = sorted(member for member in members if member[0] in wanted)
            if len(leaving) == len(members):
                whole.append(slot)
                continue
            staying = {text for item_id, _, text in members if item_id not in wanted}
            prints = tuple(sorted({text for _, _, text in leaving} - staying))
            exemplar = Exemplar(
                leaving[0][0],
                old.title,
                old.summary,
                old.sources,
                min(time for _, time, _ in leaving),
                max(time for _, time, _ in leaving),
                (0, *prints),
                bytearray(b"".join(_MEMBER.pack(*member) for member in leaving)),
                old.text_of,
            )
            new = self.groups.divide(slot, exemplar, len(leaving))
            old.members = bytearray(b"".join(_MEMBER.pack(*member) for member in members if member[0] not in wanted))
            old.prints = (old.prints[0], *(text for text in old.prints[1:] if text not in prints))
            self._prints.update(dict.fromkeys(prints, new))
            insort(self.clusters[int(self.groups.cluster[slot])].groups, new)
            carved[new] = slot
        for word in self.constraints.inherit(carved):
            self._dirty_words.add(word.command_id)
        return sorted([*whole, *carved])

    # ---- state ---------------------------------------------------------------------------------------------------

    def members(self, slot: int) -> list[tuple[bytes, float, int]]:
        """Return (id, time in epoch seconds, fingerprint of the text) of each item of a group."""
        return list(_MEMBER.iter_unpack(self.groups.exemplars[slot].members))

    def dump(self) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
        """Return what has changed since the last dump, as blobs; an empty one is gone. Members are not among them.

        The first are to be stored together; the others are what clusters are called, of which a part may be lost: a
        later round tells them anew.
        """
        blobs = self.groups.dump()
        for number in sorted(self._dirty_clusters):
            c = self.clusters[number]
            of = _ClusterBlob(
                c.id, c.given_title, c.pinned, c.parent_id, c.into, self._archive.get(number), c.triage, c.resolved_at
            )
            blobs[b"c" + number.to_bytes(4, "big")] = _encode(of)
        told = {}
        for number in sorted(self._dirty_told):
            c = self.clusters[number]
            about = _ToldBlob(c.title, c.summary, c.terms, c.coherence, c.told)
            told[b"t" + number.to_bytes(4, "big")] = _encode(about) if c.into is None and not c.gone else b""
        for command_id in sorted(self._dirty_words):
            word = self.constraints.words.get(command_id)
            blobs[b"w" + command_id.encode()] = b"" if word is None else _encode(word)
        for key, blob in self._lexicon.dump():
            blobs[b"l" + key] = blob
        if blobs or told or self._dirty:
            blobs[b"m"] = _encode(
                _Calibration(
                    self._seen,
                    self._lexicon.seen,
                    self.groups.background.tobytes(),
                    self._centred_at,
                    self.cut,
                    self.linkage_cut,
                    self.calibration,
                    self.round,
                    self._round_at,
                    self._epoch != self._round_epoch,
                    self._settled,
                    [(s.id, s.one, s.other, s.linkage, s.groups) for s in self.suggestions],
                )
            )
        self._dirty_clusters.clear()
        self._dirty_told.clear()
        self._dirty_words.clear()
        self._dirty = False
        return blobs, told

    def load(self, blobs: Mapping[bytes, bytes], members: Iterable[tuple[int, bytes, float, int]]) -> None:
        """Take up the state that dumps, one over the other, have left.

        `members` are (slot, item id, time in epoch seconds, fingerprint of the text) of every item that is not
        archived.
        """
        kinds: dict[bytes, dict[bytes, bytes]] = {kind: {} for kind in (b"g", b"a", b"c", b"t", b"w", b"l", b"m")}
        for key, blob in blobs.items():
            if blob:
                kinds[key[:1]][key[1:]] = blob
        untold = set()
        for key in sorted(kinds[b"c"]):
            c = _decode_cluster(kinds[b"c"][key])
            self.numbers[c.id] = len(self.clusters)
            cluster = Cluster(c.id, "", "", given_title=c.given_title, pinned=c.pinned, parent_id=c.parent_id)
            cluster.into, cluster.triage, cluster.resolved_at = c.into, c.triage, c.resolved_at
            if c.archived:
                self._archive[len(self.clusters)] = c.archived
                self._archived += c.archived.items
            if key in kinds[b"t"]:
                t = _decode_told(kinds[b"t"][key])
                cluster.title, cluster.summary, cluster.terms = t.title, t.summary, t.terms
                cluster.coherence, cluster.told = t.coherence, t.told
            else:
                untold.add(len(self.clusters))
            self.clusters.append(cluster)
        self.groups.load(kinds[b"g"], kinds[b"a"])
        for slot in self.groups.slots().tolist():
            self.clusters[int(self.groups.cluster[slot])].groups.append(slot)
            self._claim(slot)
        for slot, item_id, time, text in members:
            self.groups.exemplars[slot].members += _MEMBER.pack(item_id, time, text)
        self._archive_rest()
        self._count_archived()
        for number, cluster in enumerate(self.clusters):
            self._recount(number)
            if cluster.groups and number in untold:
                exemplars = [self.groups.exemplars[slot] for slot in cluster.groups]
                first = next((e for e in exemplars if self._opens(e, cluster)), None)
                cluster.told = 1 if first else 0
                if first is None:  # what it is called was not stored any more
                    first = exemplars[0]
                    self._dirty_told.add(number)
                cluster.title, cluster.summary = first.title, first.summary
        self.constraints = Constraints(_decode_word(blob) for blob in kinds[b"w"].values())
        if b"" not in kinds[b"m"]:
            return
        calibration = _decode_calibration(kinds[b"m"][b""])
        self._seen = calibration.seen
        self._lexicon.load(calibration.words_seen, kinds[b"l"])
        self._centred_at = calibration.centred_at
        self.cut, self.linkage_cut = calibration.cut, calibration.linkage_cut
        self.calibration, self.round = calibration.calibration, calibration.round
        self._round_at, self._epoch = calibration.round_at, int(calibration.changed)
        self._settled = calibration.settled
        self.suggestions = tuple(Suggestion(*of) for of in calibration.suggestions)
        self._centre(self.groups.copy().around(np.frombuffer(calibration.background, np.float32)))


def _nearest_beside(number: int, candidates: Sequence[tuple[float, int, int]]) -> tuple[int, float] | None:
    """Return (group, similarity) of the nearest candidate that is in another cluster, or None."""
    return next(((slot, similarity) for similarity, slot, other in candidates if other != number), None)


_sources: dict[tuple[str, ...], tuple[str, ...]] = {}


def _with(sources: tuple[str, ...], source: str) -> tuple[str, ...]:
    """Return the sources and this one, sorted; the same sources are one object, for there are few different ones."""
    if source in sources:
        return sources
    more = tuple(sorted((*sources, source)))
    return _sources.setdefault(more, more)


def _builds_on(later: Word, word: Word) -> bool:
    """Return whether a later word names what this one has put where it is."""
    named = {*later.together, *later.one, *later.other}
    return not later.of_cluster and not named.isdisjoint({*word.together, *word.one})
