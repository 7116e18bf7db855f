"""Figures: what operators look at, read in one go. Counts across tenants, no content."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from jobs.health import judge
from schemas.alerts import Alert
from schemas.figures import COUNTS, LANDED, RATES, REASONS, SPEND, SUBMITTED, TOKENS, WAIT_P95, WAITED, Dimension, total
from schemas.health import Health
from schemas.settings import Settings
from storage import alerts, figures, health, tallies
from storage.database import Database
from storage.figures import Backlog, Counts, Oldest
from storage.health import Process

ENDED_SHOWN = 20
_FLOW = (*SUBMITTED, *LANDED, *TOKENS, *SPEND)
_BY_VERSION = tuple(dict.fromkeys([*(c for rate in RATES for c in rate.columns), *REASONS, *TOKENS, *SPEND]))


class Window(StrEnum):
    """How far back one looks."""

    HOUR = "1h"
    DAY = "24h"
    WEEK = "7d"

    @property
    def seconds(self) -> int:
        """Its length."""
        return {Window.HOUR: 3600, Window.DAY: 86400, Window.WEEK: 7 * 86400}[self]

    @property
    def grain(self) -> int:
        """Seconds of one point in a picture of it."""
        return {Window.HOUR: tallies.MINUTE, Window.DAY: tallies.TEN_MINUTES, Window.WEEK: tallies.HOUR}[self]


@dataclass(frozen=True)
class Lane:
    """A tenant and a task.

    Attributes:
        p95: seconds of waiting, of jobs that landed within the window.
        oldest: what waits the longest now; None where nothing is due.
    """

    tenant_id: str
    task: str
    counts: Mapping[str, float]
    p95: float | None
    oldest: Oldest | None


@dataclass(frozen=True)
class Figures:
    """All figures of a window.

    Attributes:
        now: by the database's clock.
        counted_seconds_ago: since counting last came this far.
        span_seconds: what the sums are of: the window, and what its first point holds besides.
        points: counts over time, none left out; ``grain`` seconds each.
        lanes: by tenant and task, the one that waits the longest first.
        versions: by task, prompt version and model.
    """

    now: datetime
    counted_seconds_ago: float
    span_seconds: float
    grain: int
    points: list[Counts]
    lanes: list[Lane]
    versions: list[Counts]
    backlog: list[Backlog]
    firing: list[Alert]

    @property
    def totals(self) -> dict[str, float]:
        """Sums over all points."""
        return {column: sum(point.counts[column] for point in self.points) for column in _FLOW}


def read_figures(database: Database, window: Window, *, tenant: str | None = None, task: str | None = None) -> Figures:
    """All figures of a window, of everybody or of one tenant or task."""
    where = {Dimension.TENANT: tenant, Dimension.TASK: task}
    only = {dimension: label for dimension, label in where.items() if label is not None}
    grain, seconds = window.grain, window.seconds
    with database.system() as connection:
        figures.allow_large_reads(connection)
        progress = tallies.progress(connection)
        points = figures.counted(connection, _FLOW, grain=grain, seconds=seconds, over_time=True, where=only)
        lanes = figures.counted(
            connection, (*SUBMITTED, *LANDED, *WAITED), grain=grain, seconds=seconds,
            by=(Dimension.TENANT, Dimension.TASK), where=only,
        )  # fmt: skip
        versions = figures.counted(
            connection, _BY_VERSION, grain=grain, seconds=seconds,
            by=(Dimension.TASK, Dimension.PROMPT_VERSION, Dimension.MODEL), where=only,
        )  # fmt: skip
        oldest = [one for one in figures.oldest_waiting(connection) if _is_of(one, tenant, task)]
        backlog = [one for one in figures.review_backlog(connection) if _is_of(one, tenant, task)]
        return Figures(
            now=progress.now,
            counted_seconds_ago=progress.behind_seconds,
            span_seconds=figures.span_seconds(connection, grain, seconds),
            grain=grain,
            points=_without_gaps(points, progress.now, grain, seconds),
            lanes=_lanes(lanes, oldest),
            versions=[one for one in versions if one.labels[Dimension.PROMPT_VERSION]],
            backlog=backlog,
            firing=alerts.firing(connection),
        )


def read_work(
    database: Database, settings: Settings, *, closed_models: Sequence[str] = ()
) -> tuple[Health, list[Process]]:
    """How work goes on, and the worker processes that do it."""
    with database.system() as connection:
        found = health.read(connection)
    processes = [process for process in found.processes if process.live]
    return judge(found, settings, closed_models=closed_models), processes


@dataclass(frozen=True)
class Totals:
    """What was counted since ever, and what waits now.

    Attributes:
        totals: by all dimensions.
        tenants: the first that were made.
    """

    totals: list[Counts]
    tenants: list[str]
    oldest: list[Oldest]
    backlog: list[Backlog]
    firing: list[Alert]
    counted_seconds_ago: float


def read_totals(database: Database, *, tenants: int) -> Totals:
    """Everything since ever, with the names of so many tenants at most."""
    with database.system() as connection:
        figures.allow_large_reads(connection)
        return Totals(
            totals=figures.counted(connection, COUNTS, grain=tallies.EVER, seconds=0, by=tuple(Dimension)),
            tenants=figures.tenants_by_creation(connection, tenants),
            oldest=figures.oldest_waiting(connection),
            backlog=figures.review_backlog(connection),
            firing=alerts.firing(connection),
            counted_seconds_ago=tallies.progress(connection).behind_seconds,
        )


def read_alerts(database: Database) -> tuple[list[Alert], list[Alert]]:
    """What fires, and what lately did."""
    with database.system() as connection:
        return alerts.firing(connection), alerts.ended(connection, ENDED_SHOWN)


def _is_of(one: Oldest | Backlog, tenant: str | None, task: str | None) -> bool:
    return tenant in {None, one.tenant_id} and task in {None, one.task}


def _lanes(counted: list[Counts], oldest: list[Oldest]) -> list[Lane]:
    waiting = {(one.tenant_id, one.task): one for one in oldest}
    counts = {(one.labels[Dimension.TENANT], one.labels[Dimension.TASK]): one.counts for one in counted}
    lanes = [
        Lane(tenant, task, counts.get((tenant, task), {}), WAIT_P95.value(counts.get((tenant, task), {})),
             waiting.get((tenant, task)))
        for tenant, task in dict.fromkeys([*waiting, *counts])
    ]  # fmt: skip
    return sorted(lanes, key=lambda lane: (-(lane.oldest.seconds if lane.oldest else 0), -total(lane.counts, LANDED)))


def _without_gaps(points: list[Counts], now: datetime, grain: int, seconds: int) -> list[Counts]:
    """A point for each time, also where nothing happened."""
    known = {point.at: point for point in points}
    first = _floor(now - timedelta(seconds=seconds), grain)
    nothing = dict.fromkeys(_FLOW, 0.0)
    steps = int((now - first).total_seconds() // grain) + 1
    times = [first + timedelta(seconds=grain * step) for step in range(steps)]
    return [known.get(at) or Counts({}, at, nothing) for at in times]


def _floor(moment: datetime, grain: int) -> datetime:
    return datetime.fromtimestamp(moment.timestamp() // grain * grain, UTC)
