"""Watching a batch: how far it is, at the price of one count of its jobs."""

from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import Connection

from jobs.cancel import NotFound
from schemas.job import LANDED_STATES
from storage import batches
from storage.batches import Batch
from storage.database import Database


@dataclass(frozen=True)
class BatchStanding:
    """How far a batch is.

    Attributes:
        total: its jobs; while it is being received, the lines that have arrived.
        states, answered_by: jobs by state, answered jobs by who answered.
        is_receiving: its input has not arrived whole.
    """

    total: int
    states: dict[str, int] = field(default_factory=dict)
    answered_by: dict[str, int] = field(default_factory=dict)
    is_receiving: bool = False

    @property
    def landed(self) -> int:
        """Jobs that no machine works on any more."""
        return sum(self.states.get(state, 0) for state in LANDED_STATES)

    @property
    def is_over(self) -> bool:
        """Whether the batch is whole and every job of it has landed."""
        return not self.is_receiving and self.landed >= self.total


def look_at_batch(database: Database, tenant_id: str, batch_id: UUID) -> BatchStanding:
    """How far a batch is now, without what it cost.

    Raises:
        NotFound: this tenant has no such batch.
    """
    with database.tenant(tenant_id) as connection:
        return standing_of(connection, batch_of(connection, batch_id))


def batch_of(connection: Connection, batch_id: UUID) -> Batch:
    """A batch's row.

    Raises:
        NotFound: this tenant has no such batch.
    """
    batch = batches.find(connection, batch_id)
    if batch is None:
        raise NotFound(f"There is no batch {batch_id}.")
    return batch


def standing_of(connection: Connection, batch: Batch) -> BatchStanding:
    """How far this batch is."""
    standing = BatchStanding(batch.total, is_receiving=batch.closed_at is None)
    for (state, by), count in batches.progress(connection, batch.id).items():
        standing.states[state] = standing.states.get(state, 0) + count
        if by is not None:
            standing.answered_by[by] = standing.answered_by.get(by, 0) + count
    return standing
