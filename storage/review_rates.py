"""What a tenant says of its tasks: how many of the model's answers a second person looks at, and what is at stake."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

# Only a changed rate counts from now on: a change of the stakes alone must not make the sample skip anything.
_SET = """
INSERT INTO review_rates (tenant_id, task, rate, stakes)
VALUES (%(tenant)s, %(task)s, %(rate)s, coalesce(%(stakes)s::smallint, 0))
ON CONFLICT (tenant_id, task) DO UPDATE SET
    rate = excluded.rate, stakes = coalesce(%(stakes)s::smallint, review_rates.stakes),
    since = CASE WHEN review_rates.rate = excluded.rate THEN review_rates.since ELSE now() END
"""
_RANK_ANEW = """
UPDATE reviews SET rank = assay_review_rank(priority, %(stakes)s::smallint, reason, suggestion IS NOT NULL, attempts)
WHERE job_id IN (SELECT job_id FROM reviews WHERE task = %(task)s AND decision IS NULL AND effective_at IS NULL
                 ORDER BY job_id FOR UPDATE)
"""
_OF_TENANT = "SELECT task, rate, stakes, since FROM review_rates ORDER BY task"


class Rate(NamedTuple):
    """What holds for one task; jobs that finished before ``since`` are not sampled."""

    task: str
    rate: float
    stakes: int
    since: datetime


def put(connection: Connection, tenant_id: str, task: str, rate: float, stakes: int | None) -> None:
    """Set the rate and, unless None, the stakes; what waits gets its new place in the queue."""
    connection.exec_driver_sql(_SET, {"tenant": tenant_id, "task": task, "rate": rate, "stakes": stakes})
    if stakes is not None:
        connection.exec_driver_sql(_RANK_ANEW, {"task": task, "stakes": stakes})


def of_tenant(connection: Connection) -> list[Rate]:
    """All that were ever set."""
    return [Rate(*row) for row in connection.exec_driver_sql(_OF_TENANT)]
