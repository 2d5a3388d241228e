"""The drill: a running installation is backed up, an empty one is restored from that, and gives the same answers."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from cryptography.fernet import Fernet
from typer.testing import CliRunner

from soulcaster.adapters.kafka.offsets import offsets_of
from soulcaster.adapters.redis.jobs import step_value
from soulcaster.cli.main import app as cli
from soulcaster.dev.loopback import free_port
from soulcaster.dev.stack import Stack
from soulcaster.ports.messaging import Outgoing
from soulcaster.ports.projects import STEP_BYTES
from soulcaster.processes.connections import open_publisher
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings
from soulcaster.wire.topics import DEAD_LETTERS, FEEDBACK_RAW, MAX_MESSAGE_BYTES, TOPICS
from tests.integration.conftest import Program, project_of, ready, settled
from tests.support.job_log import job_history

pytestmark = pytest.mark.integration

PROJECT = "drill"
PARTITIONS = 2
PACKED_BYTES = 4 * MAX_MESSAGE_BYTES
TEXTS = (
    "the export is broken and no file comes",
    "the export is broken and no file comes at all",
    "I love the new colours of the start page",
    "signing in with my old password fails",
    "the invoice has a wrong address on it",
)


class Api:
    """Calls the HTTP API with an API key."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def get(self, path: str, status: int = 200, **query: str) -> Any:
        async with self._http.get(path, params={"project_id": PROJECT, **query}) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send a request that changes something, and return the answer once it is done."""
        query = {"project_id": PROJECT, "wait": "20"}
        async with self._http.request(method, path, params=query, json=body) as answer:
            assert answer.status in {200, 201, 202}, f"{method} {path}: {await answer.text()}"
            return await answer.json()

    async def post(self, path: str, **body: Any) -> Any:
        return await self.send("POST", path, body)

    async def job(self, cluster_id: str, *statuses: str) -> Any:
        """Return the newest job of a cluster as soon as it has one of these statuses."""
        async with asyncio.timeout(60):
            while not (found := await self.get(f"/clusters/{cluster_id}/jobs")) or found[0]["status"] not in statuses:
                await asyncio.sleep(0.1)
        return found[0]

    async def everything(self) -> dict[str, Any]:
        """Return what the API says of all that there is."""
        pages = ("/stats", "/projects", "/keys", "/webhook-secrets", "/config/project", "/dead-letters", "/sources")
        answers = {page: await self.get(page) for page in (*pages, f"/projects/{PROJECT}/members")}
        for key in answers["/keys"]:
            key.pop("last_used_at")  # of Redis alone
        answers["/feedback"] = await self.get("/feedback", limit="100")
        answers["/jobs"] = await self.get("/jobs")
        for cluster in await self.get("/clusters", limit="100"):
            answers[f"/clusters/{cluster['id']}"] = await self.get(f"/clusters/{cluster['id']}")
        for job in answers["/jobs"]:
            answers[f"/jobs/{job['id']}/logs"] = await self.get(f"/jobs/{job['id']}/logs")
        return answers


def api_of(settings: Settings, key: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        f"http://127.0.0.1:{settings.port}", headers={"Authorization": f"Bearer {key}"} if key else {}
    )


async def run(program: Program, *arguments: str) -> str:
    """Run a command of the program in this process; return what it printed."""
    command = [*arguments, "--data-dir", str(program.data_dir)]
    done = await asyncio.to_thread(CliRunner().invoke, cli, command)
    assert done.exit_code == 0, f"{done.output}{done.exception!r}"
    return done.output


async def filled(api: Api, settings: Settings) -> tuple[str, str, list[str]]:
    """Make items, corrections, settings, members and dead letters; return a merge, an item and all clusters before."""
    for text in TEXTS:
        await api.post("/ingest/manual", text=text)
    await settled(settings, PROJECT, len(TEXTS))
    clusters = [cluster["id"] for cluster in await api.get("/clusters", limit="100")]
    one, two, three, *_ = clusters
    merge = await api.post(f"/clusters/{one}/merge", cluster_ids=[two])
    await api.post(f"/clusters/{one}/rename", title="What people said")
    await api.post(f"/clusters/{three}/pin", pinned=True)
    await api.post(f"/clusters/{three}/resolve")
    undone = await api.post(f"/clusters/{three}/rename", title="Not for long")
    await api.post(f"/clusters/{three}/undo", command_id=undone["command_id"])
    item_id = (await api.get("/feedback", limit="1"))["items"][0]["id"]
    await api.send("PUT", "/config/project", {"version": 0, "policy": {"concurrent_jobs": 3}})
    await api.send("POST", "/webhook-secrets", {"source": "sentry"})
    await api.send("POST", f"/projects/{PROJECT}/members", {"email": "ada@example.com", "role": "viewer"})
    await send_packed(settings)
    async with open_publisher(settings) as publisher:
        poison = json.dumps({"project_id": PROJECT, "source": "test", "external_id": "poison"}).encode()
        await publisher.publish([Outgoing(FEEDBACK_RAW.name, b"poison", poison)])
    async with asyncio.timeout(60):
        while not (await api.get("/dead-letters"))["items"] or await dead_letters(settings) < PARTITIONS + 1:
            await asyncio.sleep(0.1)
    return merge["command_id"], item_id, clusters


async def send_packed(settings: Settings) -> None:
    """Send each partition a record that is far larger, unpacked, than a topic takes: brokers count packed bytes."""
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka, compression_type="gzip", max_request_size=2 * PACKED_BYTES
    )
    async with producer:
        for partition in range(PARTITIONS):
            await producer.send_and_wait(FEEDBACK_RAW.name, b" " * PACKED_BYTES, partition=partition)


async def dead_letters(settings: Settings) -> int:
    return sum(span.end for tp, span in (await spans(settings)).items() if tp.topic == DEAD_LETTERS.name)


async def expire_some(settings: Settings) -> None:
    """Delete what came in first, as Kafka does after a month."""
    client = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await client.start()
    async with offsets_of(kafka_access(settings)) as offsets:
        spans = await offsets.spans([FEEDBACK_RAW.name])
    try:
        await client.delete_records(
            {tp: RecordsToDelete(before_offset=span.end - 1) for tp, span in spans.items() if span.end}
        )
    finally:
        await client.close()


async def spans(settings: Settings) -> dict[TopicPartition, Any]:
    async with offsets_of(kafka_access(settings)) as offsets:
        return await offsets.spans([topic.name for topic in TOPICS if topic.cleanup == "delete"])


async def test_a_restored_installation_gives_the_same_answers(jars: None, tmp_path: Path) -> None:
    keys = {f"SOULCASTER_{name}_KEY": Fernet.generate_key().decode() for name in ("SESSION", "SECRETS")}
    place = tmp_path / "backup"
    before = Program(tmp_path / "before")
    async with Stack(tmp_path / "old", partitions=PARTITIONS) as stack:
        await stack.provision()
        settings = stack.settings.model_copy(update={"port": free_port()})
        before.beside(settings)
        children = [before.start(command, **keys) for command in ("worker", "web")]
        launcher = before.start("launcher", **keys)
        async with api_of(settings, "") as http:
            await ready(http)
            scopes = ["admin", "read", "write", "ingest", "launch"]
            key = (await Api(http).send("POST", "/keys", {"name": "drill", "scopes": scopes}))["secret"]
        async with api_of(settings, key) as http:
            await project_of(http)
            api = Api(http)
            merge, item_id, clusters = await filled(api, settings)
            fixed, _, waits, *_ = clusters
            await api.send("POST", f"/clusters/{fixed}/start_fix")
            await api.job(fixed, "success")
            await launcher.stop()
            await api.send("POST", f"/clusters/{waits}/start_fix")
            under_way = await api.job(waits, "pending")
            await expire_some(settings)
            printed = await run(before, "backup", str(place))
            assert "partitions are in" in printed
            answers = await api.everything()
        copied = await spans(settings)
        for child in children:
            await child.stop()

    after = Program(tmp_path / "after")
    async with Stack(tmp_path / "new", partitions=PARTITIONS) as stack:
        await stack.provision()
        settings = stack.settings.model_copy(update={"port": free_port()})
        after.beside(settings)
        assert "1 jobs were under way" in await run(after, "restore", str(place))
        restored = await spans(settings)
        restored_at = {tp: span for tp, span in restored.items() if tp.topic != "job.events"}
        assert restored_at == {tp: span for tp, span in copied.items() if tp.topic != "job.events"}
        await run(after, "rebuild")
        children = [after.start(command, **keys) for command in ("worker", "web", "launcher")]
        try:
            async with api_of(settings, key) as http:
                await ready(http)
                api = Api(http)
                ended = await api.job(waits, "failed")
                assert ended["id"] == under_way["id"]
                assert "restored from a backup" in ended["error"]
                now = await api.everything()
                for said in (answers, now):  # but for what has failed, and its cluster
                    said["/jobs"] = [job for job in said["/jobs"] if job["id"] != under_way["id"]]
                    said["/stats"].pop("by_status")
                    said.pop(f"/jobs/{under_way['id']}/logs")
                    said.pop(f"/clusters/{waits}")
                # The step that ends the job is the one thing that is stored besides what was there.
                (end,) = [one for one in (await job_history(settings, PROJECT)).steps if one.state == "failed"]
                answers["/stats"]["stored_bytes"] += STEP_BYTES + len(step_value(end, end.log).encode())
                assert now == answers
                # The state is there, too: a merge of before is undone, the same item is known, and a new one comes.
                await api.post(f"/clusters/{fixed}/undo", command_id=merge)
                assert (await api.get(f"/feedback/{item_id}"))["id"] == item_id
                await api.post("/ingest/manual", text=TEXTS[0])
                await settled(settings, PROJECT, len(TEXTS) + 1)
                assert {cluster["id"] for cluster in await api.get("/clusters", limit="100")} == set(clusters)
                history = await job_history(settings, PROJECT)
                assert history.jobs[under_way["id"]].launch == 0
        finally:
            for child in children:
                await child.stop()
