"""A real worker with a fault, scraped by a real Prometheus with our rules: the alerts for it fire, no others."""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agents.runtime.batches import EXPRESS_LANES
from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.dev.child import Child
from soulcaster.dev.loopback import free_port
from soulcaster.ports.messaging import Outgoing
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings
from soulcaster.wire.feedback import RawEnvelope, RawFeedback
from soulcaster.wire.topics import FEEDBACK_RAW
from tests.integration.conftest import Program
from tests.support.docs import DOCS
from tests.support.gemini import Gemini
from tests.support.tools import debian_package

pytestmark = pytest.mark.integration

RULES = DOCS.parent / "deploy" / "prometheus" / "alerts.yml"
SECONDS = 120


class Watched:
    """A worker, seen at its port of metrics."""

    def __init__(self, port: int, http: aiohttp.ClientSession) -> None:
        self.target = f"127.0.0.1:{port}"
        self._http = http

    async def text(self) -> str:
        async with self._http.get(f"http://{self.target}/metrics") as answer:
            return await answer.text()

    async def value(self, name: str, **labels: str) -> float | None:
        for family in text_string_to_metric_families(await self.text()):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return None

    async def until(self, wanted: float, name: str, **labels: str) -> None:
        """Return once a series has at least this value."""
        found: float | None = None
        try:
            async with asyncio.timeout(SECONDS):
                while found is None or found < wanted:
                    await asyncio.sleep(0.2)
                    try:
                        found = await self.value(name, **labels)
                    except aiohttp.ClientConnectionError:
                        continue  # it starts
        except TimeoutError:
            raise AssertionError(f"{name} {labels} is {found} and not {wanted}") from None

    async def liveness(self) -> tuple[int, Any]:
        async with self._http.get(f"http://{self.target}/health/live") as answer:
            return answer.status, await answer.json()


class Alerts:
    """A Prometheus with our rules, for which minutes are seconds."""

    def __init__(self, folder: Path, targets: list[str], http: aiohttp.ClientSession) -> None:
        self._http = http
        self._url = f"127.0.0.1:{free_port()}"
        (folder / "alerts.yml").write_text(re.sub(r"\b(\d+)m\b", r"\1s", RULES.read_text()).replace("1h", "60s"))
        (folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
            "rule_files: [alerts.yml]\n"
            f"scrape_configs: [{{job_name: soulcaster, static_configs: [{{targets: {targets}}}]}}]\n"
        )
        command = [str(debian_package("prometheus") / "usr/bin/prometheus"), f"--config.file={folder}/prometheus.yml"]
        command += [f"--storage.tsdb.path={folder}/data", f"--web.listen-address={self._url}"]
        self.child = Child("Prometheus", command, log=folder / "prometheus.log", grace=20)

    async def firing(self) -> set[str]:
        """Return the alerts that fire now, none while Prometheus starts."""
        try:
            async with self._http.get(f"http://{self._url}/api/v1/alerts") as answer:
                found = (await answer.json(content_type=None))["data"]["alerts"] if answer.status == 200 else []
        except aiohttp.ClientConnectionError:
            return set()
        return {alert["labels"]["alertname"] for alert in found if alert["state"] == "firing"}

    async def until(self, wanted: set[str]) -> set[str]:
        """Return all that fire, once the wanted ones do."""
        found: set[str] = set()
        try:
            async with asyncio.timeout(SECONDS):
                while not wanted <= found:
                    await asyncio.sleep(0.5)
                    found = await self.firing()
        except TimeoutError:
            raise AssertionError(f"firing: {found}, wanted {wanted}; {self.child.log.read_text()[-2000:]}") from None
        return found


@asynccontextmanager
async def prometheus(folder: Path, *targets: str) -> AsyncIterator[Alerts]:
    async with aiohttp.ClientSession() as http:
        alerts = Alerts(folder, list(targets), http)
        alerts.child.start()
        try:
            yield alerts
        finally:
            await alerts.child.stop()


async def post(settings: Settings, project_id: str, *numbers: int) -> None:
    items = tuple(
        RawFeedback(project_id=project_id, source="test", external_id=str(n), body=f"It is late, number {n}.")
        for n in numbers
    )
    async with KafkaPublisher(kafka_access(settings)) as publisher:
        await publisher.publish([Outgoing(FEEDBACK_RAW.name, None, RawEnvelope(items=items).to_bytes())])


async def test_an_embedder_that_refuses_fires_its_alerts_and_the_worker_lives(
    program: Program, fresh_settings: Settings, gemini: Gemini, tmp_path: Path
) -> None:
    promtool = debian_package("prometheus") / "usr/bin/promtool"
    port = free_port()
    given = {"embedder": "gemini", "gemini_url": gemini.url, "metrics_port": port, "embedding_cache_days": 0}
    settings = fresh_settings.model_copy(update=given)
    project_id = f"watched-{settings.app_id}"
    program.beside(settings)
    process = program.start("worker", GEMINI_API_KEY="a wrong key")
    async with aiohttp.ClientSession() as http:
        worker = Watched(port, http)
        await worker.until(1, "soulcaster_worker_state", state="running")
        async with prometheus(tmp_path, worker.target) as alerts:
            await post(settings, project_id, 1, 2, 3)
            await worker.until(3, "soulcaster_unclustered_items")
            await post(settings, project_id, 4, 5)
            firing = await alerts.until({"SoulcasterWaits", "SoulcasterEmbedderRefuses", "SoulcasterUnclusteredGrows"})
        assert firing <= {  # on a slow machine, items have waited for long by now
            "SoulcasterWaits", "SoulcasterEmbedderRefuses", "SoulcasterUnclusteredGrows", "SoulcasterBacklog",
        }  # fmt: skip

        waiting = await worker.value("soulcaster_waiting", system="embedder") or 0
        assert 1 <= waiting <= 1 + EXPRESS_LANES  # one in each lane
        outcomes = {"embedder": "gemini-embedding-001", "outcome": "refuses"}
        assert await worker.value("soulcaster_embedder_calls_total", **outcomes)
        # Of this stack, so items of other tests count as well.
        assert (await worker.value("soulcaster_items_read_total", source="other", outcome="accepted") or 0) >= 5
        assert (await worker.value("soulcaster_unclustered_items") or 0) >= 5
        assert (await worker.value("soulcaster_items") or 0) >= 5
        assert await worker.value("soulcaster_clusters") is not None
        lag = {agent: await worker.value("soulcaster_backlog_seconds", agent=agent) for agent in ("normalize", "embed")}
        assert lag["normalize"] == 0
        assert (lag["embed"] or 0) > 5
        assert (await worker.value("soulcaster_commit_age_seconds", agent="embed") or 0) > 5
        assert await worker.value("soulcaster_commit_age_seconds", agent="project") == 0
        status, said = await worker.liveness()
        assert (status, said["live"], said["facts"]["excuse"]) == (200, True, "it waits for embedder")

        checked = subprocess.run(  # noqa: ASYNC221, S603
            [promtool, "check", "metrics"], input=await worker.text(), capture_output=True, text=True, check=False
        )
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    await process.stop()
    assert await process.wait() == 0  # not killed: it waits for the embedder no longer
