"""Cancel a job or a batch, and queue a batch's failed jobs again."""

from dataclasses import dataclass, field
from uuid import UUID

from jobs import upload
from storage import batches, bell, jobs, webhooks
from storage.database import Database


class NotFound(LookupError):
    """This tenant has no such job or batch."""


@dataclass(frozen=True)
class Cancelled:
    """What a cancellation ended.

    Attributes:
        jobs: empty where all were over already.
        upload: the batch was still being received and had no jobs yet; its lines are gone and its key is free.
    """

    jobs: list[UUID] = field(default_factory=list)
    upload: bool = False


def cancel(database: Database, tenant_id: str, which: UUID, *, actor: str = "producer") -> Cancelled:
    """Cancel a job, or all of a batch that is not over yet.

    Raises:
        NotFound: no job or batch has this id.
    """
    if upload.drop(database, tenant_id, which):
        return Cancelled(upload=True)
    with database.tenant(tenant_id) as connection:
        if jobs.head(connection, which) is not None:
            cancelled = jobs.cancel(connection, job_id=which)
        elif batches.find(connection, which) is not None:
            cancelled = jobs.cancel(connection, batch_id=which)
        else:
            raise NotFound(f"There is no job or batch {which}.")
        jobs.note_event(connection, tenant_id, cancelled, "cancelled", actor)
    return Cancelled(cancelled)


def retry_failed(database: Database, tenant_id: str, batch_id: UUID, *, actor: str = "producer") -> list[UUID]:
    """Queue the failed jobs of a batch again; when they have landed, the batch has finished once more.

    Raises:
        NotFound: no batch has this id.
    """
    with database.tenant(tenant_id) as connection:
        if batches.find(connection, batch_id) is None:
            raise NotFound(f"There is no batch {batch_id}.")
        again = jobs.retry_failed(connection, batch_id)
        jobs.note_event(connection, tenant_id, again, "retried", actor)
        if again:
            webhooks.tell_again(connection, batch_id)
            bell.ring(connection)
    return again
