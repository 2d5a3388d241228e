"""The ceiling: the domain's functions in a plain loop on one core; run in its own process."""

import json
import sys
import time
from collections import defaultdict
from itertools import islice

import numpy as np

from soulcaster.adapters.embedders.static import StaticEmbedder
from soulcaster.bench.alone import use_one_core
from soulcaster.bench.feeds import ENVELOPE_ITEMS, Feed, messages
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.item_records import RECORD_BYTES
from soulcaster.domain.embedder import EmbedderKey
from soulcaster.domain.feedback.dedupe import Seen
from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.feedback.versions import MARK_BYTES
from soulcaster.domain.segments import Segments
from soulcaster.domain.text import language
from soulcaster.ports.messaging import Record
from soulcaster.processes.garbage import collect_rarely
from soulcaster.services.intake import read


def measure(feed: Feed, count: int, length: int) -> float:
    """Return how many items a second are read, deduped, embedded and clustered, `ENVELOPE_ITEMS` at a time."""
    embedder = StaticEmbedder()
    key = EmbedderKey(embedder.name, embedder.version, embedder.dimensions)
    records = iter(
        [
            Record("feedback.raw", 0, offset, 1_700_000_000_000, None, value)
            for offset, value in enumerate(messages(feed, "domain", count, length))
        ]
    )
    seen: dict[str, Seen] = {}
    clusters: dict[str, ProjectClusters] = {}
    begin = time.perf_counter()
    while batch := list(islice(records, ENVELOPE_ITEMS if feed == "singles" else 1)):
        items: dict[str, list[FeedbackItem]] = defaultdict(list)
        for record in batch:
            for accepted in read(record)[0]:
                items[accepted.item.project_id].append(accepted.item)
        for project_id in items:
            if project_id not in seen:
                seen[project_id] = Seen(Segments(MARK_BYTES))
                clusters[project_id] = ProjectClusters(project_id, Segments(RECORD_BYTES))
        judged = {project_id: seen[project_id].judge(of_project) for project_id, of_project in items.items()}
        compared_items = {
            project_id: seen[project_id].compared(found, embedder.languages) for project_id, found in judged.items()
        }
        vectors = embedder.embed_now(
            [compared.text for of_project in compared_items.values() for compared in of_project]
        )
        parts = np.split(vectors, np.cumsum([len(of_project) for of_project in compared_items.values()])[:-1])
        for (project_id, of_project), part in zip(compared_items.items(), parts, strict=True):
            clusters[project_id].add(key, of_project, part)
            seen[project_id].remember(judged[project_id])
    return count / (time.perf_counter() - begin)


if __name__ == "__main__":
    use_one_core()
    language.load()  # as in a worker, at its start
    collect_rarely()
    feed_name: Feed = "singles" if sys.argv[1] == "singles" else "envelopes"
    print(json.dumps(measure(feed_name, int(sys.argv[2]), int(sys.argv[3]))))  # noqa: T201  the result
