"""Many who read what is longest, all at the same time, do not fill the memory of the web server."""

from soulcaster.adapters.redis.client import RedisAccess
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.bench.readers import BOUND_MB, READERS, fill_longest, measure_readers
from soulcaster.bench.web import signed_in
from soulcaster.processes.settings import Settings
from tests.conftest import RedisServer


async def test_the_memory_of_the_web_server_stays_within_its_bound(redis_to_break: RedisServer) -> None:
    settings = Settings(redis_url=redis_to_break.url, kafka="127.0.0.1:1")
    read_model = RedisReadModel(RedisAccess(redis_to_break.url))
    await fill_longest(read_model.writer, 60)
    async with signed_in(settings) as (http, process_id):
        memory = await measure_readers(http, process_id, 1)
    await read_model.close()
    assert memory.readers == READERS
    assert memory.before_mb <= memory.most_mb <= BOUND_MB, memory
