"""The themes of one project and embedder: which there are, and what people read of them.

A round decides which clusters are in which theme (`consolidation/themes.py`). Between rounds a new cluster is in none;
one that people split off is in the theme of its parent; a cluster that takes in others keeps its theme, and takes one
of theirs if it has none. A theme needs two clusters: with fewer it is dissolved.
"""

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from soulcaster.domain.clustering.clusterer.clusters import Cluster, Clusters
from soulcaster.domain.clustering.consolidation.theme_titles import ThemeVocabulary, ThemeWords, theme_words
from soulcaster.domain.clustering.consolidation.themes import ThemeGroup, ThemePlan
from soulcaster.domain.clustering.micro_clusters.index import MicroClusterIndex
from soulcaster.domain.ids import theme_id_for

LEAST_CLUSTERS = 2

MOST_CHANGED = 4_096
"""Clusters that change theme in one round, the largest first; the others follow with the next rounds. What a round
changes is one row of a table."""

_TITLE_TERMS = 3
"""Terms that are a theme's title."""

_READ = 16
"""Texts of a theme that are read for its terms: of its largest clusters, and in each of the largest micro-clusters."""


@dataclass(frozen=True, slots=True)
class Theme:
    """A broad group of clusters.

    `linkage` is the lowest at which parts of it were joined, `threshold` that of the same round, `usual` the usual
    similarity of two texts then. `title` is its first terms, or the title of its largest cluster where it has no terms.
    `items` and `clusters` are its size when it was last settled.
    """

    id: str
    linkage: float
    threshold: float
    usual: float
    title: str = ""
    terms: tuple[str, ...] = ()
    items: int = 0
    clusters: int = 0


class Themes:
    """All themes.

    `settled` are the themes as they were last settled, the largest first; `stale` says that clusters may have changed
    since then.
    """

    def __init__(self, themes: Iterable[Theme] = ()) -> None:
        """Start with these."""
        self._by_id = {theme.id: theme for theme in themes}
        self._read: dict[str, _Read] = {}
        self.settled = tuple(self)
        self.stale = False

    def __iter__(self) -> Iterator[Theme]:
        """Iterate over all themes, the largest first."""
        return iter(sorted(self._by_id.values(), key=lambda theme: (-theme.items, theme.id)))

    def adopt(self, plan: ThemePlan, made: Mapping[int, int], clusters: Clusters, round_number: int) -> list[int]:
        """Have the themes of a plan and no others, and put clusters into them; return the clusters that change theme.

        `made` has the numbers of the clusters that the plan calls by numbers below zero.
        """
        found: dict[str, Theme] = {}
        wanted: dict[int, str | None] = {
            number: None for number, c in enumerate(clusters) if c.theme_id is not None and c.slots
        }
        for group in plan.groups:
            numbers = [made.get(name, name) for name in group.clusters]
            theme_id = sys.intern(group.theme_id or _new_id(numbers, clusters, round_number))
            found[theme_id] = self._renewed(theme_id, group, plan)
            wanted |= dict.fromkeys(numbers, theme_id)
        self._by_id = found
        self._read = {theme_id: read for theme_id, read in self._read.items() if theme_id in found}
        self.stale = True
        changed = [number for number, theme_id in wanted.items() if clusters[number].theme_id != theme_id]
        changed = sorted(changed, key=lambda number: (-clusters[number].size, number))[:MOST_CHANGED]
        for number in changed:
            clusters[number].theme_id = wanted[number]
        return changed

    def _renewed(self, theme_id: str, group: ThemeGroup, plan: ThemePlan) -> Theme:
        """Return a theme with what a round says of it, under the title that it has."""
        earlier = self._by_id.get(theme_id, Theme(theme_id, 0.0, 0.0, 0.0))
        return replace(earlier, linkage=group.linkage, threshold=plan.threshold, usual=plan.usual)

    def settle(self, clusters: Clusters, index: MicroClusterIndex) -> tuple[int, ...]:
        """Count and name the themes, and dissolve those with fewer than two clusters.

        Return the clusters that this takes out of a theme, by number. Names come from texts that are there now, so no
        theme shows what was deleted.
        """
        self.stale = False
        members: dict[str, list[int]] = {theme_id: [] for theme_id in self._by_id}
        left: list[int] = []
        for number, cluster in enumerate(clusters):
            if cluster.theme_id is not None and not cluster.is_alias and not cluster.is_deleted:
                members.get(cluster.theme_id, left).append(number)
        for theme_id, numbers in members.items():
            if len(numbers) < LEAST_CLUSTERS:
                left += numbers
                del self._by_id[theme_id]
                self._read.pop(theme_id, None)
        for number in left:
            clusters[number].theme_id = None
        self._describe(
            {theme_id: [clusters[number] for number in members[theme_id]] for theme_id in self._by_id}, index
        )
        self.settled = tuple(self)
        return tuple(sorted(left))

    def _describe(self, members: Mapping[str, Sequence[Cluster]], index: MicroClusterIndex) -> None:
        """Count and name the themes.

        All names are taken again, although only the words of texts that have changed are: a name also depends on the
        words of other themes, and a restart must give the same.
        """
        largest: dict[str, Cluster] = {}
        for theme_id, clusters in members.items():
            ordered = sorted(clusters, key=lambda cluster: (-cluster.size, cluster.id))
            largest[theme_id] = ordered[0]
            texts = _texts(ordered[:_READ], index)
            if theme_id not in self._read or self._read[theme_id].texts != texts:
                self._read[theme_id] = _Read(texts, theme_words(texts))
            items = sum(cluster.size for cluster in clusters)
            self._by_id[theme_id] = replace(self._by_id[theme_id], items=items, clusters=len(clusters))
        vocabulary = ThemeVocabulary([read.words for read in self._read.values()])
        for theme_id in members:
            terms = vocabulary.terms(self._read[theme_id].words)
            title = ", ".join(terms[:_TITLE_TERMS]) or largest[theme_id].title
            self._by_id[theme_id] = replace(self._by_id[theme_id], title=title, terms=terms)


@dataclass(frozen=True, slots=True)
class _Read:
    """The texts that a theme's terms were taken from, and their words."""

    texts: tuple[str, ...]
    words: ThemeWords


def _texts(clusters: Sequence[Cluster], index: MicroClusterIndex) -> tuple[str, ...]:
    """Return the titles of the largest micro-clusters, the same number of each cluster."""
    each = math.ceil(_READ / len(clusters))
    slots = [
        slot
        for cluster in clusters
        for slot in sorted(cluster.slots, key=lambda slot: (-index.counts[slot], slot))[:each]
    ]
    return tuple(index.micro_clusters[slot].title for slot in slots[:_READ])


def _new_id(numbers: Sequence[int], clusters: Clusters, round_number: int) -> str:
    """Return the id of a new theme, after its largest cluster."""
    largest = min(numbers, key=lambda number: (-clusters[number].size, number))
    return theme_id_for(clusters[largest].id, round_number)
