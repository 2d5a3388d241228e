import socket

from soulcaster.dev.loopback import accepts, free_port, port_is_free


async def test_ports() -> None:
    port = free_port()
    assert port_is_free(port)
    assert not await accepts(port)
    with socket.create_server(("127.0.0.1", port)):
        assert not port_is_free(port)
        assert await accepts(port)
