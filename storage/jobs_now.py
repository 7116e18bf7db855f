"""Lists of jobs as they are now: waiting, running, in review. Across tenants, without content; system transactions only.

Each read is bounded, whatever waits.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from schemas.job_lists import Filters, ListedJob
from storage import fairness

MOST_WAITING = 2_000
"""Read of all lanes together, evenly, for the list of what waits."""
MOST_PUBLISHED = 10_000
MOST_RUNNING = 5_000
MOST_REVIEWS = 50_000

_WAITING = """
SELECT job.id AS job_id, job.tenant_id, job.task, job.state, job.created_at AS at, job.failure_reason AS reason,
       extract(epoch FROM now() - job.created_at)::float8 AS waited_seconds
FROM (
    SELECT of_lane.* FROM unnest(%(priorities)s::smallint[], %(tenants)s::text[], %(tasks)s::text[])
        AS lane (priority, tenant_id, task), LATERAL (
        (SELECT j.id, j.tenant_id, j.task, j.state, j.created_at, j.failure_reason FROM jobs j
         WHERE j.state = 'queued' AND j.run_at IS NULL AND j.priority = lane.priority AND j.tenant_id = lane.tenant_id
           AND j.task = lane.task AND j.deadline IS NULL
         ORDER BY j.deadline, j.id LIMIT %(each)s)
        UNION ALL
        (SELECT j.id, j.tenant_id, j.task, j.state, j.created_at, j.failure_reason FROM jobs j
         WHERE j.state = 'queued' AND j.run_at IS NULL AND j.priority = lane.priority AND j.tenant_id = lane.tenant_id
           AND j.task = lane.task AND j.deadline IS NOT NULL
         ORDER BY j.deadline, j.id LIMIT %(each)s)
    ) AS of_lane
    UNION ALL
    (SELECT id, tenant_id, task, state, created_at, failure_reason FROM jobs WHERE state = 'published'
     ORDER BY published_at LIMIT %(published)s)
    UNION ALL
    (SELECT id, tenant_id, task, state, created_at, failure_reason FROM jobs WHERE state = 'queued' AND run_at IS NOT NULL
     ORDER BY run_at LIMIT %(most)s)
) AS job
WHERE (%(tenant)s::text IS NULL OR job.tenant_id = %(tenant)s) AND (%(task)s::text IS NULL OR job.task = %(task)s)
ORDER BY job.created_at, job.id LIMIT %(limit)s
"""
_RUNNING = """
SELECT id AS job_id, tenant_id, task, state, started_at AS at,
       extract(epoch FROM started_at - created_at)::float8 AS waited_seconds
FROM (SELECT * FROM (SELECT id, tenant_id, task, state, started_at, created_at FROM jobs WHERE state = 'running'
                     ORDER BY lease_until LIMIT %(most)s) AS held
      WHERE (%(tenant)s::text IS NULL OR tenant_id = %(tenant)s) AND (%(task)s::text IS NULL OR task = %(task)s)) AS running
ORDER BY started_at LIMIT %(limit)s
"""
_IN_REVIEW = """
SELECT review.job_id, review.tenant_id, review.task, 'in_review' AS state, review.created_at AS at, review.reason
FROM (SELECT job_id, tenant_id, task, created_at, reason FROM reviews WHERE decision IS NULL
      ORDER BY tenant_id, created_at LIMIT %(most)s) AS review
WHERE (%(tenant)s::text IS NULL OR tenant_id = %(tenant)s) AND (%(task)s::text IS NULL OR task = %(task)s)
  AND (%(reason)s::text IS NULL OR reason = %(reason)s)
ORDER BY created_at, job_id LIMIT %(limit)s
"""


def waiting(connection: Connection, filters: Filters, *, limit: int) -> list[ListedJob]:
    """Jobs that wait to be run, the oldest of each lane's first ones."""
    lanes = [
        lane
        for lane in fairness.lanes(connection)
        if filters.tenant in {None, lane.tenant_id} and filters.task in {None, lane.task}
    ]
    parameters = {
        "priorities": [lane.priority for lane in lanes],
        "tenants": [lane.tenant_id for lane in lanes],
        "tasks": [lane.task for lane in lanes],
        "each": max(2, min(limit, MOST_WAITING // max(1, len(lanes)))),
        "published": MOST_PUBLISHED,
        "most": MOST_WAITING,
    }
    return _listed(connection, _WAITING, filters, limit, parameters)


def running(connection: Connection, filters: Filters, *, limit: int) -> list[ListedJob]:
    """Jobs that run now, the one that began first at the top."""
    return _listed(connection, _RUNNING, filters, limit, {"most": MOST_RUNNING})


def in_review(connection: Connection, filters: Filters, *, limit: int) -> list[ListedJob]:
    """Jobs that wait for a person, oldest first."""
    return _listed(connection, _IN_REVIEW, filters, limit, {"most": MOST_REVIEWS})


def _listed(
    connection: Connection, statement: str, filters: Filters, limit: int, parameters: Mapping[str, Any]
) -> list[ListedJob]:
    of_filters = {"tenant": filters.tenant, "task": filters.task, "reason": filters.reason}
    rows = connection.exec_driver_sql(statement, {**of_filters, "limit": limit, **parameters})
    return [ListedJob(**row) for row in rows.mappings()]
