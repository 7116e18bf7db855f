"""Submit: hold the input to its contract, write rows. Nothing here touches the broker or the model SDK."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from jobs import upload
from jobs.contract import KeyConflict, SubmitRefused, check_options, check_tenant, new_job
from jobs.jsonl import MAX_LINE_BYTES, Reading
from schemas.job import JobOptions
from storage import bell, jobs
from storage.batches import Batch
from storage.database import Database
from tasks import find_task
from tasks.spec import AnyTask
from telemetry.traces import span_of_job

__all__ = [
    "MAX_LINE_BYTES", "KeyConflict", "SubmitRefused", "Submitted", "check_tenant", "submit_batch", "submit_native", "submit_one",
]  # fmt: skip


@dataclass(frozen=True)
class Submitted:
    """What a submission became.

    Attributes:
        repeated: its idempotency key had been used for the same input before.
        resumed_lines: lines of the batch that an earlier upload with the same key had brought already.
    """

    task: str
    total: int
    job_id: UUID | None = None
    batch_id: UUID | None = None
    repeated: bool = False
    resumed_lines: int = 0


def submit_one(
    database: Database,
    tenant_id: str,
    task_name: str,
    request: Mapping[str, Any],
    options: JobOptions,
    *,
    idempotency_key: str | None = None,
) -> Submitted:
    """Submit one document.

    Raises:
        UnknownTask, SubmitRefused, KeyConflict: see their sentences; nothing was written.
    """
    task = find_task(task_name)
    check_options(task, options)
    job = new_job(task, request, options, key=idempotency_key)
    about = {"assay.tenant_id": tenant_id, "assay.task": task.name}
    with span_of_job("submit", job.id, about), database.tenant(tenant_id) as connection:
        check_tenant(connection, tenant_id)
        if jobs.insert(connection, tenant_id, task.name, [job], options):
            bell.ring(connection)
            return Submitted(task.name, 1, job_id=job.id)
        assert idempotency_key is not None  # a fresh id conflicts with nothing
        found = jobs.find_by_key(connection, idempotency_key)
    assert found is not None
    job_id, digest = found
    if digest != job.request_digest:
        raise KeyConflict(idempotency_key, f"job {job_id}")
    return Submitted(task.name, 1, job_id=job_id, repeated=True)


def submit_batch(
    database: Database,
    tenant_id: str,
    task_name: str,
    lines: Iterable[bytes],
    defaults: Mapping[str, Any],
    options: JobOptions,
    *,
    idempotency_key: str | None = None,
) -> Submitted:
    """Submit JSONL as one batch, all or nothing: no job exists before the last line was found good.

    The lines are read once and never held together. With an idempotency key, an upload that broke off is continued by
    submitting the same lines again. A wrong line drops the batch, what came earlier too, so that the key is free for the
    corrected input.

    Args:
        lines: the JSONL, one line each, UTF-8. Blank lines are skipped.
        defaults: fields for every line that does not give them itself, e.g. ``{"labels": [...]}``.

    Raises:
        UnknownTask, SubmitRefused, KeyConflict: see their sentences; no job was made.
    """
    task = find_task(task_name)
    check_options(task, options)
    reading = Reading(task, defaults, options)
    batch = upload.begin(database, tenant_id, task.name, reading.head, idempotency_key)
    with _dropped_if_it_breaks(database, tenant_id, batch, idempotency_key):
        there = _receive(database, tenant_id, batch, reading, lines, idempotency_key)
    try:
        digest = reading.finish()
    except SubmitRefused as refusal:
        raise _drop(database, tenant_id, batch, reading, refusal) from None
    closed = upload.close(
        database, tenant_id, batch.id, options, total=reading.total, digest=digest, key=idempotency_key
    )
    return Submitted(
        task.name, reading.total, batch_id=batch.id, repeated=not closed, resumed_lines=there if closed else 0
    )


def submit_native(
    database: Database, tenant_id: str, task: AnyTask, job_id: UUID, request: Mapping[str, Any], options: JobOptions
) -> None:
    """Write the row of a job that came in as a Celery message; a redelivered message writes nothing.

    Raises:
        SubmitRefused: the input breaks the contract.
    """
    check_options(task, options)
    job = new_job(task, request, options, job_id=job_id)
    with database.tenant(tenant_id) as connection:
        check_tenant(connection, tenant_id)
        jobs.insert(connection, tenant_id, task.name, [job], options, native=True)


@contextmanager
def _dropped_if_it_breaks(database: Database, tenant_id: str, batch: Batch, key: str | None) -> Iterator[None]:
    """What was sent without a key cannot be continued. Where dropping fails too, it is left to the housekeeping."""
    try:
        yield
    except BaseException:
        if key is None:
            with suppress(SQLAlchemyError):
                upload.drop(database, tenant_id, batch.id)
        raise


def _receive(
    database: Database, tenant_id: str, batch: Batch, reading: Reading, lines: Iterable[bytes], key: str | None
) -> int:
    """Write what has not arrived yet, while the batch is open; returns how many lines were there already."""
    there = 0
    is_open = batch.closed_at is None
    for chunk in reading.chunks(lines):
        if is_open:
            known = upload.receive(database, tenant_id, batch.id, chunk, key)
            is_open = known is not None
            there += known or 0
    return there


def _drop(database: Database, tenant_id: str, batch: Batch, reading: Reading, refusal: SubmitRefused) -> SubmitRefused:
    """Drop an open batch for a wrong line. An empty input is rather a producer that broke: it drops nothing earlier."""
    if batch.closed_at is not None or (reading.total == 0 and batch.total > 0):
        return refusal
    upload.drop(database, tenant_id, batch.id)
    if batch.total == 0:
        return refusal
    dropped = f"the {batch.total:,} lines that had arrived earlier are dropped; the key is free for the corrected input"
    return SubmitRefused([*refusal.reasons, dropped])
