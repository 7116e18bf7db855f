"""Where jobs stand, for those who watch them: across tenants and without content (system transactions)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

# The history is read for those jobs only that have moved. A job that a person ended was not published again since the decision;
# one that was, by a retry, was ended by something else.
_STANDING = """
SELECT j.id, j.state, j.fence, j.native, j.answered_by,
       ARRAY(SELECT DISTINCT a.fence FROM attempts a WHERE a.job_id = j.id) AS runs,
       j.finished_at IS NOT NULL
           AND EXISTS (SELECT 1 FROM reviews r WHERE r.job_id = j.id AND r.decided_at >= j.published_at) AS was_reviewed
FROM jobs j
"""
_MOVED = f"""
{_STANDING} JOIN unnest(%(ids)s::uuid[], %(states)s::text[], %(fences)s::int[]) AS known (id, state, fence)
    ON j.id = known.id
WHERE j.state IS DISTINCT FROM known.state OR j.fence <> known.fence
"""
_ALLOWED = """
SELECT j.id FROM unnest(%(ids)s::uuid[]) AS watched (id) JOIN jobs j ON j.id = watched.id JOIN tenants t ON t.id = j.tenant_id
WHERE t.partial_text
"""


class StandingRow(NamedTuple):
    """A job's row and what of its past tells its way.

    Attributes:
        runs: fences of the runs that made calls, in no order.
        was_reviewed: a person ended it, or it was withdrawn from one.
    """

    id: UUID
    state: str
    fence: int
    native: bool
    answered_by: str | None
    runs: list[int]
    was_reviewed: bool


def moved(connection: Connection, known: Mapping[UUID, tuple[str | None, int]]) -> list[StandingRow]:
    """Those of these jobs whose state or fence is another than is known of them."""
    rows = connection.exec_driver_sql(
        _MOVED,
        {
            "ids": list(known),
            "states": [state for state, _ in known.values()],
            "fences": [fence for _, fence in known.values()],
        },
    )
    return [StandingRow(*row) for row in rows]


def of_job(connection: Connection, job_id: UUID) -> StandingRow | None:
    """Where a job stands; works in the tenant's own transaction too. None: there is no such job."""
    row = connection.exec_driver_sql(_STANDING + "WHERE j.id = %(id)s", {"id": job_id}).first()
    return None if row is None else StandingRow(*row)


def with_partial_text(connection: Connection, job_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these jobs whose tenant allows partial text."""
    return set(connection.exec_driver_sql(_ALLOWED, {"ids": list(job_ids)}).scalars())
