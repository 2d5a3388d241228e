import csv
import json
from pathlib import Path

import pytest

from soulcaster.domain.ids import item_id, project_id_for
from soulcaster.processes.settings import Settings
from tests.integration.conftest import Program, settled

pytestmark = pytest.mark.integration

NAME = "Reviews of the app"
PROJECT = project_id_for(NAME)


def write_csv(path: Path, rows: int) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "body", "plan"])
        for i in range(rows):
            writer.writerow([f"K-{i}", f'It "crashed" {i % 50} times,\nI lost page {i // 50}', "free"])


async def test_a_file_is_imported_once_however_often_and_exported_whole(
    on_stack: Program, fresh_settings: Settings, tmp_path: Path
) -> None:
    path, rows = tmp_path / "reviews.csv", 2345
    write_csv(path, rows)
    on_stack.start("worker")
    first = on_stack("import", str(path), "--project", NAME)
    assert f"2,345 rows posted to project {NAME} ({PROJECT})." in first.stdout
    await settled(fresh_settings, PROJECT, rows)
    on_stack("import", str(path), "--project", NAME)
    on_stack("import", str(path), "--project", PROJECT)
    marker = tmp_path / "marker.csv"
    marker.write_text("text\nthe last of all\n")
    on_stack("import", str(marker), "--project", NAME, "--source", "marker")
    stats = await settled(fresh_settings, PROJECT, rows + 1)
    assert stats.total_feedback == rows + 1
    assert stats.by_source == {"import": rows, "marker": 1}

    exported = [json.loads(line) for line in on_stack("export", "--project", NAME).stdout.splitlines()]
    assert len(exported) == len({line["id"] for line in exported}) == rows + 1
    assert all(list(line) == ["id", "external_id", "cluster_id", "title"] for line in exported)
    assert all(line["cluster_id"] for line in exported)
    assert {line["external_id"].split(":")[1] for line in exported} == {str(n + 1) for n in range(rows)}
    assert 'It "crashed" 7 times,' in {line["title"] for line in exported}

    found = json.loads(on_stack("clusters", "--project", NAME, "--json").stdout)
    assert sum(cluster["size"] for cluster in found) == rows + 1
    assert [c["size"] for c in found] == sorted((c["size"] for c in found), reverse=True)
    table = on_stack("clusters", "--project", NAME, "--limit", "3").stdout
    assert f"2,346 items, 0 of them not clustered yet; {len(found):,} clusters" in table


async def test_ids_times_and_titles_come_from_their_columns_and_bad_rows_are_listed(
    on_stack: Program, fresh_settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "bugs.jsonl"
    rows: list[object] = [
        {"key": "B-1", "head": "Crash", "said": "It crashes", "opened": "2012-05-03 14:22:33 -0700", "os": "linux"},
        {"key": "B-2", "head": "", "said": "", "opened": "2012-05-03"},
        {"key": "B-3", "head": "Slow", "said": "It is slow", "opened": "some day"},
        {"key": "B-1", "head": "Crash", "said": "It crashes, again", "opened": 1336080153},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "no json\n")
    on_stack.start("worker")
    done = on_stack(
        *("import", str(path), "-p", "bugs", "--source", "Bugzilla"),
        *("--text-column", "said", "--id-column", "key", "--title-column", "head", "--time-column", "opened"),
        code=1,
    )
    assert "2 rows posted to project bugs" in done.stdout
    assert "row 2 (line 2) left out: has no text" in done.stderr
    assert "row 3 (line 3) left out: 'some day' is not a time" in done.stderr
    assert "row 5 (line 5) left out: is not JSON" in done.stderr
    assert "3 rows left out." in done.stderr
    project = project_id_for("bugs")
    await settled(fresh_settings, project, 1)
    [line] = [json.loads(line) for line in on_stack("export", "-p", "bugs").stdout.splitlines()]
    assert line["id"] == item_id(project, "bugzilla", "B-1")
    assert line["external_id"] == "B-1"
    assert line["title"] == "Crash"


def test_what_cannot_be_imported_makes_no_project(on_stack: Program, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n")
    done = on_stack("import", str(path), "-p", "never made", code=1)
    assert done.stderr == (
        "soulcaster: No column looks like the text; name it with --text-column. The columns are: a, b.\n"
    )
    assert "no project 'never made'" in on_stack("export", "-p", "never made", code=1).stderr


def test_without_kafka_import_says_so_in_a_sentence(on_stack: Program, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text\nx\n")
    (on_stack.data_dir / "stack.json").unlink()
    done = on_stack(
        *("import", str(path), "-p", "x"), code=1, SOULCASTER_KAFKA="127.0.0.1:1", REDIS_URL="redis://127.0.0.1:1/0"
    )
    assert "does not answer" in done.stderr
    assert done.stderr.count("\n") == 1
