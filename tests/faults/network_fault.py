"""Fault 20: the network between workers and broker is cut."""

import asyncio
import random

from soulcaster.dev.kafka import Kafka
from soulcaster.dev.loopback import free_port
from tests.faults.fault import Fault
from tests.faults.proxy import Proxy
from tests.faults.site import Site
from tests.support.beside import Beside

CUT_SECONDS = 25.0


class NetworkCut(Fault):
    number = 20
    name = f"network between workers and broker cut for {CUT_SECONDS:.0f} s, silently, then by resets"

    async def prepare(self, site: Site) -> None:
        """Give the broker a second listener, whose advertised address is the proxy's."""
        stack = site.stack
        broker, behind, controller = stack.kafka.port, free_port(), free_port()
        self._proxy = Proxy(free_port(), behind)
        listeners = {"BROKER": broker, "BEHIND": behind}
        stack.kafka = Kafka(
            stack.data_dir / "kafka",
            stack.logs / "kafka.log",
            port=broker,
            controller_port=controller,
            more={
                "listeners": ",".join(
                    f"{name}://127.0.0.1:{port}" for name, port in {**listeners, "CONTROLLER": controller}.items()
                ),
                "advertised.listeners": f"BROKER://127.0.0.1:{broker},BEHIND://127.0.0.1:{self._proxy.port}",
                "listener.security.protocol.map": "BROKER:PLAINTEXT,BEHIND:PLAINTEXT,CONTROLLER:PLAINTEXT",
            },
        )
        await self._proxy.__aenter__()

    async def clean_up(self, site: Site) -> None:
        await self._proxy.__aexit__(None, None, None)

    def hire(self, site: Site) -> None:
        """Start workers that reach the broker by the proxy."""
        by_proxy = site.settings.model_copy(update={"kafka": f"127.0.0.1:{self._proxy.port}"})
        beside = Beside(by_proxy, site.folder / "behind", env=site.env)
        for _ in range(site.scale.workers):
            site.hire(beside=beside)

    async def strike(self, site: Site, chance: random.Random) -> None:
        self._proxy.cut()
        await asyncio.sleep(CUT_SECONDS)
        self._proxy.mend()
        site.watch.blow()
        await site.until_shown(1)
        self._proxy.cut()
        self._proxy.reset()
        await asyncio.sleep(CUT_SECONDS)
        self._proxy.reset()
        self._proxy.mend()
        site.watch.blow()
