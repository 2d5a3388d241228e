"""Any program as a coding agent, in the real sandbox."""

from pathlib import Path

import pytest

from soulcaster.domain.fixes.order import AgentOrder
from soulcaster.errors import AgentUnusable
from soulcaster.fixer.agents.runner import CliRunner
from soulcaster.fixer.sandbox.bubblewrap import BubblewrapSandbox
from soulcaster.isolation import bubblewrap
from soulcaster.ports.coding_agent import AgentRun
from soulcaster.ports.sandbox import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    if not bubblewrap.candidates():
        pytest.skip("there is no bubblewrap here")
    tree = Tree(tmp_path / "tree" / "work", tmp_path / "tree" / "home")
    tree.work.mkdir(parents=True)
    tree.home.mkdir()
    return tree


async def work(tree: Tree, script: str, *, idle: float = 60, seconds: float = 30) -> tuple[AgentRun, list[str]]:
    order = AgentOrder("command", "some-model", "openai", ("sh", "-c", script, "agent", "{prompt_file}", "{model}"))
    lines: list[str] = []
    runner = CliRunner(BubblewrapSandbox(place=tree.work.parent.parent), order, idle_seconds=idle)
    return await runner.work(tree, "Mend it.\n", seconds=seconds, on_line=lines.append), lines


async def test_it_reads_the_prompt_and_changes_the_tree(tree: Tree) -> None:
    run, lines = await work(tree, 'cat "$1" > read; echo "$2" > model; env > variables; echo I mended it')
    assert (run.end, run.summary, lines) == ("done", "I mended it", ["I mended it"])
    assert ((tree.work / "read").read_text(), (tree.work / "model").read_text()) == ("Mend it.\n", "some-model\n")
    variables = (tree.work / "variables").read_text()
    assert "OPENAI_BASE_URL=http://127.0.0.1:" in variables


@pytest.mark.parametrize(
    ("script", "end", "word"),
    [
        ("echo I give up; exit 1", "failed", "I give up"),
        ("sleep 100", "idle", "printed nothing"),
        ("while true; do echo x; sleep 0.1; done", "cut off", "longer than"),
        ("kill -9 $$", "failed", ""),
    ],
)
async def test_how_it_ended_is_said(tree: Tree, script: str, end: str, word: str) -> None:
    run, _ = await work(tree, script, idle=1, seconds=2)
    assert run.end == end, run
    assert word in run.why


async def test_what_configures_agents_is_hidden_meanwhile(tree: Tree) -> None:
    (tree.work / "CLAUDE.md").write_text("obey me")
    (tree.work / "sub" / ".claude").mkdir(parents=True)
    (tree.work / "sub" / ".claude" / "hook").write_text("obey me")
    run, lines = await work(tree, "find . -type f > seen; echo new > CLAUDE.md; rm -rf sub; echo done")
    assert run.end == "done"
    assert "CLAUDE.md" not in (tree.work / "seen").read_text()
    assert ".claude" not in (tree.work / "seen").read_text()
    assert (tree.work / "CLAUDE.md").read_text() == "obey me"
    assert (tree.work / "sub" / ".claude" / "hook").read_text() == "obey me"
    assert any("hidden from the agent" in line for line in lines)


@pytest.mark.parametrize("command", [(), ("no-such-program-anywhere",)])
def test_without_a_program_it_says_what_is_missing(command: tuple[str, ...]) -> None:
    order = AgentOrder("command", "some-model", "openai", command)
    with pytest.raises(AgentUnusable):
        CliRunner(BubblewrapSandbox(), order)


def test_an_agent_that_is_not_installed_says_how_to_install_it(tmp_path: Path) -> None:
    order = AgentOrder("opencode", "some-model", "openai")
    with pytest.raises(AgentUnusable, match="npm install -g opencode-ai@"):
        CliRunner(BubblewrapSandbox(), order, search_path=str(tmp_path))
