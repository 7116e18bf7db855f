"""What ``/metrics`` says, in Prometheus's words: names, labels, and which count stands behind each.

Labels are bounded: tasks and prompt versions are files, models stand in the settings, and of the tenants the first
:data:`MOST_TENANTS` have a name of their own (their order never changes, so no counter ever falls); the rest are
``(others)``. Counters count since the tables were made, whatever restarts.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from schemas.admission import ScopeState
from schemas.alerts import Alert
from schemas.attempt import Purpose
from schemas.failure import FailureReason
from schemas.figures import COUNTS, TOKENS, WAIT_BOUNDS, WAITED, Dimension, total
from schemas.health import Health, Verdict
from storage.figures import Backlog, Counts, Oldest

MOST_TENANTS = 200
OTHERS = "(others)"
_JOBS = (Dimension.TENANT, Dimension.TASK)
_CALLS = (Dimension.TASK, Dimension.PROMPT_VERSION, Dimension.MODEL)
_USE = (Dimension.TENANT, Dimension.TASK, Dimension.MODEL)


@dataclass(frozen=True)
class Counter:
    """A counter.

    Attributes:
        name: without the ``_total`` that it is shown with.
        by: its labels; ``extra`` is one more.
        columns: by the extra label's value, the count behind it; under "" where there is none.
    """

    name: str
    about: str
    by: tuple[Dimension, ...]
    columns: Mapping[str, str]
    extra: str | None = None


COUNTERS = (
    Counter("assay_jobs_submitted", "Jobs submitted.", _JOBS, {"": "submitted"}),
    Counter(
        "assay_jobs_landed",
        "Jobs by how they landed; a reviewed one lands twice: when it is sent to a person and when it is decided.",
        _JOBS,
        {
            "model": "answered_by_model", "cache": "answered_by_cache", "rules": "answered_by_rules",
            "person": "answered_by_person", "review": "sent_to_review", "failed": "failed",
            "turned_down": "turned_down", "cancelled": "cancelled",
        },
        "outcome",
    ),
    Counter(
        "assay_jobs_concluded",
        "Jobs that a machine concluded, by the prompt version and model that their last run asked first.",
        _CALLS,
        {
            "model": "answered_by_model", "cache": "answered_by_cache", "rules": "answered_by_rules",
            "review": "sent_to_review", "failed": "failed",
        },
        "outcome",
    ),
    Counter(
        "assay_calls", "Calls to models by how they ended.", _CALLS,
        {one: f"attempts_{one}" for one in ("accepted", "rejected", "failed", "unknown")}, "outcome",
    ),
    Counter(
        "assay_calls_made", "Calls to models by why they were made.", _CALLS,
        {str(purpose): f"for_{purpose}" for purpose in Purpose}, "purpose",
    ),
    Counter(
        "assay_call_failures", "Calls whose answer was not accepted, by reason.", _CALLS,
        {str(reason): f"reason_{reason}" for reason in FailureReason}, "reason",
    ),
    Counter(
        "assay_tokens", "Tokens as the provider counted them.", _USE,
        {column.removesuffix("_tokens"): column for column in TOKENS}, "kind",
    ),
    Counter("assay_spend_usd", "US dollars of calls with a known price.", _USE, {"": "spend_usd"}),
    Counter("assay_unpriced_calls", "Calls that used tokens and whose model has no known price.", _USE, {"": "unpriced"}),
)  # fmt: skip
"""All counters."""
WAIT = "assay_job_wait_seconds"
"""A histogram: from submission to the first claim, of jobs that landed, by tenant and task."""


@dataclass(frozen=True)
class Reading:
    """All that one answer of ``/metrics`` is made of.

    Attributes:
        totals: since ever, by all dimensions.
        tenants: those that have a name of their own.
        scopes: None: Redis does not answer.
    """

    totals: Sequence[Counts]
    tenants: frozenset[str]
    oldest: Sequence[Oldest]
    backlog: Sequence[Backlog]
    firing: Sequence[Alert]
    health: Health
    counted_seconds_ago: float
    scopes: Sequence[ScopeState] | None
    rules: Sequence[str] = field(default_factory=tuple)


class Collector:
    """What ``prometheus_client`` collects from."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        yield from (self._counter(one) for one in COUNTERS)
        yield self._waits()
        yield from self._gauges()
        yield from _admission(self._reading.scopes, self._reading.tenants)

    def _counter(self, one: Counter) -> Metric:
        labels = [str(dimension) for dimension in one.by]
        metric = CounterMetricFamily(one.name, one.about, labels=[*labels, *([one.extra] if one.extra else [])])
        for group, counts in self._grouped(one.by, one.columns.values()).items():
            for value, column in one.columns.items():
                if counts[column]:
                    metric.add_metric([*group, *([value] if one.extra else [])], counts[column])
        return metric

    def _waits(self) -> Metric:
        metric = HistogramMetricFamily(
            WAIT,
            "Seconds from submission to the first claim, of jobs that landed.",
            labels=[str(one) for one in _JOBS],
        )
        for group, counts in self._grouped(_JOBS, (*WAITED, "waited_seconds")).items():
            below, buckets = 0.0, []
            for bound, column in zip((*(f"{bound:.1f}" for bound in WAIT_BOUNDS), "+Inf"), WAITED, strict=True):
                below += counts[column]
                buckets.append((bound, below))
            if below:
                metric.add_metric(list(group), buckets=buckets, sum_value=counts["waited_seconds"])
        return metric

    def _gauges(self) -> Iterator[Metric]:
        reading, health = self._reading, self._reading.health
        waiting = [((self._named(one.tenant_id), one.task), one.seconds) for one in reading.oldest]
        yield _gauge(
            "assay_oldest_waiting_seconds", "Of the job that could run and waits the longest.", _JOBS, _most(waiting)
        )
        sizes = [((self._named(one.tenant_id), one.task), float(one.waiting)) for one in reading.backlog]
        yield _gauge("assay_reviews_waiting", "Jobs that wait for a person.", _JOBS, _summed(sizes))
        ages = [((self._named(one.tenant_id), one.task), one.oldest_seconds) for one in reading.backlog]
        yield _gauge(
            "assay_oldest_review_seconds", "Of the job that waits the longest for a person.", _JOBS, _most(ages)
        )
        fired = _summed(
            [*(((name,), 0.0) for name in reading.rules), *(((alert.rule,), 1.0) for alert in reading.firing)]
        )
        yield _gauge("assay_alerts_firing", "Sets of labels for which a rule fires.", ("rule",), fired)
        verdicts = {(str(one),): float(one is health.verdict) for one in Verdict}
        yield _gauge("assay_health", "1 for the verdict that holds.", ("verdict",), verdicts)
        duties = {
            (one.name,): one.seconds_ago for one in (health.dispatch, health.sweep) if one.seconds_ago is not None
        }
        yield _gauge("assay_duty_seconds_ago", "Since the last turn of a duty.", ("duty",), duties)
        for name, about, value in (
            ("assay_waiting_jobs", "Jobs that could run and do not; counting stops at 10,000 each.", health.waiting.jobs),
            ("assay_waiting_later_jobs", "Jobs that wait for a later moment; counted likewise.", health.waiting.later),
            ("assay_workers", "Live worker processes.", health.workers),
            ("assay_slots", "Jobs that they can run at a time.", health.slots),
            ("assay_busy_slots", "Slots that run one.", health.busy),
            ("assay_deaf_workers", "Workers that receive nothing although jobs wait.", len(health.deaf)),
            ("assay_claims_per_minute", "Jobs claimed, over the last minute or two.", health.claims_per_minute),
            ("assay_quiet_seconds", "It is certain that nothing was claimed for so long.", health.quiet_seconds),
            ("assay_lost_leases", "Running jobs whose lease has run out.", health.expired_leases),
            ("assay_open_batches", "Batches begun and not finished.", health.open_batches),
            ("assay_worker_memory_bytes", "Resident memory of all live workers.", health.memory_bytes or 0),
            ("assay_counted_seconds_ago", "Since the counters were last brought up to date.", reading.counted_seconds_ago),
        ):  # fmt: skip
            yield GaugeMetricFamily(name, about, value=value)

    def _grouped(self, by: Sequence[Dimension], columns: Iterable[str]) -> dict[tuple[str, ...], dict[str, float]]:
        names = list(columns)
        groups: dict[tuple[str, ...], dict[str, float]] = defaultdict(lambda: dict.fromkeys(names, 0.0))
        for one in self._reading.totals:
            if not total(one.counts, names) or (by == _CALLS and not one.labels[Dimension.PROMPT_VERSION]):
                continue
            group = groups[tuple(self._label(one, dimension) for dimension in by)]
            for name in names:
                group[name] += one.counts[name]
        return groups

    def _label(self, one: Counts, dimension: Dimension) -> str:
        label = one.labels[dimension]
        return self._named(label) if dimension is Dimension.TENANT else label

    def _named(self, tenant: str) -> str:
        return tenant if tenant in self._reading.tenants else OTHERS


