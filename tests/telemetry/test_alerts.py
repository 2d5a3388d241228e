"""Alert rules, their tests and their runbook; and the dashboard: all name metrics and labels that there are."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana import dashboard
from soulcaster.telemetry.metrics import ALL
from tests.support import promql
from tests.support.docs import DOCS
from tests.support.tools import debian_package

FOLDER = DOCS.parent / "deploy" / "prometheus"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
BY_NAME = {declared.name: declared for declared in ALL}


def series(name: str) -> tuple[str, bool]:
    """Return the metric of a series' name, and whether the series is a part of a histogram."""
    for suffix in ("_bucket", "_sum", "_count"):
        if name.removesuffix(suffix) in BY_NAME and name.endswith(suffix):
            return name.removesuffix(suffix), True
    return name, False


def panels() -> Iterator[tuple[str, str, str]]:
    for panel in json.loads(dashboard.FILE.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"], target["legendFormat"]


EXPRESSIONS = [
    *((rule.get("alert") or rule["record"], rule["expr"]) for rule in RULES),
    *((title, expr) for title, expr, _ in panels()),
]


@pytest.mark.parametrize(("where", "expr"), EXPRESSIONS)
def test_an_expression_names_metrics_and_labels_that_there_are(where: str, expr: str) -> None:
    known = set(promql.OF_PROMETHEUS)
    for name, labels in promql.metrics(expr).items():
        metric, is_part = series(name)
        assert metric in BY_NAME, name
        assert is_part == (BY_NAME[metric].kind == "histogram"), name
        assert labels <= {*BY_NAME[metric].labels, *promql.OF_PROMETHEUS}, name
        known |= set(BY_NAME[metric].labels)
    assert promql.groupings(expr) <= known


def test_every_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    used = {series(name)[0] for _, expr in EXPRESSIONS for name in promql.metrics(expr)}
    assert set(BY_NAME) - used == set()


def test_the_dashboard_is_made_from_its_code() -> None:
    assert dashboard.FILE.read_text() == dashboard.build(), "say: make dashboard"


@pytest.mark.parametrize(("title", "expr", "legend"), list(panels()))
def test_a_legend_names_what_its_lines_differ_in(title: str, expr: str, legend: str) -> None:
    named = set(re.findall(r"\{\{(\w+)\}\}", legend))
    assert named == (promql.groupings(expr) - {"le"} or named & {"instance"})


def test_what_terraform_sends_to_cloudwatch_are_metrics_that_there_are() -> None:
    text = "".join(file.read_text() for file in (DOCS.parent / "terraform").rglob("*.tf"))
    named = set(re.findall(r'"(soulcaster_\w+)"', text))
    assert named
    assert named <= set(BY_NAME)


def test_every_alert_has_its_section_and_no_section_is_left_over() -> None:
    sections = re.findall(r"^## (\w+)$", (DOCS / "runbook.md").read_text(), re.MULTILINE)
    assert sections == list(ALERTS)
    for section in (DOCS / "runbook.md").read_text().split("\n## ")[1:]:
        assert re.findall(r"^- \*\*(\w+):\*\* ", section, re.MULTILINE) == ["Means", "Look", "Mend"], section[:40]


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_wrong_how_bad_it_is_and_where_to_read_on(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"


def test_every_alert_is_tested_to_fire_and_not_to_fire() -> None:
    tests = [one for test in rule_tests()["tests"] for one in test["alert_rule_test"]]
    assert {one["alertname"] for one in tests if one["exp_alerts"]} == set(ALERTS)
    assert {one["alertname"] for one in tests if not one["exp_alerts"]} == set(ALERTS)


def test_the_series_of_the_tests_are_of_metrics_and_labels_that_there_are() -> None:
    for test in rule_tests()["tests"]:
        for given in test["input_series"]:
            for name, labels in promql.metrics(given["series"]).items():
                metric, _ = series(name)
                assert labels - promql.OF_PROMETHEUS == set(BY_NAME[metric].labels), given["series"]


def test_prometheus_accepts_the_rules_and_their_tests_hold(promtool: Path) -> None:
    for words in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run([promtool, *words], cwd=FOLDER, capture_output=True, text=True, check=False)  # noqa: S603
        assert done.returncode == 0, done.stdout + done.stderr


def rule_tests() -> Any:
    return yaml.safe_load((FOLDER / "alerts_test.yml").read_text())


@pytest.fixture
def promtool() -> Path:
    return debian_package("prometheus") / "usr/bin/promtool"
