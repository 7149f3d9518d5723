"""The dashboard and the alert rules ask for what the server really exposes."""

import json
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from sidecar.adapters.metrics.catalogue import METRICS
from tests.deploying.charts import CHART, of_kind, rendered
from tests.in_process import application

ALERTS = yaml.safe_load((CHART / "monitoring/alerts.yaml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((CHART / "monitoring/dashboard.json").read_text())
ADDED = {"job", "instance", "le"}
"""Labels that Prometheus adds, and that of a bucket."""


def questions() -> Iterator[tuple[str, str]]:
    """Every expression, with where it stands."""
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for annotation in DASHBOARD["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def asked_for(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Each metric of an expression, with the labels that it is chosen or grouped by."""
    plain = expression.replace("$__rate_interval", "5m").replace("$job", "sidecar")
    groups: set[str] = set()
    found: list[tuple[str, set[str]]] = []

    def look(node: Any) -> None:
        match type(node).__name__:
            case "VectorSelector":
                found.append((node.name, {each.name for each in node.matchers.matchers}))
            case "AggregateExpr" if node.modifier is not None:
                groups.update(node.modifier.labels)
        for name in ("expr", "lhs", "rhs", "vector_selector", "vs"):
            if (child := getattr(node, name, None)) is not None:
                look(child)
        for child in getattr(node, "args", None) or ():
            look(child)

    look(promql_parser.parse(plain))
    for name, labels in found:
        yield name, labels | groups


@pytest.fixture
async def exposed() -> dict[str, set[str]]:
    """Names of samples with the labels that their families are known to have."""
    async with application("policies/quickstart") as client:
        for plugin in ("basic_search", "pro_search"):
            body = {"app_id": "a", "user_id": "u", "plugin": plugin, "reserve": True}
            await client.post("/v1/check", json=body)
        text = (await client.get("/metrics")).text
    documented = {each.name: set(each.labels) for each in METRICS}
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        name = family.name
        names = {name, f"{name}_total", f"{name}_bucket", f"{name}_sum", f"{name}_count"}
        labels = set().union(*(sample.labels for sample in family.samples))
        for each in names:
            found[each] = labels | documented.get(name, set()) | documented.get(each, set())
    return found


def test_every_metric_and_label_that_is_asked_for_is_exposed(exposed: dict[str, set[str]]) -> None:
    missing = []
    asked = 0
    for place, expression in questions():
        for name, labels in asked_for(expression):
            asked += 1
            if name not in exposed:
                missing.append(f"{place}: there is no {name}")
            elif strange := labels - exposed[name] - ADDED:
                missing.append(f"{place}: {name} has no {', '.join(sorted(strange))}")

    assert missing == []
    assert asked > 30


def test_every_alert_says_what_it_means_and_how_bad_it_is() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES) > 10
    for rule in RULES:
        assert rule["labels"]["severity"] in {"critical", "warning"}, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description"}, rule["alert"]


def test_panels_do_not_lie_over_one_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (column, row)
            for column in range(at["x"], at["x"] + at["w"])
            for row in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_the_chart_ships_both_as_they_are() -> None:
    manifests = rendered(CHART / "examples/values-platform.yaml")

    (rules,) = of_kind(manifests, "PrometheusRule")
    boards = [
        json.loads(text)
        for each in of_kind(manifests, "ConfigMap")
        for name, text in each["data"].items()
        if name.endswith(".json")
    ]
    assert rules["spec"] == ALERTS
    assert boards == [DASHBOARD]
