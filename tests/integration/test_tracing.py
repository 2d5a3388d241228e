"""A trace from a post to the pages, across processes and Kafka."""

import aiohttp
import pytest
from cryptography.fernet import Fernet

from soulcaster.processes.settings import Settings
from tests.integration.conftest import Program, ready, settled
from tests.support.collector import Collector, collector

pytestmark = pytest.mark.integration

AGENTS = ("normalize", "embed", "cluster", "project")


async def test_every_batch_links_to_the_span_that_published_its_records(
    program: Program, fresh_settings: Settings
) -> None:
    async with collector() as kept:
        settings = fresh_settings.model_copy(update={"otlp_endpoint": kept.url})
        program.beside(settings)
        project_id = f"traced-{settings.app_id}"
        for command in ("worker", "web"):
            key = Fernet.generate_key().decode()
            program.start(command, SOULCASTER_SESSION_KEY=key, SOULCASTER_SECRETS_KEY=key)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{settings.port}") as http:
            await ready(http)
            where = {"project_id": project_id}
            async with http.post("/ingest/manual", params=where, json={"text": "the export is broken"}) as answer:
                assert answer.status == 202
            await settled(settings, project_id, 1)
        await kept.until(lambda: all(way_back(kept, agent) for agent in AGENTS))


def way_back(kept: Collector, agent: str) -> bool:
    """Return whether a batch of an agent follows from the request, over links and parents."""
    by_id = {span.id: span for span in kept.spans}
    left = [span.id for span in kept.named(f"process {agent}")]
    seen: set[bytes] = set()
    while left:
        span = by_id.get(left.pop())
        if span is None or span.id in seen:
            continue
        if span.name == "POST /ingest/manual":
            assert span.service == "soulcaster-web"
            return True
        seen.add(span.id)
        left += [span.parent, *span.links]
    return False
