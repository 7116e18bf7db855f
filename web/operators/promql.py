"""The figures as Prometheus computes them from ``/metrics``: the same definitions, in its language."""

from collections.abc import Sequence

from schemas.alerts import AlertRule
from schemas.figures import Dimension, Figure, Kind, Unit
from web.operators.metrics import COUNTERS, WAIT, Counter

_NOW = {
    "oldest_waiting_seconds": ("max", "assay_oldest_waiting_seconds"),
    "reviews_waiting": ("sum", "assay_reviews_waiting"),
    "oldest_review_seconds": ("max", "assay_oldest_review_seconds"),
    "live_workers": ("max", "assay_workers"),
}


class NotInPrometheus(ValueError):
    """No metric has all the labels that are asked for."""


def expression(figure: Figure, by: Sequence[Dimension], window: str, only: str = "") -> str:
    """A figure, kept apart by these labels.

    Args:
        window: as Prometheus writes it (``5m``, ``$__rate_interval``).
        only: further label matchers, e.g. ``task=~"$task"``.

    Raises:
        NotInPrometheus: no metric has all the labels.
    """
    match figure.kind:
        case Kind.SHARE:
            return f"{_rate(figure.over, by, window, only)} / {_rate(figure.of, by, window, only)}"
        case Kind.HOURLY:
            return f"{_rate(figure.over, by, window, only)} * 3600"
        case Kind.WAIT_P95:
            labels = ", ".join(["le", *by])
            return f"histogram_quantile(0.95, sum by ({labels}) (rate({WAIT}_bucket{_braces(only)}[{window}])))"
        case Kind.NOW:
            how, metric = _NOW[figure.name]
            return f"{how} by ({', '.join(by)}) ({metric}{_braces(only)})" if by else f"{how}({metric}{_braces(only)})"


def condition(rule: AlertRule) -> str:
    """When a rule fires."""
    window = f"{int(rule.window_seconds // 60)}m"
    fires = f"({expression(rule.of, rule.per, window)}) {rule.comparison} {rule.threshold:g}"
    if not rule.minimum or rule.of.kind is Kind.NOW:
        return fires
    if rule.of.kind is Kind.WAIT_P95:
        labels = f" by ({', '.join(rule.per)})" if rule.per else ""
        return f"{fires} and sum{labels} (increase({WAIT}_count[{window}])) >= {rule.minimum:g}"
    basis = _rate(rule.of.of or rule.of.over, rule.per, window, "", function="increase")
    return f"{fires} and {basis} >= {rule.minimum:g}"


def template(rule: AlertRule) -> str:
    """What an alert says of its labels and its value, in Prometheus's template language."""
    value = "{{ $value | humanizePercentage }}" if rule.of.unit is Unit.SHARE else "{{ $value | humanize }}"
    about = ", ".join(f"{one.replace('_', ' ')} {{{{ $labels.{one} }}}}" for one in rule.per)
    return f"{rule.of.title} is {value}{f' for {about}' if about else ''}."


def _rate(columns: Sequence[str], by: Sequence[Dimension], window: str, only: str, *, function: str = "rate") -> str:
    counter = _counter(columns, by)
    values = [value for value, column in counter.columns.items() if column in columns]
    chosen = "" if len(values) == len(counter.columns) else f'{counter.extra}=~"{"|".join(values)}"'
    labels = f" by ({', '.join(by)})" if by else ""
    return f"sum{labels} ({function}({counter.name}_total{_braces(chosen, only)}[{window}]))"


def _counter(columns: Sequence[str], by: Sequence[Dimension]) -> Counter:
    for counter in COUNTERS:
        if set(by) <= set(counter.by) and set(columns) <= set(counter.columns.values()):
            return counter
    raise NotInPrometheus(f"no metric has {', '.join(columns)} by {', '.join(by)}")


def _braces(*matchers: str) -> str:
    given = [matcher for matcher in matchers if matcher]
    return f"{{{','.join(given)}}}" if given else ""
