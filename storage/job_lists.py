"""Lists of jobs across tenants, newest first, without content. System transactions only.

Each read searches a bounded number of rows along an index on time, so that it takes milliseconds however few of them match;
it says where it stopped.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from schemas.job_lists import OF_CALLS, OF_LANDINGS, Filters, JobList, ListedJob, Outcome, Place

MOST_SEARCHED = 5_000

_LAST_ID = UUID(int=(1 << 128) - 1)
_LANDED = """
WITH searched AS MATERIALIZED (
    SELECT * FROM (
        (SELECT id, finished_at AS at, tenant_id, task, state, failure_reason,
                CASE WHEN state = 'answered' THEN 'answered_by_' || answered_by
                     WHEN state = 'failed' AND (SELECT count(*) FROM reviews WHERE reviews.job_id = jobs.id) > 0
                     THEN 'turned_down'
                     ELSE state END AS outcome,
                extract(epoch FROM started_at - created_at)::float8 AS waited
         FROM jobs
         WHERE finished_at IS NOT NULL AND finished_at >= %(since)s AND (finished_at, id) < (%(at)s, %(job)s)
         ORDER BY finished_at DESC, id DESC LIMIT %(most)s)
        UNION ALL
        SELECT jobs.id, review.created_at, jobs.tenant_id, jobs.task, jobs.state, review.reason, 'sent_to_review',
               extract(epoch FROM jobs.started_at - jobs.created_at)::float8
        FROM (SELECT job_id, created_at, reason FROM reviews
              WHERE created_at >= %(since)s AND (created_at, job_id) < (%(at)s, %(job)s)
              ORDER BY created_at DESC, job_id DESC LIMIT %(most)s) AS review
        JOIN jobs ON jobs.id = review.job_id
    ) AS landing ORDER BY at DESC, id DESC LIMIT %(most)s
), found AS (
    SELECT landing.*, asked.prompt_version, asked.model FROM searched AS landing LEFT JOIN LATERAL (
        SELECT prompt_version, model FROM attempts
        WHERE attempts.job_id = landing.id AND attempts.purpose = 'first' ORDER BY number DESC LIMIT 1
    ) AS asked ON true
    WHERE true {conditions}
    ORDER BY at DESC, id DESC LIMIT %(limit)s
), edge AS (
    SELECT count(*) AS searched, (array_agg(at ORDER BY at, id))[1] AS at, (array_agg(id ORDER BY at, id))[1] AS job_id
    FROM searched
)
SELECT edge.searched, edge.at AS edge_at, edge.job_id AS edge_id, 0 AS edge_number, id AS job_id, tenant_id, task, state,
       found.at, outcome, failure_reason AS reason, prompt_version, model, NULL AS purpose, 0 AS number,
       waited AS waited_seconds, NULL AS usd, NULL AS tokens
FROM edge LEFT JOIN found ON true ORDER BY found.at DESC, found.id DESC
"""
_CALLS = """
WITH searched AS MATERIALIZED (
    SELECT job_id, number, settled_at AS at, tenant_id, prompt_version, model, purpose, outcome, failure_reason, cost_usd,
           input_tokens + output_tokens + cache_read_tokens + cache_write_tokens AS tokens
    FROM attempts
    WHERE settled_at IS NOT NULL AND settled_at >= %(since)s
      AND (settled_at, job_id, number) < (%(at)s, %(job)s, %(number)s)
    ORDER BY settled_at DESC, job_id DESC, number DESC LIMIT %(most)s
), found AS (
    SELECT call.*, jobs.task, jobs.state, extract(epoch FROM jobs.started_at - jobs.created_at)::float8 AS waited
    FROM searched AS call JOIN jobs ON jobs.id = call.job_id
    WHERE true {conditions}
    ORDER BY at DESC, job_id DESC, number DESC LIMIT %(limit)s
), edge AS (
    SELECT count(*) AS searched, (array_agg(at ORDER BY at, job_id, number))[1] AS at,
           (array_agg(job_id ORDER BY at, job_id, number))[1] AS job_id,
           (array_agg(number ORDER BY at, job_id, number))[1] AS number
    FROM searched
)
SELECT edge.searched, edge.at AS edge_at, edge.job_id AS edge_id, edge.number AS edge_number, found.job_id, tenant_id, task,
       state, found.at, outcome, failure_reason AS reason, prompt_version, model, purpose, found.number,
       waited AS waited_seconds, cost_usd::float8 AS usd, tokens
