import asyncio
import base64
from pathlib import Path

import psutil
import pytest

from soulcaster.errors import SourceRefuses, SourceUnavailable
from soulcaster.fixer.git.clone import check_out, clone
from soulcaster.fixer.git.program import Git, Remote
from tests.support.git_server import GitFault, GitServer

TOKEN = "token-of-a-test"  # noqa: S105
FILES = {"a.py": "x = 1\n", "run.sh*": "#!/bin/sh\n"}


async def test_a_commit_is_cloned_without_its_history_and_without_the_credential(tmp_path: Path) -> None:
    async with GitServer(tmp_path / "server") as server:
        first = server.create("acme/shop", FILES)
        base = server.commit("acme/shop", {"a.py": "x = 2\n"})
        server.commit("acme/shop", {"a.py": "x = 3\n"})
        remote = Remote(f"{server.url}/acme/shop.git", TOKEN)
        ours = await clone(remote, "acme/shop", branch="main", commit=base, git_dir=tmp_path / "ours.git")
        await check_out(ours, tmp_path / "work")
        assert {call.token for call in server.calls} == {TOKEN}
        assert (tmp_path / "work" / "a.py").read_text() == "x = 2\n"
        assert (tmp_path / "work" / "run.sh").stat().st_mode & 0o111
        assert (await Git(tmp_path / "work" / ".git")("log", "--format=%H")).decode().split() == [base]
        assert first not in (await ours.git("cat-file", "--batch-all-objects", "--batch-check")).decode()
    for place in (tmp_path / "ours.git", tmp_path / "work"):
        for secret in (TOKEN, base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()):
            assert not [file for file in place.rglob("*") if file.is_file() and secret.encode() in file.read_bytes()]
    assert TOKEN not in repr(remote)


async def test_the_credential_is_never_among_the_words_of_a_command(tmp_path: Path) -> None:
    seen: set[bytes] = set()

    def look() -> None:
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(place.read_bytes())
            except OSError:
                continue

    async with GitServer(tmp_path / "server") as server:
        commit = server.create("acme/shop", FILES)
        server.faults.append(GitFault("upload-pack", lists_refs=True, then=look))
        remote = Remote(f"{server.url}/acme/shop.git", TOKEN)
        await clone(remote, "acme/shop", branch="main", commit=commit, git_dir=tmp_path / "ours.git")
    given = base64.b64encode(f"x-access-token:{TOKEN}".encode())
    assert any(b"remote-http" in words for words in seen)
    assert not [words for words in seen if TOKEN.encode() in words or given in words]


async def test_a_server_that_gives_out_branches_only_is_asked_for_the_branch(tmp_path: Path) -> None:
    async with GitServer(tmp_path / "server", fetches_by_commit=False) as server:
        base = server.create("acme/shop", FILES)
        server.commit("acme/shop", {"a.py": "x = 2\n"})
        remote = Remote(f"{server.url}/acme/shop.git")
        ours = await clone(remote, "acme/shop", branch="main", commit=base, git_dir=tmp_path / "ours.git")
        await check_out(ours, tmp_path / "work")
    assert (tmp_path / "work" / "a.py").read_text() == "x = 1\n"


@pytest.mark.parametrize(
    ("status", "error", "word"),
    [
        (401, SourceRefuses, "missing, wrong or expired"),
        (403, SourceRefuses, "contents: read"),
        (404, SourceRefuses, "shows no repository"),
        (429, SourceUnavailable, "429"),
        (502, SourceUnavailable, "502"),
    ],
)
async def test_what_the_server_answers_is_said_in_words_to_act_on(
    tmp_path: Path, status: int, error: type[Exception], word: str
) -> None:
    async with GitServer(tmp_path / "server") as server:
        commit = server.create("acme/shop", FILES)
        server.faults.append(GitFault("upload-pack", lists_refs=True, status=status))
        remote = Remote(f"{server.url}/acme/shop.git", TOKEN)
        with pytest.raises(error, match=word):
            await clone(remote, "acme/shop", branch="main", commit=commit, git_dir=tmp_path / "ours.git")


async def test_a_renamed_repository_and_a_commit_that_is_gone_are_named(tmp_path: Path) -> None:
    async with GitServer(tmp_path / "server") as server:
        commit = server.create("acme/shop", FILES)
        server.renamed["acme/old"] = "acme/shop"
        for name, of, word in (("acme/old", commit, "renamed"), ("acme/shop", "1" * 40, "not in acme/shop")):
            remote = Remote(f"{server.url}/{name}.git", TOKEN)
            with pytest.raises(SourceRefuses, match=word):
                await clone(remote, name, branch="main", commit=of, git_dir=tmp_path / word[:3])
        assert all(call.repository != "acme/shop" or call.token == TOKEN for call in server.calls)


async def test_only_http_is_spoken(tmp_path: Path) -> None:
    async with GitServer(tmp_path / "server") as server:
        commit = server.create("acme/shop", FILES)
        for url in (f"file://{server.path('acme/shop')}", f"ext::sh -c touch% {tmp_path}/pwned", "ssh://localhost/x"):
            with pytest.raises(SourceRefuses, match="not allowed"):
                await clone(Remote(url), "acme/shop", branch="main", commit=commit, git_dir=tmp_path / url[:3])
    assert not (tmp_path / "pwned").exists()


async def test_a_cancelled_command_leaves_no_process(tmp_path: Path) -> None:
    running = asyncio.create_task(Git(tmp_path)("-c", "alias.wait=!echo $$ >pid; exec sleep 600", "wait"))
    async with asyncio.timeout(20):
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    pid = int((tmp_path / "pid").read_text())
    async with asyncio.timeout(20):  # the kernel ends it a moment later
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.01)
