"""Alerts: hold figures against the rules, remember what fires, and tell it to the log and to whoever takes deliveries."""

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from schemas.alerts import MOST_JOBS_NAMED, Alert, AlertRule, read_rules
from schemas.figures import FIGURES, WAIT_P95, Behind, Dimension, Kind, Unit
from schemas.job_lists import Filters, JobList, Outcome
from schemas.settings import Settings
from storage import alerts, duties, figures, health, job_lists, jobs_now, tallies
from storage.alerts import Beyond
from storage.database import Database

EVERY_SECONDS = 10.0
"""Between two evaluations. The figures are some seconds old, so a rule fires well within a minute."""

Deliver = Callable[[Alert], None]
"""Tells an alert that has begun or ended. It may raise: then it is told again with the next evaluation."""

_log = logging.getLogger(__name__)


def rules_of(settings: Settings) -> tuple[AlertRule, ...]:
    """The rules of this installation.

    Raises:
        AlertRulesRefused: they do not parse.
    """
    return read_rules(settings.alerts)


def evaluate(
    database: Database, rules: Sequence[AlertRule], holder: UUID, *, deliver: Deliver | None = None
) -> list[Alert] | None:
    """Hold the figures against all rules.

    Args:
        deliver: is told what began and what ended, besides the log.

    Returns:
        What fires now; None where another process has the duty.
    """
    with database.system() as connection:
        if duties.take_turn(connection, duties.ALERTS, holder, seconds=EVERY_SECONDS * 3, gap=60) is None:
            return None
        figures.allow_large_reads(connection)
        beyond = [found for rule in rules for found in judge(connection, rule)]
        firing = [alerts.fire(connection, found) for found in beyond]
        alerts.resolve_others(connection, [alert.id for alert in firing])
        to_tell = alerts.undelivered(connection)
    _tell(database, to_tell, deliver)
    return firing


def judge(connection: Connection, rule: AlertRule) -> Iterator[Beyond]:
    """Every set of labels for which the rule's figure is beyond its threshold."""
    for labels, value, basis in values_of(connection, rule):
        if basis >= rule.minimum and rule.comparison.holds(value, rule.threshold):
            named = jobs_behind(connection, rule, labels, value)
            yield Beyond(rule, {str(one): label for one, label in labels.items()}, value, basis, named)


def values_of(connection: Connection, rule: AlertRule) -> Iterator[tuple[dict[Dimension, str], float, float]]:
    """The rule's figure now, with how many cases it rests on, for each set of labels."""
    figure = rule.of
    if figure.kind is Kind.NOW:
        for labels, value in _now(connection, rule):
            yield labels, value, max(rule.minimum, 1)
        return
    span = figures.span_seconds(connection, tallies.MINUTE, rule.window_seconds)
    hourly = 3600 / span if figure.kind is Kind.HOURLY else 1
    groups = figures.counted(connection, figure.columns, grain=tallies.MINUTE, seconds=rule.window_seconds, by=rule.per)
    for group in groups:
        if any(group.labels.get(one) == "" for one in (Dimension.PROMPT_VERSION, Dimension.MODEL)):
            continue  # no model was asked
        found = figure.value(group.counts)
        if found is not None:
            yield group.labels, found * hourly, figure.basis(group.counts)


def jobs_behind(
    connection: Connection, rule: AlertRule, labels: dict[Dimension, str], value: float
) -> tuple[UUID, ...]:
    """Ids of the jobs that a person would look at first."""
    now = _database_now(connection)
    since = now - timedelta(seconds=rule.window_seconds + 60)
    filters = filters_of(rule, labels, value)
    match rule.of.behind:
        case Behind.LANDED:
            found = _searched(job_lists.landed, connection, since, now, filters)
        case Behind.ATTEMPTS:
            found = _searched(job_lists.calls, connection, since, now, filters)
        case Behind.SUBMITTED:
            found = _searched(job_lists.submitted, connection, since, now, filters)
        case Behind.WAITING:
            found = [job.job_id for job in jobs_now.waiting(connection, filters, limit=MOST_JOBS_NAMED)]
        case Behind.REVIEWS:
            found = [job.job_id for job in jobs_now.in_review(connection, filters, limit=MOST_JOBS_NAMED)]
        case Behind.NOWHERE:
            found = []
    return tuple(dict.fromkeys(found))[:MOST_JOBS_NAMED]


