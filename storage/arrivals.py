"""Arrivals: the lines of a batch that is still being received. When it is whole they become jobs, all at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from schemas.job import JobOptions
from storage.jobs import options_of

# What may hold quotes or backslashes goes as binary (%b): as text each would be escaped, which took half of an upload's time.
_INSERT = """
WITH new AS (
    SELECT * FROM unnest(%(lines)s::int[], %(ids)s::uuid[], %(requests)b::text[]::json[], %(references)b::text[],
                         %(costs)s::real[], %(digests)b::bytea[])
        AS new (line, job_id, request, reference, cost, digest)
), arrival AS (
    INSERT INTO arrivals (batch_id, line, tenant_id, job_id, reference, cost, digest)
    SELECT %(batch)s, line, %(tenant)s, job_id, reference, cost, digest FROM new
), batch AS (
    UPDATE batches SET total = total + cardinality(%(ids)s::uuid[]) WHERE id = %(batch)s
)
INSERT INTO inputs (job_id, tenant_id, request) SELECT job_id, %(tenant)s, request FROM new
"""
_BECOME_JOBS = """
WITH arrival AS (DELETE FROM arrivals WHERE batch_id = %(batch)s RETURNING *)
INSERT INTO jobs (id, tenant_id, batch_id, line, reference, cost, task, state, fallback, deadline, prompt_version, priority,
                  on_outage)
SELECT job_id, tenant_id, batch_id, line, reference, cost, %(task)s, 'queued', %(fallback)s,
       coalesce(%(deadline)s::timestamptz, now() + make_interval(secs => %(deadline_seconds)s)), %(prompt_version)s,
       %(priority)s, %(on_outage)s
FROM arrival ORDER BY line
"""
_DELETE_SOME = """
WITH arrival AS (
    DELETE FROM arrivals WHERE batch_id = %(batch)s
       AND line IN (SELECT line FROM arrivals WHERE batch_id = %(batch)s ORDER BY line LIMIT %(limit)s)
    RETURNING job_id
)
DELETE FROM inputs USING arrival WHERE inputs.job_id = arrival.job_id RETURNING inputs.job_id
"""


@dataclass(frozen=True)
class Arrival:
    """One line of a batch, held to the contract.

    Attributes:
        request: JSON text.
        cost: what the job will cost (``tasks.estimate``).
        digest: of everything in the line that is stored; tells whether another upload sent the same.
    """

    line: int
    job_id: UUID
    request: str
    reference: str | None
    cost: float
    digest: bytes


def insert(connection: Connection, tenant_id: str, batch_id: UUID, lines: Sequence[Arrival]) -> None:
    """Write lines and their inputs, and count them in the batch. The batch's row is locked by the caller."""
    connection.exec_driver_sql(
        _INSERT,
        {
            "tenant": tenant_id,
            "batch": batch_id,
            "lines": [line.line for line in lines],
            "ids": [line.job_id for line in lines],
            "requests": [line.request for line in lines],
            "references": [line.reference for line in lines],
            "costs": [line.cost for line in lines],
            "digests": [line.digest for line in lines],
        },
    )


def digests(connection: Connection, batch_id: UUID, first: int, last: int) -> dict[int, bytes]:
    """The digests of the lines that are there, from one line number to another."""
    rows = connection.exec_driver_sql(
        "SELECT line, digest FROM arrivals WHERE batch_id = %(batch)s AND line BETWEEN %(first)s AND %(last)s",
        {"batch": batch_id, "first": first, "last": last},
    )
    return {row[0]: bytes(row[1]) for row in rows}


def become_jobs(connection: Connection, batch_id: UUID, task: str, options: JobOptions) -> int:
    """Turn all lines of a batch into jobs that wait, in their order; returns how many there are."""
    return connection.exec_driver_sql(_BECOME_JOBS, {"batch": batch_id, "task": task, **options_of(options)}).rowcount


def delete_some(connection: Connection, batch_id: UUID, limit: int) -> int:
    """Delete up to so many lines and their inputs; returns how many."""
    return connection.exec_driver_sql(_DELETE_SOME, {"batch": batch_id, "limit": limit}).rowcount
