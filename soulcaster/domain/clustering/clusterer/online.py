"""The online step: each item of a block joins a micro-cluster, or opens one, as it arrives.

A machine's text goes by its template (templates/), and a new template opens a cluster. What follows is about people's
texts. One in a language that the embedder does not know is compared with those of its language alone, by its characters
and words, and joins clusters at a threshold of its own.

Equal text comes before similarity. An item whose nearest micro-cluster is at `JOIN_SIMILARITY` or nearer joins it.
Another item opens a micro-cluster: in the cluster whose three nearest micro-clusters are nearest to it on average, if
that reaches the join threshold, else in a new cluster.

Within a block, every item is compared with the micro-clusters as they were at its start and with those it has opened.
"""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from soulcaster.domain.assignment import Change, Rule
from soulcaster.domain.clustering.clusterer.changes import Placement
from soulcaster.domain.clustering.clusterer.clusters import Cluster
from soulcaster.domain.clustering.clusterer.progress import EARLY_ITEMS
from soulcaster.domain.clustering.clusterer.state import ClusterState
from soulcaster.domain.clustering.consolidation.join_threshold import NEAREST_COUNTED
from soulcaster.domain.clustering.consolidation.plan import FOREIGN_THRESHOLD
from soulcaster.domain.clustering.features.characters import with_characters
from soulcaster.domain.clustering.features.languages import language_among
from soulcaster.domain.clustering.features.lexical import DIMENSIONS as WORD_DIMENSIONS
from soulcaster.domain.clustering.features.lexical import fingerprints
from soulcaster.domain.clustering.features.own_direction import with_own_directions
from soulcaster.domain.clustering.features.vectors import Flags, Vectors
from soulcaster.domain.clustering.micro_clusters.index import (
    KNOWN,
    NEIGHBOURS,
    MicroClusterIndex,
    language_number,
)
from soulcaster.domain.clustering.micro_clusters.micro_cluster import MicroCluster, shortened
from soulcaster.domain.clustering.templates.crashes import crash_words
from soulcaster.domain.clustering.templates.index import SAME_TEMPLATE, Match, generalized
from soulcaster.domain.clustering.templates.words import Words, template_words
from soulcaster.domain.feedback.items import ComparedItem
from soulcaster.domain.ids import cluster_id_for, id_bytes

JOIN_SIMILARITY = 0.8
"""The similarity from which on an item joins its nearest micro-cluster."""

BLOCK_ITEMS = 256
"""Items that are compared at once."""

_LEAST = -2.0
"""Below every similarity."""

Candidate = tuple[float, int, int]
"""A micro-cluster near an item: similarity, slot, cluster number."""

Scored = tuple[int, float]
"""A micro-cluster's slot, and the score of its cluster."""


@dataclass(slots=True)
class _Choice:
    """Where an item goes: a micro-cluster, or a new one in a cluster, or, where both are None, in a new cluster."""

    rule: Rule
    score: float
    threshold: float
    runner_up: Scored | None
    slot: int | None = None
    number: int | None = None


class _Block:
    """The similarities of a block's items, to the micro-clusters at its start and to those it has opened."""

    def __init__(
        self, index: MicroClusterIndex, vectors: Vectors, word_vectors: Vectors, languages: npt.NDArray[np.int32]
    ) -> None:
        """Search the nearest micro-clusters of every item; `languages` are the numbers of their languages."""
        self._index = index
        self._features = index.features(vectors, word_vectors, languages != KNOWN)
        self._nearest: list[tuple[list[float], list[int], list[int]]] = [([], [], [])] * len(languages)
        found = np.unique(languages).tolist()
        for language in found:
            rows = np.flatnonzero(languages == language)
            similarities, slots = index.nearest(self._features[rows], language)
            numbers = index.cluster_numbers[slots]
            for row, *near in zip(rows.tolist(), similarities.tolist(), slots.tolist(), numbers.tolist(), strict=True):
                self._nearest[row] = (near[0], near[1], near[2])
        self._within = self._features @ self._features.T
        if len(found) > 1:
            self._within[languages[:, None] != languages] = _LEAST
        self._to_opened = np.empty(self._within.shape, np.float32)
        self._opened: list[tuple[int, int]] = []
        self._row_of: dict[int, int] = {}

    def candidates(self, row: int) -> list[Candidate]:
        """Return the nearest micro-clusters of an item, best first."""
        candidates: list[Candidate] = list(zip(*self._nearest[row], strict=True))
        if self._opened:
            floor = candidates[-1][0] if len(candidates) == NEIGHBOURS else _LEAST
            to_opened = self._to_opened[row, : len(self._opened)]
            closer = (to_opened > floor).nonzero()[0].tolist()
            if closer:
                candidates += [(float(to_opened[i]), *self._opened[i]) for i in closer]
                candidates.sort(key=itemgetter(0), reverse=True)
                del candidates[NEIGHBOURS:]
        return candidates

    def similarity(self, row: int, slot: int) -> float:
        """Return the similarity of an item and any micro-cluster."""
        opened_by = self._row_of.get(slot)
        other = self._index.features_at(np.array([slot]))[0] if opened_by is None else self._features[opened_by]
        return float(self._features[row] @ other)

    def opened(self, row: int, slot: int, number: int) -> None:
        """Note that an item has opened a micro-cluster in a cluster."""
        self._row_of[slot] = row
        self._to_opened[:, len(self._opened)] = self._within[row]
        self._opened.append((slot, number))


