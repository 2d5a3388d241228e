"""Which cluster is which after a round: ids stay with the substance. Pure: a plan and what stands in, a decision out.

Parts and clusters are matched by how many items they share, the largest share first, the older cluster where two are
equal. A part without a cluster is a new one, split off the cluster most of it was in; a cluster without a part is
merged into the part most of it went to. Then groups move, those first that gain most, if they gain at all
(`HYSTERESIS`) and until so many items have changed cluster that people would no longer know theirs (`MOST_MOVED`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt

from soulcaster.domain.clustering import titles
from soulcaster.domain.clustering.consolidation import OnlineCut, Plan, Wishes, online_cut, plan, summed, weighed
from soulcaster.domain.clustering.groups import Exemplar, GroupsCopy, Published
from soulcaster.domain.clustering.lexical import Lexicon
from soulcaster.domain.clustering.titles import Title
from soulcaster.domain.clustering.vectors import Slots, Vectors, unit

MOST_MOVED = 0.04
LEAST_BUDGET = 64
"""At most this share of the items, or so many, change cluster in one round, merges aside; the others in later ones."""

MOST_ITEMS = 20_000
MOST_MERGED = 4_096
"""At most so many items change cluster in a round, and so many clusters are merged, whoever asked for it: what a round
has changed is one row of a table and holds the stream up while it is written."""

HYSTERESIS = 0.02
"""A group leaves its cluster only for one whose linkage is better by this."""

_LEAST_TORN = 6
"""Groups a cluster must have to be proposed to be split, and the least share of its items in either half."""

_LEAST_SHARE = 0.1
_LOOKED_AT = 200
_TURNS = 4

Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All a round works on; it shares nothing with the live state but exemplars, of which it reads what never changes.

    Groups are places in `groups`, in `exemplars` and `wishes` as well. `told` are the clusters' sizes when they were
    last told of, less what is archived; `anew` lifts the bounds on what may change.
    """

    groups: GroupsCopy
    wishes: Wishes
    exemplars: Sequence[Exemplar]
    lexicon: Lexicon
    told: Sequence[int]
    seen: int
    epoch: int
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """A group that changes cluster: to a number there is, or below zero to a new one; the linkages that decided."""

    slot: int
    to: int
    linkage: float
    old_linkage: float


@dataclass(frozen=True, slots=True)
class Apart:
    """Two clusters that were not merged, and their linkage."""

    one: int
    other: int
    linkage: float


