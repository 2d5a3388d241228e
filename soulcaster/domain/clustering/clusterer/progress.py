"""Where a project is between two rounds: counters, thresholds, and what is not stored yet."""

from dataclasses import dataclass, field

EARLY_ITEMS = 1024
"""Up to this number of items, due rounds run while items are added; each takes a tenth of a second at most."""

PRIOR_THRESHOLD = 0.5
"""The join and the merge threshold before the first round."""


@dataclass(slots=True)
class Calibration:
    """The thresholds of the last round.

    `number` counts calibrations; `centred_at` is the number of items that the background was computed from.
    """

    join_threshold: float = PRIOR_THRESHOLD
    merge_threshold: float = PRIOR_THRESHOLD
    number: int = 0
    centred_at: int = 0


@dataclass(slots=True)
class RoundProgress:
    """What the last round has seen; `number` counts rounds.

    The epoch grows with each change besides new items: a command, a deletion, archiving, other settings. A round that
    started in another epoch is given up. `complete` says that the last round left nothing to a later one.
    """

    number: int = 0
    items: int = 0
    round_epoch: int = 0
    epoch: int = 0
    complete: bool = True

    def new_epoch(self) -> None:
        """Count a change that a round has to see; give up a round that is under way."""
        self.epoch += 1

    def give_up_round(self) -> None:
        """Give up a round that is under way, without making another one due."""
        if self.round_epoch == self.epoch:
            self.round_epoch += 1
        self.epoch += 1


@dataclass(slots=True)
class Dirty:
    """What has changed since the last dump: cluster numbers, command ids, the counters, and the themes."""

    clusters: set[int] = field(default_factory=set)
    titles: set[int] = field(default_factory=set)
    commands: set[str] = field(default_factory=set)
    progress: bool = False
    themes: bool = False

    def clear(self) -> None:
        """Mark everything as stored."""
        self.clusters.clear()
        self.titles.clear()
        self.commands.clear()
        self.progress = False
        self.themes = False
