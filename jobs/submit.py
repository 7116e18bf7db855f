"""Submit: hold the input to its contract, write rows. Nothing here touches the broker or the model SDK."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from schemas.ids import new_id
from schemas.job import JobOptions
from storage import batches, jobs, tenants
from storage.database import Database
from storage.jobs import NewJob
from tasks import find_task
from tasks.spec import AnyTask, RequestRefused

CHUNK = 500
"""Lines written per statement: large enough to amortise it, small enough for memory and for a lock's length."""
MAX_LINE_BYTES = 16 * 1024 * 1024
"""Longest accepted JSONL line: a document of 1,000,000 characters, all of them escaped, fits."""
MAX_BATCH_LINES = 100_000
SHOWN_ERRORS = 20


class SubmitRefused(ValueError):
    """The input is refused and nothing was written; each of ``reasons`` is one plain sentence."""

    def __init__(self, reasons: list[str]) -> None:
        self.reasons = reasons
        super().__init__("; ".join(reasons))


class KeyConflict(SubmitRefused):
    """The idempotency key was used before, with another input."""


@dataclass(frozen=True)
class Submitted:
    """What a submission became. ``repeated``: its idempotency key had been used for the same input before."""

    task: str
    total: int
    job_id: UUID | None = None
    batch_id: UUID | None = None
    repeated: bool = False


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
    data = _checked(task, dict(request))
    check_options(task, options)
    job = NewJob(
        new_id(), jobs.dump(data), idempotency_key=idempotency_key, request_digest=_digest(task, data, options)
    )
    with database.tenant(tenant_id) as connection:
        check_tenant(connection, tenant_id)
        if jobs.insert(connection, tenant_id, task.name, [job], options):
            return Submitted(task.name, 1, job_id=job.id)
        assert idempotency_key is not None  # a fresh id conflicts with nothing
        found = jobs.find_by_key(connection, idempotency_key)
    assert found is not None
    job_id, digest = found
    if digest != job.request_digest:
        raise KeyConflict([_conflict(idempotency_key, f"job {job_id}")])
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
    """Submit JSONL as one batch, all or nothing: one wrong line and no job exists.

    The lines are read once and never held together; the first wrong ones are reported by number.

    Args:
        lines: the JSONL, one line each, UTF-8. Blank lines are skipped.
        defaults: fields for every line that does not give them itself, e.g. ``{"labels": [...]}``.

    Raises:
        UnknownTask, SubmitRefused, KeyConflict: see their sentences; nothing was written.
    """
    task = find_task(task_name)
    check_options(task, options)
    batch_id = new_id()
    reading = _Reading(task, defaults, digesting=idempotency_key is not None)
    with database.tenant(tenant_id) as connection:
        check_tenant(connection, tenant_id)
        before = batches.find_by_key(connection, idempotency_key) if idempotency_key else None
        if before is None:
            batches.insert(connection, tenant_id, batch_id, task.name, key=idempotency_key)
        for chunk in reading.chunks(lines):
            if before is None:
                jobs.insert(connection, tenant_id, task.name, chunk, options, batch_id=batch_id)
        digest = reading.finish()
        if before is None:
            batches.close(connection, batch_id, reading.total, digest)
    if before is None:
        return Submitted(task.name, reading.total, batch_id=batch_id)
    if before.request_digest != digest:
        raise KeyConflict([_conflict(idempotency_key, f"batch {before.id}")])
    return Submitted(task.name, before.total, batch_id=before.id, repeated=True)


def submit_native(
    database: Database, tenant_id: str, task: AnyTask, job_id: UUID, request: Mapping[str, Any], options: JobOptions
) -> None:
    """Write the row of a job that came in as a Celery message; a redelivered message writes nothing.

    Raises:
        SubmitRefused: the input breaks the contract.
    """
    data = _checked(task, dict(request))
    check_options(task, options)
    with database.tenant(tenant_id) as connection:
        check_tenant(connection, tenant_id)
        jobs.insert(connection, tenant_id, task.name, [NewJob(job_id, jobs.dump(data))], options, native=True)


def check_tenant(connection: Connection, tenant_id: str) -> None:
    """Refuse a tenant that does not exist."""
    if not tenants.exists(connection, tenant_id):
        raise SubmitRefused([f"there is no tenant {tenant_id!r}; make it with `assay tenants create {tenant_id}`"])


