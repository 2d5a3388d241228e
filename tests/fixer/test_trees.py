import os
import socket
from pathlib import Path

import pytest

from soulcaster.errors import TreeUnusable
from soulcaster.fixer.trees import Trees
from soulcaster.ports.sandbox import Tree


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    (tmp_path / "trees").mkdir()
    return Trees(tmp_path / "trees")


async def test_a_copy_is_equal_and_gone_at_the_end(trees: Trees) -> None:
    tree = trees.empty()
    (tree.work / "run.sh").write_text("true")
    (tree.work / "run.sh").chmod(0o755)
    os.utime(tree.work / "run.sh", (1_000_000_000, 1_000_000_000))
    (tree.home / "cache").mkdir()
    async with trees.copy(tree) as copy:
        status = (copy.work / "run.sh").stat()
        assert (status.st_mode & 0o777, status.st_mtime) == (0o755, 1_000_000_000)
        assert (copy.home / "cache").is_dir()
        (copy.work / "run.sh").write_text("changed")
    assert (tree.work / "run.sh").read_text() == "true"
    assert not copy.work.exists()
    assert not copy.home.exists()


async def test_links_are_copied_as_links_and_what_they_point_to_stays(trees: Trees, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("kept")
    (outside / "file").chmod(0o400)
    tree = trees.empty()
    (tree.work / "folder").symlink_to(outside)
    (tree.work / "broken").symlink_to("/nowhere")
    async with trees.copy(tree) as copy:
        assert (copy.work / "folder").is_symlink()
        assert (copy.work / "broken").readlink() == Path("/nowhere")
    await trees.remove(tree)
    assert (outside / "file").read_text() == "kept"
    assert (outside / "file").stat().st_mode & 0o777 == 0o400


async def test_pipes_and_sockets_are_not_copied(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = trees.empty()
    os.mkfifo(tree.work / "pipe")
    monkeypatch.chdir(tree.work)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    (tree.work / "file").touch()
    async with trees.copy(tree) as copy:
        assert [path.name for path in copy.work.iterdir()] == ["file"]


async def test_folders_without_rights_are_copied_and_removed(trees: Trees) -> None:
    tree = trees.empty()
    (tree.work / "closed" / "inner").mkdir(parents=True)
    (tree.work / "closed" / "inner" / "file").write_text("seen")
    (tree.work / "closed" / "inner").chmod(0)
    (tree.work / "closed").chmod(0)
    async with trees.copy(tree) as copy:
        assert (copy.work / "closed" / "inner" / "file").read_text() == "seen"
        (copy.work / "closed").chmod(0)
    await trees.remove(tree)
    assert not tree.work.exists()


async def test_folders_deeper_than_a_path_may_be_are_not_copied_but_removed(trees: Trees) -> None:
    tree = trees.empty()
    here = os.open(tree.work, os.O_RDONLY)
    for _ in range(60):
        os.mkdir("d" * 200, dir_fd=here)
        there = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = there
    os.close(here)
    with pytest.raises(TreeUnusable, match="too long"):
        async with trees.copy(tree):
            pass
    await trees.remove(tree)
    assert list(tree.work.parent.parent.iterdir()) == []


async def test_a_name_that_looks_like_an_option_is_a_name(trees: Trees) -> None:
    tree = trees.empty()
    for name in ("-delete", "--help", "a\nb", "\udcff"):
        (tree.work / name).touch()
    async with trees.copy(tree) as copy:
        assert len(list(copy.work.iterdir())) == 4


async def test_a_tree_that_is_not_there_cannot_be_copied(trees: Trees, tmp_path: Path) -> None:
    with pytest.raises(TreeUnusable, match="No such file"):
        async with trees.copy(Tree(tmp_path / "missing", tmp_path / "missing")):
            pass
    assert list((tmp_path / "trees").iterdir()) == []
