import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from soulcaster.domain.fixes.order import FixRules
from soulcaster.domain.fixes.patch import BinaryChange, Content, Patch
from soulcaster.errors import NoPatch
from soulcaster.fixer.git.clone import Clone, check_out, clone
from soulcaster.fixer.git.program import Remote
from soulcaster.fixer.git.putting import put_patch
from soulcaster.fixer.git.reading import read_patch
from soulcaster.fixer.git.taking import MOST_BYTES, Taken, take_patch
from soulcaster.fixer.inspection import inspect
from soulcaster.fixer.sandbox.bubblewrap import BubblewrapSandbox
from soulcaster.isolation import bubblewrap
from soulcaster.ports.sandbox import Ended, SandboxLimits, Tree
from tests.support.git_server import GitServer
from tests.support.patches import patch_between

FILES = {
    ".gitignore": "*.log\nbuild/\n!keep.log\n",
    "app.py": "x = 1\n",
    "old.txt": "old\n",
    "swap": "a file\n",
    "lib/tool.sh*": "#!/bin/sh\n",
    "lock.json": "{}\n",
}


class Bench:
    """A clone with its tree, in which a test plays the coding agent."""

    def __init__(self, folder: Path, source: Clone) -> None:
        self.folder = folder
        self.source = source
        self.work = folder / "work"
        self.sandbox = BubblewrapSandbox(place=folder)

    def write(self, path: str, content: str | bytes, *, below: str = "work") -> None:
        place = self.folder / below / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)

    async def taken(self, *, prepared: bool = False) -> Taken:
        before = self.folder / "prepared" if prepared else None
        scratch = self.folder / "scratch"
        taken = await take_patch(self.source, self.sandbox, self.work, prepared=before, scratch=scratch)
        assert not scratch.exists()
        return taken

    async def take(self, *, prepared: bool = False) -> Patch:
        return (await read_patch(self.source, (await self.taken(prepared=prepared)).text)).patch

    async def kinds(self, *, prepared: bool = False) -> dict[str, str]:
        return {change.path: change.kind for change in (await self.take(prepared=prepared)).changes}


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return await bench_of(tmp_path, FILES)


async def bench_of(tmp_path: Path, files: dict[str, str]) -> Bench:
    if not bubblewrap.candidates():
        pytest.skip("there is no bubblewrap here")
    async with GitServer(tmp_path / "server") as server:
        commit = server.create("acme/shop", files)
        remote = Remote(f"{server.url}/acme/shop.git")
        source = await clone(remote, "acme/shop", branch="main", commit=commit, git_dir=tmp_path / "ours.git")
    await check_out(source, tmp_path / "work")
    shutil.copytree(tmp_path / "work", tmp_path / "prepared", symlinks=True)
    return Bench(tmp_path, source)


async def test_an_untouched_tree_gives_an_empty_patch(bench: Bench) -> None:
    assert await bench.take(prepared=True) == Patch(b"", ())


async def test_changes_new_files_deletions_and_modes_are_in_the_patch(bench: Bench) -> None:
    bench.write("app.py", "x = 2\n")
    bench.write('tests/a "name"\n\x01.py', "new\n")
    bench.write("icon.png", bytes(range(256)))
    (bench.work / "old.txt").unlink()
    (bench.work / "swap").unlink()
    bench.write("swap/inner", "now a folder\n")
    (bench.work / "lib" / "tool.sh").chmod(0o644)
    patch = await bench.take()
    assert {change.path: change.kind for change in patch.changes} == {
        "app.py": "modified",
        'tests/a "name"\n\x01.py': "added",
        "icon.png": "added",
        "old.txt": "deleted",
        "swap": "deleted",
        "swap/inner": "added",
        "lib/tool.sh": "modified",
    }
    by_path = {change.path: change for change in patch.changes}
    assert (by_path["lib/tool.sh"].old_mode, by_path["lib/tool.sh"].new_mode) == ("100755", "100644")
    assert by_path["icon.png"].added is None


