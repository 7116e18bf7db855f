"""What dispatch reads and remembers: who has work that is due, the first jobs of each, and how far each was served.

System transactions only. A tenant that has work in a class is found by one step down the index, and the first jobs of those
whose turn it may be by another step for each task, so a round costs by tenants and places, not by the number of waiting jobs.
A lane is a class, a tenant and a task that have work.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
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
_WAITING = """
WITH RECURSIVE waiting AS (
    SELECT first.* FROM (VALUES (1::smallint), (0::smallint), ((-1)::smallint)) AS class (priority), LATERAL (
        SELECT j.priority, j.tenant_id FROM jobs j
        WHERE j.state = 'queued' AND j.run_at IS NULL AND j.priority = class.priority ORDER BY j.tenant_id LIMIT 1
    ) AS first
    UNION ALL
    SELECT next.* FROM waiting, LATERAL (
        SELECT j.priority, j.tenant_id FROM jobs j
        WHERE j.state = 'queued' AND j.run_at IS NULL AND j.priority = waiting.priority AND j.tenant_id > waiting.tenant_id
        ORDER BY j.tenant_id LIMIT 1
    ) AS next
)
SELECT waiting.priority, waiting.tenant_id, tenants.weight, coalesce(fair_clocks.virtual, 0), fair_shares.served
FROM waiting JOIN tenants ON tenants.id = waiting.tenant_id
    LEFT JOIN fair_clocks ON fair_clocks.priority = waiting.priority
    LEFT JOIN fair_shares ON fair_shares.priority = waiting.priority AND fair_shares.tenant_id = waiting.tenant_id
"""
# One branch per task, each in the index's own order: they are merged lazily, so no more rows are read than are wanted and one
# of each task. With an ordering above a plain UNION, or over all tasks at once, the server would sort every job there is.
_FIRST_JOBS = """
SELECT job.id, who.tenant_id, job.task, %(priority)s::smallint, job.cost
FROM unnest(%(tenants)s::text[], %(most)s::int[]) AS who (tenant_id, most), LATERAL (
    SELECT * FROM ({branches}) AS of_task ORDER BY of_task.deadline, of_task.id LIMIT who.most
) AS job
"""
_FIRST_OF_TASK = """
    (SELECT j.id, j.task, j.cost, j.deadline FROM jobs j
     WHERE j.state = 'queued' AND j.run_at IS NULL AND j.priority = %(priority)s AND j.tenant_id = who.tenant_id
       AND j.task = %(task_{number})s
     ORDER BY j.deadline, j.id LIMIT who.most)
"""
_REMEMBER = """
WITH clock AS (
    INSERT INTO fair_clocks (priority, virtual)
    SELECT * FROM unnest(%(priorities)s::smallint[], %(now)s::float8[])
    ON CONFLICT (priority) DO UPDATE SET virtual = excluded.virtual
), gone AS (
    DELETE FROM fair_shares AS old USING unnest(%(priorities)s::smallint[], %(now)s::float8[]) AS clock (priority, now)
    WHERE old.priority = clock.priority AND old.served <= clock.now
      AND NOT (old.tenant_id = ANY(%(tenants)s::text[]))
)
INSERT INTO fair_shares (priority, tenant_id, served)
SELECT * FROM unnest(%(classes)s::smallint[], %(tenants)s::text[], %(served)s::float8[])
ON CONFLICT (priority, tenant_id) DO UPDATE SET served = excluded.served
"""


@dataclass(frozen=True)
class Lane:
    """A class, a tenant and a task that have work which is due."""

    priority: int
    tenant_id: str
    task: str
    weight: float


class Waiting(NamedTuple):
    """A tenant that has work of a class.

    Attributes:
        now: virtual time of the class.
        served: how far the tenant is served there, where it is ahead of that time.
    """

    priority: int
    tenant_id: str
    weight: float
    now: float = 0.0
    served: float | None = None


class Candidate(NamedTuple):
    """One of a tenant's first jobs. A tuple, because a round reads hundreds of them.

    Attributes:
        priority: its class, 1 high, 0 normal, -1 low.
        cost: estimated, in token units.
    """

    job_id: UUID
    tenant_id: str
    task: str
    priority: int
    cost: float


def lanes(connection: Connection) -> list[Lane]:
    """Every lane that has work."""
    return [Lane(*row) for row in connection.exec_driver_sql(_LANES).all()]


def waiting(connection: Connection) -> list[Waiting]:
    """Every tenant that has work, by class."""
    return [Waiting._make(row) for row in connection.exec_driver_sql(_WAITING).all()]


def first_jobs(
    connection: Connection, priority: int, most: Mapping[str, int], tasks: Collection[str]
) -> list[Candidate]:
    """The first jobs of these tenants: by deadline, then by age.

    Args:
        most: by tenant, how many at most.
        tasks: of these alone.
    """
    if not tasks:
        return []
    parameters = {"priority": priority, "tenants": list(most), "most": list(most.values()), **numbered(tasks)}
    return [Candidate._make(row) for row in connection.exec_driver_sql(first_jobs_statement(len(tasks)), parameters)]


@cache
def first_jobs_statement(tasks: int) -> str:
    """The statement for so many tasks, with parameters ``task_0``, ``task_1`` ..."""
    branches = "UNION ALL".join(_FIRST_OF_TASK.format(number=number) for number in range(tasks))
    return _FIRST_JOBS.format(branches=branches)


def numbered(tasks: Collection[str]) -> dict[str, str]:
    """The parameters of that statement which name the tasks."""
    return {f"task_{number}": task for number, task in enumerate(tasks)}


def remember(connection: Connection, clocks: Mapping[int, float], served: Mapping[tuple[int, str], float]) -> None:
    """Store the time of these classes and how far tenants are served in them; who is not ahead of the time is forgotten.

    Args:
        clocks: by class.
        served: by class and tenant, those that have changed.
    """
    connection.exec_driver_sql(
        _REMEMBER,
        {
            "priorities": list(clocks),
            "now": list(clocks.values()),
            "classes": [priority for priority, _ in served],
            "tenants": [tenant_id for _, tenant_id in served],
            "served": list(served.values()),
        },
    )
