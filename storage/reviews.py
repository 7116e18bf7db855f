"""Reviews: jobs that wait for a person, claimed with a lease and a fence like any other work."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from storage.jobs import dump

_LIST = """
SELECT job_id, task, reason, detail, created_at, reviewer, lease_until, lease_until > now() AS held
FROM reviews WHERE decision IS NULL AND (%(task)s::text IS NULL OR task = %(task)s) ORDER BY created_at, job_id LIMIT %(limit)s
"""
_CLAIM = """
UPDATE reviews SET reviewer = %(reviewer)s, lease_until = now() + make_interval(secs => %(lease)s), fence = fence + 1
WHERE job_id = (
    SELECT job_id FROM reviews
    WHERE decision IS NULL AND (%(job)s::uuid IS NULL OR job_id = %(job)s) AND (%(task)s::text IS NULL OR task = %(task)s)
      AND (lease_until IS NULL OR lease_until < now() OR reviewer = %(reviewer)s)
    ORDER BY created_at, job_id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING job_id, tenant_id, task, reason, detail, suggestion, fence, reviewer, lease_until
"""
# The job is locked first, as by a cancellation, so that the two cannot wait for each other.
_DECIDE = """
WITH job AS (
    SELECT id FROM jobs WHERE id = %(job)s AND state = 'in_review' FOR UPDATE
), review AS (
    UPDATE reviews SET decision = %(decision)s, decided_by = %(reviewer)s, decided_at = now(), note = %(note)s,
                       lease_until = NULL
    FROM job
    WHERE job_id = job.id AND fence = %(fence)s AND reviewer = %(reviewer)s AND decision IS NULL AND lease_until > now()
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
    lease_until: Any


def waiting(connection: Connection, *, task: str | None, limit: int) -> list[dict[str, Any]]:
    """Undecided reviews, oldest first."""
    return [dict(row) for row in connection.exec_driver_sql(_LIST, {"task": task, "limit": limit}).mappings()]


def claim(
    connection: Connection, reviewer: str, lease_seconds: float, *, job_id: UUID | None, task: str | None
) -> ClaimedReview | None:
    """Take the oldest review that nobody holds, or this one; a person's own claim is renewed."""
    row = (
        connection.exec_driver_sql(_CLAIM, {"reviewer": reviewer, "lease": lease_seconds, "job": job_id, "task": task})
        .mappings()
        .first()
    )
    return None if row is None else ClaimedReview(**row)


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
    row = connection.exec_driver_sql(
        _DECIDE,
        {
            "job": job_id,
            "fence": fence,
            "reviewer": reviewer,
            "decision": decision,
            "note": note,
            "state": "failed" if output is None else "answered",
            "by": None if output is None else "person",
        },
    ).first()
    if row is None:
        return False
    if output is not None:
        connection.exec_driver_sql(
            _ANSWER, {"job": job_id, "tenant": tenant_id, "output": dump(output), "reviewer": reviewer}
        )
    return True


def of_job(connection: Connection, job_id: UUID) -> dict[str, Any] | None:
    """The review of a job, decided or not."""
    row = connection.exec_driver_sql("SELECT * FROM reviews WHERE job_id = %(job)s", {"job": job_id}).mappings().first()
    return None if row is None else dict(row)
