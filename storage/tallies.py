"""Tallies: counts of what happened per minute, ten minutes and hour, and since ever. System transactions only; no content.

The last minutes are counted again with every turn, and only what is more than before is added, to all grains at once. So
what is committed late is counted, counting again changes nothing, and what was counted never becomes less (a counter that
falls would be taken for a restart by Prometheus). One transaction at a time counts: the duty's row is locked while it does.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from schemas.attempt import AttemptOutcome, Purpose
from schemas.failure import FailureReason
from schemas.figures import ATTEMPTS, LANDED, PURPOSES, REASONS, SPEND, SUBMITTED, TOKENS, WAIT_BOUNDS, WAITED, WAITS

EVER, MINUTE, TEN_MINUTES, HOUR = 0, 60, 600, 3600
"""Grains, in seconds; the first has one row for all time."""
BY_ALL, BY_VERSION, BY_LANE = 0, 1, 2
"""Slices: all four labels; task, prompt version and model; tenant and task. Of all time there is the first only."""
KEPT_HOURS = {MINUTE: 4, TEN_MINUTES: 50, HOUR: 24 * 92}
"""How long rows of a grain are kept. Minutes must outlive what is counted again."""

_KEYS = "tenant_id, task, prompt_version, model"

_SUBMITTED = """
    SELECT date_trunc('minute', created_at) AS at, tenant_id, task, '' AS prompt_version, '' AS model, 1 AS submitted
    FROM jobs WHERE batch_id IS NULL AND created_at >= %(start)s AND created_at < %(until)s
    UNION ALL
    SELECT date_trunc('minute', closed_at), tenant_id, task, '', '', total
    FROM batches WHERE closed_at IS NOT NULL AND closed_at >= %(start)s AND closed_at < %(until)s
"""
# A job counts for the prompt version and model that its last run asked first, whoever answered in the end. Its review is
# counted and not asked for with EXISTS: for that the server would read all reviews there are into a hash.
_LANDED = """
    SELECT date_trunc('minute', landing.at) AS at, landing.tenant_id, landing.task,
           coalesce(asked.prompt_version, '') AS prompt_version, coalesce(asked.model, '') AS model,
           {outcomes}, {waits}
    FROM (
        SELECT id, tenant_id, task, finished_at AS at,
               CASE WHEN state = 'answered' THEN 'answered_by_' || answered_by
                    WHEN state = 'failed' AND was_reviewed.was THEN 'turned_down'
                    ELSE state END AS outcome,
               CASE WHEN NOT was_reviewed.was THEN extract(epoch FROM started_at - created_at)::float8 END AS waited
        FROM jobs, LATERAL (
            SELECT CASE WHEN state = 'answered' THEN answered_by = 'person'
                        ELSE (SELECT count(*) FROM reviews WHERE reviews.job_id = jobs.id) > 0 END AS was
        ) AS was_reviewed
        WHERE finished_at IS NOT NULL AND finished_at >= %(start)s AND finished_at < %(until)s
        UNION ALL
        SELECT jobs.id, jobs.tenant_id, jobs.task, reviews.created_at, 'sent_to_review',
               extract(epoch FROM jobs.started_at - jobs.created_at)::float8
        FROM reviews JOIN jobs ON jobs.id = reviews.job_id
        WHERE reviews.created_at >= %(start)s AND reviews.created_at < %(until)s
    ) AS landing LEFT JOIN LATERAL (
        SELECT prompt_version, model FROM attempts
        WHERE attempts.job_id = landing.id AND attempts.purpose = 'first' ORDER BY number DESC LIMIT 1
    ) AS asked ON true
