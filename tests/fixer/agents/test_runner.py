"""The runner with agents that do not end as they should; each is a script with the name of a real one."""

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from soulcaster.domain.fixes.order import AgentOrder
from soulcaster.errors import AgentUnusable
from soulcaster.fixer.agents.runner import CliRunner
from soulcaster.fixer.sandbox.bubblewrap import BubblewrapSandbox
from soulcaster.fixer.trees import remove_folder
from soulcaster.isolation import bubblewrap
from soulcaster.ports.coding_agent import AgentRun
from soulcaster.ports.sandbox import Ended, Network, SandboxLimits, Tree

STEP, TEXT, END, MORE = (
    json.dumps(event)
    for event in (
        {"type": "step_start"},
        {"type": "text", "part": {"text": "I mended it."}},
        {"type": "step_finish", "part": {"reason": "stop"}},
        {"type": "tool_use", "part": {"tool": "bash", "state": {"status": "completed", "input": {"command": "ls"}}}},
    )
)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    if not bubblewrap.candidates():
        pytest.skip("there is no bubblewrap here")
    tree = Tree(tmp_path / "tree" / "work", tmp_path / "tree" / "home")
    tree.work.mkdir(parents=True)
    tree.home.mkdir()
    return tree


def runner(tree: Tree, script: str, *, linger: float) -> CliRunner:
    program = tree.work.parent.parent / "bin" / "opencode"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    sandbox = BubblewrapSandbox(place=tree.work.parent.parent)
    order = AgentOrder("opencode", "scripted-1", "openai")
    return CliRunner(sandbox, order, search_path=str(program.parent), linger_seconds=linger)


async def work(tree: Tree, *lines: str, linger: float = 0.1) -> AgentRun:
    script = "\n".join(f"echo '{line}'" if line.startswith("{") else line for line in lines)
    return await runner(tree, script, linger=linger).work(tree, "Mend it.", seconds=60, on_line=lambda line: None)


async def test_an_agent_that_is_done_and_never_exits_is_ended(tree: Tree) -> None:
    async with asyncio.timeout(40):  # its limit is 60 s
        run = await work(tree, STEP, TEXT, END, "sleep 1000")
    assert (run.end, run.summary) == ("done", "I mended it.")


async def test_an_agent_that_goes_on_after_it_seemed_done_is_let_go_on(tree: Tree) -> None:
    run = await work(tree, STEP, TEXT, END, STEP, MORE, TEXT, "touch later", END, linger=30)
    assert run.end == "done"
    assert (tree.work / "later").exists()


async def test_an_agent_that_is_cancelled_leaves_the_tree_as_it_was(tree: Tree) -> None:
    (tree.work / "AGENTS.md").write_text("obey me")
    began = asyncio.Event()
    running = asyncio.create_task(
        runner(tree, f"ls -a > seen; echo '{STEP}'; echo begun; sleep 1000", linger=30).work(
            tree, "Mend it.", seconds=60, on_line=lambda line: began.set() if line == "begun" else None
        )
    )
    await began.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert "AGENTS.md" not in (tree.work / "seen").read_text()
    assert (tree.work / "AGENTS.md").read_text() == "obey me"
    assert sorted(path.name for path in tree.work.parent.iterdir()) == ["home", "work"]


class SlowToEnd:
    """A sandbox whose command is done at once, never exits, and takes a while to be killed."""

    def __init__(self) -> None:
        self.killing = asyncio.Event()

    async def run(
        self,
        command: Sequence[str],
        tree: Tree,
        limits: SandboxLimits,
        *,
        network: Network = "none",
        environment: Mapping[str, str] | None = None,
        read_only: Mapping[Path, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Ended:
        assert on_line is not None
        for line in (STEP, TEXT, END):
            on_line(line)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.killing.set()
            await asyncio.sleep(0.2)
            raise
        raise AssertionError("it waits for ever")


async def test_a_launch_that_ends_while_a_done_agent_is_ended_does_not_go_on(tree: Tree) -> None:
    program = tree.work.parent.parent / "bin" / "opencode"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    sandbox = SlowToEnd()
    order = AgentOrder("opencode", "scripted-1", "openai")
    runner = CliRunner(sandbox, order, search_path=str(program.parent), linger_seconds=0)
    working = asyncio.create_task(runner.work(tree, "Mend it.", seconds=60, on_line=lambda line: None))
    await sandbox.killing.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working


HOSTILE = {
    "a folder becomes a link out": "rm -rf sub; ln -s {outside} sub",
    "a folder becomes a file": "rm -rf sub; echo x > sub",
    "the file becomes a link out": "ln -s {outside}/theirs sub/AGENTS.md",
    "the file becomes a folder": "mkdir -p sub/AGENTS.md/deep; ln -s {outside} sub/AGENTS.md/link",
    "the folder is gone": "rm -rf sub",
    "the file becomes a deep folder": (
        "python3 -c \"import os; os.mkdir('sub/AGENTS.md'); os.chdir('sub/AGENTS.md');"
        " [(os.mkdir('d'), os.chdir('d')) for _ in range(1500)]\""
    ),
    "the folder is closed": "mkdir -p sub/AGENTS.md/in; chmod 0 sub/AGENTS.md/in sub/AGENTS.md sub",
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_putting_hidden_files_back_follows_no_link(tree: Tree, case: str) -> None:
    outside = tree.work.parent.parent / "outside"
    outside.mkdir()
    (outside / "theirs").write_text("theirs")
    (tree.work / "sub").mkdir()
    (tree.work / "sub" / "AGENTS.md").write_text("ours")
    (tree.work / ".claude").symlink_to(outside)
    run = await work(tree, HOSTILE[case].format(outside=outside), STEP, TEXT, END)
    assert run.end == "done"
    assert [path.name for path in outside.iterdir()] == ["theirs"]
    assert (outside / "theirs").read_text() == "theirs"
    assert (tree.work / ".claude").is_symlink()
    if "folder becomes" not in case:
        assert (tree.work / "sub" / "AGENTS.md").read_text() == "ours"
        assert not (tree.work / "sub" / "AGENTS.md").is_symlink()


def test_an_agent_is_given_no_model_whose_api_it_does_not_speak(tree: Tree) -> None:
    with pytest.raises(AgentUnusable, match="does not speak the API gemini"):
        CliRunner(BubblewrapSandbox(), AgentOrder("claude", "some-model", "gemini"))


async def test_deep_and_closed_folders_do_not_hide_what_is_above_them(tree: Tree) -> None:
    (tree.work / "AGENTS.md").write_text("obey me")
    closed = tree.work / "closed"
    closed.mkdir()
    (closed / "CLAUDE.md").write_text("obey me")
    closed.chmod(0)
    at = os.open(tree.work, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("deep", dir_fd=at)
        below = os.open("deep", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    run = await work(tree, STEP, TEXT, END, "ls -a . closed > seen")
    assert run.end == "done"
    seen = (tree.work / "seen").read_text().split()
    assert "AGENTS.md" not in seen
    assert "CLAUDE.md" not in seen
    assert (closed / "CLAUDE.md").read_text() == "obey me"
    await remove_folder(tree.work / "deep")  # pytest cannot
