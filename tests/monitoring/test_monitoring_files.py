"""What lies in monitoring/ speaks of the metrics that there are, and of all of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from airflow_provider_mlpipe.observability import REGISTRY

FOLDER = Path(__file__).parents[2] / "monitoring"
STAGES = tuple(sorted({metric.stage for metric in REGISTRY.values()} - {"any"}))
SENT = {
    f"airflow_mlpipe_{stage}_{metric.name}"
    for metric in REGISTRY.values()
    for stage in (STAGES if metric.stage == "any" else [metric.stage])
}
"""What Airflow sends, as Prometheus has it."""


def used(text: str) -> set[str]:
    """Return the names of our metrics in an expression, or anywhere."""
    return set(re.findall(r"\bairflow_mlpipe_[a-z_]*[a-z]\b(?!\.)", text))


def alerts() -> list[str]:
    return [rule["alert"] for rule in yaml("prometheus-rules.yaml")["groups"][0]["rules"] if "alert" in rule]


def yaml(name: str) -> Any:
    return YAML(typ="safe").load((FOLDER / name).read_text())


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    return found


def targets(dashboard: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]


def test_rules_are_about_metrics_that_are_sent() -> None:
    expressions = [rule["expr"] for group in yaml("prometheus-rules.yaml")["groups"] for rule in group["rules"]]

    assert {name for text in expressions for name in used(text)} <= SENT
    assert all(used(text) or ":mlpipe_" in text for text in expressions)


def test_the_dashboard_shows_every_metric_and_no_other(dashboard: dict[str, Any]) -> None:
    shown = {name for text in targets(dashboard) for name in used(text)}

    assert shown - SENT == set(), "these are not in the registry (observability/metrics.py)"
    assert SENT - shown == set(), "add these to a panel of monitoring/grafana-dashboard.json"


def test_every_panel_has_its_own_place_and_asks_the_chosen_prometheus(dashboard: dict[str, Any]) -> None:
    panels = dashboard["panels"]
    places = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in panels
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(places)) == len(places)
    assert all(x < 24 for x, _ in places)
    for panel in panels:
        if panel["type"] != "row":
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${source}"}, panel["title"]
            references = [target["refId"] for target in panel["targets"]]
            assert len(set(references)) == len(references)


def test_every_expression_obeys_the_choice_of_dags_and_data_sets(dashboard: dict[str, Any]) -> None:
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}

    assert variables == {"source", "dag", "dataset"}
    for text in targets(dashboard):
        assert text.count('{dag_id=~"$dag", dataset=~"$dataset"}') == len(re.findall("airflow_mlpipe_", text)), text


def test_the_mapping_gives_every_gauge_its_name() -> None:
    (mapping,) = yaml("statsd-mapping.yaml")["mappings"]
    pattern = re.escape(mapping["match"]).replace(r"\*", "([^.]*)")
    sent = {
        f"airflow.mlpipe.{stage}.{metric.name}"
        for metric in REGISTRY.values()
        for stage in (STAGES if metric.stage == "any" else [metric.stage])
    }
    matched = [re.fullmatch(pattern, name) for name in sent]

    assert mapping["match_metric_type"] == "gauge"
    assert {match and mapping["name"].replace("${1}", match[1]).replace("${2}", match[2]) for match in matched} == SENT


def test_every_alert_is_tried() -> None:
    """In alerts.yaml, which `promtool` runs in another test."""
    assert set(re.findall(r"\bMlpipe\w+", Path(__file__).with_name("alerts.yaml").read_text())) == set(alerts())


def test_the_guide_tells_of_every_alert() -> None:
    guide = (FOLDER.parent / "docs" / "how-to" / "observability.md").read_text()

    assert re.findall(r"^\| `(Mlpipe\w+)` \|", guide, flags=re.MULTILINE) == alerts()
    assert {f"`{path.name}`" for path in FOLDER.iterdir()} <= set(re.findall(r"`[\w.-]+`", guide))
