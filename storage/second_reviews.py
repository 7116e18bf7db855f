"""Second reviews: a sample of the model's answers, looked at again. Claims as for reviews: a lease and a fence."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from storage.jobs import dump
from storage.review_claims import SECOND_REVIEWS, holding

_CLAIM = f"""
{SECOND_REVIEWS.take}
WHERE job_id = (
    SELECT s.job_id FROM second_reviews s
    WHERE s.stage <> 'settled' AND (s.lease_until IS NULL OR s.lease_until < now() OR s.reviewer = %(reviewer)s)
      AND (s.stage = 'second' OR s.decided_by <> %(reviewer)s) {{limits}}
    ORDER BY s.created_at, s.job_id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING job_id
"""
_NEXT = """
AND NOT EXISTS (SELECT FROM review_skips k WHERE k.job_id = s.job_id AND k.reviewer = %(reviewer)s AND k.until > now())
"""
_DECIDE = f"""
UPDATE second_reviews SET decision = %(decision)s, output = %(output)s, decided_by = %(reviewer)s, decided_at = now(),
    note = %(note)s, agrees = %(agrees)s, fields = %(fields)s, equal_fields = %(equal)s, differing = %(differing)s,
    stage = CASE WHEN %(agrees)s THEN 'settled' ELSE 'third' END, reviewer = NULL, lease_until = NULL
{SECOND_REVIEWS.held} AND stage = 'second' RETURNING job_id
"""
_JUDGE = f"""
UPDATE second_reviews SET verdict = %(verdict)s, judged_by = %(reviewer)s, judged_at = now(), judged_note = %(note)s,
    stage = 'settled', reviewer = NULL, lease_until = NULL
{SECOND_REVIEWS.held} AND stage = 'third' AND decided_by <> %(reviewer)s RETURNING job_id
"""
_OF_JOB = """
SELECT s.job_id, s.tenant_id, s.task, s.stage, s.created_at, s.fence, s.reviewer, s.lease_until,
       coalesce(s.lease_until > now(), false) AS held, s.decision, s.output, s.decided_by, s.decided_at, s.note, s.agrees,
       s.fields, s.equal_fields, s.differing, s.verdict, s.judged_by, s.judged_at, s.judged_note,
       (SELECT a.output FROM answers a WHERE a.job_id = %(job)s) AS answer
FROM second_reviews s WHERE s.job_id = %(job)s
"""
_WAITING = """
SELECT s.tenant_id, s.job_id, s.task, s.stage, s.created_at, CASE WHEN s.lease_until > now() THEN s.reviewer END AS reviewer,
       CASE WHEN s.lease_until > now() THEN s.lease_until END AS lease_until,
       coalesce(s.lease_until > now(), false) AS held, coalesce(s.decided_by = %(reviewer)s, false) AS mine
FROM second_reviews s WHERE s.stage <> 'settled' {limits} ORDER BY s.created_at, s.job_id LIMIT %(limit)s
"""
_OF_TASK = " AND s.task = %(task)s "
_FIGURES = """
SELECT coalesce(s.task, r.task) AS task, coalesce(r.rate, 0) AS rate, coalesce(waiting, 0) AS waiting,
       coalesce(reviewed, 0) AS reviewed, coalesce(agreed, 0) AS agreed, coalesce(s.fields, 0) AS fields,
       coalesce(s.equal_fields, 0) AS equal_fields, coalesce(third_waiting, 0) AS third_waiting,
       coalesce(model, 0) AS model, coalesce(second, 0) AS second, coalesce(both_right, 0) AS both,
       coalesce(neither, 0) AS neither
FROM (
    SELECT task, count(*) FILTER (WHERE stage = 'second') AS waiting, count(*) FILTER (WHERE stage <> 'second') AS reviewed,
           count(*) FILTER (WHERE agrees) AS agreed, coalesce(sum(fields), 0)::bigint AS fields,
           coalesce(sum(equal_fields), 0)::bigint AS equal_fields, count(*) FILTER (WHERE stage = 'third') AS third_waiting,
           count(*) FILTER (WHERE verdict = 'model') AS model, count(*) FILTER (WHERE verdict = 'second') AS second,
           count(*) FILTER (WHERE verdict = 'both') AS both_right, count(*) FILTER (WHERE verdict = 'neither') AS neither
    FROM second_reviews GROUP BY task
) AS s FULL JOIN review_rates r ON r.task = s.task
ORDER BY 1
"""
# Where nothing is sampled the mark goes along, so that a first rate finds no backlog of finished jobs.
_GO_ALONG = """
UPDATE review_sampling SET sampled_to = now() - make_interval(secs => %(lag)s)
WHERE sampled_to < now() - make_interval(secs => %(lag)s + 60) AND NOT EXISTS (SELECT FROM review_rates WHERE rate > 0)
"""
_SAMPLE = """
WITH mark AS (
    SELECT sampled_to, sampled_id FROM review_sampling WHERE EXISTS (SELECT FROM review_rates WHERE rate > 0) FOR UPDATE
), finished AS MATERIALIZED (
    SELECT job.* FROM mark, LATERAL (
        SELECT j.id, j.tenant_id, j.task, j.answered_by, j.finished_at FROM jobs j
        WHERE j.finished_at IS NOT NULL AND (j.finished_at, j.id) > (mark.sampled_to, mark.sampled_id)
          AND j.finished_at < now() - make_interval(secs => %(lag)s)
        ORDER BY j.finished_at, j.id LIMIT %(limit)s) AS job
), chosen AS (
    INSERT INTO second_reviews (job_id, tenant_id, task)
    SELECT f.id, f.tenant_id, f.task FROM finished f JOIN review_rates r ON r.tenant_id = f.tenant_id AND r.task = f.task
    WHERE f.answered_by = 'model' AND f.finished_at >= r.since AND random() < r.rate
    ON CONFLICT (job_id) DO NOTHING
    RETURNING job_id AS id, tenant_id
), event AS (
    INSERT INTO events (job_id, tenant_id, kind, actor, detail)
    SELECT id, tenant_id, 'second_review_asked', 'sweeper', 'drawn at random' FROM chosen
), moved AS (
    UPDATE review_sampling SET sampled_to = last.finished_at, sampled_id = last.id
    FROM (SELECT finished_at, id FROM finished ORDER BY finished_at DESC, id DESC LIMIT 1) AS last
)
SELECT (SELECT count(*) FROM finished), (SELECT count(*) FROM chosen)
"""


@dataclass(frozen=True)
class Opinion:
    """What the second person answered, and how it compares with the model's answer.

    Attributes:
        output: None where they hold that no answer can be given.
    """

    decision: str
    output: dict[str, Any] | None
    note: str | None
    agrees: bool
    fields: int
    equal: int
    differing: list[str]


def sample(connection: Connection, *, lag_seconds: float, limit: int) -> tuple[int, int]:
    """Go through the next jobs that have finished, and draw from the model's answers at their task's rate (system
    transaction).

    Args:
        lag_seconds: a job's moment of finishing is that of its transaction's begin; one that commits later than this
            afterwards is passed over.

    Returns:
        How many jobs it went through, at most ``limit``; how many it drew.
    """
    connection.exec_driver_sql(_GO_ALONG, {"lag": lag_seconds})
    row = connection.exec_driver_sql(_SAMPLE, {"lag": lag_seconds, "limit": limit}).one()
    return row[0], row[1]


def claim(
    connection: Connection, reviewer: str, lease_seconds: float, *, job_id: UUID | None, task: str | None
) -> UUID | None:
    """Take the oldest that nobody else holds and this person may decide, or this one."""
    limits = ("AND s.job_id = %(job)s" if job_id is not None else _NEXT) + (_OF_TASK if task is not None else "")
    return connection.exec_driver_sql(
        _CLAIM.format(limits=limits), {"reviewer": reviewer, "lease": lease_seconds, "job": job_id, "task": task}
    ).scalar()


def decide(connection: Connection, job_id: UUID, reviewer: str, fence: int, opinion: Opinion) -> bool:
    """Record the second opinion; where it differs, a third person is next. False: the claim is no longer held."""
    parameters = {
        "decision": opinion.decision,
        "output": None if opinion.output is None else dump(opinion.output),
        "note": opinion.note,
        "agrees": opinion.agrees,
        "fields": opinion.fields,
        "equal": opinion.equal,
        "differing": dump(opinion.differing),
    }
    return connection.exec_driver_sql(_DECIDE, holding(job_id, reviewer, fence) | parameters).first() is not None


def judge(connection: Connection, job_id: UUID, reviewer: str, fence: int, verdict: str, note: str | None) -> bool:
    """Record who was right. False: the claim is no longer held, or this person gave the second opinion."""
    parameters = holding(job_id, reviewer, fence) | {"verdict": verdict, "note": note}
    return connection.exec_driver_sql(_JUDGE, parameters).first() is not None


def of_job(connection: Connection, job_id: UUID) -> dict[str, Any] | None:
    """The second review of a job, with ``answer``, what the model answered."""
    row = connection.exec_driver_sql(_OF_JOB, {"job": job_id}).mappings().first()
    return None if row is None else dict(row)


def waiting(connection: Connection, reviewer: str, *, task: str | None, limit: int) -> list[dict[str, Any]]:
    """What is not settled, oldest first."""
    limits = _OF_TASK if task is not None else ""
    rows = connection.exec_driver_sql(
        _WAITING.format(limits=limits), {"reviewer": reviewer, "task": task, "limit": limit}
    )
    return [dict(row) for row in rows.mappings()]


def figures(connection: Connection) -> list[dict[str, Any]]:
    """Agreement by task."""
    return [dict(row) for row in connection.exec_driver_sql(_FIGURES).mappings()]
