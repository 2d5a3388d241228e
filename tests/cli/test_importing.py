from pathlib import Path

import pytest
from typer.testing import CliRunner

from soulcaster.cli.main import app


def check(tmp_path: Path, content: str, *options: str) -> tuple[str, str, int]:
    path = tmp_path / "some.csv"
    path.write_text(content)
    done = CliRunner().invoke(app, ["import", "--check", str(path), *options])
    return done.stdout, done.stderr, done.exit_code


def test_a_look_shows_columns_and_first_rows_and_needs_no_system(tmp_path: Path) -> None:
    out, err, code = check(
        tmp_path,
        "Summary,Issue key,Created,Labels\nLogin is dead,A-1,20/Nov/26 3:42 PM,ios\nPrint,A-2,21/Nov/26 9:00 AM,\n",
    )
    assert (err, code) == ("", 0)
    assert "Its fields are parted by commas. The names of its columns (4) are in line 1." in out
    assert "text: no column\ntitle: Summary\nid: Issue key\ntime: Created\n" in out
    assert "- title: Login is dead\n  text: \n  id: A-1, time: 2026-11-20T15:42:00+00:00\n  metadata: Labels" in out
    assert out.endswith("2 rows would be posted; nothing was.\n")


def test_a_look_tells_what_would_be_missing(tmp_path: Path) -> None:
    out, err, code = check(
        tmp_path,
        'key,text,at\nA,one,2026-11-20\nA,two,03/04/2026\nA,three,2026-11-20\nB,"open,2026-11-20\nC,\x1b[2Jred,2026-11-20\n',
        *("--id-column", "key", "--time-column", "at"),
    )
    assert code == 1
    assert "3 rows would be posted" in out
    assert "row 2 (line 3) left out: '03/04/2026' could be 04 March 2026 or 03 April 2026" in err
    assert "row 4 (line 5) left out: has a quote that is not closed" in err
    assert "rows 1, 2 gone: row 3 has the same id A" in err
    assert "\x1b" not in out + err


@pytest.mark.parametrize(("how", "posted"), [("join", 1), ("number", 2)])
def test_rows_of_one_id_are_joined_or_numbered_on_request(tmp_path: Path, how: str, posted: int) -> None:
    out, err, code = check(tmp_path, "key,text\nA,one\nA,two\n", "--id-column", "key", "--equal-ids", how)
    assert (err, code) == ("", 0)
    assert f"{posted} row" in out
    assert ("one two" in out) == (how == "join")


def test_options_say_what_cannot_be_found_out(tmp_path: Path) -> None:
    out, _, code = check(
        tmp_path,
        "nothing\nkey^text^at\n1^x^03.04.2026 20.30\n",
        *("--delimiter", "^", "--header-row", "2", "--encoding", "utf-8"),
        *("--time-column", "at", "--time-format", "%d.%m.%Y %H.%M", "--timezone", "Europe/Berlin"),
    )
    assert code == 0
    assert "time: 2026-04-03T18:30:00+00:00" in out


def test_without_a_project_there_is_only_a_look(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text("text\nx\n")
    done = CliRunner().invoke(app, ["import", str(path)])
    assert "--project" in str(done.exception)