async def test_the_ignore_rules_of_the_base_count_and_not_those_of_the_tree(bench: Bench) -> None:
    bench.write(".gitignore", "*\n")
    bench.write("hidden.py", "not hidden\n")
    bench.write("keep.log", "kept\n")
    bench.write("noise.log", "ignored\n")
    bench.write("build/out", "ignored\n")
    bench.write("pkg/__pycache__/a.pyc", "left behind\n")
    bench.write("web/node_modules/x/index.js", "left behind\n")
    assert await bench.kinds() == {".gitignore": "modified", "hidden.py": "added", "keep.log": "added"}


async def test_new_files_count_in_the_folders_that_the_base_has_whatever_their_name(tmp_path: Path) -> None:
    base = {
        "coverage/old.py": "1\n",
        "compiler/target/arm.py": "1\n",
        "a [b]*?/.cache/x": "1\n",
        "back\\slash/venv/x": "1\n",
        "line\nend/venv/x": "1\n",
        "target/.gitkeep": "",
    }
    bench = await bench_of(tmp_path, {".gitignore": "*.log\n", **base})
    counted = ["coverage/new.py", "coverage/in/new.py", "compiler/target/wasm.py", "a [b]*?/.cache/y"]
    counted += ["back\\slash/venv/y", "line\nend/venv/y"]
    ignored = ["coverage/__pycache__/a.pyc", "coverage/a.log", "lib/target/x.o", "target/x.o", "a bb/.cache/y"]
    for path in (*counted, *ignored):
        bench.write(path, "new\n")
    assert await bench.kinds(prepared=True) == dict.fromkeys(counted, "added")


async def test_new_files_that_are_left_out_are_told_with_the_rule(bench: Bench) -> None:
    for below in ("work", "prepared"):
        bench.write("node_modules/x/index.js", "set-up\n", below=below)
    for path in ("src/coverage/a.py", "src/coverage/b.py", "build/out", "-x.log", "keep.log"):
        bench.write(path, "1\n")
    taken = await bench.taken(prepared=True)
    assert set(taken.left_out) == {
        "src/coverage/a.py and 1 more, by the rule coverage/",
        "build/out, by the rule build/",
        "-x.log, by the rule *.log",
    }
    assert len((await bench.taken()).left_out) == 4


async def test_what_set_up_left_behind_is_no_change_of_the_agent(bench: Bench) -> None:
    for below in ("work", "prepared"):
        bench.write("lock.json", '{"by": "set-up"}\n', below=below)
        bench.write("generated.txt", "set-up\n", below=below)
        (bench.folder / below / "old.txt").unlink()
    bench.write("app.py", "x = 2\n")
    assert await bench.kinds(prepared=True) == {"app.py": "modified"}
    bench.write("generated.txt", "the agent\n")
    assert await bench.kinds(prepared=True) == {"app.py": "modified", "generated.txt": "added"}


async def test_nothing_in_a_hostile_git_directory_is_run_or_believed(bench: Bench) -> None:
    git = bench.work / ".git"
    with (git / "config").open("a") as file:
        file.write("\tfsmonitor = echo evil\n\thooksPath = hooks\n\tworktree = /etc\n[diff]\n\texternal = echo evil\n")
        file.write('[filter "evil"]\n\tclean = echo evil\n\trequired\n[diff "evil"]\n\ttextconv = echo evil\n')
    (git / "hooks").mkdir()
    for name in ("post-index-change", "pre-commit", "reference-transaction"):
        (git / "hooks" / name).write_text("#!/bin/sh\nexit 1\n")
        (git / "hooks" / name).chmod(0o755)
    bench.write(".gitattributes", "* filter=evil diff=evil\n")
    bench.write("app.py", "x = 2\n")
    (git / "HEAD").write_text("ref: refs/heads/none\n")
    (git / "index").write_bytes(b"no index")
    patch = await bench.take()
    assert {change.path: change.kind for change in patch.changes} == {".gitattributes": "added", "app.py": "modified"}
    assert b"+x = 2\n" in patch.text
    assert b"+evil" not in patch.text


async def test_nested_git_directories_are_not_followed_and_hide_nothing(bench: Bench) -> None:
    for place in ("lib", "vendor/x"):
        bench.write(f"{place}/.git/HEAD", "ref: refs/heads/main\n")
        (bench.work / place / ".git" / "objects").mkdir()
        (bench.work / place / ".git" / "refs").mkdir()
    bench.write("lib/new.py", "1\n")
    bench.write("vendor/x/code.py", "1\n")
    bench.write("other/.git", "gitdir: /etc\n")
    assert await bench.kinds() == {"lib/new.py": "added", "vendor/x/code.py": "added"}


