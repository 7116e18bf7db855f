"""A worker's right to run a job: claimed with a lease and a fence, renewed, given back, concluded.

The clock is the database's alone. Every statement that follows a claim names the fence, so a late twin changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from schemas.answer import AnsweredBy
from schemas.failure import Failure
from schemas.job import FallbackPolicy
from storage.jobs import dump

_CLAIM = """
WITH job AS (
    UPDATE jobs SET state = 'running', fence = fence + 1, lease_until = now() + make_interval(secs => %(lease)s),
                    worker_id = %(worker)s, started_at = coalesce(started_at, now())
    WHERE id = %(id)s AND state IN ('published', 'queued') AND run_at <= now()
    RETURNING *
)
SELECT job.id AS job_id, job.tenant_id, job.task, job.fence, job.tries, job.waits, job.fallback, job.deadline,
       job.prompt_version, job.native, job.deadline < now() AS overdue, inputs.request,
       (SELECT coalesce(max(number), 0) FROM attempts WHERE attempts.job_id = %(id)s) AS attempts
FROM job, inputs WHERE inputs.job_id = %(id)s
"""
_ANSWERED = """
WITH job AS (
    UPDATE jobs SET state = 'answered', answered_by = %(by)s, finished_at = now(), lease_until = NULL, worker_id = NULL,
                    failure_reason = %(reason)s, failure_detail = %(detail)s
    WHERE id = %(id)s AND fence = %(fence)s AND state = 'running'
    RETURNING id, tenant_id
)
INSERT INTO answers (job_id, tenant_id, answered_by, output, attempt_number)
SELECT id, tenant_id, %(by)s, %(output)s, %(attempt)s FROM job
RETURNING job_id
"""
_IN_REVIEW = """
WITH job AS (
    UPDATE jobs SET state = 'in_review', lease_until = NULL, worker_id = NULL, failure_reason = %(reason)s,
                    failure_detail = %(detail)s
    WHERE id = %(id)s AND fence = %(fence)s AND state = 'running'
    RETURNING id, tenant_id, task
)
INSERT INTO reviews (job_id, tenant_id, task, reason, detail, suggestion)
SELECT id, tenant_id, task, %(reason)s, %(detail)s, %(suggestion)s FROM job
ON CONFLICT (job_id) DO UPDATE SET reason = excluded.reason, detail = excluded.detail, suggestion = excluded.suggestion,
    fence = reviews.fence + 1, reviewer = NULL, lease_until = NULL, decision = NULL, decided_by = NULL, decided_at = NULL
RETURNING job_id
"""
_FAILED = """
UPDATE jobs SET state = 'failed', finished_at = now(), lease_until = NULL, worker_id = NULL, failure_reason = %(reason)s,
                failure_detail = %(detail)s
WHERE id = %(id)s AND fence = %(fence)s AND state = 'running'
RETURNING id
"""
_PUT_BACK = """
UPDATE jobs SET state = 'queued', lease_until = NULL, worker_id = NULL, tries = tries + %(tries)s, waits = waits + %(waits)s,
                run_at = now() + make_interval(secs => %(wait)s), failure_reason = %(reason)s, failure_detail = %(detail)s
