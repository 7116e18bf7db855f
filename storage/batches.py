"""Batches: jobs submitted together."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

_PROGRESS = """
SELECT state, answered_by, count(*) AS jobs FROM jobs WHERE batch_id = %(batch)s GROUP BY state, answered_by
"""
_TOKENS = """
SELECT coalesce(sum(a.input_tokens + a.cache_read_tokens + a.cache_write_tokens), 0) AS input,
       coalesce(sum(a.output_tokens), 0) AS output, sum(a.cost_usd) AS cost, count(*) AS attempts,
       count(*) FILTER (WHERE a.purpose = 'repair') AS repairs
FROM jobs j JOIN attempts a ON a.job_id = j.id WHERE j.batch_id = %(batch)s
"""


_OPEN_NEW = """
INSERT INTO batches (id, tenant_id, task, total, idempotency_key, request_digest)
VALUES (%(id)s, %(tenant)s, %(task)s, 0, %(key)s, %(digest)s) ON CONFLICT DO NOTHING
RETURNING id, task, total, created_at, closed_at, request_digest
"""
_LOCK_OPEN = """
UPDATE batches SET arrived_at = now() WHERE id = %(id)s AND closed_at IS NULL AND request_digest IS NOT NULL
RETURNING id, task, total, created_at, closed_at, request_digest
"""
_FIND = "SELECT id, task, total, created_at, closed_at, request_digest FROM batches "


@dataclass(frozen=True)
class Batch:
    """A batch's row.

    Attributes:
        total: its lines; while it is open, those that have arrived.
        closed_at: when its last line had arrived and they all became jobs; None while it is open.
        request_digest: of the whole input; while the batch is open, of what its lines have in common (task, fields,
            options), and None once it is being dropped.
    """

    id: UUID
    task: str
    total: int
    created_at: datetime
    closed_at: datetime | None
    request_digest: str | None


def open_new(
    connection: Connection, tenant_id: str, batch_id: UUID, task: str, *, key: str | None, digest: str
) -> Batch | None:
    """Write a batch without lines. None: there is one with this key already."""
    return _one(
        connection,
        _OPEN_NEW,
        {"id": batch_id, "tenant": tenant_id, "task": task, "key": key, "digest": digest},
    )


def lock_open(connection: Connection, batch_id: UUID) -> Batch | None:
    """An open batch, locked until the transaction ends: one upload at a time writes. None: closed, dropped or unknown."""
    return _one(
        connection,
        _LOCK_OPEN,
        {"id": batch_id},
    )


def close(connection: Connection, batch_id: UUID, digest: str) -> None:
    """State that all lines have arrived, and the digest of the input they came from."""
    connection.exec_driver_sql(
        "UPDATE batches SET closed_at = now(), request_digest = %(digest)s WHERE id = %(id)s",
        {"id": batch_id, "digest": digest},
    )


def give_up(connection: Connection, batch_id: UUID, *, idle_hours: float = 0) -> bool:
    """Close an open batch to its uploads for good, and give its key back.

    Args:
        idle_hours: only if no line has arrived for so long.

    Returns:
        Whether it was open, and idle for so long.
    """
    return (
        connection.exec_driver_sql(
            "UPDATE batches SET request_digest = NULL, idempotency_key = NULL WHERE id = %(id)s AND closed_at IS NULL"
            # Not now(): a line may have arrived after this transaction began, while it waited for the row.
            " AND arrived_at <= clock_timestamp() - make_interval(secs => 3600 * %(hours)s) RETURNING id",
            {"id": batch_id, "hours": idle_hours},
        ).first()
        is not None
    )


def abandoned(connection: Connection, idle_hours: float) -> list[tuple[UUID, str]]:
    """Open batches of which no line has arrived for so long, with their tenants (system transaction)."""
    rows = connection.exec_driver_sql(
        "SELECT id, tenant_id FROM batches"
        " WHERE closed_at IS NULL AND arrived_at <= now() - make_interval(secs => 3600 * %(hours)s)",
        {"hours": idle_hours},
    )
    return [(row[0], row[1]) for row in rows]


def delete(connection: Connection, batch_id: UUID) -> None:
    """Delete a batch that has neither lines nor jobs."""
    connection.exec_driver_sql("DELETE FROM batches WHERE id = %(id)s", {"id": batch_id})


def find(connection: Connection, batch_id: UUID) -> Batch | None:
    """A batch of this tenant."""
    return _one(connection, _FIND + "WHERE id = %(id)s", {"id": batch_id})


def find_by_key(connection: Connection, key: str) -> Batch | None:
    """The batch submitted with this idempotency key."""
    return _one(connection, _FIND + "WHERE idempotency_key = %(key)s", {"key": key})


def progress(connection: Connection, batch_id: UUID) -> dict[tuple[str, str | None], int]:
    """How many of a batch's jobs are in each state, and answered by whom."""
    rows = connection.exec_driver_sql(_PROGRESS, {"batch": batch_id}).mappings()
    return {(row["state"], row["answered_by"]): row["jobs"] for row in rows}


def spending(connection: Connection, batch_id: UUID) -> dict[str, Any]:
    """Tokens, US dollars (None where no call had a known price), attempts and repairs of a batch."""
    return dict(connection.exec_driver_sql(_TOKENS, {"batch": batch_id}).mappings().one())


def _one(connection: Connection, statement: str, parameters: dict[str, object]) -> Batch | None:
    row = connection.exec_driver_sql(statement, parameters).mappings().first()
    return None if row is None else Batch(**row)
