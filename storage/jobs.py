"""Jobs as producers see them: inserted, read, cancelled, retried."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.engine import RowMapping

from schemas.failure import Failure
from schemas.job import JobOptions, JobState, JobView
from storage import bell

_INSERT = """
WITH new AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(requests)s::json[], %(costs)s::real[], %(keys)s::text[], %(digests)s::text[])
        AS new (id, request, cost, idempotency_key, request_digest)
), job AS (
    INSERT INTO jobs (id, tenant_id, task, state, published_at, native, fallback, deadline, prompt_version, priority,
                      on_outage, cost, idempotency_key, request_digest)
    SELECT id, %(tenant)s, %(task)s, %(state)s, CASE WHEN %(native)s THEN now() END, %(native)s, %(fallback)s,
           coalesce(%(deadline)s::timestamptz, now() + make_interval(secs => %(deadline_seconds)s)), %(prompt_version)s,
           %(priority)s, %(on_outage)s, cost, idempotency_key, request_digest
    FROM new
    ON CONFLICT DO NOTHING
    RETURNING id
)
INSERT INTO inputs (job_id, tenant_id, request)
SELECT new.id, %(tenant)s, new.request FROM new JOIN job USING (id)
RETURNING job_id
"""
_VIEW = """
SELECT j.id AS job_id, j.batch_id, j.line, j.reference, j.task, j.state, j.answered_by, a.output AS answer,
       j.failure_reason, j.failure_detail
FROM jobs j LEFT JOIN answers a ON a.job_id = j.id
"""
_HEAD = """
SELECT id, batch_id, line, reference, task, state, fallback, prompt_version, native, priority, on_outage, cost, tries,
       waits, losses, fence, lease_until, run_at, deadline, published_at, started_at, finished_at, created_at, answered_by,
       failure_reason, failure_detail
FROM jobs WHERE id = %(id)s
"""
_CANCEL = """
WITH before AS (
    SELECT id, state FROM jobs WHERE {which} AND state IN ('queued', 'published', 'running', 'in_review')
    ORDER BY id FOR UPDATE
)
UPDATE jobs SET state = 'cancelled', fence = fence + 1, lease_until = NULL, worker_id = NULL, finished_at = now(),
                failure_reason = 'cancelled', failure_detail = 'cancelled by the producer'
FROM before WHERE jobs.id = before.id
RETURNING jobs.id, before.state = 'running' AS was_running
"""
_RETRY = """
UPDATE jobs SET state = 'queued', tries = 0, waits = 0, losses = 0, rings = 0, run_at = NULL, finished_at = NULL,
                failure_reason = NULL, failure_detail = NULL
WHERE id IN (SELECT id FROM jobs WHERE batch_id = %(batch)s AND state = 'failed' ORDER BY id FOR UPDATE)
RETURNING id
"""


@dataclass(frozen=True)
class NewJob:
    """A job to insert. ``request`` is JSON text, already held to the task's contract; ``cost`` as ``tasks.estimate``."""

    id: UUID
    request: str
    cost: float
    idempotency_key: str | None = None
    request_digest: str | None = None


def insert(
    connection: Connection,
    tenant_id: str,
    task: str,
    jobs: Sequence[NewJob],
    options: JobOptions,
    *,
    native: bool = False,
) -> list[UUID]:
    """Write jobs and their inputs, one statement for all. They wait for nothing: ``run_at`` stays null.

    Returns:
        The ids written. A job whose id or idempotency key exists already is left out.
    """
    rows = connection.exec_driver_sql(
        _INSERT,
        {
            "tenant": tenant_id,
            "task": task,
            "native": native,
            # A native job's message is being worked on right now: dispatch has nothing to ring for.
            "state": "published" if native else "queued",
            "ids": [job.id for job in jobs],
            "requests": [job.request for job in jobs],
            "costs": [job.cost for job in jobs],
            "keys": [job.idempotency_key for job in jobs],
            "digests": [job.request_digest for job in jobs],
            **options_of(options),
        },
    )
    return list(rows.scalars())


def options_of(options: JobOptions) -> dict[str, object]:
    """A job's options as the parameters of an INSERT. A span until the deadline counts from the moment when the row is
    written, on the database's clock."""
    span = isinstance(options.deadline, timedelta)
    return {
        "fallback": options.fallback.value,
        "deadline": None if span else options.deadline,
        "deadline_seconds": options.deadline.total_seconds() if isinstance(options.deadline, timedelta) else None,
        "prompt_version": options.prompt_version,
        "priority": options.priority.rank,
        "on_outage": options.on_outage.value,
    }