WHERE id = %(id)s AND fence = %(fence)s AND state = 'running'
RETURNING id
"""
_RENEW = """
UPDATE jobs SET lease_until = now() + make_interval(secs => %(lease)s)
FROM unnest(%(ids)s::uuid[], %(fences)s::int[]) AS held (id, fence)
WHERE jobs.id = held.id AND jobs.fence = held.fence AND jobs.state = 'running'
RETURNING jobs.id
"""
_GIVE_BACK = """
WITH job AS (
    UPDATE jobs SET state = 'queued', lease_until = NULL, worker_id = NULL, run_at = now(), fence = jobs.fence + 1
    FROM unnest(%(ids)s::uuid[], %(fences)s::int[]) AS held (id, fence)
    WHERE jobs.id = held.id AND jobs.fence = held.fence AND jobs.state = 'running'
    RETURNING jobs.id, jobs.tenant_id
), attempt AS (
    UPDATE attempts SET outcome = 'unknown', settled_at = now(), failure_reason = 'cancelled',
                        failure_detail = 'the worker stopped before the reply came: maybe billed'
    FROM job WHERE attempts.job_id = job.id AND attempts.outcome = 'open'
)
INSERT INTO events (job_id, tenant_id, kind, actor, detail)
SELECT id, tenant_id, 'given_back', %(actor)s, 'its worker stopped' FROM job
RETURNING job_id
"""
_RETURN_UNSTARTED = """
UPDATE jobs SET state = 'queued' WHERE id = ANY(%(ids)s) AND state = 'published' RETURNING id
"""


@dataclass(frozen=True)
class Claim:
    """A claimed job: what to do, and the fence that every later write must name.

    Attributes:
        attempts: how many model calls were made for it before.
        overdue: its deadline has passed.
    """

    job_id: UUID
    tenant_id: str
    task: str
    fence: int
    tries: int
    waits: int
    fallback: FallbackPolicy
    deadline: datetime | None
    prompt_version: str | None
    native: bool
    overdue: bool
    request: dict[str, Any]
    attempts: int


def claim(connection: Connection, job_id: UUID, worker_id: UUID, lease_seconds: float) -> Claim | None:
    """Take a job that is due. None: a duplicate delivery, or it must still wait, or it is over."""
    row = (
        connection.exec_driver_sql(_CLAIM, {"id": job_id, "worker": worker_id, "lease": lease_seconds})
        .mappings()
        .first()
    )
    if row is None:
        return None
    return Claim(**{**row, "fallback": FallbackPolicy(row["fallback"]), "overdue": bool(row["overdue"])})


def conclude_answered(
    connection: Connection,
    claimed: Claim,
    answered_by: AnsweredBy,
    output: dict[str, Any],
    *,
    attempt: int | None,
    failure: Failure | None,
) -> bool:
    """End the job with an answer. ``failure`` says why the model did not give it. False: the lease was lost."""
    return _write(connection, _ANSWERED, claimed, failure, by=answered_by.value, output=dump(output), attempt=attempt)


def conclude_in_review(
    connection: Connection, claimed: Claim, failure: Failure, suggestion: dict[str, Any] | None
) -> bool:
    """Hand the job to a person. False: the lease was lost."""
    stored = None if suggestion is None else dump(suggestion)
    return _write(connection, _IN_REVIEW, claimed, failure, suggestion=stored)


def conclude_failed(connection: Connection, claimed: Claim, failure: Failure) -> bool:
    """End the job without an answer. False: the lease was lost."""
    return _write(connection, _FAILED, claimed, failure)


def put_back(connection: Connection, claimed: Claim, failure: Failure, *, seconds: float, uses_try: bool) -> bool:
    """Queue the job again, due in so many seconds. Waiting is not failing: only a failure uses a try."""
    return _write(connection, _PUT_BACK, claimed, failure, wait=seconds, tries=int(uses_try), waits=int(not uses_try))


def renew(connection: Connection, held: Mapping[UUID, int], lease_seconds: float) -> set[UUID]:
    """Renew all leases of a process in one statement (system transaction).

    Returns:
        Those that are still held; the others were cancelled or taken over.
    """
    rows = connection.exec_driver_sql(
        _RENEW, {"lease": lease_seconds, "ids": list(held), "fences": list(held.values())}
    )
    return set(rows.scalars())


def give_back(connection: Connection, held: Mapping[UUID, int], actor: str) -> list[UUID]:
    """Queue the running jobs of a stopping worker again, at once; their open calls become unknown (system transaction)."""
    rows = connection.exec_driver_sql(_GIVE_BACK, {"ids": list(held), "fences": list(held.values()), "actor": actor})
    return list(rows.scalars())


def return_unstarted(connection: Connection, job_ids: Sequence[UUID]) -> list[UUID]:
    """Queue jobs again that a stopping worker had received but not begun (system transaction)."""
    return list(connection.exec_driver_sql(_RETURN_UNSTARTED, {"ids": list(job_ids)}).scalars())


def _write(connection: Connection, statement: str, claimed: Claim, failure: Failure | None, **more: object) -> bool:
    parameters = {
        "id": claimed.job_id,
        "fence": claimed.fence,
        "reason": None if failure is None else failure.reason.value,
        "detail": None if failure is None else failure.detail,
        **more,
    }
    return connection.exec_driver_sql(statement, parameters).first() is not None
