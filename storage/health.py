"""The figures of health, across tenants. System transactions only, and nothing that holds content.

Each read costs by the number of lanes, workers or open batches, or is counted up to a bound: none by how many jobs wait.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from storage import fairness

MOST_COUNTED = 10_000
"""Jobs are counted exactly up to here."""
MOST_WITH_DEADLINE = 20
"""Of a lane's jobs with a deadline only the most urgent ones are looked at for the oldest: their order is the deadline's."""

# Ids of jobs without a deadline are in the order of making, so the first of a lane is its oldest. The order by deadline is
# that of the index: without it the planner prefers the primary key and walks through finished jobs.
_OLDEST_READY = """
SELECT job.id, lane.tenant_id, lane.task, extract(epoch FROM now() - job.created_at)::float8, job.fence > 0
FROM unnest(%(priorities)s::smallint[], %(tenants)s::text[], %(tasks)s::text[]) AS lane (priority, tenant_id, task), LATERAL (
    (SELECT j.id, j.created_at, j.fence FROM jobs j
     WHERE j.state = 'queued' AND j.run_at IS NULL AND j.priority = lane.priority AND j.tenant_id = lane.tenant_id
       AND j.task = lane.task AND j.deadline IS NULL
     ORDER BY j.deadline, j.id LIMIT 1)
    UNION ALL
    (SELECT j.id, j.created_at, j.fence FROM jobs j
     WHERE j.state = 'queued' AND j.run_at IS NULL AND j.priority = lane.priority AND j.tenant_id = lane.tenant_id
       AND j.task = lane.task AND j.deadline IS NOT NULL
     ORDER BY j.deadline, j.id LIMIT %(most)s)
) AS job
"""
_OLDEST_DUE = """
SELECT id, tenant_id, task, extract(epoch FROM now() - run_at)::float8, fence > 0 FROM jobs
WHERE state = 'queued' AND run_at <= now() ORDER BY run_at LIMIT 1
"""
_OLDEST_PUBLISHED = """
SELECT id, tenant_id, task, extract(epoch FROM now() - created_at)::float8, fence > 0
FROM (SELECT id, tenant_id, task, created_at, fence FROM jobs WHERE state = 'published' ORDER BY published_at
      LIMIT %(most)s) AS published
ORDER BY created_at LIMIT 1
"""
# Each is ordered as its index is, or the planner would walk through finished jobs.
_COUNTS = """
SELECT (SELECT count(*) FROM (SELECT FROM jobs WHERE state = 'queued' AND run_at IS NULL
                              ORDER BY priority DESC, tenant_id, task, deadline, id LIMIT %(most)s + 1) AS ready),
       (SELECT count(*) FROM (SELECT FROM jobs WHERE state = 'queued' AND run_at <= now()
                              ORDER BY run_at LIMIT %(most)s + 1) AS due),
       (SELECT count(*) FROM (SELECT FROM jobs WHERE state = 'published'
                              ORDER BY published_at LIMIT %(most)s + 1) AS published),
       (SELECT count(*) FROM (SELECT FROM jobs WHERE state = 'queued' AND run_at > now()
                              ORDER BY run_at LIMIT %(most)s + 1) AS later)
"""
_WORKERS = """
SELECT name, slots, busy, deaf_since IS NOT NULL AS deaf, claims - claims_before AS claims, memory_bytes,
       extract(epoch FROM now() - claims_before_at)::float8 AS window_seconds,
       extract(epoch FROM now() - started_at)::float8 AS age_seconds,
       stopped_at IS NULL AND seen_at > now() - interval '30 seconds' AS live
FROM workers
WHERE stopped_at IS NULL AND seen_at > now() - interval '30 seconds' OR deaf_since > now() - interval '15 minutes'
ORDER BY name
"""
_DUTIES = """
SELECT duties.name, workers.name AS holder, extract(epoch FROM now() - turn_at)::float8 AS seconds_ago, turns, done
FROM duties LEFT JOIN workers ON workers.id = duties.holder
"""
_EXPIRED = """
SELECT count(*), extract(epoch FROM now() - min(lease_until))::float8 FROM jobs WHERE state = 'running' AND lease_until < now()
"""
_OPEN_BATCHES = """
SELECT count(*), extract(epoch FROM now() - min(arrived_at))::float8 FROM batches WHERE closed_at IS NULL
"""


@dataclass(frozen=True)
class Candidate:
    """A waiting job that may be the oldest; ``seconds`` since it was submitted or, with a moment to wait for, was due."""

    job_id: UUID
    tenant_id: str
    task: str
    seconds: float
    has_run: bool


@dataclass(frozen=True)
class Process:
    """A worker process.

    Attributes:
        claims: within the last ``window_seconds``.
        live: seen lately and not stopped.
    """

    name: str
    slots: int
    busy: int
    deaf: bool
    claims: int
    memory_bytes: int | None
    window_seconds: float
    age_seconds: float
    live: bool


@dataclass(frozen=True)
class Duty:
    """The last turn of a duty."""

    name: str
    holder: str | None
    seconds_ago: float | None
    turns: int
    done: int


@dataclass(frozen=True)
class Counted:
    """Jobs by how they wait, each counted up to :data:`MOST_COUNTED` and one more."""

    ready: int
    due: int
    published: int
    later: int


@dataclass(frozen=True)
class Some:
    """How many, and since when the oldest is."""

    count: int
    seconds: float | None


@dataclass(frozen=True)
class Figures:
    """All that health is judged by."""

    counted: Counted
    oldest: list[Candidate]
    processes: list[Process]
    duties: dict[str, Duty]
    expired: Some
    open_batches: Some


def read(connection: Connection) -> Figures:
    """Read all figures at one moment, as far as one transaction at READ COMMITTED is one."""
    return Figures(
        counted=Counted(*_row(connection, _COUNTS, most=MOST_COUNTED)),
        oldest=_oldest(connection),
        processes=[Process(*row) for row in connection.exec_driver_sql(_WORKERS)],
        duties={row[0]: Duty(*row) for row in connection.exec_driver_sql(_DUTIES)},
        expired=Some(*_row(connection, _EXPIRED)),
        open_batches=Some(*_row(connection, _OPEN_BATCHES)),
    )


def _oldest(connection: Connection) -> list[Candidate]:
    """The oldest of each way of waiting, and of each lane."""
    lanes = fairness.lanes(connection)
    of_lanes: dict[str, Any] = {
        "priorities": [lane.priority for lane in lanes],
        "tenants": [lane.tenant_id for lane in lanes],
        "tasks": [lane.task for lane in lanes],
        "most": MOST_WITH_DEADLINE,
    }
    rows = [
        *connection.exec_driver_sql(_OLDEST_READY, of_lanes),
        *connection.exec_driver_sql(_OLDEST_DUE),
        *connection.exec_driver_sql(_OLDEST_PUBLISHED, {"most": MOST_COUNTED}),
    ]
    return [Candidate(*row) for row in rows]


def _row(connection: Connection, statement: str, **parameters: object) -> tuple[Any, ...]:
    return tuple(connection.exec_driver_sql(statement, parameters or None).one())
