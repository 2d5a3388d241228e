import os
from configparser import RawConfigParser
from pathlib import Path

import pytest

from soulcaster.fixer.ecosystems.reading import MAX_BYTES, StrangersFolder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("canary")
    return tmp_path / "outside"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root" / "deep").mkdir(parents=True)
    return tmp_path / "root"


def test_a_file_is_read(root: Path) -> None:
    (root / "deep" / "a.json").write_text('{"name": "a"}')
    assert StrangersFolder(root).json("deep/a.json") == {"name": "a"}


def test_no_link_is_followed(root: Path, outside: Path) -> None:
    (root / "file").symlink_to(outside / "secret")
    (root / "folder").symlink_to(outside)
    (root / "deep" / "up").symlink_to("../..")
    tree = StrangersFolder(root)
    for path in ("file", "folder/secret", "deep/up/outside/secret", "../outside/secret", "deep/../../outside/secret"):
        assert tree.read(path) is None
        assert not tree.has(path)
    assert tree.names() == ((), ("deep",))
    assert tree.names("folder") == ((), ())
    assert list(tree.walk()) == []


def test_a_pipe_makes_nobody_wait(root: Path) -> None:
    os.mkfifo(root / "package.json")
    tree = StrangersFolder(root)
    assert tree.read("package.json") is None
    assert not tree.has("package.json")


def test_a_large_file_is_not_read_but_is_there(root: Path) -> None:
    with (root / "uv.lock").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    tree = StrangersFolder(root)
    assert tree.read("uv.lock") is None
    assert tree.has("uv.lock")


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000, b"[1", b"9" * 10_000, b"a = " + b"[" * 50_000],
)
def test_what_is_no_manifest_is_empty(root: Path, content: bytes) -> None:
    (root / "file").write_bytes(content)
    tree = StrangersFolder(root)
    assert tree.json("file") == {}
    assert tree.toml("file") == {}


def test_a_folder_instead_of_a_file_is_nothing(root: Path) -> None:
    tree = StrangersFolder(root)
    assert tree.read("deep") is None
    assert not tree.has("deep")
    assert tree.text("missing") == ""


def test_a_walk_leaves_out_the_folders_of_tools(root: Path) -> None:
    for path in ("deep/a.py", "node_modules/b.py", ".git/c.py"):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).touch()
    assert list(StrangersFolder(root).walk()) == ["deep/a.py"]


@pytest.mark.parametrize(
    "content",
    [
        ".".join("a" * 20_000) + " = 1",
        "[" + ".".join("a" * 1_000) + "]\n" + "\n".join(f"a{i} = 1" for i in range(20_000)),
        "a = [{" + ".".join("a" * 20_000) + " = 1}]",
    ],
)
def test_toml_that_takes_long_to_parse_is_not_parsed(root: Path, content: str) -> None:
    (root / "a.toml").write_text(content)
    assert StrangersFolder(root).toml("a.toml") == {}


def test_toml_of_a_large_project_is_parsed(root: Path) -> None:
    needed = ", ".join(f'"package-{i}==1.{i}.2"' for i in range(200))
    tables = "\n".join(f'[tool.a.b{i}]\nversion = "1.2.3"\nurl = "https://www.example.com/a.b"' for i in range(700))
    (root / "a.toml").write_text(f"[project]\ndependencies = [{needed}]\n{tables}")
    found = StrangersFolder(root).toml("a.toml")
    assert (len(found["project"]["dependencies"]), len(found["tool"]["a"])) == (200, 700)


INI = """\
# of all
[other]
a = 1
[wanted]
A = 1
b: two = 2
; a remark
c =
    one

    # a remark
    two
empty
[wanted.more]
d = 4
[wanted]
e=5
"""


def test_a_section_of_an_ini_file_is_read_as_configparser_does(root: Path) -> None:
    (root / "a.ini").write_text(INI)
    parser = RawConfigParser(strict=False, allow_no_value=True)
    parser.read_string(INI)
    wanted = {name: value or "" for name, value in parser["wanted"].items()}
    assert StrangersFolder(root).ini("a.ini", "wanted") == wanted
    assert wanted == {"a": "1", "b": "two = 2", "c": "\none\n\ntwo", "empty": "", "e": "5"}
    assert StrangersFolder(root).ini("a.ini", "missing") == {}