"""
_SETTLED = """
    SELECT date_trunc('minute', attempts.settled_at) AS at, attempts.tenant_id, jobs.task, attempts.prompt_version,
           attempts.model, {outcomes}, {purposes}, {reasons}, input_tokens, output_tokens, cache_read_tokens,
           cache_write_tokens, cost_usd AS spend_usd, (cost_usd IS NULL AND output_tokens IS NOT NULL)::int AS unpriced
    FROM attempts JOIN jobs ON jobs.id = attempts.job_id
    WHERE attempts.settled_at IS NOT NULL AND attempts.settled_at >= %(start)s AND attempts.settled_at < %(until)s
"""
_ADD = """
WITH seen AS ({source}), fresh AS MATERIALIZED (
    SELECT at, {keys}, {sums} FROM seen GROUP BY at, {keys}
), more AS MATERIALIZED (
    SELECT at, {keys}, {differences}
    FROM fresh LEFT JOIN LATERAL (
        SELECT {columns} FROM tallies
        WHERE tallies.grain = 60 AND tallies.slice = 0 AND tallies.at = fresh.at AND tallies.tenant_id = fresh.tenant_id
          AND tallies.task = fresh.task AND tallies.prompt_version = fresh.prompt_version AND tallies.model = fresh.model
    ) AS known ON true
)
INSERT INTO tallies AS tally (grain, slice, at, {keys}, {columns})
SELECT grain, slice,
       CASE WHEN grain = 0 THEN 'epoch'::timestamptz ELSE date_bin(make_interval(secs => grain), at, 'epoch') END,
       CASE WHEN slice = 1 THEN '*' ELSE tenant_id END, task, CASE WHEN slice = 2 THEN '*' ELSE prompt_version END,
       CASE WHEN slice = 2 THEN '*' ELSE model END, {totals}
FROM more, unnest(ARRAY[0, 60, 600, 3600]) AS grain, unnest(ARRAY[0, 1, 2]::smallint[]) AS slice
WHERE num_nonnulls({columns}) > 0 AND (grain > 0 OR slice = 0)
GROUP BY 1, 2, 3, 4, 5, 6, 7
ON CONFLICT (grain, slice, at, {keys}) DO UPDATE SET {added}
"""


_TYPES = {"spend_usd": "numeric", "waited_seconds": "double precision"}


@dataclass(frozen=True)
class Source:
    """Where some counts come from: a statement that has a row for each thing that happened."""

    rows: str
    columns: tuple[str, ...]

    def with_all(self, columns: Sequence[str]) -> str:
        """The same with every column there is, so that all sources make one statement, and a row is written once."""
        cells = [c if c in self.columns else f"NULL::{_type(c)} AS {c}" for c in columns]
        return f"SELECT at, {_KEYS}, {', '.join(cells)} FROM ({self.rows}) AS source"


def _type(column: str) -> str:
    """Sums of whole numbers are numeric in PostgreSQL, which costs several times as much to go on with."""
    return _TYPES.get(column, "bigint")


def _counted(condition: str, column: str) -> str:
    return f"CASE WHEN {condition} THEN 1 END AS {column}"


def _wait_classes() -> str:
    """Each job in the class of the least bound that its wait does not exceed."""
    bounds = [None, *WAIT_BOUNDS, None]
    conditions = [
        " AND ".join(
            ([f"waited > {low}"] if low is not None else []) + ([f"waited <= {high}"] if high is not None else [])
        )
        for low, high in itertools.pairwise(bounds)
    ]
    classes = [_counted(condition, column) for condition, column in zip(conditions, WAITED, strict=True)]
    return ", ".join([*classes, "waited AS waited_seconds"])


SOURCES = (
    Source(_SUBMITTED, SUBMITTED),
    Source(
        _LANDED.format(outcomes=", ".join(_counted(f"outcome = '{c}'", c) for c in LANDED), waits=_wait_classes()),
        (*LANDED, *WAITS),
    ),
    Source(
        _SETTLED.format(
            outcomes=", ".join(
                _counted(f"outcome = '{outcome}'", f"attempts_{outcome}")
                for outcome in AttemptOutcome
                if outcome is not AttemptOutcome.OPEN
            ),
            purposes=", ".join(_counted(f"purpose = '{purpose}'", f"for_{purpose}") for purpose in Purpose),
            reasons=", ".join(
                _counted(f"attempts.failure_reason = '{reason}'", f"reason_{reason}") for reason in FailureReason
            ),
        ),
        (*ATTEMPTS, *PURPOSES, *REASONS, *TOKENS, *SPEND),
    ),
)
"""All that is counted."""


def columns() -> Sequence[str]:
    """All columns that are counted."""
    return [column for source in SOURCES for column in source.columns]


def _statement() -> str:
    """Counts what happened within a time and adds what is more than was known."""
    names = columns()
    return _ADD.format(
        source=" UNION ALL ".join(source.with_all(names) for source in SOURCES),
        keys=_KEYS,
        columns=", ".join(names),
        sums=", ".join(f"sum({c})::{_type(c)} AS {c}" for c in names),
        differences=", ".join(
            f"nullif(greatest(coalesce(fresh.{c}, 0) - coalesce(known.{c}, 0), 0), 0) AS {c}" for c in names
        ),
        totals=", ".join(f"sum({c})" for c in names),
        added=", ".join(f"{c} = coalesce(tally.{c} + excluded.{c}, tally.{c}, excluded.{c})" for c in names),
    )


COUNT = _statement()

# Each is a step down an index. What was found by creation could be a day ahead of what was found by its end.
_NEXT = """
SELECT least((SELECT min(created_at) FROM jobs WHERE batch_id IS NULL AND created_at >= %(start)s),
             (SELECT min(closed_at) FROM batches WHERE closed_at IS NOT NULL AND closed_at >= %(start)s),
             (SELECT min(finished_at) FROM jobs WHERE finished_at IS NOT NULL AND finished_at >= %(start)s),
             (SELECT min(created_at) FROM reviews WHERE created_at >= %(start)s),
             (SELECT min(settled_at) FROM attempts WHERE settled_at IS NOT NULL AND settled_at >= %(start)s))
