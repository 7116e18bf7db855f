"""The Grafana dashboard and the Prometheus rules are those of the definitions."""

import json
import re

import pytest
import yaml
from prometheus_client.core import CounterMetricFamily

from schemas.alerts import DEFAULT_RULES, AlertRule
from schemas.figures import FIGURES, Dimension
from schemas.health import DutyTurn, Health, Verdict, Waiting
from web.operators import exports
from web.operators.metrics import COUNTERS, Collector, Reading
from web.operators.promql import NotInPrometheus, condition, expression


def health() -> Health:
    """Of a house in which nothing happens."""
    turn = DutyTurn(name="dispatch", holder=None, seconds_ago=1, turns=1, done=0)
    return Health(
        verdict=Verdict.OK, findings=[], waiting=Waiting(jobs=0, at_least=False, later=0, later_at_least=False), oldest=None,
        claims_per_minute=0, quiet_seconds=0, workers=0, slots=0, busy=0, memory_bytes=None, deaf=[], deaf_lately=[],
        expired_leases=0, expired_lease_seconds=None, open_batches=0, open_batch_seconds=None, dispatch=turn, sweep=turn,
    )  # fmt: skip


def told() -> dict[str, set[str]]:
    """The labels of every series that /metrics can tell, by the name that queries use."""
    reading = Reading([], frozenset(), [], [], [], health(), 0, [])
    series: dict[str, set[str]] = {}
    for metric in Collector(reading).collect():
        names = {str(one) for one in getattr(metric, "_labelnames", ())}
        if isinstance(metric, CounterMetricFamily):
            series[f"{metric.name}_total"] = names
        elif metric.type == "histogram":
            series |= {f"{metric.name}_bucket": {*names, "le"}, f"{metric.name}_count": names}
        else:
            series[metric.name] = names
    return series


def check(query: str) -> None:
    """Every series in a query is told, with the labels that it asks for."""
    known = told()
    used = re.findall(r"(assay_\w+)(?:\{([^}]*)\})?", query)
    assert used, query
    for name, matchers in used:
        assert name in known, query
        assert set(re.findall(r"(\w+)(?:=~|=)", matchers)) <= known[name], query
    labels = {label for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(", ")}
    for name, _ in used:
        assert labels - {"le"} <= known[name], query


def test_the_files_are_current() -> None:
    """After a change of the definitions: python -m web.operators.exports."""
    assert exports.DASHBOARD.read_text(encoding="utf-8") == exports.grafana_dashboard()
    assert exports.RULES.read_text(encoding="utf-8") == exports.prometheus_rules(DEFAULT_RULES)


def test_every_panel_asks_for_what_is_told() -> None:
    """No panel of the dashboard names a metric or a label that /metrics does not have."""
    panels = json.loads(exports.grafana_dashboard())["panels"]
    for panel in panels:
        for target in panel["targets"]:
            check(target["expr"])
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(panels)


def test_every_rule_is_an_alert() -> None:
    """Each default rule is there under its name, asks for what is told, and holds its threshold and minimum."""
    (group,) = yaml.safe_load(exports.prometheus_rules(DEFAULT_RULES))["groups"]
    alerts = {alert["alert"]: alert for alert in group["rules"]}
    assert set(alerts) == {*(f"Assay{rule.name}" for rule in DEFAULT_RULES), "AssayStuck"}
    for rule in DEFAULT_RULES:
        expr = alerts[f"Assay{rule.name}"]["expr"]
        check(expr)
        assert f"{rule.comparison} {rule.threshold:g}" in expr
        assert not rule.of.columns or expr.endswith(f">= {rule.minimum:g}")


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_can_be_asked_for(name: str) -> None:
    """Each figure has an expression by each single label that it is kept apart by, and by none."""
    figure = FIGURES[name]
    for by in ((), *((one,) for one in figure.by)):
        try:
            check(expression(figure, by, "5m"))
        except NotInPrometheus:
            # Prometheus would need every combination of tenant and prompt version: only the built-in alerts have those.
            assert by == (Dimension.TENANT,) or name in {"spend_per_hour", "tokens_per_hour", "answered_per_hour"}


def test_a_rule_that_prometheus_cannot_judge_is_left_out() -> None:
    """By tenant and prompt version at once there is no metric."""
    rule = AlertRule.model_validate(
        {
            "name": "Both",
            "figure": "fallback_rate",
            "comparison": ">",
            "threshold": 0.1,
            "per": ["tenant", "prompt_version"],
        }
    )
    with pytest.raises(NotInPrometheus):
        condition(rule)
    assert "Both" not in exports.prometheus_rules([rule])


def test_no_label_is_unbounded() -> None:
    """No job, key or person is a label of any metric."""
    allowed = {
        *map(str, Dimension),
        "outcome",
        "reason",
        "purpose",
        "kind",
        "le",
        "rule",
        "verdict",
        "duty",
        "scope",
        "name",
        "window",
    }
    assert {label for labels in told().values() for label in labels} <= allowed
    assert len({counter.name for counter in COUNTERS}) == len(COUNTERS)