async def test_links_pipes_and_unusual_files_are_taken_as_what_they_are(bench: Bench) -> None:
    (bench.work / "passwd").symlink_to("/etc/passwd")
    (bench.work / "up").symlink_to("..")
    os.mkfifo(bench.work / "pipe")
    shutil.rmtree(bench.work / "lib")
    (bench.work / "lib").symlink_to("/usr/lib")
    patch = await bench.take()
    assert {change.path: change.new_mode for change in patch.changes} == {
        "lib": "120000",
        "lib/tool.sh": "000000",
        "passwd": "120000",
        "up": "120000",
    }


async def test_a_tree_that_was_deleted_gives_a_patch_that_deletes_everything(bench: Bench) -> None:
    shutil.rmtree(bench.work)
    bench.work.mkdir()
    assert set((await bench.kinds()).values()) == {"deleted"}


@pytest.mark.parametrize(
    "names",
    [("-x.py",), ("-exec", "0/cmd", ";"), ("-delete", "--help"), ("(", ")", "!", ","), ("-", "--", "@{-1}", ":(top)x")],
)
async def test_a_name_is_a_name_and_no_option_of_a_command(bench: Bench, names: tuple[str, ...]) -> None:
    for name in names:
        bench.write(name, "#!/bin/sh\nrm -rf /work/git\n")
        (bench.work / name).chmod(0o755)
    patch = await bench.take(prepared=True)
    assert {(one.path, one.kind) for one in patch.changes} == {(name, "added") for name in names}
    await put_patch(bench.source, bench.sandbox, patch, bench.folder / "prepared")
    assert all((bench.folder / "prepared" / name).is_file() for name in names)


class TakenOverSandbox(BubblewrapSandbox):
    """A sandbox in which strangers rule: it leaves what they want where the patch should be."""

    def __init__(self, leave: Callable[[Path], object]) -> None:
        super().__init__()
        self._leave = leave

    async def run(self, command: Sequence[str], tree: Tree, limits: SandboxLimits, **options: Any) -> Ended:
        self._leave(tree.work / "patch")
        return Ended(0, "it ended", "", 1.0)


@pytest.mark.parametrize(
    "leave",
    [
        lambda place: place.symlink_to("/etc/passwd"),
        lambda place: place.symlink_to(place),
        lambda place: place.mkdir(),
        lambda place: os.mkfifo(place),
        lambda place: None,
    ],
    ids=["a link", "a loop", "a folder", "a pipe", "nothing"],
)
async def test_what_is_no_file_is_no_patch(bench: Bench, leave: Callable[[Path], object]) -> None:
    bench.sandbox = TakenOverSandbox(leave)
    with pytest.raises(NoPatch, match="No patch could be taken"):
        await bench.take()
    assert not (bench.folder / "scratch").exists()


async def test_a_patch_that_git_cannot_write_to_its_end_is_none(bench: Bench) -> None:
    blob = (await bench.source.git("rev-parse", f"{bench.source.base}:app.py")).decode().strip()
    (bench.source.git_dir / "objects" / blob[:2] / blob[2:]).unlink()
    bench.write("app.py", "x = 2\n")
    with pytest.raises(NoPatch, match=f"unable to read {blob}"):
        await bench.take()


async def test_large_files_and_large_patches_are_refused_with_a_reason(bench: Bench) -> None:
    with (bench.work / "core").open("wb") as file:
        file.truncate(60 * 2**20)
    with pytest.raises(NoPatch, match="more than 50 MB: core"):
        await bench.take()
    (bench.work / "core").rename(bench.work / "-core")
    with pytest.raises(NoPatch, match="more than 50 MB: -core"):
        await bench.take()
    (bench.work / "-core").unlink()
    bench.write("core", os.urandom(MOST_BYTES))
    with pytest.raises(NoPatch, match="larger than 4 MB"):
        await bench.take()


async def test_a_patch_that_leaves_the_repository_is_refused(bench: Bench) -> None:
    for path in ("../outside", "/etc/passwd", ".git/config", "a/../../b"):
        text = f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n"
        with pytest.raises(NoPatch, match="does not apply"):
            await read_patch(bench.source, text.encode())