"""
_FORGET = """
DELETE FROM tallies
WHERE grain = %(grain)s AND slice = %(slice)s AND at < %(until)s::timestamptz - make_interval(hours => %(hours)s)
"""
_PROGRESS = """
SELECT counted_until, now() AS now, extract(epoch FROM now() - counted_until)::float8 AS behind_seconds FROM tally_progress
"""


@dataclass(frozen=True)
class Progress:
    """How far counting has come.

    Attributes:
        counted_until: everything before it is counted, but for what is committed late.
        now: by the database's clock.
    """

    counted_until: datetime
    now: datetime
    behind_seconds: float


def progress(connection: Connection) -> Progress:
    """How far counting has come."""
    return Progress(*connection.exec_driver_sql(_PROGRESS).one())


def next_happening(connection: Connection, start: datetime) -> datetime | None:
    """When the first thing happened at or after this moment."""
    found: datetime | None = connection.exec_driver_sql(_NEXT, {"start": start}).scalar_one()
    return found


def count(connection: Connection, start: datetime, until: datetime) -> int:
    """Count what happened from a whole minute until a moment, and remember it.

    Returns:
        Rows of tallies that became more.
    """
    changed = connection.exec_driver_sql(COUNT, {"start": start, "until": until}).rowcount
    connection.exec_driver_sql(
        "UPDATE tally_progress SET counted_until = greatest(counted_until, %(until)s)", {"until": until}
    )
    return changed


def forget(connection: Connection, until: datetime) -> None:
    """Drop rows older than their grain is kept, seen from where counting has come."""
    for grain, hours in KEPT_HOURS.items():
        for slice_ in (BY_ALL, BY_VERSION, BY_LANE):
            values = {"grain": grain, "slice": slice_, "hours": hours, "until": until}
            connection.exec_driver_sql(_FORGET, values)