FROM edge LEFT JOIN found ON true ORDER BY found.at DESC, found.job_id DESC, found.number DESC
"""
_SUBMITTED = """
WITH searched AS MATERIALIZED (
    SELECT id, tenant_id, task, state, created_at AS at, failure_reason,
           extract(epoch FROM started_at - created_at)::float8 AS waited
    FROM jobs WHERE batch_id IS NULL AND created_at >= %(since)s AND (created_at, id) < (%(at)s, %(job)s)
    ORDER BY created_at DESC, id DESC LIMIT %(most)s
), found AS (
    SELECT * FROM searched AS landing WHERE true {conditions} ORDER BY at DESC, id DESC LIMIT %(limit)s
), edge AS (
    SELECT count(*) AS searched, (array_agg(at ORDER BY at, id))[1] AS at, (array_agg(id ORDER BY at, id))[1] AS job_id
    FROM searched
)
SELECT edge.searched, edge.at AS edge_at, edge.job_id AS edge_id, 0 AS edge_number, id AS job_id, tenant_id, task, state,
       found.at, NULL AS outcome, failure_reason AS reason, NULL AS prompt_version, NULL AS model, NULL AS purpose,
       0 AS number, waited AS waited_seconds, NULL AS usd, NULL AS tokens
FROM edge LEFT JOIN found ON true ORDER BY found.at DESC, found.id DESC
"""
_BATCHES = """
SELECT id, tenant_id, task, total, closed_at FROM batches
WHERE closed_at IS NOT NULL AND closed_at >= %(since)s AND closed_at < %(until)s
  AND (%(tenant)s::text IS NULL OR tenant_id = %(tenant)s) AND (%(task)s::text IS NULL OR task = %(task)s)
ORDER BY closed_at DESC, id DESC LIMIT %(limit)s
"""
_OF_BATCH = """
SELECT id AS job_id, tenant_id, task, state, coalesce(finished_at, created_at) AS at, answered_by AS outcome,
       failure_reason AS reason, extract(epoch FROM started_at - created_at)::float8 AS waited_seconds, line AS number
