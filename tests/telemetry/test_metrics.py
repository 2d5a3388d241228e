"""The registry: names, help and labels; and the page that is made from it."""

import re

import pytest

from soulcaster.telemetry.declare import REGISTRY, Declared
from soulcaster.telemetry.metrics import ALL
from soulcaster.telemetry.reference import page
from tests.support.docs import DOCS

UNITS = ("_total", "_seconds", "_share", "_dollars_total")


def test_the_page_is_made_from_the_registry() -> None:
    assert (DOCS / "metrics.md").read_text() == page(), "say: make metrics"


@pytest.mark.parametrize("declared", ALL, ids=lambda declared: declared.name)
def test_a_metric_is_named_as_prometheus_has_it(declared: Declared) -> None:
    assert re.fullmatch(r"soulcaster_[a-z]+(_[a-z]+)*", declared.name)
    assert declared.name.endswith("_total") == (declared.kind == "counter")
    assert declared.kind != "histogram" or declared.name.endswith(("_seconds", "_share"))
    assert declared.text.endswith(".")
    assert "|" not in declared.text


def test_no_label_is_an_id_or_a_text() -> None:
    allowed = {
        "agent", "backend", "change", "embedder", "field", "kind", "loop", "method", "outcome", "process", "route",
        "source", "state", "status", "system", "topic", "version",
    }  # fmt: skip
    assert {label for declared in ALL for label in declared.labels} == allowed


def test_what_is_declared_is_what_is_served() -> None:
    served = {family.name for family in REGISTRY.collect() if not family.name.startswith("process_")}
    assert served == {declared.name.removesuffix("_total") for declared in ALL}
