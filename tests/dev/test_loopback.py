import socket
import subprocess
import sys
from contextlib import suppress

import pytest

from soulcaster.dev import loopback
from soulcaster.dev.loopback import accepts, free_port, port_is_free
from soulcaster.errors import StackError


async def test_ports() -> None:
    port = free_port()
    assert port_is_free(port)
    assert not await accepts(port)
    with socket.create_server(("127.0.0.1", port)):
        assert not port_is_free(port)
        assert await accepts(port)


def test_a_port_is_returned_to_one_process_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = free_port()
    monkeypatch.setattr(loopback, "PORTS", range(first, first + 2))
    monkeypatch.setattr(loopback, "_TRIES", 2)
    with suppress(StackError):  # the second may be taken
        assert free_port() == first + 1
    again = "from soulcaster.dev import loopback; loopback.PORTS, loopback._TRIES = range({0}, {0} + 1), 1; {1}"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", again.format(first, "loopback.free_port()")], capture_output=True, text=True, check=False
    )
    assert "No free port" in done.stderr
