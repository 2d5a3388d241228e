"""`bench scale`, with few items."""

import json

from typer.testing import CliRunner

from soulcaster.bench.scale import BATCH, measure, stream
from soulcaster.cli.main import app
from soulcaster.errors import SoulcasterError


def test_each_round_is_a_step() -> None:
    seen: list[int] = []
    steps = measure(2_000, seen.append).steps
    assert seen == [BATCH * n for n in range(1, 25)]
    assert [step.items for step in steps] == [1536]
    assert steps[0].groups == 1536
    assert steps[0].items_per_s > 0


def test_items_are_all_different() -> None:
    texts = [item.text for items, _ in stream(1_000) for item in items]
    assert len(set(texts)) == len(texts)


def test_the_command_runs_it_in_a_process_of_its_own() -> None:
    done = CliRunner().invoke(app, ["bench", "scale", "--items", "2000", "--json"])
    assert done.exit_code == 0
    growth = json.loads(done.stdout)
    assert [step["items"] for step in growth["steps"]] == [1536]
    assert growth["resident_bytes_per_item"] < 1000
    result = CliRunner().invoke(app, ["bench", "scale", "--items", "10"])
    assert result.exit_code == 2
    assert not isinstance(result.exception, SoulcasterError)