@dataclass(frozen=True, slots=True)
class Torn:
    """A cluster that may be two, the groups of its smaller half, and the linkage of the halves."""

    number: int
    groups: tuple[int, ...]
    linkage: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What a round changes; groups are slots.

    `parents` are those of the new clusters, by their numbers below zero; `settled` says that nothing was left to a
    later round; `published` is what the groups are searched by around the new background.
    """

    moves: tuple[Move, ...]
    merged: dict[int, int]
    parents: dict[int, int]
    moved_share: float
    settled: bool
    titles: dict[int, Title]
    online: OnlineCut
    cut: float
    apart: tuple[Apart, ...]
    torn: tuple[Torn, ...]
    published: Published


def decide(snapshot: Snapshot) -> Decision:
    """Consolidate and return what is to change; takes a while, and may run anywhere."""
    groups = snapshot.groups.centred()
    rows = groups.rows()
    found = plan(rows, groups.count, groups.neighbours, snapshot.wishes)
    keeper, fates, parents = _match(found.part, groups.cluster, groups.count)
    merged = dict(islice(fates.items(), MOST_MERGED))
    into = np.arange(int(groups.cluster.max(initial=0)) + 1, dtype=groups.cluster.dtype)
    into[list(merged)] = list(merged.values())
    settled = into[groups.cluster]
    wanted = np.array([keeper[part] for part in found.part.tolist()], np.int64)
    later = np.isin(groups.cluster, list(fates.keys() - merged.keys()))
    wanted[later] = groups.cluster[later]
    moves, settled_down = _moves(found, settled, wanted, groups.count, keeper, snapshot)
    # What stands afterwards, with new clusters above all numbers there are.
    final = settled.astype(np.int64)
    base = int(final.max(initial=-1))
    for move in moves:
        final[move.slot] = move.to if move.to >= 0 else base - move.to
    moved = int(groups.count[[move.slot for move in moves]].sum()) if moves else 0
    born = {move.to for move in moves if move.to < 0}
    clusters = _by_number(final)
    return Decision(
        tuple(replace(move, slot=int(groups.slots[move.slot])) for move in moves),
        merged,
        {number: parent for number, parent in parents.items() if number in born},
        moved / max(1, int(groups.count.sum())),
        settled_down and not later.any(),
        {
            number if number <= base else base - number: title
            for number, title in _titles(snapshot, rows, clusters, base, moves, merged, settled).items()
        },
        online_cut(final, groups.count, found.graph, found.similarity),
        found.cut,
        _apart(found, final, base),
        tuple(
            replace(torn, groups=tuple(groups.slots[list(torn.groups)].tolist()))
            for torn in _torn(found, clusters, final, base, groups.count, snapshot.wishes)
        ),
        groups.publish(rows),
    )


def _match(part: Slots, cluster: Numbers, count: Slots) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
    """Match parts and clusters.

    Return the cluster of each part (below zero: new), what each cluster without a part is merged into, and the parents
    of the new ones.
    """
    width = int(cluster.max(initial=0)) + 1
    pairs, where = np.unique(part * width + cluster, return_inverse=True)
    items = np.bincount(where, weights=count)
    shared = sorted(zip((-items).tolist(), (pairs % width).tolist(), (pairs // width).tolist(), strict=True))
    keeper: dict[int, int] = {}
    kept: set[int] = set()
    for _, number, of in shared:
        if of not in keeper and number not in kept:
            keeper[of] = number
            kept.add(number)
    parents: dict[int, int] = {}
    for _, number, of in shared:
        if of not in keeper:
            keeper[of] = -1 - len(parents)
            parents[keeper[of]] = number
    merged: dict[int, int] = {}
    for _, number, of in shared:
        if number not in kept and number not in merged and keeper[of] >= 0:
            merged[number] = keeper[of]
    return keeper, merged, parents


def _moves(
    found: Plan, settled: Numbers, wanted: Slots, count: Slots, keeper: dict[int, int], snapshot: Snapshot
) -> tuple[tuple[Move, ...], bool]:
    """Return what moves, and whether that is all that would."""
    moving = np.flatnonzero(wanted != settled)
    if not len(moving):
        return (), True
    part_of = {number: part for part, number in keeper.items()}
    sums, weight = summed(found.smooth, count, found.part), weighed(count, found.part)
    own = count[moving].astype(np.float64)
    row = found.smooth[moving]
    to = found.part[moving]
    rest = np.maximum(weight[to] - own, 1)
    linkage = (np.einsum("ij,ij->i", row, sums[to]) - own) / rest
    back = np.array([part_of[number] for number in settled[moving].tolist()])
    old = np.einsum("ij,ij->i", row, sums[back]) / np.maximum(weight[back], 1)
    # A group that is to stand alone has no linkage to compare; what counts is that it is below the cut where it was.
    gain = np.where(weight[to] > own, linkage, found.cut) - old
    budget = most = MOST_ITEMS
    if not snapshot.anew:
        budget = most = min(most, max(LEAST_BUDGET, int(MOST_MOVED * int(count.sum()))))
    moves: list[Move] = []
    settled_down = True
    bound = snapshot.wishes.bonds.keys() | snapshot.wishes.sides.keys()
    for i in sorted(range(len(moving)), key=lambda i: (int(moving[i]) not in bound, -gain[i], moving[i])):
        slot = int(moving[i])
        if slot not in bound:
            if gain[i] < HYSTERESIS and not snapshot.anew:
                break
            if own[i] > budget:
                # A group above the whole budget never moves, and nothing waits for it.
                settled_down = settled_down and bool(own[i] > most)
                continue
            budget -= int(own[i])
        moves.append(Move(slot, int(wanted[slot]), float(linkage[i]), float(old[i])))
    return tuple(moves), settled_down


def _by_number(final: Slots) -> dict[int, Slots]:
    """Return the groups of each cluster."""
    order = np.argsort(final, kind="stable")
    numbers, starts = np.unique(final[order], return_index=True)
    return dict(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True))


def _titles(
    snapshot: Snapshot,
    rows: Vectors,
    clusters: Mapping[int, Slots],
    base: int,
    moves: Sequence[Move],
    merged: dict[int, int],
    settled: Numbers,
) -> dict[int, Title]:
    """Return what to call the clusters that are new, above `base`, or have changed since they were last told of."""
    groups = snapshot.groups
    touched = {int(settled[move.slot]) for move in moves} | set(merged.values())
    told = {}
    for number, slots in clusters.items():
        if number in touched or number > base or groups.count[slots].sum() != snapshot.told[number]:
            told[number] = titles.title(groups, rows[slots], slots, snapshot.exemplars, snapshot.lexicon)
    return told


def _apart(found: Plan, final: Slots, base: int) -> tuple[Apart, ...]:
    """Return pairs of clusters that were not merged, likeliest first; those just made are left for the next round."""
    pairs: dict[tuple[int, int], float] = {}
    for near in found.apart:
        one, other = sorted((int(final[near.one]), int(final[near.other])))
        if one != other and other <= base:
            pairs.setdefault((one, other), near.linkage)
    return tuple(Apart(one, other, linkage) for (one, other), linkage in pairs.items())


def _torn(
    found: Plan, clusters: Mapping[int, Slots], final: Slots, base: int, count: Slots, wishes: Wishes
) -> tuple[Torn, ...]:
    """Return the largest clusters whose halves are less alike than the cut asks, the most torn first.

    Halves by two-means. Average linkage merges what is near first and never looks back, so a cluster may hold together
    by its middle. One that a person has put together is left alone.
    """
    bound = {int(final[slot]) for slot in wishes.bonds}
    size = np.bincount(final, weights=count)
    many = np.bincount(final) >= _LEAST_TORN
    torn = []
    for number in np.argsort(-np.where(many, size, 0), kind="stable")[:_LOOKED_AT].tolist():
        if not many[number] or number > base or number in bound:
            continue
        slots = clusters[number]
        rows, weight = found.smooth[slots], count[slots, None].astype(np.float32)
        one = rows[int((rows @ (rows * weight).sum(0)).argmax())]
        other = rows[int((rows @ one).argmin())]
        for _ in range(_TURNS):
            side = rows @ other > rows @ one
            sums = (rows * weight)[~side].sum(0), (rows * weight)[side].sum(0)
            one, other = unit(np.stack(sums))
        shares = float(weight[~side].sum()), float(weight[side].sum())
        if min(shares) < _LEAST_SHARE * sum(shares):
            continue
        linkage = float(sums[0] @ sums[1]) / (shares[0] * shares[1])
        if linkage < found.cut:
            half = slots[side] if shares[1] <= shares[0] else slots[~side]
            torn.append(Torn(number, tuple(half.tolist()), linkage))
    return tuple(sorted(torn, key=lambda t: (t.linkage, t.number)))