def filters_of(rule: AlertRule, labels: dict[Dimension, str], value: float) -> Filters:
    """What the list of its jobs is narrowed to."""
    narrowed = dict(rule.of.narrowed)
    return Filters(
        tenant=labels.get(Dimension.TENANT),
        task=labels.get(Dimension.TASK),
        prompt_version=labels.get(Dimension.PROMPT_VERSION),
        model=labels.get(Dimension.MODEL),
        outcome=Outcome(narrowed["outcome"]) if "outcome" in narrowed else None,
        reason=narrowed.get("reason"),
        purpose=narrowed.get("purpose"),
        waited_over=min(value, rule.threshold) if rule.of is WAIT_P95 else None,
    )


def sentence(alert: Alert, rule_sentence: str | None = None) -> str:
    """What happened, in one line: for the log, a webhook and the page."""
    about = ", ".join(f"{name} {value}" for name, value in alert.labels.items())
    unit = "%" if _unit(alert) is Unit.SHARE else ""
    scale = 100 if unit else 1
    state = "ended" if alert.resolved_at is not None else "fires"
    figure = (
        f"{alert.figure} is {alert.value * scale:.4g}{unit} ({alert.comparison} {alert.threshold * scale:.4g}{unit})"
    )
    told = f"alert {alert.rule} {state}: {figure}{f' for {about}' if about else ''}"
    return f"{told}; {rule_sentence}" if rule_sentence else told


def _unit(alert: Alert) -> Unit | None:
    figure = FIGURES.get(alert.figure)
    return None if figure is None else figure.unit


def _tell(database: Database, to_tell: Sequence[Alert], deliver: Deliver | None) -> None:
    for alert in to_tell:
        jobs = ", ".join(str(job) for job in alert.jobs) or "none"
        level = logging.WARNING if alert.resolved_at is None else logging.INFO
        _log.log(level, "%s; jobs: %s", sentence(alert), jobs)
        if deliver is not None:
            try:
                deliver(alert)
            except Exception as error:
                # Whoever takes deliveries may be away: what fires must still be judged, and this is told again.
                _log.warning("alert %s could not be delivered: %s; trying again", alert.rule, type(error).__name__)
                continue
        with database.system() as connection:
            alerts.delivered(connection, alert)


def _now(connection: Connection, rule: AlertRule) -> Iterator[tuple[dict[Dimension, str], float]]:
    """A figure of the moment: the largest of each set of labels, or the sum where it counts."""
    if rule.figure == "live_workers":
        yield {}, float(sum(process.live for process in health.read(connection).processes))
        return
    counts_jobs = rule.of.unit is Unit.JOBS
    groups: dict[tuple[str, ...], float] = {}
    for tenant, task, value in _of_the_moment(connection, rule.figure):
        known = {Dimension.TENANT: tenant, Dimension.TASK: task}
        key = tuple(known[one] for one in rule.per)
        groups[key] = groups.get(key, 0) + value if counts_jobs else max(groups.get(key, 0), value)
    for key, value in groups.items():
        yield dict(zip(rule.per, key, strict=True)), value


def _of_the_moment(connection: Connection, figure: str) -> Iterator[tuple[str, str, float]]:
    if figure == "oldest_waiting_seconds":
        yield from ((job.tenant_id, job.task, job.seconds) for job in figures.oldest_waiting(connection))
        return
    for backlog in figures.review_backlog(connection):
        value = backlog.waiting if figure == "reviews_waiting" else backlog.oldest_seconds
        yield backlog.tenant_id, backlog.task, float(value)


_Search = Callable[..., JobList]


def _searched(
    search: _Search, connection: Connection, since: datetime, until: datetime, filters: Filters
) -> list[UUID]:
    """The newest that match, however far down they are, but within a bound."""
    found: list[UUID] = []
    after = None
    for _ in range(10):
        page = search(connection, since, until, filters, limit=MOST_JOBS_NAMED, after=after)
        found += [job.job_id for job in page.jobs]
        after = page.go_on
        if after is None or len(found) >= MOST_JOBS_NAMED:
            break
    return found


def _database_now(connection: Connection) -> datetime:
    now: datetime = connection.exec_driver_sql("SELECT now()").scalar_one()
    return now