async def test_the_manifests_that_a_patch_changes_come_with_their_content(bench: Bench) -> None:
    bench.write("web/package.json", '{"scripts": {}}\n')
    applied = await read_patch(bench.source, (await bench.taken()).text)
    assert applied.manifests == {"web/package.json": (None, b'{"scripts": {}}\n')}


async def test_the_contents_of_what_git_takes_for_binary_come_with_the_patch(bench: Bench) -> None:
    bench.write("app.py", "x = 2\n# \0\n")
    bench.write("icon.png", b"\0" * 300_000)
    (bench.work / "old.txt").unlink()
    by_path = {one.path: one.binary for one in (await bench.take()).changes}
    assert by_path == {
        "app.py": BinaryChange(Content(6, b"x = 1\n"), Content(10, b"x = 2\n# \0\n")),
        "icon.png": BinaryChange(None, Content(300_000, None)),
        "old.txt": None,
    }


async def test_attributes_of_the_base_hide_no_line(tmp_path: Path) -> None:
    for name, line in (("base", "x = 1\n"), ("changed", "x = 2\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".gitattributes").write_text("* -diff\n")
        (tmp_path / name / "app.py").write_text(line)
    patch = await patch_between(tmp_path / "base", tmp_path / "changed", tmp_path / "git")
    assert (patch.changes[0].added, b"+x = 2\n" in patch.text) == (1, True)


async def test_a_patch_is_put_into_a_prepared_tree_whatever_set_up_did_to_it(bench: Bench) -> None:
    bench.write("app.py", "x = 2\n")
    bench.write("lock.json", '{"by": "agent"}\n')
    bench.write("swap.d/new", "new\n")
    (bench.work / "old.txt").unlink()
    patch = await bench.take()
    prepared = bench.folder / "prepared"
    bench.write("lock.json", '{"by": "set-up"}\n', below="prepared")
    bench.write("node_modules/x", "kept\n", below="prepared")
    shutil.rmtree(prepared / ".git")
    (prepared / ".git").symlink_to("/nowhere")
    await put_patch(bench.source, bench.sandbox, patch, prepared)
    assert (prepared / "app.py").read_text() == "x = 2\n"
    assert (prepared / "lock.json").read_text() == '{"by": "agent"}\n'
    assert (prepared / "swap.d" / "new").read_text() == "new\n"
    assert (prepared / "node_modules" / "x").read_text() == "kept\n"
    assert not (prepared / "old.txt").exists()


async def test_a_link_in_a_hostile_tree_leads_no_file_out_of_it(bench: Bench) -> None:
    bench.write("lib/tool.sh", "#!/bin/sh\nexit 1\n")
    patch = await bench.take()
    prepared, outside = bench.folder / "prepared", bench.folder / "outside"
    outside.mkdir()
    shutil.rmtree(prepared / "lib")
    (prepared / "lib").symlink_to(outside)
    with pytest.raises(NoPatch, match="could not be put"):
        await put_patch(bench.source, bench.sandbox, patch, prepared)
    assert list(outside.iterdir()) == []


async def test_an_inspection_names_all_that_speaks_against_a_patch(bench: Bench) -> None:
    bench.write("app.py", "token = '" + "ghp_" + "0123456789abcdefghijABCDEFGHIJ012345'\n")
    bench.write(".github/workflows/ci.yml", "on: push\n")
    bench.write("db/1.sql", "drop\n")
    bench.write("Dockerfile", "FROM scratch\n")
    inspection = await inspect(
        bench.source,
        bench.sandbox,
        bench.work,
        prepared=bench.folder / "prepared",
        scratch=bench.folder / "scratch",
        rules=FixRules(protected=("db/",)),
    )
    told = " ".join(inspection.refusals)
    assert all(part in told for part in (".github/workflows/ci.yml", "db/1.sql", "app.py:1 looks like a secret"))
    assert "ghp_" not in told
    assert inspection.flags == ("Dockerfile decides what is installed, built or run.",)
    assert (inspection.outcome().files[0], inspection.outcome().added) == (".github/workflows/ci.yml", 4)
