"""Show: a job, its whole story, a batch's progress and results."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from jobs.cancel import NotFound
from schemas.job import LANDED_STATES, JobView
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


@dataclass(frozen=True)
class Progress:
    """Where a batch stands.

    Attributes:
        total: its jobs; while it is being received, the lines that have arrived.
        states: jobs by state.
        answered_by: answered jobs by who answered.
    """

    batch_id: UUID
    task: str
    total: int
    states: dict[str, int]
    answered_by: dict[str, int]
    input_tokens: int
    output_tokens: int
    attempts: int
    repairs: int
    cost_usd: Decimal | None
    is_receiving: bool = False

    @property
    def landed(self) -> int:
        """Jobs that no machine works on any more."""
        return sum(self.states.get(state, 0) for state in LANDED_STATES)

    @property
    def is_over(self) -> bool:
        """Whether the batch is whole and every job of it has landed."""
        return not self.is_receiving and self.landed >= self.total


def show(database: Database, tenant_id: str, job_id: UUID) -> JobView:
    """One job.

    Raises:
        NotFound: this tenant has no such job.
    """
    with database.tenant(tenant_id) as connection:
        view = jobs.view(connection, job_id)
    if view is None:
        raise NotFound(f"There is no job {job_id}.")
    return view


def story(database: Database, tenant_id: str, job_id: UUID) -> Story:
    """A job's audit trail in full.

    Raises:
        NotFound: this tenant has no such job.
    """
    with database.tenant(tenant_id) as connection:
        head = jobs.head(connection, job_id)
        view = jobs.view(connection, job_id)
        if head is None or view is None:
            raise NotFound(f"There is no job {job_id}.")
        return Story(
            job=head,
            request=jobs.request_of(connection, job_id),
            attempts=attempts.of_job(connection, job_id),
            events=jobs.events_of(connection, job_id),
            review=reviews.of_job(connection, job_id),
            answer=view.answer,
        )


def progress(database: Database, tenant_id: str, batch_id: UUID) -> Progress:
    """Where a batch stands now.

    Raises:
        NotFound: this tenant has no such batch.
    """
    with database.tenant(tenant_id) as connection:
        batch = batches.find(connection, batch_id)
        if batch is None:
            raise NotFound(f"There is no batch {batch_id}.")
        counts = batches.progress(connection, batch_id)
        spent = batches.spending(connection, batch_id)
    states: dict[str, int] = {}
    answered_by: dict[str, int] = {}
    for (state, by), count in counts.items():
        states[state] = states.get(state, 0) + count
        if by is not None:
            answered_by[by] = answered_by.get(by, 0) + count
    return Progress(
        batch_id=batch_id,
        task=batch.task,
        total=batch.total,
        states=states,
        answered_by=answered_by,
        input_tokens=spent["input"],
        output_tokens=spent["output"],
        attempts=spent["attempts"],
        repairs=spent["repairs"],
        cost_usd=spent["cost"],
        is_receiving=batch.closed_at is None,
    )


def lines_so_far(database: Database, tenant_id: str, batch_id: UUID) -> int | None:
    """How many lines of a batch have arrived that is still being received; None where it is whole.

    Raises:
        NotFound: this tenant has no such batch.
    """
    with database.tenant(tenant_id) as connection:
        batch = batches.find(connection, batch_id)
    if batch is None:
        raise NotFound(f"There is no batch {batch_id}.")
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
        if batches.find(connection, batch_id) is None:
            raise NotFound(f"There is no batch {batch_id}.")
    while True:
        with database.tenant(tenant_id) as connection:
            chunk = jobs.results(connection, batch_id, after=after, limit=RESULTS_CHUNK)
        yield from chunk
        if len(chunk) < RESULTS_CHUNK:
            return
        after = chunk[-1].line or after
