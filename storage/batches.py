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


@dataclass(frozen=True)
class Batch:
    """A batch's row."""

    id: UUID
    task: str
    total: int
    created_at: datetime
    request_digest: str | None


def insert(connection: Connection, tenant_id: str, batch_id: UUID, task: str, *, key: str | None) -> None:
    """Write an empty batch; :func:`close` states its size."""
    connection.exec_driver_sql(
        "INSERT INTO batches (id, tenant_id, task, total, idempotency_key)"
        " VALUES (%(id)s, %(tenant)s, %(task)s, 0, %(key)s)",
        {"id": batch_id, "tenant": tenant_id, "task": task, "key": key},
    )


def close(connection: Connection, batch_id: UUID, total: int, digest: str | None) -> None:
    """State how many jobs the batch has, and the digest of the input it was read from."""
    connection.exec_driver_sql(
        "UPDATE batches SET total = %(total)s, request_digest = %(digest)s WHERE id = %(id)s",
        {"id": batch_id, "total": total, "digest": digest},
    )


def find(connection: Connection, batch_id: UUID) -> Batch | None:
    """A batch of this tenant."""
    row = (
        connection.exec_driver_sql(
            "SELECT id, task, total, created_at, request_digest FROM batches WHERE id = %(id)s", {"id": batch_id}
        )
        .mappings()
        .first()
    )
    return None if row is None else Batch(**row)


def find_by_key(connection: Connection, key: str) -> Batch | None:
    """The batch submitted with this idempotency key."""
    row = (
        connection.exec_driver_sql(
            "SELECT id, task, total, created_at, request_digest FROM batches WHERE idempotency_key = %(key)s",
            {"key": key},
        )
        .mappings()
        .first()
    )
    return None if row is None else Batch(**row)


def progress(connection: Connection, batch_id: UUID) -> dict[tuple[str, str | None], int]:
    """How many of a batch's jobs are in each state, and answered by whom."""
    rows = connection.exec_driver_sql(_PROGRESS, {"batch": batch_id}).mappings()
    return {(row["state"], row["answered_by"]): row["jobs"] for row in rows}


def spending(connection: Connection, batch_id: UUID) -> dict[str, Any]:
    """Tokens, US dollars (None where no call had a known price), attempts and repairs of a batch."""
    return dict(connection.exec_driver_sql(_TOKENS, {"batch": batch_id}).mappings().one())
