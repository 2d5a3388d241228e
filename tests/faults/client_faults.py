"""Fault 2: what happens to the processes around the workers."""

import asyncio
import random
import time

import aiohttp

from soulcaster.domain.ids import item_id
from tests.faults.fault import Fault
from tests.faults.load import Load
from tests.faults.site import Site
from tests.support.reddit_server import Reddit, post

SUBREDDIT = "my_app"
PROJECT = "faults-reddit"
POSTS = 40
POLL_SECONDS = 10


class ClientsKilled(Fault):
    number = 2
    name = "kill -9 of web server, launcher and poller, twice each"
    seeds = 20

    async def prepare(self, site: Site) -> None:
        self._reddit = Reddit()
        await self._reddit.__aenter__()
        site.project_ids.append(PROJECT)

    async def clean_up(self, site: Site) -> None:
        await self._reddit.__aexit__(None, None, None)

    def load(self, site: Site, seed: int) -> Load:
        """Return a load that goes through the web server."""
        return site.load(seed, by_http=1.0)

    async def strike(self, site: Site, chance: random.Random) -> None:
        assert site.beside is not None
        address = f"http://127.0.0.1:{site.settings.port}"
        async with aiohttp.ClientSession(address) as http:
            body = {"subreddits": [SUBREDDIT], "sorts": ["new"], "interval_seconds": POLL_SECONDS}
            async with http.post("/config/reddit/subreddits", params={"project_id": PROJECT}, json=body) as answer:
                assert answer.status < 300, await answer.text()
        elsewhere = ["soulcaster", "poll", "reddit", "--data-dir", str(site.folder / "elsewhere")]
        environment = self._reddit.environment(way="OAuth")
        poller = site.supervise(site.beside.start("poll", elsewhere, BACKEND_URL=address, **environment))
        posts = 0
        for child in chance.sample([site.web, site.launcher, poller] * 2, 6):
            for _ in range(POSTS // 6):
                posts += 1
                self._post(site, posts)
            await site.order_jobs(1)
            await asyncio.sleep(chance.uniform(1.0, POLL_SECONDS / 2))
            await child.kill()
            site.watch.blow()

    def _post(self, site: Site, number: int) -> None:
        """Let somebody post at Reddit: from then on the poller owes it to us."""
        one = post(number)
        self._reddit.add(SUBREDDIT, one)
        site.ledger.expect(item_id(PROJECT, "reddit", one.id), PROJECT, time.monotonic())
