"""Enqueue: submit from Python in the caller's own transaction, where the caller shares Assay's database.

The jobs are there when the caller commits and were never there when it rolls back. The caller's login needs the role
``assay_producer`` and nothing else of Assay: no broker, no key, no application role.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Connection, text

from jobs.contract import KeyConflict, SubmitRefused, check_options, new_job, no_tenant
from schemas.job import JobOptions
from storage import bell
from storage.jobs import NewJob
from tasks import find_task
from tasks.spec import AnyTask

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, scoped_session

    Transaction = Connection | Session | scoped_session[Session]

# The statements are plain SQL with text parameters, so that any synchronous PostgreSQL driver of SQLAlchemy can send them.
_TENANT_NOW = text("SELECT coalesce(current_setting('assay.tenant', true), '')")
_SET_TENANT = text("SELECT set_config('assay.tenant', :tenant, true)")
_TENANT_EXISTS = text("SELECT 1 FROM tenants WHERE id = :tenant")
_INSERT = text("""
WITH new AS (
    SELECT * FROM json_to_recordset(CAST(:jobs AS json))
        AS new (id uuid, request json, cost real, idempotency_key text, request_digest text)
), job AS (
    INSERT INTO jobs (id, tenant_id, task, state, fallback, deadline, prompt_version, priority, on_outage, cost,
                      idempotency_key, request_digest)
    SELECT id, :tenant, :task, 'queued', :fallback,
           coalesce(CAST(:deadline AS timestamptz), now() + make_interval(secs => CAST(:deadline_seconds AS double precision))),
           :prompt_version, CAST(:priority AS smallint), :on_outage, cost, idempotency_key, request_digest
    FROM new
    ON CONFLICT DO NOTHING
    RETURNING id
)
INSERT INTO inputs (job_id, tenant_id, request)
SELECT new.id, :tenant, new.request FROM new JOIN job USING (id)
RETURNING CAST(job_id AS text)
""")
_FIND = text("""
SELECT idempotency_key, CAST(id AS text), request_digest FROM jobs
WHERE idempotency_key IN (SELECT json_array_elements_text(CAST(:keys AS json)))
""")


def enqueue(
    transaction: "Transaction",
    task: str,
    request: Mapping[str, Any],
    *,
    tenant: str,
    options: JobOptions | None = None,
    idempotency_key: str | None = None,
) -> UUID:
    """Submit one document in the caller's transaction, which is neither committed nor rolled back here.

    Args:
        transaction: a SQLAlchemy ``Session`` or ``Connection`` to Assay's database; from an ``AsyncSession``, call this
            through ``run_sync``.
        task: the task's name.
        request: the task's input, e.g. ``{"text": "..."}``.
        tenant: whose job it is.
        idempotency_key: the same key and request again give the same job.

    Returns:
        The job's id.

    Raises:
        UnknownTask, SubmitRefused, KeyConflict: see their sentences; nothing was written, and the caller's transaction
            can go on.
    """
    keys = None if idempotency_key is None else [idempotency_key]
    return enqueue_many(transaction, task, [request], tenant=tenant, options=options, idempotency_keys=keys)[0]


def enqueue_many(
    transaction: "Transaction",
    task: str,
    requests: Iterable[Mapping[str, Any]],
    *,
    tenant: str,
    options: JobOptions | None = None,
    idempotency_keys: Sequence[str] | None = None,
) -> list[UUID]:
    """Submit several documents in the caller's transaction, all or none, in few round trips.

    They are jobs of their own, not a batch, and are held in memory together: for a file of documents there is
    ``jobs.submit.submit_batch``.

    Args:
        idempotency_keys: one for each request.

    Returns:
        The jobs' ids, in the order of the requests.

    Raises:
        UnknownTask, SubmitRefused, KeyConflict: see their sentences; nothing was written, and the caller's transaction
            can go on.
    """
    chosen = options or JobOptions()
    asked = find_task(task)
    check_options(asked, chosen)
    new = _new_jobs(asked, list(requests), chosen, idempotency_keys)
    connection = transaction if isinstance(transaction, Connection) else transaction.connection()
    # The savepoint takes back, where a key is refused, what was written for the others, and the tenant with it.
    with connection.begin_nested(), _as_tenant(connection, tenant):
        if connection.execute(_TENANT_EXISTS, {"tenant": tenant}).first() is None:
            raise no_tenant(tenant)
        return _write(connection, tenant, asked.name, new, chosen) if new else []


def _new_jobs(
    task: AnyTask, requests: list[Mapping[str, Any]], options: JobOptions, keys: Sequence[str] | None
) -> list[NewJob]:
    """The jobs, each held to the contract; a refusal names each wrong request by its place, from 1, where there are several."""
    if keys is not None and (len(keys) != len(requests) or not all(keys)):
        raise SubmitRefused(["idempotency_keys: give one for each request, none of them empty"])
    new: list[NewJob] = []
    wrong: list[str] = []
    for place, request in enumerate(requests):
        try:
            new.append(new_job(task, request, options, key=None if keys is None else keys[place]))
        except SubmitRefused as refusal:
            wrong.append(f"request {place + 1}: {refusal}" if len(requests) > 1 else str(refusal))
    if wrong:
        raise SubmitRefused(wrong)
    return new


@contextmanager
def _as_tenant(connection: Connection, tenant: str) -> Iterator[None]:
    """Act for this tenant, and for whom the caller acted before when all went well; else the savepoint sees to it."""
    before = connection.execute(_TENANT_NOW).scalar_one()
    connection.execute(_SET_TENANT, {"tenant": tenant})
    yield
    connection.execute(_SET_TENANT, {"tenant": before})


def _write(connection: Connection, tenant: str, task: str, new: list[NewJob], options: JobOptions) -> list[UUID]:
    written = set(connection.execute(_INSERT, _parameters(tenant, task, new, options)).scalars())
    if written:
        bell.ring(connection)
    before = _find(connection, [job.idempotency_key for job in new if str(job.id) not in written])
    return [job.id if str(job.id) in written else _same(job, before) for job in new]


def _parameters(tenant: str, task: str, new: list[NewJob], options: JobOptions) -> dict[str, object]:
    deadline = options.deadline
    return {
        "tenant": tenant,
        "task": task,
        "jobs": f"[{','.join(_as_json(job) for job in new)}]",
        "fallback": options.fallback.value,
        "deadline": _moment(deadline) if isinstance(deadline, datetime) else None,
        "deadline_seconds": deadline.total_seconds() if isinstance(deadline, timedelta) else None,
        "prompt_version": options.prompt_version,
        "priority": options.priority.rank,
        "on_outage": options.on_outage.value,
    }


def _moment(deadline: datetime) -> str:
    """As text; without a zone it is UTC, as everywhere in Assay, and not what the caller's connection is set to."""
    return (deadline if deadline.tzinfo is not None else deadline.replace(tzinfo=UTC)).isoformat()


def _as_json(job: NewJob) -> str:
    head = {
        "id": str(job.id),
        "cost": job.cost,
        "idempotency_key": job.idempotency_key,
        "request_digest": job.request_digest,
    }
    # The request is JSON already, and is stored as it stands here.
    return f'{json.dumps(head)[:-1]},"request":{job.request}}}'


def _find(connection: Connection, keys: list[str | None]) -> dict[str, tuple[UUID, str]]:
    """Jobs that are there with these keys, and the digests of their requests."""
    if not keys:
        return {}
    rows = connection.execute(_FIND, {"keys": json.dumps(keys)})
    return {key: (UUID(job_id), digest) for key, job_id, digest in rows}


def _same(job: NewJob, before: Mapping[str, tuple[UUID, str]]) -> UUID:
    """The job that was submitted before with this one's key, if it was for the same request."""
    assert job.idempotency_key is not None  # a fresh id conflicts with nothing
    job_id, digest = before[job.idempotency_key]
    if digest != job.request_digest:
        raise KeyConflict(job.idempotency_key, f"job {job_id}")
    return job_id
