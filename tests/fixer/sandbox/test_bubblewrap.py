"""The sandbox with programs that want out of it, or want too much."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from soulcaster.errors import BadInput
from soulcaster.fixer.sandbox.bubblewrap import BubblewrapSandbox
from soulcaster.fixer.sandbox.doors import Door
from soulcaster.isolation import bubblewrap
from soulcaster.ports.sandbox import Ended, NoSandbox, SandboxLimits, Tree
from tests.support.processes import left

CANARY = "canary-of-the-controller"
LIMITS = SandboxLimits(seconds=20)
MB = 2**20


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path / "tree" / "work", tmp_path / "tree" / "home")
    tree.work.mkdir(parents=True)
    tree.home.mkdir()
    return tree


@pytest.fixture
def sandbox(tmp_path: Path) -> BubblewrapSandbox:
    if not bubblewrap.candidates():
        pytest.skip("there is no bubblewrap here")
    return BubblewrapSandbox(place=tmp_path)


async def run(sandbox: BubblewrapSandbox, tree: Tree, script: str, limits: SandboxLimits = LIMITS) -> Ended:
    return await sandbox.run(["sh", "-c", script], tree, limits)


async def test_a_command_works_in_its_tree(sandbox: BubblewrapSandbox, tree: Tree) -> None:
    lines: list[str] = []
    ended = await sandbox.run(
        ["sh", "-c", 'pwd; echo "$HOME $GIVEN"; echo made > file; echo kept > "$HOME/file"; cat; exit 3'],
        tree,
        LIMITS,
        environment={"GIVEN": "word"},
        on_line=lines.append,
    )
    assert (ended.code, lines) == (3, ["/work", "/home/job word"])
    assert ((tree.work / "file").read_text(), (tree.home / "file").read_text()) == ("made\n", "kept\n")


async def test_it_sees_nothing_of_this_machine(
    sandbox: BubblewrapSandbox, tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", CANARY)
    (tmp_path / "secret").write_text(CANARY)
    script = (
        f"env; cat {tmp_path}/secret {tmp_path}/../*/secret /proc/*/environ /etc/shadow; ls -la /root /home {tmp_path};"
        "id; cat /proc/self/status | grep -i cap; mount -t tmpfs none /mnt && echo mounted;"
        "touch /usr/here && echo wrote; chroot / true && echo chroot"
    )
    ended = await run(sandbox, tree, script)
    assert CANARY not in ended.tail
    assert "uid=1000" in ended.tail
    assert "CapEff:\t0000000000000000" in ended.tail
    for bad in ("mounted", "wrote", "chroot\n"):
        assert bad not in ended.tail.replace("chroot:", "")


async def test_it_cannot_read_a_process_of_ours_even_where_it_sees_it(sandbox: BubblewrapSandbox, tree: Tree) -> None:
    child = await asyncio.create_subprocess_exec("sleep", "60", env={"CANARY": CANARY})
    try:
        script = (
            f"for p in /proc/[0-9]*; do cat $p/environ $p/maps 2>/dev/null; done | tr '\\0' '\\n'; kill -9 {child.pid}"
        )
        view = await sandbox.view()
        for own_proc in (True, False):
            sandbox._view = replace(view, own_proc=own_proc)
            ended = await run(sandbox, tree, script)
            assert CANARY not in ended.tail
            assert child.returncode is None, "a command killed a process of ours"
    finally:
        child.kill()
        await child.wait()


async def test_it_has_no_network(sandbox: BubblewrapSandbox, tree: Tree) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = (
            "import socket\n"
            f"for at in [('127.0.0.1', {port}), ('169.254.169.254', 80), ('169.254.170.2', 80), ('10.0.0.1', 80)]:\n"
            "    try:\n        socket.create_connection(at, 2); print('reached', at)\n"
            "    except OSError as error:\n        print('no', at[0])\n"
        )
        ended = await sandbox.run(["python3", "-c", script], tree, LIMITS)
    assert ended.tail.count("no ") == 4, ended.tail
    assert "reached" not in ended.tail


class Echo:
    """A server behind a door that answers with what it hears."""

    @asynccontextmanager
    async def door(self, socket: Path) -> AsyncIterator[Door]:
        door = Door(7711, {"DOOR": "http://127.0.0.1:7711"})

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            door.blocked.append((await reader.readline()).decode().strip())
            writer.write(b"heard\n")
            writer.close()

        server = await asyncio.start_unix_server(serve, socket)
        yield door
        server.close()


async def test_through_a_door_it_reaches_one_server_of_ours(tree: Tree, tmp_path: Path) -> None:
    sandbox = BubblewrapSandbox({"model": (Echo(),)}, place=tmp_path)
    script = (
        "import os, socket\n"
        "s = socket.create_connection(('127.0.0.1', 7711), 5)\n"
        "s.sendall(b'hello\\n'); print(s.recv(9), os.environ['DOOR'])"
    )
    ended = await sandbox.run(["python3", "-c", script], tree, LIMITS, network="model")
    assert (ended.code, ended.blocked) == (0, ("hello",)), ended.tail
    without = await sandbox.run(["python3", "-c", script], tree, LIMITS)
    assert without.code == 1


@pytest.mark.parametrize(
    ("script", "limits", "word"),
    [
        ("sleep 100", SandboxLimits(seconds=1), "longer than 1 s"),
        ("echo here; sleep 100", SandboxLimits(seconds=30, idle_seconds=1), "printed nothing for 1 s"),
        ("yes all work and no play", SandboxLimits(seconds=30, output_bytes=MB), "printed more than 1 MB"),
        ("head -c 100000000 /dev/zero", SandboxLimits(seconds=30, output_bytes=MB), "printed more than 1 MB"),
        ("cat /dev/zero > big; sleep 100", SandboxLimits(seconds=30, disk_bytes=8 * MB), "files took more than 8 MB"),
        ("cat /dev/zero > /tmp/big; sleep 100", SandboxLimits(seconds=30, disk_bytes=8 * MB), "took more than 8 MB"),
        (
            "exec python3 -c 'x = [bytes([1]) * 2**20 for _ in range(150)]; import time; time.sleep(100)'",
            SandboxLimits(seconds=30, memory_bytes=100 * MB),
            "memory",
        ),
        ("for i in $(seq 60); do sleep 100 & done; wait", SandboxLimits(seconds=30, processes=20), "processes"),
    ],
)
async def test_what_is_too_much_ends_it_and_it_says_so(
    sandbox: BubblewrapSandbox, tree: Tree, script: str, limits: SandboxLimits, word: str
) -> None:
    ended = await run(sandbox, tree, script, limits)
    assert (ended.code, ended.limit is None) == (None, False), ended
    assert word in ended.why


async def test_what_forks_and_forks_ends_with_its_limit(sandbox: BubblewrapSandbox, tree: Tree) -> None:
    bomb = "for i in $(seq 12); do (for j in $(seq 12); do (sleep 100 & sleep 100) & done; wait) & done; wait"
    ended = await run(sandbox, tree, bomb, SandboxLimits(seconds=30, processes=50))
    assert (ended.code, ended.limit) == (None, "processes"), ended


@pytest.mark.parametrize("way", ["", "setsid ", "nohup ", "setsid setsid "])
async def test_nothing_of_it_runs_when_it_has_ended(sandbox: BubblewrapSandbox, tree: Tree, way: str) -> None:
    mark = f"7{os.getpid()}3"
    ended = await run(sandbox, tree, f"{way}sleep {mark} > /dev/null 2>&1 & echo done")
    assert ended.code == 0
    assert left(mark) == []


async def test_cancelled_it_is_gone(sandbox: BubblewrapSandbox, tree: Tree) -> None:
    mark = f"8{os.getpid()}4"
    begun = asyncio.Event()
    running = asyncio.create_task(
        sandbox.run(
            ["sh", "-c", f"trap '' TERM INT HUP; echo begun; sleep {mark}"], tree, LIMITS, on_line=lambda _: begun.set()
        )
    )
    await begun.wait()
    assert left(mark)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert left(mark) == []


async def test_it_may_kill_itself_and_everything_it_sees(sandbox: BubblewrapSandbox, tree: Tree) -> None:
    ended = await run(sandbox, tree, "kill -9 -1; kill -9 $$")
    assert (ended.code, "signal" in ended.why or "SIG" in ended.why) == (None, True), ended.why
    assert signal.SIGKILL


async def test_lines_are_cleaned_and_cut(sandbox: BubblewrapSandbox, tree: Tree) -> None:
    lines: list[str] = []
    script = r"printf '\033[31mred\033[0m\a\n'; head -c 200000 /dev/zero | tr '\0' x; printf '\nlast'"
    await sandbox.run(["sh", "-c", script], tree, LIMITS, on_line=lines.append)
    assert lines[0] == "red"
    assert max(map(len, lines)) <= 16 * 1024
    assert lines[-1] == "last"


async def test_a_link_out_of_the_tree_leads_nowhere(sandbox: BubblewrapSandbox, tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(CANARY)
    (tree.work / "link").symlink_to(tmp_path / "secret")
    ended = await run(sandbox, tree, f"cat link; echo gone > link; mkdir -p {tmp_path} && echo {tmp_path} > /dev/null")
    assert CANARY not in ended.tail
    assert (tmp_path / "secret").read_text() == CANARY


async def test_a_command_that_is_not_there(sandbox: BubblewrapSandbox, tree: Tree) -> None:
    ended = await sandbox.run(["no-such-program"], tree, LIMITS)
    assert ended.code == 127
    assert "no-such-program" in ended.why


async def test_nothing_is_shown_inside_of_the_tree(sandbox: BubblewrapSandbox, tree: Tree, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        await sandbox.run(["true"], tree, LIMITS, read_only={tmp_path: "/work/here"})


async def test_where_bubblewrap_does_not_work_it_says_why(tree: Tree, tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho no user namespaces here >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(NoSandbox, match="no user namespaces here"):
        await BubblewrapSandbox(bubblewraps=[broken]).run(["true"], tree, LIMITS)
