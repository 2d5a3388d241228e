import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soulcaster.adapters.table_files.files import open_table
from soulcaster.errors import BadInput
from soulcaster.ports.messaging import Record
from soulcaster.ports.rows import Row
from soulcaster.services.file_import import check_source, import_rows, ready_row
from soulcaster.services.import_columns import Columns, choose_columns
from soulcaster.services.import_survey import Survey
from soulcaster.services.intake import read
from soulcaster.wire.feedback import MAX_ITEM_BYTES, RawEnvelope
from tests.support.make import NOW_MS
from tests.support.publisher import RecordingPublisher

TEXT = Columns(text="text")
AT = datetime(2026, 11, 21, tzinfo=UTC)


def item(values: dict[str, Any], columns: Columns = TEXT, number: int = 1) -> dict[str, Any]:
    ready = ready_row(Row(number, number + 1, values), columns, project_id="p", source="import", at=AT)
    found = json.loads(ready.value)
    assert isinstance(found, dict)
    return found


def refusal(values: dict[str, Any], columns: Columns = TEXT) -> str:
    with pytest.raises(ValueError, match=r".+") as raised:
        ready_row(Row(1, 2, values), columns, project_id="p", source="import", at=AT)
    return str(raised.value)


def test_columns_become_fields_and_the_rest_metadata() -> None:
    columns = Columns(text="said", id="key", title="head", time="at", skip=frozenset({"gold"}))
    values = {
        "said": "It crashes", "key": "K-1", "head": "Crash", "at": "1700000000", "gold": "crash", "author": "Ann",
        "url": "https://example.org/1", "plan": "free", "empty": "",
    }  # fmt: skip
    assert item(values, columns) == {
        "project_id": "p", "source": "import", "external_id": "K-1", "body": "It crashes", "title": "Crash",
        "created_at": "2023-11-14T22:13:20+00:00", "author": "Ann", "url": "https://example.org/1",
        "metadata": {"plan": "free"},
    }  # fmt: skip


def test_a_row_is_known_by_its_content_and_its_place() -> None:
    first = item({"text": "same"}, number=1)["external_id"]
    assert first == item({"text": "same"}, number=1)["external_id"]
    assert first != item({"text": "same"}, number=2)["external_id"]
    assert first != item({"text": "same", "other": "x"}, number=1)["external_id"]
    assert first.startswith("row:1:")


def test_a_row_without_a_value_in_the_id_column_is_known_by_its_content() -> None:
    assert item({"text": "x", "id": ""}, Columns(text="text", id="id"))["external_id"].startswith("row:1:")


def test_numbers_are_taken_as_text_and_ids() -> None:
    found = item({"text": 5, "id": 7}, Columns(text="text", id="id"))
    assert (found["body"], found["external_id"]) == ("5", "7")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"text": ""}, "has no text"),
        ({"text": None}, "has no text"),
        ({"other": "x"}, "has no text"),
        ({"text": " \u200b "}, "no text"),
        ({"text": ["x"]}, "text is not text"),
        ({"text": True}, "text is not text"),
        ({"text": "x" * MAX_ITEM_BYTES}, "bytes"),
        ({"text": "x", "n": float("inf")}, "JSON"),
        ({"text": "x", "url": "u" * 300_000}, "bytes"),
    ],
)
def test_a_row_that_cannot_be_feedback_says_why(values: dict[str, Any], says: str) -> None:
    assert says in refusal(values)


def test_a_time_that_is_none_refuses_the_row() -> None:
    assert "'yesterday' is not a time" in refusal({"text": "x", "at": "yesterday"}, Columns(text="text", time="at"))


def test_half_an_emoji_is_mended() -> None:
    assert item({"text": "half \ud83d"})["body"] == "half \ufffd"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first draw of a process prepares Unicode's tables
@given(values=st.dictionaries(st.sampled_from(["text", "title", "id", "at", "author", "x"]), JSON))
def test_whatever_a_row_holds_it_is_an_item_or_a_reason(values: dict[str, Any]) -> None:
    columns = Columns(text="text", id="id", title="title", time="at")
    try:
        ready = ready_row(Row(1, 1, values), columns, project_id="p", source="s", at=AT)
    except ValueError:
        return
    [accepted], refused, _ = read(Record("feedback.raw", 0, 0, NOW_MS, None, ready.value))
    assert (accepted.item.id, refused) == (ready.item.id, [])


async def test_a_file_is_posted_in_order_and_what_is_refused_is_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text"])
        for i in range(5000):
            writer.writerow([" " if i == 4321 else f"row {i}"])
    publisher = RecordingPublisher()
    seen: list[tuple[int, int]] = []
    with open_table(path) as table:
        imported = await import_rows(
            table.rows,
            Survey(choose_columns(Columns(), table.columns)),
            project_id="p",
            source="s",
            publisher=publisher,
            report=lambda posted: seen.append((table.position(), posted)),
        )
    assert imported.posted == 4999
    assert [(r.row.number, r.row.line) for r in imported.refused] == [(4322, 4323)]
    items = [one for m in publisher.sent for one in RawEnvelope.model_validate_json(m.value).items]
    assert sorted(one.body or "" for one in items) == sorted(f"row {i}" for i in range(5000) if i != 4321)
    assert seen[-1] == (path.stat().st_size, 4999)
    assert seen == sorted(seen)


async def test_what_the_publisher_raises_ends_the_import(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text\n" + "x\n" * 10_000)
    publisher = RecordingPublisher()
    publisher.fail = ConnectionError("away")
    with open_table(path) as table, pytest.raises(ConnectionError, match="away"):
        await import_rows(
            table.rows,
            Survey(choose_columns(Columns(), table.columns)),
            project_id="p",
            source="s",
            publisher=publisher,
        )


def test_a_source_is_a_short_word() -> None:
    assert check_source("Reddit") == "reddit"
    with pytest.raises(BadInput, match="not a source"):
        check_source("no spaces please")