def check_options(task: AnyTask, options: JobOptions) -> None:
    """Refuse options that no job of this task could have."""
    version = options.prompt_version
    if version is not None and version not in task.prompts:
        raise SubmitRefused([f"{task.name} has no prompt {version!r}; it has: {', '.join(task.prompts)}"])


class _Reading:
    """One pass over a JSONL input: checks lines, numbers them, counts them, collects what is wrong."""

    def __init__(self, task: AnyTask, defaults: Mapping[str, Any], *, digesting: bool) -> None:
        self._task = task
        self._defaults = dict(defaults)
        self._errors: list[str] = []
        self._hash = hashlib.sha256(jobs.dump([task.name, self._defaults]).encode()) if digesting else None
        self.total = 0

    def chunks(self, lines: Iterable[bytes]) -> Iterator[list[NewJob]]:
        """The jobs in chunks; after the first wrong line only checking goes on."""
        chunk: list[NewJob] = []
        for number, line in enumerate(lines, start=1):
            if self._hash is not None:
                self._hash.update(line)
            if not line.strip():
                continue
            try:
                chunk.append(self._job(number, line))
            except SubmitRefused as refusal:
                self._errors.append(f"line {number}: {refusal}")
                if len(self._errors) == SHOWN_ERRORS:
                    break
            if len(chunk) == CHUNK:
                if not self._errors:
                    yield chunk
                chunk = []
        if chunk and not self._errors:
            yield chunk

    def finish(self) -> str | None:
        """The input's digest, where one was asked for; refuses the whole input if a line was wrong."""
        if self._errors:
            more = " (and perhaps more)" if len(self._errors) == SHOWN_ERRORS else ""
            raise SubmitRefused([*self._errors, f"nothing was submitted: correct these lines{more} and submit again"])
        if self.total == 0:
            raise SubmitRefused(["the input holds no lines; give one JSON object per line"])
        return self._hash.hexdigest() if self._hash is not None else None

    def _job(self, number: int, line: bytes) -> NewJob:
        self.total += 1
        if self.total > MAX_BATCH_LINES:
            raise SubmitRefused([f"a batch holds at most {MAX_BATCH_LINES:,} lines; split the input"])
        data = _parsed(line)
        reference = data.pop("id", None)
        if reference is not None and (isinstance(reference, bool) or not isinstance(reference, str | int)):
            raise SubmitRefused(["id: give a string or a whole number"])
        checked = _checked(self._task, {**self._defaults, **data})
        shown = None if reference is None else str(reference).replace("\x00", "")[:200]
        return NewJob(new_id(), jobs.dump(checked), line=number, reference=shown)


def _parsed(line: bytes) -> dict[str, Any]:
    if len(line) > MAX_LINE_BYTES:
        raise SubmitRefused([f"is longer than {MAX_LINE_BYTES // 1024**2} MiB; split the document"])
    try:
        data = json.loads(line.decode("utf-8").rstrip("\r\n"))
    except UnicodeDecodeError as error:
        raise SubmitRefused([f"is not UTF-8 (byte {error.start + 1}); convert the file to UTF-8"]) from None
    except (ValueError, RecursionError) as error:
        where = f" (column {error.colno}: {error.msg})" if isinstance(error, json.JSONDecodeError) else ""
        raise SubmitRefused([f"is not JSON{where}; write one JSON object per line"]) from None
    if not isinstance(data, dict):
        raise SubmitRefused(['is not a JSON object; write {"text": "..."}'])
    return data


def _checked(task: AnyTask, data: dict[str, Any]) -> dict[str, Any]:
    """The data itself, once the task's contract accepts it: what is stored is what was sent."""
    try:
        task.read_request(data)
    except RequestRefused as refusal:
        raise SubmitRefused([str(refusal)]) from None
    return data


def _digest(task: AnyTask, data: dict[str, Any], options: JobOptions) -> str:
    canonical = json.dumps([task.name, data, options.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _conflict(key: str | None, what: str) -> str:
    return f"the idempotency key {key!r} was used for {what} with another input; use a new key, or send the same input"
