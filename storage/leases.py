"""A worker's right to run a job: claimed with a lease and a fence, renewed, given back, concluded.

The clock is the database's alone. Every statement that follows a claim names the fence, so a late twin changes nothing.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.engine import RowMapping

from schemas.admission import Limits
from schemas.answer import AnsweredBy
from schemas.failure import Failure
from schemas.job import FallbackPolicy, OnOutage
from storage.jobs import dump

_CLAIMED = """
SELECT job.id AS job_id, job.tenant_id, job.task, job.fence, job.tries, job.waits, job.losses, job.rings, job.fallback,
       job.on_outage, extract(epoch FROM job.deadline - now())::float8 AS seconds_left, job.prompt_version, job.native,
       inputs.request,
       (SELECT coalesce(max(number), 0) FROM attempts WHERE attempts.job_id = %(id)s) AS attempts,
       tenants.requests_per_minute, tenants.input_tokens_per_minute, tenants.output_tokens_per_minute,
       tenants.concurrent_calls
FROM job, inputs, tenants WHERE inputs.job_id = %(id)s AND tenants.id = job.tenant_id
"""
_CLAIM = f"""
WITH job AS (
    UPDATE jobs SET state = 'running', fence = fence + 1, lease_until = now() + make_interval(secs => %(lease)s),
                    worker_id = %(worker)s, started_at = coalesce(started_at, now()), run_at = NULL
    WHERE id = %(id)s AND state IN ('published', 'queued') AND (run_at IS NULL OR run_at <= now())
    RETURNING *
)
{_CLAIMED}
"""
_ADOPT = f"""
WITH job AS (
    UPDATE jobs SET lease_until = greatest(lease_until, now() + make_interval(secs => %(lease)s))
    WHERE id = %(id)s AND fence = %(fence)s AND state = 'running'
    RETURNING *
)
{_CLAIMED}
"""
_ANSWERED = """
WITH job AS (
    UPDATE jobs SET state = 'answered', answered_by = %(by)s, finished_at = now(), lease_until = NULL, worker_id = NULL,
                    failure_reason = %(reason)s, failure_detail = %(detail)s
    WHERE id = %(id)s AND fence = %(fence)s AND state = 'running' AND (deadline > now() OR NOT %(in_time)s OR deadline IS NULL)
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
                run_at = least(now() + make_interval(secs => %(wait)s), deadline), failure_reason = %(reason)s,
                failure_detail = %(detail)s
WHERE id = %(id)s AND fence = %(fence)s AND state = 'running'
RETURNING id
"""
# Here and wherever a statement changes many jobs: they are locked in the order of their ids, so that two such statements
# cannot wait for each other.
_HELD = """
    SELECT j.id FROM jobs j JOIN unnest(%(ids)s::uuid[], %(fences)s::int[]) AS claim (id, fence) ON j.id = claim.id
    WHERE j.fence = claim.fence AND j.state = 'running' ORDER BY j.id FOR UPDATE OF j
"""
_RENEW = f"""
UPDATE jobs SET lease_until = now() + make_interval(secs => %(lease)s) FROM ({_HELD}) AS held WHERE jobs.id = held.id
RETURNING jobs.id
"""
_GIVE_BACK = f"""
WITH job AS (
    UPDATE jobs SET state = 'queued', lease_until = NULL, worker_id = NULL, run_at = NULL, fence = jobs.fence + 1
    FROM ({_HELD}) AS held WHERE jobs.id = held.id
    RETURNING jobs.id, jobs.tenant_id
), attempt AS (
    UPDATE attempts SET outcome = 'unknown', settled_at = now(), failure_reason = 'cancelled',
                        failure_detail = 'the worker stopped before the reply came: maybe billed'
    FROM job WHERE attempts.job_id = job.id AND attempts.outcome = 'open'
    RETURNING attempts.job_id, attempts.number, attempts.fence, attempts.model, attempts.tenant_id
), event AS (
    INSERT INTO events (job_id, tenant_id, kind, actor, detail)
    SELECT id, tenant_id, 'given_back', %(actor)s, 'its worker stopped' FROM job
)
SELECT job.id, attempt.* FROM job LEFT JOIN attempt ON attempt.job_id = job.id
"""
_ENDED_ALONE = """
WITH job AS (
    UPDATE jobs SET state = 'queued', lease_until = NULL, worker_id = NULL, run_at = NULL, fence = fence + 1,
                    losses = losses + %(losses)s, tries = tries + %(tries)s
    WHERE id = %(id)s AND fence = %(fence)s AND state = 'running'
    RETURNING id, tenant_id
), attempt AS (
    UPDATE attempts SET outcome = 'unknown', settled_at = now(), failure_reason = 'unreachable',
                        failure_detail = 'its process ended before the reply was recorded: maybe billed'
    FROM job WHERE attempts.job_id = job.id AND attempts.outcome = 'open'
)
INSERT INTO events (job_id, tenant_id, kind, actor, detail)
SELECT id, tenant_id, 'process_ended', %(actor)s, %(how)s FROM job
RETURNING job_id
"""
_RETURN_UNSTARTED = """
UPDATE jobs SET state = 'queued'
WHERE id IN (SELECT id FROM jobs WHERE id = ANY(%(ids)s) AND state = 'published' ORDER BY id FOR UPDATE) RETURNING id
"""


class OpenCall(NamedTuple):
    """A call that was under way when its job was taken from its worker: what was reserved for it is free again."""

    job_id: UUID
    number: int
    fence: int
    model: str
    tenant_id: str


@dataclass(frozen=True)
class Claim:
    """A claimed job: what to do, and the fence that every later write must name.

    Attributes:
        tries: runs that ended in a failure worth trying again.
        waits: times it was put back for an outage.
        losses: times that its worker process ended while it ran.
        rings: times that its message was lost; a worker that ended while it claimed it leaves no other trace.
        attempts: how many model calls were made for it before.
        seconds_left: from the claim to its deadline, by the database's clock; None where it has none.
        claimed_at: a ``time.monotonic()`` value of the claim.
        tenant_limits: what the operator allows its tenant.
    """

    job_id: UUID
    tenant_id: str
    task: str
    fence: int
    tries: int
    waits: int
    losses: int
    rings: int
    fallback: FallbackPolicy
    on_outage: OnOutage
    seconds_left: float | None
    prompt_version: str | None
    native: bool
    request: dict[str, Any]
    attempts: int
    tenant_limits: Limits
    claimed_at: float = field(default_factory=time.monotonic)

    @property
    def overdue(self) -> bool:
        """Its deadline has passed."""
        return self.seconds_left is not None and time.monotonic() >= self.claimed_at + self.seconds_left


def claim(connection: Connection, job_id: UUID, worker_id: UUID, lease_seconds: float) -> Claim | None:
    """Take a job that is due. None: a duplicate delivery, or it must still wait, or it is over."""
    row = connection.exec_driver_sql(_CLAIM, {"id": job_id, "worker": worker_id, "lease": lease_seconds})
    return _as_claim(row.mappings().first())


def adopt(connection: Connection, job_id: UUID, fence: int, lease_seconds: float) -> Claim | None:
    """Go on under another process's claim, which renews its lease. None: the claim is no longer held."""
    row = connection.exec_driver_sql(_ADOPT, {"id": job_id, "fence": fence, "lease": lease_seconds})
    return _as_claim(row.mappings().first())


def _as_claim(row: RowMapping | None) -> Claim | None:
    if row is None:
        return None
    values = dict(row)
    limits = Limits(
        requests=values.pop("requests_per_minute"),
        input_tokens=values.pop("input_tokens_per_minute"),
        output_tokens=values.pop("output_tokens_per_minute"),
        concurrent=values.pop("concurrent_calls"),
    )
    values.update(fallback=FallbackPolicy(row["fallback"]), on_outage=OnOutage(row["on_outage"]), tenant_limits=limits)
    return Claim(**values)


def conclude_answered(
    connection: Connection,
    claimed: Claim,
    answered_by: AnsweredBy,
    output: dict[str, Any],
    *,
    attempt: int | None,
    failure: Failure | None,
) -> bool:
    """End the job with an answer. ``failure`` says why the model did not give it.

    Returns:
        False: the lease was lost; or it is a model's answer and the job's deadline has passed.
    """
    in_time = answered_by is AnsweredBy.MODEL
    return _write(
        connection, _ANSWERED, claimed, failure,
        by=answered_by.value, output=dump(output), attempt=attempt, in_time=in_time,
    )  # fmt: skip


def is_held(connection: Connection, claimed: Claim) -> bool:
    """Whether the claim still holds."""
    held = connection.exec_driver_sql(
        "SELECT 1 FROM jobs WHERE id = %(id)s AND fence = %(fence)s AND state = 'running'",
        {"id": claimed.job_id, "fence": claimed.fence},
    )
    return held.first() is not None


def conclude_in_review(
    connection: Connection, claimed: Claim, failure: Failure, suggestion: dict[str, Any] | None
) -> bool:
    """Hand the job to a person. False: the lease was lost."""
    stored = None if suggestion is None else dump(suggestion)
    return _write(connection, _IN_REVIEW, claimed, failure, suggestion=stored)


def conclude_failed(connection: Connection, claimed: Claim, failure: Failure) -> bool:
    """End the job without an answer. False: the lease was lost."""
    return _write(connection, _FAILED, claimed, failure)


def put_back(
    connection: Connection, claimed: Claim, failure: Failure, *, seconds: float, tries: int = 0, waits: int = 0
) -> bool:
    """Queue the job again, due in so many seconds, at its deadline at the latest.

    Args:
        tries, waits: how many of them this uses. Waiting for a place in our own windows uses neither.
    """
    return _write(connection, _PUT_BACK, claimed, failure, wait=seconds, tries=tries, waits=waits)


def renew(connection: Connection, held: Mapping[UUID, int], lease_seconds: float) -> set[UUID]:
    """Renew all leases of a process in one statement (system transaction).

    Returns:
        Those that are still held; the others were cancelled or taken over.
    """
    rows = connection.exec_driver_sql(
        _RENEW, {"lease": lease_seconds, "ids": list(held), "fences": list(held.values())}
    )
    return set(rows.scalars())


def give_back(connection: Connection, held: Mapping[UUID, int], actor: str) -> tuple[list[UUID], list[OpenCall]]:
    """Queue the running jobs of a stopping worker again, at once; their open calls become unknown (system transaction).

    Returns:
        The jobs, and the calls that were under way for them.
    """
    rows = connection.exec_driver_sql(
        _GIVE_BACK, {"ids": list(held), "fences": list(held.values()), "actor": actor}
    ).all()
    return [row[0] for row in rows], [OpenCall(*row[1:]) for row in rows if row[1] is not None]


def ended_alone(connection: Connection, claimed: Claim, how: str, *, killed: bool, actor: str) -> bool:
    """Queue a job again whose own process ended without concluding it.

    Args:
        how: one plain sentence for the story.
        killed: it ended by a signal or hung: one more loss; else it could not start, and that uses a try.
    """
    row = connection.exec_driver_sql(
        _ENDED_ALONE,
        {"id": claimed.job_id, "fence": claimed.fence, "how": how, "actor": actor,
         "losses": int(killed), "tries": int(not killed)},
    )  # fmt: skip
    return row.first() is not None


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
