"""Figures read from tallies and from what waits now. System transactions only; each read is bounded."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from schemas.figures import Dimension
from storage import fairness, tallies

MOST_REVIEWS_COUNTED = 50_000
MOST_WITH_DEADLINE = 20
"""As in ``storage.health``: of a lane's jobs with a deadline only the most urgent are looked at for the oldest."""
MOST_PUBLISHED = 10_000

_COLUMN = {
    Dimension.TENANT: "tenant_id",
    Dimension.TASK: "task",
    Dimension.PROMPT_VERSION: "prompt_version",
    Dimension.MODEL: "model",
}
# The plans of this house are made for finding rows by key; reading thousands of tallies needs what they forbid.
_PLANS = """
SELECT set_config('enable_sort', 'on', true), set_config('enable_hashjoin', 'on', true), set_config('jit', 'off', true)
"""
_EVER = "'epoch'::timestamptz"
_SINCE = "date_bin(make_interval(secs => %(grain)s), now() - make_interval(secs => %(seconds)s), 'epoch')"
# Ids of jobs without a deadline are in the order of making (storage.health).
_OLDEST = """
SELECT lane.tenant_id, lane.task, job.id, extract(epoch FROM now() - job.created_at)::float8
FROM unnest(%(priorities)s::smallint[], %(tenants)s::text[], %(tasks)s::text[]) AS lane (priority, tenant_id, task), LATERAL (
    (SELECT j.id, j.created_at FROM jobs j
     WHERE j.state = 'queued' AND j.run_at IS NULL AND j.priority = lane.priority AND j.tenant_id = lane.tenant_id
       AND j.task = lane.task AND j.deadline IS NULL
     ORDER BY j.deadline, j.id LIMIT 1)
    UNION ALL
    (SELECT j.id, j.created_at FROM jobs j
     WHERE j.state = 'queued' AND j.run_at IS NULL AND j.priority = lane.priority AND j.tenant_id = lane.tenant_id
       AND j.task = lane.task AND j.deadline IS NOT NULL
     ORDER BY j.deadline, j.id LIMIT %(urgent)s)
) AS job
UNION ALL
(SELECT tenant_id, task, id, extract(epoch FROM now() - run_at)::float8 FROM jobs
 WHERE state = 'queued' AND run_at <= now() ORDER BY run_at LIMIT %(urgent)s)
UNION ALL
SELECT DISTINCT ON (tenant_id, task) tenant_id, task, id, extract(epoch FROM now() - created_at)::float8
FROM (SELECT tenant_id, task, id, created_at FROM jobs WHERE state = 'published' ORDER BY published_at
      LIMIT %(published)s) AS published ORDER BY 1, 2, 4 DESC
"""
_REVIEWS = """
SELECT tenant_id, task, count(*) AS waiting, extract(epoch FROM now() - min(created_at))::float8,
       count(*) FILTER (WHERE lease_until > now())
FROM (SELECT tenant_id, task, created_at, lease_until FROM reviews WHERE decision IS NULL
      ORDER BY tenant_id, created_at LIMIT %(most)s) AS reviews
GROUP BY tenant_id, task
"""


@dataclass(frozen=True)
class Oldest:
    """The job of a tenant and task that has waited the longest."""

    tenant_id: str
    task: str
    job_id: UUID
    seconds: float


@dataclass(frozen=True)
class Backlog:
    """What waits for a person, of a tenant and task.

    Attributes:
        waiting: how many, counted up to :data:`MOST_REVIEWS_COUNTED` over all.
        held: of these, held by a person now.
    """

    tenant_id: str
    task: str
    waiting: int
    oldest_seconds: float
    held: int


@dataclass(frozen=True)
class Counts:
    """Counts of one group, or of one group at one time.

    Attributes:
        labels: what they are kept apart by.
        at: the beginning of the time they are of; None where they are of a whole window.
    """

    labels: dict[Dimension, str]
    at: datetime | None
    counts: dict[str, float]