def columns_behind() -> set[str]:
    """Every count that some metric tells."""
    told = {column for counter in COUNTERS for column in counter.columns.values()} | {*WAITED, "waited_seconds"}
    return told & set(COUNTS)


def _admission(scopes: Sequence[ScopeState] | None, tenants: frozenset[str]) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "assay_admission_shared", "0: Redis does not answer, or there is none.", value=scopes is not None
    )
    known = [one for one in scopes or () if one.scope == "model" or one.name in tenants]
    names = [(one, (one.scope, one.name)) for one in known]
    by = ("scope", "name")
    open_ = {name: float(one.breaker != "closed") for one, name in names if one.scope == "model"}
    yield _gauge("assay_breaker_open", "1 while calls to a model are stopped or probed.", by, open_)
    paused = {name: one.paused_seconds for one, name in names if one.scope == "model"}
    yield _gauge("assay_paused_seconds", "Until calls that the provider asked to pause may start.", by, paused)
    yield _gauge("assay_calls_in_flight", "Calls that hold a place.", by, {n: float(one.in_flight) for one, n in names})
    limits = {(*n, w.window): float(w.limit) for one, n in names for w in one.windows}
    yield _gauge("assay_window_limit", "Calls or tokens per minute.", (*by, "window"), limits)
    left = {(*n, w.window): float(w.left) for one, n in names for w in one.windows}
    yield _gauge("assay_window_left", "What may start at once; below zero is debt.", (*by, "window"), left)


_Labels = TypeVar("_Labels", bound=tuple[str, ...])


def _gauge(name: str, about: str, by: Sequence[str], values: Mapping[_Labels, float]) -> Metric:
    metric = GaugeMetricFamily(name, about, labels=[str(one) for one in by])
    for labels, value in values.items():
        metric.add_metric(list(labels), value)
    return metric


def _most(values: Iterable[tuple[tuple[str, ...], float]]) -> dict[tuple[str, ...], float]:
    most: dict[tuple[str, ...], float] = {}
    for labels, value in values:
        most[labels] = max(most.get(labels, 0.0), value)
    return most


def _summed(values: Iterable[tuple[tuple[str, ...], float]]) -> dict[tuple[str, ...], float]:
    sums: dict[tuple[str, ...], float] = defaultdict(float)
    for labels, value in values:
        sums[labels] += value
    return dict(sums)