class OnlineStep:
    """Places items."""

    def __init__(self, state: ClusterState) -> None:
        """Work on this state."""
        self._state = state
        explicit = state.explicit_threshold
        self._join_similarity = JOIN_SIMILARITY if explicit is None else explicit

    def place(self, items: Sequence[ComparedItem], vectors: Vectors) -> list[Placement]:
        """Place a block of items, in order; vectors are unit rows, shape (len(items), dimensions)."""
        state = self._state
        vectors = with_own_directions([item.text for item in items], vectors)
        state.seen += len(items)
        templates = [self._template(item) for item in items]
        said = np.array([words is None for words in templates])
        word_vectors = np.zeros((len(items), WORD_DIMENSIONS), np.float32)
        people = [item.text for item, words in zip(items, templates, strict=True) if words is None]
        lexical = state.lexicon.add(people)
        word_vectors[said] = lexical.vectors
        worded: Flags = np.any(word_vectors, axis=1)
        languages = self._languages(items, worded)
        vectors = with_characters([item.text for item in items], languages, vectors)
        numbers = np.array([language_number(language) for language in languages], np.int32)
        self._centre_while_few(vectors[worded & (numbers == KNOWN)])
        state.index.reserve(len(items))
        block = _Block(state.index, vectors[said], word_vectors[said], numbers[said])
        rows = (np.cumsum(said) - 1).tolist()
        placements = [
            self._place(row, item, language, lexical.words[row], block)
            if words is None
            else self._place_by_template(item, words)
            for row, item, words, language in zip(rows, items, templates, languages, strict=True)
        ]
        state.index.join([placement.slot for placement in placements], vectors, word_vectors)
        return placements

    def _template(self, item: ComparedItem) -> Words | None:
        """Return the words that a machine's text is printed from; None for a person's."""
        if self._state.explicit_threshold is not None:
            return None
        is_machine = self._state.kinds.is_machine(item)
        return crash_words(item.text) or (template_words(item.text) or None if is_machine else None)

    def _languages(self, items: Sequence[ComparedItem], worded: Flags) -> list[str]:
        """Return the foreign language of each item, empty where there is none; machines' texts have no words here.

        An equal text is in the language that it was in before. An explicit threshold compares the embedder's vectors.
        """
        state = self._state
        if state.explicit_threshold is not None or not any(item.languages for item in items):
            return [""] * len(items)
        foreign, known = state.index.items_by_language()
        languages = []
        for item, has_words in zip(items, worded.tolist(), strict=True):
            language = ""
            if item.languages and has_words:
                slot = state.fingerprints.slots.get(fingerprints(item.text)[0])
                if slot is None:
                    language = language_among(item.languages, foreign, known)
                else:
                    language = state.index.micro_clusters[slot].language
            languages.append(language)
        return languages

    def _centre_while_few(self, vectors: Vectors) -> None:
        """Compute the background again each time the items have doubled; later, rounds do this."""
        state = self._state
        if state.explicit_threshold is None and 2 * state.calibration.centred_at <= state.seen <= EARLY_ITEMS:
            state.calibration.centred_at = state.seen
            snapshot = state.index.snapshot().centred(vectors)
            state.index.adopt(snapshot.build_search(snapshot.features()))

    def _place(self, row: int, item: ComparedItem, language: str, words: bytes, block: _Block) -> Placement:
        candidates = block.candidates(row)
        exact, masked = fingerprints(item.text)
        threshold = FOREIGN_THRESHOLD if language else self._state.calibration.join_threshold
        choice = (
            self._same_text(row, exact, masked, threshold, candidates, block)
            or self._nearest_micro_cluster(candidates)
            or self._best_cluster(candidates, threshold)
        )
        change: Change = "joined"
        time = item.created_at.timestamp()
        slot, number = choice.slot, choice.number
        if slot is None:
            if number is None:
                change = "opened"
                number = self._open_cluster(item)
            micro_cluster = _micro_cluster(item, (masked, exact), words, language=language)
            slot = self._open(micro_cluster, number, candidates)
            block.opened(row, slot, number)
        self._state.count_in(slot, item, time, exact)
        runner_up, runner_up_score = choice.runner_up or (None, None)
        return Placement(
            item, slot, change, choice.rule, choice.score, choice.threshold, runner_up, runner_up_score, exact
        )

    def _place_by_template(self, item: ComparedItem, words: Words) -> Placement:
        """Place a machine's text: with the same text, else with the same template, else in a new cluster.

        Similarity of meaning decides nothing: "receiving block" and "served block" mean nearly the same.
        """
        state = self._state
        exact, masked = fingerprints(item.text)
        time = item.created_at.timestamp()
        change: Change = "joined"
        rule: Rule = "same-text"
        score = threshold = 1.0
        second: Match | None = None
        slot = state.fingerprints.slots.get(exact)
        if slot is None or not (state.index.mined[slot] or self._keeps(slot, words)):
            rule, threshold = "template", SAME_TEMPLATE
            best, second = state.templates.nearest(words)
            score = -1.0 if best is None else best.share
            if best is not None and best.share >= SAME_TEMPLATE:
                slot = best.slot
                self._generalize(slot, words)
            else:
                change, second = "opened", best
                number = self._open_cluster(item)
                micro_cluster = _micro_cluster(item, (masked, exact), self._constant_words(words), template=words)
                slot = self._open(micro_cluster, number, ())
                state.templates.set(slot, words)
        state.count_in(slot, item, time, exact)
        template = state.index.micro_clusters[slot].template
        runner_up, runner_up_score = (None, None) if second is None else (second.slot, second.share)
        return Placement(item, slot, change, rule, score, threshold, runner_up, runner_up_score, exact, template)

    def _keeps(self, slot: int, words: Words) -> bool:
        """Return whether a text of a micro-cluster from before its source was known stays with it.

        It does if a person has done something about the cluster. If the micro-cluster is alone in its cluster, it gets
        the template. In a cluster with others, the template would hold what similarity alone has put together.
        """
        state = self._state
        cluster, constraints = state.cluster_at(slot), state.constraints
        if cluster.pinned or cluster.given_title or cluster.triage != "open":
            return True
        if slot in constraints.must_link or slot in constraints.cannot_link:
            return True
        best, _ = state.templates.nearest(words)
        if len(cluster.slots) > 1 or (best is not None and best.share >= SAME_TEMPLATE):
            return False
        old = state.index.micro_clusters[slot]
        state.index.mine(slot, replace(old, template=words, words=self._constant_words(words)))
        state.templates.set(slot, words)
        state.progress.give_up_round()
        return True

    def _generalize(self, slot: int, words: Words) -> None:
        """Note that a template is also that of these words."""
        micro_cluster = self._state.index.micro_clusters[slot]
        template = generalized(micro_cluster.template or (), words)
        if template != micro_cluster.template:
            said = self._constant_words(template)
            self._state.index.replace(slot, replace(micro_cluster, template=template, words=said))
            self._state.templates.set(slot, template)

    def _constant_words(self, template: Words) -> bytes:
        """Return the words of a template, packed; those that vary say nothing."""
        [packed] = self._state.lexicon.words([" ".join(template)])
        return packed

    # ---- choosing ------------------------------------------------------------------------------------------------

    def _same_text(
        self, row: int, exact: int, masked: int, join: float, candidates: Sequence[Candidate], block: _Block
    ) -> _Choice | None:
        """Choose the micro-cluster that has this text; an explicit threshold compares vectors only.

        Where only the masked texts are equal, the similarity has to reach the join threshold `join` as well, because
        what differs may matter: "error 404" is not "error 500".
        """
        state = self._state
        if state.explicit_threshold is not None:
            return None
        rule: Rule = "same-text"
        score = threshold = 1.0
        slot = state.fingerprints.slots.get(exact)
        if slot is None and masked != exact:
            slot = state.fingerprints.slots.get(masked)
            if slot is not None:
                rule, threshold = "same-masked-text", join
                score = block.similarity(row, slot)
        if slot is None or score < threshold:
            return None
        runner_up = _nearest_elsewhere(state.index.number_of(slot), candidates)
        return _Choice(rule, score, threshold, runner_up, slot)

    def _nearest_micro_cluster(self, candidates: Sequence[Candidate]) -> _Choice | None:
        """Choose the nearest micro-cluster, if it is near enough to join."""
        if not candidates or candidates[0][0] < self._join_similarity:
            return None
        score, slot, number = candidates[0]
        return _Choice("near", score, self._join_similarity, _nearest_elsewhere(number, candidates), slot)

    def _best_cluster(self, candidates: Sequence[Candidate], join: float) -> _Choice:
        """Choose the best cluster, if it reaches the join threshold, or else a new one."""
        state = self._state
        best, second = self._best_two(candidates)
        explicit = state.explicit_threshold is not None
        threshold = self._join_similarity if explicit else join
        if best is None:
            return _Choice("first", -1.0, threshold, None)
        if best[1] >= threshold and not explicit:
            return _Choice("near", best[1], threshold, second, number=state.index.number_of(best[0]))
        return _Choice("far", best[1], threshold, best)

    def _best_two(self, candidates: Sequence[Candidate]) -> tuple[Scored | None, Scored | None]:
        """Return the best cluster among candidates, by its nearest micro-cluster, and the next; see `best_clusters`."""
        nearest: dict[int, list[float]] = {}
        first: dict[int, int] = {}
        for similarity, slot, number in candidates:
            if number not in nearest:
                nearest[number], first[number] = [similarity], slot
            elif len(nearest[number]) < NEAREST_COUNTED:
                nearest[number].append(similarity)
        best: Scored | None = None
        second: Scored | None = None
        for number, found in nearest.items():
            counted = len(found)
            if counted < NEAREST_COUNTED:
                counted = min(NEAREST_COUNTED, len(self._state.clusters[number].slots))
            score = sum(found) / counted
            if best is None or score > best[1]:
                best, second = (first[number], score), best
            elif second is None or score > second[1]:
                second = (first[number], score)
        return best, second

    # ---- opening -------------------------------------------------------------------------------------------------

    def _open_cluster(self, item: ComparedItem) -> int:
        """Open a cluster that begins with an item, and return its number."""
        title, summary = shortened(item)
        cluster_id = cluster_id_for(self._state.project_id, item.id)
        return self._state.add_cluster(Cluster(cluster_id, title, summary, titled_size=1))

    def _open(self, micro_cluster: MicroCluster, number: int, candidates: Sequence[Candidate]) -> int:
        """Open a micro-cluster in a cluster, and return its slot."""
        state = self._state
        slot = state.index.open(micro_cluster, number, [slot for _, slot, _ in candidates])
        insort(state.clusters[number].slots, slot)
        state.fingerprints.claim(slot)
        return slot


def _micro_cluster(
    item: ComparedItem,
    fingerprints: tuple[int, ...],
    words: bytes,
    *,
    template: Words | None = None,
    language: str = "",
) -> MicroCluster:
    """Return a micro-cluster that begins with an item."""
    title, summary = shortened(item)
    at = item.created_at.timestamp()
    return MicroCluster(
        id_bytes(item.id), title, summary, (), at, at, fingerprints, template=template, language=language, words=words
    )


def _nearest_elsewhere(number: int, candidates: Sequence[Candidate]) -> Scored | None:
    """Return the nearest candidate in another cluster, or None."""
    return next(((slot, similarity) for similarity, slot, other in candidates if other != number), None)
