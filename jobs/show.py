"""Show: a job, its whole story, a batch's progress and results."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from jobs.cancel import NotFound
from jobs.watching_batches import BatchStanding, batch_of, standing_of
from schemas.job import JobView
from storage import attempts, batches, jobs, reviews
from storage.database import Database

RESULTS_CHUNK = 500
"""Results read at a time."""


@dataclass(frozen=True)
class Story:
    """Everything recorded about a job: what was asked, sent, received, decided, and what it cost."""

    job: dict[str, Any]
    request: dict[str, Any]
    attempts: list[dict[str, Any]]
    events: list[dict[str, Any]]
    review: dict[str, Any] | None
    answer: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Progress(BatchStanding):
    """Where a batch stands, and what it cost."""

    batch_id: UUID
    task: str
    input_tokens: int
    output_tokens: int
    attempts: int
    repairs: int
    cost_usd: Decimal | None


def show(database: Database, tenant_id: str, job_id: UUID) -> JobView:
    """One job.

    Raises:
        NotFound: this tenant has no such job.
    """
    with database.tenant(tenant_id) as connection:
        return _view(connection, job_id)


def story(database: Database, tenant_id: str, job_id: UUID) -> Story:
    """A job's audit trail in full.

    Raises:
        NotFound: this tenant has no such job.
    """
    with database.tenant(tenant_id) as connection:
        view = _view(connection, job_id)
        head = jobs.head(connection, job_id)
        assert head is not None, "it was seen in this transaction"
        return Story(
            job=head,
            request=jobs.request_of(connection, job_id),
            attempts=attempts.of_job(connection, job_id),
            events=jobs.events_of(connection, job_id),
            review=reviews.of_job(connection, job_id),
            answer=view.answer,
        )


def _view(connection: Connection, job_id: UUID) -> JobView:
    view = jobs.view(connection, job_id)
    if view is None:
        raise NotFound(f"There is no job {job_id}.")
    return view


def progress(database: Database, tenant_id: str, batch_id: UUID) -> Progress:
    """Where a batch stands now.

    Raises:
        NotFound: this tenant has no such batch.
    """
    with database.tenant(tenant_id) as connection:
        batch = batch_of(connection, batch_id)
        standing = standing_of(connection, batch)
        spent = batches.spending(connection, batch_id)
    return Progress(
        **vars(standing),
        batch_id=batch_id,
        task=batch.task,
        input_tokens=spent["input"],
        output_tokens=spent["output"],
        attempts=spent["attempts"],
        repairs=spent["repairs"],
        cost_usd=spent["cost"],
    )


def lines_so_far(database: Database, tenant_id: str, batch_id: UUID) -> int | None:
    """How many lines of a batch have arrived that is still being received; None where it is whole.

    Raises:
        NotFound: this tenant has no such batch.
    """
    with database.tenant(tenant_id) as connection:
        batch = batch_of(connection, batch_id)
    return batch.total if batch.closed_at is None else None


def results(database: Database, tenant_id: str, batch_id: UUID, *, after: int = 0) -> Iterator[JobView]:
    """A batch's jobs in input order, as a stream.

    Read in chunks, a transaction each: neither the batch nor a transaction is held while a slow reader takes its time.

    Args:
        after: only the jobs behind this line.

    Raises:
        NotFound: this tenant has no such batch.
    """
    with database.tenant(tenant_id) as connection:
        batch_of(connection, batch_id)
    while True:
        with database.tenant(tenant_id) as connection:
            chunk = jobs.results(connection, batch_id, after=after, limit=RESULTS_CHUNK)
        yield from chunk
        if len(chunk) < RESULTS_CHUNK:
            return
        after = chunk[-1].line or after
