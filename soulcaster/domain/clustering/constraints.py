"""People's word, kept as constraints on groups: what belongs together, and what never does.

A merge or a move bonds groups; a split or a move puts groups on two sides. What a later word splits off or moves leaves
its earlier bonds; but what was put on two sides is never put together again, unless that is undone first.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from soulcaster.domain.clustering.consolidation import Sides
from soulcaster.domain.lifecycle import Triage
from soulcaster.errors import BadInput

TRIAGE: Mapping[str, Triage] = {"mute": "muted", "resolve": "resolved", "reopen": "open"}
"""What a word of these kinds makes of a cluster."""


class Word(msgspec.Struct, array_like=True):
    """What a command has left: groups bonded, groups on two sides, and how to take it back.

    `before` is the cluster number each changed group was in; `merged` the clusters that became other names; `title`,
    `pinned`, `triage` and `resolved_at` what a cluster had before.
    """

    command_id: str
    kind: str
    order: int
    together: list[int] = []
    one: list[int] = []
    other: list[int] = []
    before: dict[int, int] = {}
    merged: list[int] = []
    cluster: int = -1
    title: str | None = None
    pinned: bool = False
    triage: Triage = "open"
    resolved_at: float = 0.0

    @property
    def of_cluster(self) -> bool:
        """Return whether it is of a cluster as such and says nothing of which groups belong to it."""
        return self.kind in {"rename", "pin", *TRIAGE}

    def named(self) -> set[int]:
        """Return every group that it names."""
        return {slot for named in (self.together, self.one, self.other, self.before) for slot in named}


class Constraints:
    """All that stand, and what follows from them for each group."""

    def __init__(self, words: Iterable[Word] = ()) -> None:
        """Take up words; their order counts."""
        self.words = {word.command_id: word for word in sorted(words, key=lambda word: word.order)}
        self._derive()

    def add(self, word: Word) -> None:
        """Take a word: its groups leave the bonds they were in."""
        self.words[word.command_id] = word
        self._derive()

    def without(self, command_id: str) -> "Constraints":
        """Return what would stand if a word were taken back."""
        return Constraints(word for word in self.words.values() if word.command_id != command_id)

    def next_order(self) -> int:
        """Return a number above that of every word."""
        return max((word.order for word in self.words.values()), default=0) + 1

    def named(self) -> set[int]:
        """Return every group that a word names."""
        return {slot for word in self.words.values() for slot in word.named()}

    def forget(self, groups: Collection[int], clusters: Collection[int]) -> list[str]:
        """Leave out groups and clusters (by their numbers) that are no more; return the commands of what has changed.

        A word that says nothing of any other is gone with them.
        """
        changed = []
        for word in list(self.words.values()):
            gone = word.cluster in clusters if word.of_cluster else not word.named().isdisjoint(groups)
            if not gone:
                continue
            for named in (word.together, word.one, word.other):
                named[:] = [slot for slot in named if slot not in groups]
            word.before = {slot: number for slot, number in word.before.items() if slot not in groups}
            if not word.named():
                del self.words[word.command_id]
            changed.append(word.command_id)
        self._derive()
        return changed

    def inherit(self, carved: Mapping[int, int]) -> list[Word]:
        """Put groups that were carved out of others beside them wherever those are named; return the words changed."""
        changed = {}
        for word in self.words.values():
            for new, old in carved.items():
                for named in (word.together, word.one, word.other):
                    if old in named:
                        named.append(new)
                        changed[word.command_id] = word
                if old in word.before:
                    word.before[new] = word.before[old]
        self._derive()
        return list(changed.values())

    def check_together(self, groups: Sequence[int]) -> None:
        """Return if these groups may be one cluster.

        Raises:
            BadInput: a person has separated some of them; the message names the command.
        """
        sides: dict[int, int] = {}
        for group in groups:
            for order, side in self.sides.get(group, {}).items():
                if sides.setdefault(order, side) != side:
                    command = next(word.command_id for word in self.words.values() if word.order == order)
                    raise BadInput(f"a person has put these apart (command {command}); undo that first")

    def _derive(self) -> None:
        bonds: dict[int, int] = {}
        sides: dict[int, dict[int, int]] = {}
        for word in self.words.values():
            for group in word.one:
                bonds.pop(group, None)
            # A bond that shares a group with this one becomes one with it.
            met = {bonds[group] for group in word.together if group in bonds}
            for group, bond in bonds.items():
                if bond in met:
                    bonds[group] = word.order
            bonds.update(dict.fromkeys(word.together, word.order))
            for side, groups in enumerate((word.one, word.other)):
                for group in groups:
                    sides.setdefault(group, {})[word.order] = side
        self.bonds: Mapping[int, int] = bonds
        self.sides: Mapping[int, Sides] = sides
