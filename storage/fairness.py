"""What dispatch reads and remembers: who has work that is due, the first jobs of each, and how far each was served.

System transactions only. A lane is a class, a tenant and a task that have work; each lane is found by one step down the
index and its first jobs by another, so a round costs by the number of lanes, not by the number of waiting jobs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

_LANES = """
WITH RECURSIVE lane AS (
    SELECT first.* FROM (VALUES (1::smallint), (0::smallint), ((-1)::smallint)) AS class (priority), LATERAL (
        SELECT j.priority, j.tenant_id, j.task FROM jobs j
        WHERE j.state = 'queued' AND j.run_at IS NULL AND j.priority = class.priority
        ORDER BY j.tenant_id, j.task LIMIT 1
    ) AS first
    UNION ALL
    SELECT next.* FROM lane, LATERAL (
        SELECT j.priority, j.tenant_id, j.task FROM jobs j
        WHERE j.state = 'queued' AND j.run_at IS NULL AND j.priority = lane.priority
          AND (j.tenant_id, j.task) > (lane.tenant_id, lane.task)
        ORDER BY j.tenant_id, j.task LIMIT 1
    ) AS next
)
SELECT lane.priority, lane.tenant_id, lane.task, tenants.weight FROM lane JOIN tenants ON tenants.id = lane.tenant_id
"""
_FIRST_JOBS = """
SELECT job.id, lane.tenant_id, lane.task, lane.priority, job.cost, job.deadline
FROM unnest(%(priorities)s::smallint[], %(tenants)s::text[], %(tasks)s::text[]) AS lane (priority, tenant_id, task), LATERAL (
    SELECT j.id, j.cost, j.deadline FROM jobs j
    WHERE j.state = 'queued' AND j.run_at IS NULL AND j.priority = lane.priority AND j.tenant_id = lane.tenant_id
      AND j.task = lane.task
    ORDER BY j.priority DESC, j.tenant_id, j.task, j.deadline, j.id LIMIT %(most)s
) AS job
"""
_REMEMBER = """
WITH clock AS (
    INSERT INTO fair_clocks (priority, virtual) VALUES (%(priority)s, %(now)s)
    ON CONFLICT (priority) DO UPDATE SET virtual = excluded.virtual
), gone AS (
    DELETE FROM fair_shares WHERE priority = %(priority)s AND NOT (tenant_id = ANY(%(tenants)s::text[]))
)
INSERT INTO fair_shares (priority, tenant_id, served)
SELECT %(priority)s, tenant_id, served FROM unnest(%(tenants)s::text[], %(served)s::float8[]) AS share (tenant_id, served)
ON CONFLICT (priority, tenant_id) DO UPDATE SET served = excluded.served
"""


@dataclass(frozen=True)
class Lane:
    """A class, a tenant and a task that have work which is due."""

    priority: int
    tenant_id: str
    task: str
    weight: float


class First(NamedTuple):
    """One of a lane's first jobs."""

    job_id: UUID
    tenant_id: str
    task: str
    priority: int
    cost: float
    deadline: datetime | None


def lanes(connection: Connection) -> list[Lane]:
    """Every lane that has work."""
    return [Lane(*row) for row in connection.exec_driver_sql(_LANES)]


def first_jobs(connection: Connection, of: Sequence[Lane], *, most: int) -> list[First]:
    """The first jobs of these lanes, ``most`` of each at most: by deadline, then by age."""
    rows = connection.exec_driver_sql(
        _FIRST_JOBS,
        {
            "priorities": [lane.priority for lane in of],
            "tenants": [lane.tenant_id for lane in of],
            "tasks": [lane.task for lane in of],
            "most": most,
        },
    )
    return [First(*row) for row in rows]


def clocks(connection: Connection) -> dict[int, float]:
    """The virtual time of each class."""
    return {row[0]: row[1] for row in connection.exec_driver_sql("SELECT priority, virtual FROM fair_clocks")}


def shares(connection: Connection) -> list[tuple[int, str, float]]:
    """Class, tenant, and how far the tenant is served there, of those that are ahead of the class's time."""
    return [tuple(row) for row in connection.exec_driver_sql("SELECT priority, tenant_id, served FROM fair_shares")]


def remember(connection: Connection, priority: int, *, now: float, served: Mapping[str, float]) -> None:
    """Store a class's time and its tenants' shares; tenants that are not named are forgotten."""
    connection.exec_driver_sql(
        _REMEMBER, {"priority": priority, "now": now, "tenants": list(served), "served": list(served.values())}
    )