def find_by_key(connection: Connection, key: str) -> tuple[UUID, str] | None:
    """The job submitted with this idempotency key, and the digest of its request."""
    row = connection.exec_driver_sql(
        "SELECT id, request_digest FROM jobs WHERE idempotency_key = %(key)s", {"key": key}
    ).first()
    return None if row is None else (row[0], row[1])


def view(connection: Connection, job_id: UUID) -> JobView | None:
    """A job as the outside sees it, or None where this tenant has no such job."""
    row = connection.exec_driver_sql(_VIEW + "WHERE j.id = %(id)s", {"id": job_id}).mappings().first()
    return None if row is None else _as_view(row)


def head(connection: Connection, job_id: UUID) -> dict[str, Any] | None:
    """All columns of a job's row, for its story."""
    row = connection.exec_driver_sql(_HEAD, {"id": job_id}).mappings().first()
    return None if row is None else dict(row)


def request_of(connection: Connection, job_id: UUID) -> dict[str, Any]:
    """The input of a job, as the producer sent it."""
    request: dict[str, Any] = connection.exec_driver_sql(
        "SELECT request FROM inputs WHERE job_id = %(id)s", {"id": job_id}
    ).scalar_one()
    return request


def results(connection: Connection, batch_id: UUID, *, after: int, limit: int) -> list[JobView]:
    """A batch's next jobs behind this line, in input order."""
    rows = connection.exec_driver_sql(
        _VIEW + "WHERE j.batch_id = %(batch)s AND j.line > %(after)s ORDER BY j.line LIMIT %(limit)s",
        {"batch": batch_id, "after": after, "limit": limit},
    )
    return [_as_view(row) for row in rows.mappings()]


def cancel(connection: Connection, *, job_id: UUID | None = None, batch_id: UUID | None = None) -> list[UUID]:
    """Cancel what is not final yet. A running job's fence moves on, so its worker can no longer conclude it."""
    which = "id = %(id)s" if job_id is not None else "batch_id = %(id)s"
    rows = connection.exec_driver_sql(_CANCEL.format(which=which), {"id": job_id or batch_id}).all()
    cancelled = [job for job, _ in rows]
    bell.call_off(connection, [job for job, was_running in rows if was_running])
    connection.exec_driver_sql(
        "UPDATE reviews SET decision = 'withdrawn', decided_at = now(), decided_by = 'producer', lease_until = NULL"
        " WHERE job_id = ANY(%(ids)s) AND decision IS NULL",
        {"ids": cancelled},
    )
    return cancelled


def retry_failed(connection: Connection, batch_id: UUID) -> list[UUID]:
    """Queue a batch's failed jobs again, with all their tries back."""
    return list(connection.exec_driver_sql(_RETRY, {"batch": batch_id}).scalars())


def note_event(
    connection: Connection, tenant_id: str, job_ids: Sequence[UUID], kind: str, actor: str, detail: str | None = None
) -> None:
    """Write one line of history for each of these jobs."""
    connection.exec_driver_sql(
        "INSERT INTO events (job_id, tenant_id, kind, actor, detail)"
        " SELECT unnest(%(ids)s::uuid[]), %(tenant)s, %(kind)s, %(actor)s, %(detail)s",
        {"ids": list(job_ids), "tenant": tenant_id, "kind": kind, "actor": actor, "detail": detail},
    )


def events_of(connection: Connection, job_id: UUID) -> list[dict[str, Any]]:
    """A job's history besides its attempts, oldest first."""
    rows = connection.exec_driver_sql(
        "SELECT at, kind, actor, detail FROM events WHERE job_id = %(id)s ORDER BY at", {"id": job_id}
    )
    return [dict(row) for row in rows.mappings()]


def _as_view(row: RowMapping) -> JobView:
    failure = None
    if row["failure_reason"] is not None:
        failure = Failure(reason=row["failure_reason"], detail=row["failure_detail"] or "")
    return JobView(
        job_id=row["job_id"],
        batch_id=row["batch_id"],
        line=row["line"],
        reference=row["reference"],
        task=row["task"],
        state=JobState(row["state"]),
        answered_by=row["answered_by"],
        answer=row["answer"],
        failure=failure,
    )


def dump(value: object) -> str:
    """JSON text that PostgreSQL stores verbatim: ASCII, so that NUL and lone surrogates stay escapes."""
    return json.dumps(value, separators=(",", ":"))
