"""A stack of their own for the loss tests, and workers that can be hurt."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from soulcaster.adapters.kafka.provisioning import provision
from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.dev.child import Child
from soulcaster.dev.stack import Stack
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.redis_access import redis_access
from soulcaster.processes.settings import Settings
from soulcaster.wire.topics import all_topics
from tests.support.beside import ForkedBeside
from tests.support.topics import remove_topics

PARTITIONS = 4


class Crew:
    """Workers of one consumer group on one stack, started, told to stop and killed at will."""

    def __init__(self, settings: Settings, data_dir: Path) -> None:
        self.settings = settings
        self.data_dir = data_dir
        self._beside = ForkedBeside(settings, data_dir)

    def hire(self) -> Child:
        """Start a worker."""
        return self._beside.soulcaster("worker")

    def hire_slow(self, seconds: float, *, word: str = "") -> tuple[Child, Path]:
        """Start a worker that embeds texts with this word slowly; the file it touches when it begins to."""
        begun = self.data_dir / f"begun-{len(self._beside.children)}"
        program = ["tests.loss.slow_worker", str(self.data_dir), str(seconds), word, str(begun)]
        return self._beside.start("worker", program), begun

    async def dismiss(self) -> None:
        """Stop every worker that still runs."""
        await self._beside.stop()

    async def settled(self, project_id: str, count: int, seconds: float = 60) -> None:
        """Return once so many items of a project can be read in their clusters."""
        read_model = RedisReadModel(redis_access(self.settings))
        stats = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    stats = await read_model.projects.stats(project_id)
                    if stats.total_feedback >= count and not stats.unclustered:
                        return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"not settled after {seconds} s: {stats}, expected {count}") from None
        finally:
            await read_model.close()

    async def clustered(self, project_id: str) -> int:
        """Return how many items of a project can be read in their clusters."""
        read_model = RedisReadModel(redis_access(self.settings))
        try:
            stats = await read_model.projects.stats(project_id)
        finally:
            await read_model.close()
        return stats.total_feedback - stats.unclustered


@pytest.fixture(scope="module")
def loop_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Kafka and a Redis for the tests of one file."""
    stack = Stack(tmp_path_factory.mktemp("loss"), partitions=PARTITIONS)
    asyncio.run(stack.start())
    yield stack
    asyncio.run(stack.stop())


@pytest_asyncio.fixture
async def crew(loop_stack: Stack, tmp_path: Path) -> AsyncIterator[Crew]:
    """A crew of a group of its own: empty topics, nothing committed yet."""
    settings = loop_stack.settings.model_copy(update={"app_id": f"loss-{uuid4().hex[:8]}"})
    await remove_topics(settings)
    await provision(kafka_access(settings), all_topics(settings.app_id), partitions=settings.partitions, replication=1)
    crew = Crew(settings, tmp_path / "crew")
    yield crew
    await crew.dismiss()


@asynccontextmanager
async def publisher(settings: Settings) -> AsyncIterator[KafkaPublisher]:
    async with KafkaPublisher(kafka_access(settings), timeout=30) as opened:
        yield opened
