"""What model calls used and cost, and how long jobs took. Reads a tenant's own rows, in its own transactions."""

from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection

GroupBy = Literal["task", "model", "day"]

_GROUPS: dict[GroupBy, str] = {
    "task": "j.task",
    "model": "coalesce(a.answered_model, a.model)",
    "day": "to_char(a.opened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
}
_SPENT = """
SELECT {group} AS name,
       count(*) AS calls,
       coalesce(sum(a.input_tokens + a.cache_read_tokens + a.cache_write_tokens), 0)::bigint AS input_tokens,
       coalesce(sum(a.output_tokens), 0)::bigint AS output_tokens,
       sum(a.cost_usd) AS usd,
       count(*) FILTER (WHERE a.cost_usd IS NULL AND a.output_tokens IS NOT NULL) AS unpriced_calls,
       count(*) FILTER (WHERE a.outcome = 'unknown') AS maybe_billed_calls,
       count(*) FILTER (WHERE a.outcome = 'open') AS open_calls
FROM attempts a JOIN jobs j ON j.id = a.job_id
WHERE (%(batch)s::uuid IS NULL OR j.batch_id = %(batch)s)
  AND (%(days)s::int IS NULL OR a.opened_at >= now() - make_interval(days => %(days)s))
GROUP BY 1 ORDER BY 1
"""
_SECONDS = """
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS p50, percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds) AS p95
FROM (
    SELECT extract(epoch FROM coalesce(r.created_at, j.finished_at) - j.started_at)::float8 AS seconds
    FROM jobs j LEFT JOIN reviews r ON r.job_id = j.id
    WHERE j.batch_id = %(batch)s AND j.started_at IS NOT NULL
) AS landed
"""


def spent(connection: Connection, *, by: GroupBy, batch_id: UUID | None, days: int | None) -> list[dict[str, Any]]:
    """Calls, tokens and US dollars in groups.

    ``usd`` is None where no call of the group has a known price; ``unpriced_calls`` says how many have none;
    ``maybe_billed_calls`` are those whose reply was lost.
    """
    # The group is one of three texts of ours.
    rows = connection.exec_driver_sql(_SPENT.format(group=_GROUPS[by]), {"batch": batch_id, "days": days})
    return [dict(row) for row in rows.mappings()]


def seconds_to_land(connection: Connection, batch_id: UUID) -> tuple[float | None, float | None]:
    """Median and 95th percentile of a batch's seconds from a job's first claim to its landing."""
    row = connection.exec_driver_sql(_SECONDS, {"batch": batch_id}).one()
    return row[0], row[1]
