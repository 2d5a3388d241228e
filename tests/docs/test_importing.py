"""docs/importing.md says what the code does."""

import re
from typing import get_args

import pytest
import typer

from soulcaster.adapters.table_files.files import KINDS
from soulcaster.cli.main import app
from soulcaster.domain.times import EARLIEST, LATEST
from soulcaster.services.import_columns import EXPORTS
from soulcaster.services.import_ids import EqualIds
from soulcaster.services.import_times import ColumnTimes
from tests.support.docs import DOCS

TEXT = (DOCS / "importing.md").read_text()


def test_every_kind_of_file_export_and_choice_is_named() -> None:
    for word in (*KINDS, *get_args(EqualIds)):
        assert f"`{word}`" in TEXT
    for name in EXPORTS:
        assert name in TEXT
    assert f"from {EARLIEST.year} to {LATEST.year - 1}" in " ".join(TEXT.split())


def test_every_option_that_is_named_exists() -> None:
    command = typer.main.get_command(app).commands["import"]  # type: ignore[attr-defined]
    options = {option for parameter in command.params for option in parameter.opts}
    named = set(re.findall(r"--[a-z]+(?:-[a-z]+)*", TEXT))
    assert named <= options
    assert options - named <= {"--source", "--data-dir", "-p", "file"}


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("November 20, 2026 8:30 PM", "2026-11-20T20:30:00+00:00"),
        ("20/Nov/26 3:42 PM", "2026-11-20T15:42:00+00:00"),
        ("20. November 2026, 20:30 Uhr", "2026-11-20T20:30:00+00:00"),
        ("2026. 11. 20. 오후 8:30", "2026-11-20T20:30:00+00:00"),
        ("20261120203000", "2026-11-20T20:30:00+00:00"),
    ],
)
def test_the_times_that_it_shows_are_read(written: str, iso: str) -> None:
    assert f"`{written}`" in TEXT
    assert ColumnTimes().read(written).isoformat() == iso


@pytest.mark.parametrize("written", ["03/04/2026", "46346.85"])
def test_the_times_that_it_refuses_are_refused(written: str) -> None:
    assert f"`{written}`" in TEXT
    with pytest.raises(ValueError, match=written):
        ColumnTimes().read(written)
