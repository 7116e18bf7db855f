"""Reviews: jobs that wait for a person, claimed with a lease and a fence like any other work."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from schemas.review import EVERYTHING, QueueFilter
from storage.jobs import dump
from storage.review_claims import REVIEWS, holding
from storage.review_queue import NO_DEADLINE, WAITING, limits_of

# What somebody skipped lately is not the next one for them again. A claim by id asks for this one and no other.
_NEXT = """
AND NOT EXISTS (SELECT FROM review_skips s WHERE s.job_id = r.job_id AND s.reviewer = %(reviewer)s AND s.until > now())
"""
_CLAIM = f"""
{REVIEWS.take}
WHERE job_id = (
    SELECT r.job_id FROM reviews r
    WHERE {WAITING} {{limits}} AND (r.lease_until IS NULL OR r.lease_until < now() OR r.reviewer = %(reviewer)s)
    ORDER BY r.due_at, r.rank, r.created_at, r.job_id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING job_id, tenant_id, task, reason, detail, suggestion, fence, reviewer, lease_until
"""
_FORGET_SKIPS = "DELETE FROM review_skips WHERE reviewer = %(reviewer)s AND until < now()"
_SKIP = """
INSERT INTO review_skips (job_id, tenant_id, reviewer, until)
VALUES (%(job)s, %(tenant)s, %(reviewer)s, now() + make_interval(secs => %(seconds)s))
ON CONFLICT (job_id, reviewer) DO UPDATE SET until = excluded.until
"""
# The job is locked first, as by a cancellation, so that the two cannot wait for each other.
_DECIDE = """
WITH job AS (
    SELECT id FROM jobs WHERE id = %(job)s AND state = 'in_review' FOR UPDATE
), review AS (
    UPDATE reviews SET decision = %(decision)s, decided_by = %(reviewer)s, decided_at = now(), note = %(note)s,
                       lease_until = NULL
    FROM job
    WHERE job_id = job.id AND fence = %(fence)s AND reviewer = %(reviewer)s AND decision IS NULL AND effective_at IS NULL
      AND lease_until > now()
    RETURNING job_id
)
UPDATE jobs SET state = %(state)s, answered_by = %(by)s, finished_at = now()
FROM review WHERE jobs.id = review.job_id AND jobs.state = 'in_review'
RETURNING jobs.id
"""
_ANSWER = """
INSERT INTO answers (job_id, tenant_id, answered_by, output, reviewer)
VALUES (%(job)s, %(tenant)s, 'person', %(output)s, %(reviewer)s)
"""
# Cancelling a job withdraws its review, so a review without a decision is one of a job in review: the job itself need not be
# locked before the decision takes effect.
_SET_DOWN = f"""
UPDATE reviews SET pending = %(decision)s, pending_output = %(output)s, pending_at = now(), note = %(note)s,
                   effective_at = now() + make_interval(secs => %(grace)s),
                   lease_until = now() + make_interval(secs => %(grace)s)
{REVIEWS.held} RETURNING job_id
"""
_TAKE_BACK = """
UPDATE reviews SET pending = NULL, pending_output = NULL, pending_at = NULL, effective_at = NULL, note = NULL,
                   fence = fence + 1, lease_until = now() + make_interval(secs => %(lease)s)
WHERE job_id = %(job)s AND reviewer = %(reviewer)s AND decision IS NULL AND effective_at > now()
RETURNING job_id, tenant_id, task, reason, detail, suggestion, fence, reviewer, lease_until
"""
# The output is read before its row is locked. That it is still the one that was set down is what the fence says: taking a
# decision back raises it.
_SETTLE = """
WITH due AS MATERIALIZED (
    SELECT job_id, fence, pending_output FROM reviews
    WHERE decision IS NULL AND effective_at <= now() ORDER BY effective_at LIMIT %(limit)s
), job AS MATERIALIZED (
    SELECT jobs.id, due.fence, due.pending_output FROM due JOIN jobs ON jobs.id = due.job_id
    WHERE jobs.state = 'in_review' ORDER BY jobs.id FOR UPDATE OF jobs SKIP LOCKED
), review AS (
    UPDATE reviews SET decision = pending, decided_by = reviewer, decided_at = pending_at, lease_until = NULL, pending = NULL,
                       pending_output = NULL, pending_at = NULL, effective_at = NULL
    FROM job
    WHERE reviews.job_id = job.id AND reviews.fence = job.fence AND decision IS NULL AND effective_at <= now()
    RETURNING reviews.job_id AS id, reviews.tenant_id, decided_by, decision, job.pending_output AS output
), answer AS (
    INSERT INTO answers (job_id, answered_by, tenant_id, output, reviewer)
    SELECT id, 'person', tenant_id, output, decided_by FROM review WHERE decision <> 'reject'
), event AS (
    INSERT INTO events (job_id, tenant_id, kind, actor, detail)
    SELECT id, tenant_id, 'took_effect', decided_by, decision FROM review
)
UPDATE jobs SET state = CASE decision WHEN 'reject' THEN 'failed' ELSE 'answered' END,
                answered_by = CASE decision WHEN 'reject' THEN NULL ELSE 'person' END, finished_at = now()
FROM review WHERE jobs.id = review.id
RETURNING jobs.id
"""
_OF_JOB = f"""
SELECT job_id, tenant_id, task, reason, detail, suggestion, created_at, nullif(due_at, {NO_DEADLINE}) AS deadline, priority,
       attempts, cluster, fence, reviewer, lease_until,
       decision IS NULL AND effective_at IS NULL AND coalesce(lease_until > now(), false) AS held,
       pending, pending_at, effective_at, extract(epoch FROM effective_at - now())::float8 AS undo_seconds,
       decision, decided_by, decided_at, note
FROM reviews WHERE job_id = %(job)s
"""


@dataclass(frozen=True)
class ClaimedReview:
    """A review that one person holds."""

    job_id: UUID
    tenant_id: str
    task: str
    reason: str
    detail: str
    suggestion: dict[str, Any] | None
    fence: int
    reviewer: str
    lease_until: datetime


@dataclass(frozen=True)
class Settled:
    """A decision as it is written.

    Attributes:
        output: None where no answer can be given.
    """

    decision: str
    output: dict[str, Any] | None
    note: str | None = None


def claim(
    connection: Connection,
    reviewer: str,
    lease_seconds: float,
    *,
    job_id: UUID | None = None,
    only: QueueFilter = EVERYTHING,
) -> ClaimedReview | None:
    """Take the most valuable review that nobody else holds, or this one; a person's own claim is renewed."""
    limits, parameters = limits_of(only)
    which = "AND r.job_id = %(job)s" if job_id is not None else _NEXT
    row = _row(
        connection,
        _CLAIM.format(limits=limits + which),
        {"reviewer": reviewer, "lease": lease_seconds, "job": job_id, **parameters},
    )
    return None if row is None else ClaimedReview(**row)


def skip(connection: Connection, tenant_id: str, job_id: UUID, reviewer: str, seconds: float) -> None:
    """It is not this person's next one for so long."""
    connection.exec_driver_sql(_FORGET_SKIPS, {"reviewer": reviewer})
    connection.exec_driver_sql(_SKIP, {"job": job_id, "tenant": tenant_id, "reviewer": reviewer, "seconds": seconds})


def decide(
    connection: Connection,
    tenant_id: str,
    job_id: UUID,
    *,
    reviewer: str,
    fence: int,
    decision: str,
    output: dict[str, Any] | None,
    note: str | None,
) -> bool:
    """End a review; with an output the job is answered, without one it fails. False: the claim is no longer held."""
    row = _row(
        connection,
        _DECIDE,
        {
            **holding(job_id, reviewer, fence),
            "decision": decision,
            "note": note,
            "state": "failed" if output is None else "answered",
            "by": None if output is None else "person",
        },
    )
    if row is None:
        return False
    if output is not None:
        connection.exec_driver_sql(
            _ANSWER, {"job": job_id, "tenant": tenant_id, "output": dump(output), "reviewer": reviewer}
        )
    return True


def set_down(
    connection: Connection, job_id: UUID, reviewer: str, fence: int, settled: Settled, grace_seconds: float
) -> bool:
    """Record a decision that takes effect in so many seconds (:func:`settle_due`). False: the claim is no longer held."""
    stored = None if settled.output is None else dump(settled.output)
    parameters = {"decision": settled.decision, "output": stored, "note": settled.note, "grace": grace_seconds}
    return _row(connection, _SET_DOWN, holding(job_id, reviewer, fence) | parameters) is not None


def take_back(connection: Connection, job_id: UUID, reviewer: str, lease_seconds: float) -> ClaimedReview | None:
    """Undo a decision that has not taken effect; the review is held again. None: it has, or it is somebody else's."""
    row = _row(connection, _TAKE_BACK, {"job": job_id, "reviewer": reviewer, "lease": lease_seconds})
    return None if row is None else ClaimedReview(**row)


def settle_due(connection: Connection, *, limit: int) -> list[UUID]:
    """Let this tenant's decisions take effect whose time has come; a job that somebody writes is left for the next time.

    Returns:
        The jobs that have ended.
    """
    return list(connection.exec_driver_sql(_SETTLE, {"limit": limit}).scalars())


def of_job(connection: Connection, job_id: UUID) -> dict[str, Any] | None:
    """The review of a job, decided or not.

    Besides its columns: ``deadline``, ``held``, and ``undo_seconds`` until a pending decision takes effect.
    """
    return _row(connection, _OF_JOB, {"job": job_id})


def _row(connection: Connection, statement: str, parameters: Mapping[str, object]) -> dict[str, Any] | None:
    row = connection.exec_driver_sql(statement, dict(parameters)).mappings().first()
    return None if row is None else dict(row)
