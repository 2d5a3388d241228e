"""The data directory is its owner's alone, also one that an older version made."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from soulcaster.dev.private_files import kept_key, private_folder, write_private
from soulcaster.dev.run import _locked

NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter, as a home often is."""
    before = os.umask(0o022)
    try:
        with tempfile.TemporaryDirectory() as made:
            Path(made).chmod(0o755)
            yield Path(made)
    finally:
        os.umask(before)


def others(path: Path) -> int:
    return path.stat().st_mode & 0o077


def test_a_new_folder_and_its_files_are_private(folder: Path) -> None:
    data = folder / "data"
    private_folder(data)
    write_private(data / "stack.json", "{}")
    kept_key(data / "session-key")
    assert [others(path) for path in (data, data / "stack.json", data / "session-key")] == [0, 0, 0]


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o777, 0o701])
def test_an_older_folder_is_closed_and_what_is_in_it_stays(folder: Path, mode: int) -> None:
    data = folder / "data"
    data.mkdir()
    data.chmod(mode)
    (data / "kept").write_text("kept")
    private_folder(data)
    assert others(data) == 0
    assert (data / "kept").read_text() == "kept"


def test_run_closes_its_data_dir(folder: Path) -> None:
    data = folder / "data"
    with _locked(data):
        assert others(data) == 0


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_another_user_reads_nothing(folder: Path) -> None:
    data = folder / "data"
    private_folder(data)
    (data / "00000000.log").write_text("what people wrote")
    assert nobody_may(folder)
    assert not nobody_may(data)
    assert not nobody_may(data / "00000000.log")


def nobody_may(path: Path) -> bool:
    """Return whether another user can read a folder or file, asked in a process of theirs."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.close(os.open(path, os.O_RDONLY))
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
