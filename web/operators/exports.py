"""The Grafana dashboard and the Prometheus rules, made from the definitions of figures and alert rules.

``python -m web.operators.exports`` writes ``docs/grafana/assay.json`` and ``docs/prometheus/assay.rules.yaml`` anew; a test
says when they are not current. With the path of a file of alert rules (``ASSAY_ALERTS``) it prints the Prometheus rules of
those instead.
"""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from schemas.alerts import DEFAULT_RULES, AlertRule, AlertRulesRefused, read_rules
from schemas.figures import FIGURES, RATES, Dimension, Figure, Kind, Unit
from web.operators.promql import NotInPrometheus, condition, expression, template

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "docs/grafana/assay.json"
RULES = ROOT / "docs/prometheus/assay.rules.yaml"

_UNITS = {
    Unit.SHARE: "percentunit",
    Unit.SECONDS: "s",
    Unit.USD_PER_HOUR: "currencyUSD",
    Unit.PER_HOUR: "short",
    Unit.JOBS: "short",
    Unit.PROCESSES: "short",
}
_WIDE, _HIGH = 12, 8
_SOURCE = {"type": "prometheus", "uid": "${source}"}
_OF_JOBS = 'tenant=~"$tenant",task=~"$task"'
_OF_CALLS = 'task=~"$task"'
_log = logging.getLogger(__name__)


def prometheus_rules(rules: Sequence[AlertRule]) -> str:
    """A file of Prometheus rules: one alert each. A rule that no metric can tell is left out, with a word in the log."""
    alerts = []
    for rule in rules:
        try:
            fires = condition(rule)
        except NotInPrometheus as why:
            _log.warning("%s is left out: %s", rule.name, why)
            continue
        alerts.append(
            {
                "alert": f"Assay{rule.name}",
                "expr": fires,
                "labels": {"severity": "warning", "figure": rule.figure},
                "annotations": {"summary": rule.sentence, "description": template(rule)},
            }
        )
    alerts.append(
        {
            "alert": "AssayStuck",
            "expr": 'assay_health{verdict="stuck"} == 1',
            "for": "1m",
            "labels": {"severity": "critical", "figure": "health"},
            "annotations": {
                "summary": "Work does not go on without help.",
                "description": "See the operators' page or `assay doctor`.",
            },
        }
    )
    return yaml.safe_dump(
        {"groups": [{"name": "assay", "rules": alerts}]}, sort_keys=False, width=1000, allow_unicode=True
    )


def grafana_dashboard() -> str:
    """A dashboard: flow, waits, a panel for each figure, reviews, admission, workers."""
    drawn = [*_of_jobs(), *_of_calls(), *_of_the_house()]
    for number, panel in enumerate(drawn):
        panel["id"] = number + 1
        panel["gridPos"] = {"h": _HIGH, "w": _WIDE, "x": _WIDE * (number % 2), "y": _HIGH * (number // 2)}
    dashboard = {
        "title": "Assay",
        "uid": "assay",
        "schemaVersion": 39,
        "tags": ["assay"],
        "timezone": "utc",
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
                _variable("tenant", "Tenant"),
                _variable("task", "Task"),
            ]
        },
        "panels": drawn,
    }
    return json.dumps(dashboard, indent=2) + "\n"


def _of_jobs() -> list[dict[str, Any]]:
    landed = f"sum by (outcome) (rate(assay_jobs_landed_total{{{_OF_JOBS}}}[$__rate_interval])) * 60"
    submitted = f"sum(rate(assay_jobs_submitted_total{{{_OF_JOBS}}}[$__rate_interval])) * 60"
    by = (Dimension.TENANT, Dimension.TASK)
    names = ("oldest_waiting_seconds", "wait_p95_seconds", "reviews_waiting", "oldest_review_seconds")
    about = "Jobs per minute by who answered, or how else they landed."
    return [
        _panel("Landed per minute", [(landed, "{{outcome}}")], "short", about, stacked=True),
        _panel("Submitted per minute", [(submitted, "submitted")], "short", "Jobs submitted per minute."),
        *(_figure(FIGURES[name], by, _OF_JOBS) for name in names),
    ]


def _of_calls() -> list[dict[str, Any]]:
    by_version = (Dimension.TASK, Dimension.PROMPT_VERSION, Dimension.MODEL)
    by_tenant = (Dimension.TENANT, Dimension.TASK, Dimension.MODEL)
    return [
        *(_figure(rate, by_version, _OF_CALLS) for rate in RATES),
        *(_figure(FIGURES[name], by_tenant, _OF_JOBS) for name in ("spend_per_hour", "tokens_per_hour")),
    ]


def _of_the_house() -> list[dict[str, Any]]:
    left = "assay_window_left / assay_window_limit"
    slots = [("assay_busy_slots", "busy"), ("assay_slots", "all"), ("assay_workers", "workers")]
    breaker = "1 while calls to a model are stopped or probed."
    share = "What may start at once, as a share of a minute's limit; below zero is debt."
    return [
        _panel("Breakers", [("assay_breaker_open", "{{name}}")], "short", breaker),
        _panel("Free in rate windows", [(left, "{{scope}} {{name}} {{window}}")], "percentunit", share),
        _panel("Slots", slots, "short", "What workers run, and could."),
        _panel(
            "Alerts firing", [("assay_alerts_firing", "{{rule}}")], "short", "Sets of labels for which a rule fires."
        ),
    ]


def _figure(figure: Figure, by: Sequence[Dimension], only: str) -> dict[str, Any]:
    legend = " ".join(f"{{{{{one}}}}}" for one in by)
    expr = expression(figure, by, "$__rate_interval" if figure.kind is not Kind.NOW else "", only)
    return _panel(figure.title, [(expr, legend)], _UNITS[figure.unit], figure.about)


def _panel(
    title: str, queries: Sequence[tuple[str, str]], unit: str, about: str, *, stacked: bool = False
) -> dict[str, Any]:
    custom = {"stacking": {"mode": "normal"}, "fillOpacity": 40} if stacked else {"fillOpacity": 5}
    return {
        "type": "timeseries",
        "title": title,
        "description": about,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": custom}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": expr, "legendFormat": legend}
            for number, (expr, legend) in enumerate(queries)
        ],
    }


def _variable(name: str, label: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _SOURCE,
        "query": f"label_values(assay_jobs_submitted_total, {name})",
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
        "refresh": 2,
    }


def main() -> None:
    """Write the files, or print the rules of a file."""
    parser = argparse.ArgumentParser(prog="python -m web.operators.exports", description=__doc__)
    parser.add_argument("rules", nargs="?", help="a file of alert rules, as ASSAY_ALERTS names one")
    given = parser.parse_args().rules
    if given is not None:
        try:
            sys.stdout.write(prometheus_rules(read_rules(given)))
        except AlertRulesRefused as refusal:
            sys.exit(f"{given}: {refusal}")
        return
    for path, text in ((DASHBOARD, grafana_dashboard()), (RULES, prometheus_rules(DEFAULT_RULES))):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
