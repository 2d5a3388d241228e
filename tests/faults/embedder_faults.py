"""Faults 12 to 14: what happens to the embedder."""

import asyncio
import random
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from tests.faults.fault import Fault
from tests.faults.site import Site
from tests.support.gemini import KEY, Gemini, error, vectors

BAD_SECONDS = 40.0
CALLS = 10_000
"""More than are made in that time."""

DIMENSIONS = 64


class EmbedderFault(Fault):
    """A Gemini on loopback that goes bad and recovers."""

    def __init__(self) -> None:
        self._gemini = Gemini()

    def settings(self) -> dict[str, Any]:
        return {"embedder": "gemini", "gemini_dimensions": DIMENSIONS}

    def env(self) -> dict[str, str]:
        return {"GEMINI_API_KEY": KEY}

    async def prepare(self, site: Site) -> None:
        await self._gemini.__aenter__()
        site.settings = site.stack.settings = site.settings.model_copy(update={"gemini_url": self._gemini.url})

    async def clean_up(self, site: Site) -> None:
        self._gemini.open.set()
        await self._gemini.__aexit__(None, None, None)

    async def strike(self, site: Site, chance: random.Random) -> None:
        self.go_bad(chance)
        await asyncio.sleep(BAD_SECONDS)
        self.recover()
        site.watch.blow()

    @abstractmethod
    def go_bad(self, chance: random.Random) -> None: ...

    def recover(self) -> None:
        self._gemini.answers.clear()


class EmbedderLimits(EmbedderFault):
    number = 12
    name = f"embedder answers 429 for {BAD_SECONDS:.0f} s"

    def go_bad(self, chance: random.Random) -> None:
        self._gemini.answers += [
            error(429, "RESOURCE_EXHAUSTED", "quota", retry_after=chance.choice([None, "1", "5"])) for _ in range(CALLS)
        ]


class EmbedderHangs(EmbedderFault):
    number = 13
    name = f"embedder hangs for {BAD_SECONDS:.0f} s"

    def go_bad(self, chance: random.Random) -> None:
        self._gemini.open.clear()

    def recover(self) -> None:
        self._gemini.open.set()


class EmbedderTalksNonsense(EmbedderFault):
    number = 14
    name = f"embedder answers nonsense for {BAD_SECONDS:.0f} s"

    def go_bad(self, chance: random.Random) -> None:
        self._gemini.answers += [chance.choice(NONSENSE)() for _ in range(CALLS)]


ROW = [1.0] * DIMENSIONS
NONSENSE: Sequence[Callable[[], web.Response]] = (
    lambda: web.Response(text="<html>a page</html>", content_type="text/html"),
    lambda: web.Response(text="{", content_type="application/json"),
    lambda: web.json_response({}),
    lambda: web.json_response({"embeddings": "none"}),
    lambda: web.Response(text='{"embeddings":[{"values":[NaN]}]}', content_type="application/json"),
    lambda: vectors(*[ROW] * 101),
    lambda: vectors(ROW[:-1]),
    lambda: web.Response(status=500, text="oh"),
    lambda: web.Response(status=302, headers={"Location": "/elsewhere"}),
)
