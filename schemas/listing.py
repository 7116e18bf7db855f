"""Lists of a tenant's jobs and batches, and where a batch stands: what the API shows of many at a time."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from schemas.answer import AnsweredBy
from schemas.base import Contract
from schemas.failure import Failure
from schemas.job import JobState


class JobSummary(Contract):
    """A job in a list: without its answer, which may be long.

    Attributes:
        finished_at: None while it is not over.
    """

    job_id: UUID
    batch_id: UUID | None = None
    line: int | None = None
    reference: str | None = None
    task: str
    state: JobState
    answered_by: AnsweredBy | None = None
    failure: Failure | None = None
    created_at: datetime
    finished_at: datetime | None = None


class JobPage(Contract):
    """Some jobs, newest first; those of one batch in the order of its lines.

    Attributes:
        next: the cursor of the next page. A page may hold fewer jobs than asked for, even none, and still have one: a filter
            looks through a bounded number of jobs at a time.
    """

    jobs: list[JobSummary]
    next: str | None = Field(description="Pass it as `after` to get the next page; null: there is none.")


class BatchState(StrEnum):
    """Where a batch is."""

    RECEIVING = "receiving"  # its lines have not all arrived
    RUNNING = "running"
    OVER = "over"  # every job of it has landed: no machine works on it any more


class BatchSummary(Contract):
    """A batch in a list.

    Attributes:
        total: its lines; while it is being received, those that have arrived.
        received_at: when the last line had arrived.
    """

    batch_id: UUID
    task: str
    total: int
    created_at: datetime
    received_at: datetime | None


class BatchPage(Contract):
    """Some batches, newest first."""

    batches: list[BatchSummary]
    next: str | None = Field(description="Pass it as `after` to get the next page; null: there is none.")


class BatchView(Contract):
    """Where a batch stands.

    Attributes:
        landed: jobs that no machine works on any more: answered, failed, cancelled or in review.
        cost_usd: of all calls whose price is known; None where none is.
    """

    batch_id: UUID
    task: str
    state: BatchState
    total: int
    landed: int
    states: dict[JobState, int]
    answered_by: dict[AnsweredBy, int]
    input_tokens: int
    output_tokens: int
    attempts: int
    repairs: int
    cost_usd: Decimal | None