FROM jobs WHERE batch_id = %(batch)s AND line > %(after)s ORDER BY line LIMIT %(limit)s
"""


def landed(
    connection: Connection,
    since: datetime,
    until: datetime,
    filters: Filters,
    *,
    limit: int,
    after: Place | None = None,
) -> JobList:
    """Jobs that ended, or were sent to a person, within a time."""
    conditions = _of_jobs(filters)
    if filters.outcome is not None:
        conditions["outcome = ANY(%(outcomes)s)"] = list(OF_LANDINGS.get(filters.outcome, ()))
    if filters.prompt_version is not None:
        conditions["coalesce(asked.prompt_version, '') = %(prompt_version)s"] = filters.prompt_version
    if filters.model is not None:
        conditions["coalesce(asked.model, '') = %(model)s"] = filters.model
    return _search(connection, _LANDED, conditions, since, until, limit=limit, after=after)


def calls(
    connection: Connection,
    since: datetime,
    until: datetime,
    filters: Filters,
    *,
    limit: int,
    after: Place | None = None,
) -> JobList:
    """Calls that were settled within a time, each with its job."""
    conditions: dict[str, Any] = {}
    for condition, value in {
        "call.tenant_id = %(tenant)s": filters.tenant,
        "jobs.task = %(task)s": filters.task,
        "call.prompt_version = %(prompt_version)s": filters.prompt_version,
        "call.model = %(model)s": filters.model,
        "call.failure_reason = %(reason)s": filters.reason,
        "call.purpose = %(purpose)s": filters.purpose,
        "call.outcome = ANY(%(outcomes)s)": _outcomes(filters.outcome, OF_CALLS),
    }.items():
        if value is not None:
            conditions[condition] = value
    return _search(connection, _CALLS, conditions, since, until, limit=limit, after=after)


def submitted(
    connection: Connection,
    since: datetime,
    until: datetime,
    filters: Filters,
    *,
    limit: int,
    after: Place | None = None,
) -> JobList:
    """Jobs that were submitted by themselves within a time; those of batches are found by :func:`batches`."""
    return _search(connection, _SUBMITTED, _of_jobs(filters), since, until, limit=limit, after=after)


def batches(
    connection: Connection, since: datetime, until: datetime, filters: Filters, *, limit: int
) -> list[dict[str, Any]]:
    """Batches that became jobs within a time, newest first: id, tenant_id, task, total, closed_at."""
    rows = connection.exec_driver_sql(
        _BATCHES,
        {"since": since, "until": until, "tenant": filters.tenant, "task": filters.task, "limit": limit},
    )
    return [dict(row) for row in rows.mappings()]


def of_batch(connection: Connection, batch_id: UUID, *, limit: int, after: int = 0) -> list[ListedJob]:
    """A batch's jobs in the order of their lines, which stand in ``number``."""
    rows = connection.exec_driver_sql(_OF_BATCH, {"batch": batch_id, "after": after, "limit": limit})
    return [ListedJob(**row) for row in rows.mappings()]


def tenants_of(connection: Connection, job_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Whose jobs these are; without those that are none."""
    rows = connection.exec_driver_sql("SELECT id, tenant_id FROM jobs WHERE id = ANY(%(ids)s)", {"ids": list(job_ids)})
    return {row.id: row.tenant_id for row in rows}


def _of_jobs(filters: Filters) -> dict[str, Any]:
    conditions = {
        "landing.tenant_id = %(tenant)s": filters.tenant,
        "landing.task = %(task)s": filters.task,
        "landing.failure_reason = %(reason)s": filters.reason,
        "landing.waited >= %(waited_over)s": filters.waited_over,
    }
    return {condition: value for condition, value in conditions.items() if value is not None}


def _outcomes(outcome: Outcome | None, known: Mapping[Outcome, tuple[str, ...]]) -> list[str] | None:
    return None if outcome is None else list(known.get(outcome, ()))


def _search(
    connection: Connection,
    statement: str,
    conditions: Mapping[str, Any],
    since: datetime,
    until: datetime,
    *,
    limit: int,
    after: Place | None,
) -> JobList:
    """One bounded search. Each condition names one parameter, and that parameter's value is the mapping's."""
    values = {condition.partition("%(")[2].partition(")")[0]: value for condition, value in conditions.items()}
    parameters = {
        "since": since,
        "at": after.at if after else until,
        "job": after.job_id if after else _LAST_ID,
        "number": after.number if after else 32767,
        "most": MOST_SEARCHED,
        "limit": limit + 1,
        **values,
    }
    text = statement.format(conditions=" ".join(f"AND {condition}" for condition in conditions))
    rows = list(connection.exec_driver_sql(text, parameters).mappings())
    found = [
        ListedJob(**{name: value for name, value in row.items() if not name.startswith("edge_") and name != "searched"})
        for row in rows
        if row["job_id"] is not None
    ]
    if len(found) > limit:
        last = found[limit - 1]
        return JobList(jobs=found[:limit], go_on=Place(at=last.at, job_id=last.job_id, number=last.number))
    if rows[0]["searched"] < MOST_SEARCHED:
        return JobList(jobs=found)
    edge = Place(at=rows[0]["edge_at"], job_id=rows[0]["edge_id"], number=rows[0]["edge_number"])
    return JobList(jobs=found, go_on=edge, searched_until=edge.at)
