"""What the clients of GitHub say of a failed call never contains the token."""

import asyncio
import traceback
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from soulcaster.adapters.github.issues import GitHubIssues
from soulcaster.adapters.github.repositories import GitHubRepositories
from soulcaster.errors import SourceUnavailable

TOKEN = "ghs_0123456789abcdef"  # noqa: S105

RESPONSES = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a length that is no number": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
    "redirects without end": b"HTTP/1.1 301 Moved\r\nLocation: /repos/acme/shop\r\nContent-Length: 0\r\n\r\n",
    "nothing": b"",
}


@pytest.fixture(params=sorted(RESPONSES))
async def url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Return the address of a server that answers every request in a way that GitHub never does."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        response = RESPONSES[request.param]
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(response)
                await writer.drain()
                if not response.startswith(b"HTTP/1.1 301"):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has seen enough
        finally:
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_failed_call_for_a_commit_does_not_repeat_the_token(url: str) -> None:
    async with GitHubRepositories(url, lambda: datetime.now(UTC)) as repositories:
        with pytest.raises(SourceUnavailable) as caught:
            await repositories.base("acme/shop", branch=None, token=TOKEN)
    assert_silent(caught.value)


async def test_a_failed_call_for_issues_does_not_repeat_the_token(url: str) -> None:
    async with GitHubIssues(url, lambda: datetime.now(UTC)) as issues:
        address = issues.first("acme/shop", state="open", since=None)
        with pytest.raises(SourceUnavailable) as caught:
            await issues.page(address, token=TOKEN)
    assert_silent(caught.value)


def assert_silent(error: SourceUnavailable) -> None:
    """Check the text of the error, and what a log shows of it."""
    assert "does not answer" in str(error)
    assert TOKEN not in str(error)
    assert TOKEN not in "".join(traceback.format_exception(error))
