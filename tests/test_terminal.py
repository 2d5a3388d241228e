import json
from datetime import UTC, datetime

import pytest

from soulcaster.cli.output import say_json
from soulcaster.terminal import PIPE_COLUMNS, console, literal, progress_bar, table


def test_json_keeps_every_script_and_prints_times_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"name": "Größe 大きさ", "at": datetime(2026, 11, 21, tzinfo=UTC), "until": None})
    printed = capsys.readouterr().out
    assert "大きさ" in printed
    assert json.loads(printed) == {"name": "Größe 大きさ", "at": "2026-11-21 00:00:00+00:00", "until": None}


def test_a_table_in_a_pipe_is_wide_and_prints_brackets_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    out = console()
    assert out.width == PIPE_COLUMNS
    listed = table("Title")
    listed.add_row(literal("[red]late[/red] [b]card \\"))
    out.print(listed)
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == ["Title", "[red]late[/red] [b]card \\"]


def test_no_cell_acts_on_the_terminal_or_ends_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    out = console()
    listed = table("Title", "Id")
    listed.add_row("a\x1b[2J\x9b\u202e\rb\nc", "1")
    out.print(listed)
    out.print("\x1b]0;x\x07 [b]")
    assert capsys.readouterr().out.splitlines()[1:] == [
        r"a\u001b[2J\u009b\u202e b c  1 ",
        r"\u001b]0;x\u0007 [b]",
    ]


def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("Posting", "rows") as bar:
        bar.update(50, 100, count=1234)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Posting" in captured.err
    assert "50% 1,234 rows" in captured.err


def test_a_bar_without_a_unit_shows_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("starting") as bar:
        bar.relabel("measuring")
    shown = capsys.readouterr().err
    assert "measuring" in shown
    assert "0" not in shown