def allow_large_reads(connection: Connection) -> None:
    """Let this transaction sort and hash."""
    connection.exec_driver_sql(_PLANS)


def counted(
    connection: Connection,
    columns: Sequence[str],
    *,
    grain: int,
    seconds: float,
    by: Sequence[Dimension] = (),
    over_time: bool = False,
    where: Mapping[Dimension, str] | None = None,
) -> list[Counts]:
    """Sums of counts over the last so many seconds.

    Args:
        grain: of the tallies that are read; their first one may begin before the window (:func:`span_seconds`).
        seconds: without a meaning for the grain of all time.
        over_time: a group of its own for each time.
        where: only what has these labels.
    """
    keys = [*(_COLUMN[one] for one in by), *(["at"] if over_time else [])]
    only = dict(where or {})
    sums = [f"coalesce(sum({column}), 0)::float8" for column in columns]
    conditions = [f"AND {_COLUMN[one]} = %({one})s" for one in only]
    conditions += [f"AND num_nonnulls({', '.join(columns)}) > 0"]
    slice_ = _slice({*by, *only}) if grain else tallies.BY_ALL
    statement = (
        f"SELECT {', '.join([*keys, *sums])} FROM tallies WHERE grain = %(grain)s AND slice = {slice_}"
        f" AND at >= {_SINCE if grain else _EVER} {' '.join(conditions)}"
        + (f" GROUP BY {', '.join(keys)} ORDER BY {', '.join(keys)}" if keys else "")
    )
    values = {"grain": grain, "seconds": seconds, **{str(one): value for one, value in only.items()}}
    rows = connection.exec_driver_sql(statement, values)
    width = len(by)
    return [
        Counts(
            labels=dict(zip(by, row[:width], strict=True)),
            at=row[width] if over_time else None,
            counts=dict(zip(columns, row[len(keys) :], strict=True)),
        )
        for row in rows
    ]


def _slice(dimensions: Collection[Dimension]) -> int:
    """The smallest one that keeps these apart."""
    if Dimension.TENANT not in dimensions:
        return tallies.BY_VERSION
    return tallies.BY_LANE if set(dimensions) <= {Dimension.TENANT, Dimension.TASK} else tallies.BY_ALL


def span_seconds(connection: Connection, grain: int, seconds: float) -> float:
    """From the beginning of the first tally of a window until now."""
    statement = f"SELECT extract(epoch FROM now() - {_SINCE})::float8"
    return float(connection.exec_driver_sql(statement, {"grain": grain, "seconds": seconds}).scalar_one())


def oldest_waiting(connection: Connection) -> list[Oldest]:
    """The longest wait of each tenant and task that has work which is due."""
    lanes = fairness.lanes(connection)
    rows = connection.exec_driver_sql(
        _OLDEST,
        {
            "priorities": [lane.priority for lane in lanes],
            "tenants": [lane.tenant_id for lane in lanes],
            "tasks": [lane.task for lane in lanes],
            "urgent": MOST_WITH_DEADLINE,
            "published": MOST_PUBLISHED,
        },
    )
    oldest: dict[tuple[str, str], Oldest] = {}
    for row in rows:
        job = Oldest(*row)
        known = oldest.get((job.tenant_id, job.task))
        if known is None or job.seconds > known.seconds:
            oldest[job.tenant_id, job.task] = job
    return sorted(oldest.values(), key=lambda job: -job.seconds)


def review_backlog(connection: Connection) -> list[Backlog]:
    """What waits for a person, the oldest first."""
    rows = connection.exec_driver_sql(_REVIEWS, {"most": MOST_REVIEWS_COUNTED})
    return sorted((Backlog(*row) for row in rows), key=lambda backlog: -backlog.oldest_seconds)


def tenants_by_creation(connection: Connection, limit: int) -> list[str]:
    """The first tenants that were made: an order that never changes."""
    rows = connection.exec_driver_sql(
        "SELECT id FROM tenants ORDER BY created_at, id LIMIT %(limit)s", {"limit": limit}
    )
    return list(rows.scalars())
