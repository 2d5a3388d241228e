"""Faults 7 to 10, 15: what happens to Kafka, to Redis and to their disks."""

import asyncio
import os
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.faults.fault import Fault
from tests.faults.site import Site

AWAY_SECONDS = 60.0
FULL_SECONDS = 15.0
DISK_MB = 192
BALLAST = "ballast"


class BrokerRestarted(Fault):
    number = 7
    name = "broker restarted: stopped or killed, twice"

    async def strike(self, site: Site, chance: random.Random) -> None:
        for _ in range(2):
            await (site.stack.kafka.stop() if chance.random() < 0.5 else site.stack.kafka.child.kill())
            await site.stack.start_kafka()
            site.watch.blow()
            await site.until_shown(1)


class BrokerAway(Fault):
    number = 8
    name = f"broker away for {AWAY_SECONDS:.0f} s"

    async def strike(self, site: Site, chance: random.Random) -> None:
        await site.stack.kafka.child.kill()
        await asyncio.sleep(AWAY_SECONDS)
        await site.stack.start_kafka()
        site.watch.blow()


class RedisAway(Fault):
    number = 9
    name = f"Redis away for {AWAY_SECONDS:.0f} s"
    seconds = AWAY_SECONDS

    async def strike(self, site: Site, chance: random.Random) -> None:
        await site.stack.redis.kill()
        await asyncio.sleep(self.seconds)
        await site.stack.start_redis()
        site.watch.blow()


class RedisFlushed(Fault):
    number = 10
    name = "Redis flushed, then `soulcaster rebuild`"

    async def strike(self, site: Site, chance: random.Random) -> None:
        assert site.beside is not None
        async with Redis.from_url(site.settings.redis_url) as redis:
            await redis.flushall()
        site.watch.forget()
        await asyncio.sleep(chance.uniform(0.0, 5.0))
        rebuild = site.beside.soulcaster("rebuild")
        assert await rebuild.wait() == 0, rebuild.log.read_text()
        site.watch.blow()


class DiskFull(Fault):
    number = 15
    _disks: Sequence[Path] = ()
    name = "disk full: Redis' for 15 s, then Kafka's"

    async def prepare(self, site: Site) -> None:
        if os.geteuid() != 0:
            pytest.skip("a file system is mounted by root only")
        self._disks = [site.folder / "stack" / name for name in ("redis", "kafka")]
        await self.clean_up(site)  # of a run that was killed
        for disk in self._disks:
            disk.mkdir(parents=True, exist_ok=True)
            _root("mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(disk))

    async def clean_up(self, site: Site) -> None:
        for disk in self._disks:
            if disk.is_mount():
                _root("umount", "--lazy", str(disk))

    async def strike(self, site: Site, chance: random.Random) -> None:
        redis_disk, kafka_disk = self._disks
        _fill(redis_disk)
        await asyncio.sleep(FULL_SECONDS)
        (redis_disk / BALLAST).unlink()
        await site.stack.start_redis()
        site.watch.blow()
        await site.until_shown(1)
        _fill(kafka_disk)
        await asyncio.sleep(FULL_SECONDS)
        (kafka_disk / BALLAST).unlink()
        await site.stack.start_kafka()
        site.watch.blow()


def _fill(disk: Path) -> None:
    """Fill a disk to its last block."""
    with (disk / BALLAST).open("wb", buffering=0) as file:
        for size in (1024 * 1024, 4096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def _root(*words: str) -> None:
    """Run what only root may do."""
    subprocess.run(words, check=True, capture_output=True)  # noqa: S603
