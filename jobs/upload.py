"""Upload: a batch arrives in pieces and becomes jobs all at once when it is whole.

Each piece is a transaction of its own, so that a slow producer holds none open and an upload that broke off can be
continued. Until the last line is there no job exists.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from jobs.contract import KeyConflict, SubmitRefused, check_tenant
from schemas.ids import new_id
from schemas.job import JobOptions
from storage import arrivals, batches, bell
from storage.arrivals import Arrival
from storage.batches import Batch
from storage.database import Database

ABANDONED_HOURS = 24
"""An upload of which no line has come for so long is taken for abandoned."""
DROPPED_AT_A_TIME = 2000
"""Lines deleted in one transaction."""


def begin(database: Database, tenant_id: str, task: str, head: str, key: str | None) -> Batch:
    """Begin a batch, or find the one with this key: open, to be continued, or closed.

    Args:
        head: digest of what all lines have in common.

    Raises:
        SubmitRefused: there is no such tenant.
        KeyConflict: the upload that was begun with this key is of another task, or has other fields or options.
    """
    with database.tenant(tenant_id) as connection:
        check_tenant(connection, tenant_id)
        begun = batches.open_new(connection, tenant_id, new_id(), task, key=key, digest=head)
        if begun is not None:
            return begun
        assert key is not None  # a fresh id conflicts with nothing
        found = batches.find_by_key(connection, key)
    if found is None:
        raise _dropped()
    if found.closed_at is None and found.request_digest != head:
        raise KeyConflict(key, f"batch {found.id}", "with another task, other fields or other options")
    return found


def receive(
    database: Database, tenant_id: str, batch_id: UUID, lines: Sequence[Arrival], key: str | None
) -> int | None:
    """Write those of the lines that are not there yet.

    Returns:
        How many were there already. None: another upload of the same key has closed the batch in the meantime.

    Raises:
        KeyConflict: another line is there in the place of one of these.
        SubmitRefused: the batch was dropped in the meantime.
    """
    with database.tenant(tenant_id) as connection:
        if batches.lock_open(connection, batch_id) is None:
            _closed(connection, batch_id)
            return None
        there = arrivals.digests(connection, batch_id, lines[0].line, lines[-1].line)
        for line in lines:
            if there.get(line.line, line.digest) != line.digest:
                raise KeyConflict(key, f"batch {batch_id}", f"with another line {line.line}")
        fresh = [line for line in lines if line.line not in there]
        if fresh:
            arrivals.insert(connection, tenant_id, batch_id, fresh)
    return len(lines) - len(fresh)


def close(
    database: Database,
    tenant_id: str,
    batch_id: UUID,
    options: JobOptions,
    *,
    total: int,
    digest: str,
    key: str | None,
) -> bool:
    """Turn the whole batch into jobs.

    Returns:
        False where another upload of the same input has done so.

    Raises:
        KeyConflict: the batch holds other lines than these.
        SubmitRefused: it was dropped in the meantime.
    """
    with database.tenant(tenant_id) as connection:
        batch = batches.lock_open(connection, batch_id)
        if batch is None:
            if _closed(connection, batch_id).request_digest != digest:
                raise KeyConflict(key, f"batch {batch_id}")
            return False
        if batch.total != total:
            raise KeyConflict(key, f"batch {batch_id}", f"of which {batch.total:,} lines have arrived, not {total:,}")
        arrivals.become_jobs(connection, batch_id, batch.task, options)
        batches.close(connection, batch_id, digest)
        bell.ring(connection)
    return True


def drop(database: Database, tenant_id: str, batch_id: UUID, *, idle_hours: float = 0) -> bool:
    """Drop an open batch with its lines, a few at a time; its key is free at once.

    Returns:
        Whether it was open, and no line of it had arrived for ``idle_hours``.
    """
    with database.tenant(tenant_id) as connection:
        if not batches.give_up(connection, batch_id, idle_hours=idle_hours):
            return False
    more = True
    while more:
        with database.tenant(tenant_id) as connection:
            more = arrivals.delete_some(connection, batch_id, DROPPED_AT_A_TIME) > 0
            if not more:
                batches.delete(connection, batch_id)
    return True


def drop_abandoned(database: Database, *, idle_hours: float = ABANDONED_HOURS) -> int:
    """Drop all uploads that nobody continues; returns how many."""
    with database.system() as connection:
        found = batches.abandoned(connection, idle_hours)
    return sum(drop(database, tenant_id, batch_id, idle_hours=idle_hours) for batch_id, tenant_id in found)


def _closed(connection: Connection, batch_id: UUID) -> Batch:
    """The batch that is not open any more because it is whole."""
    batch = batches.find(connection, batch_id)
    if batch is None or batch.closed_at is None:
        raise _dropped()
    return batch


def _dropped() -> SubmitRefused:
    return SubmitRefused(
        ["the upload was dropped in the meantime, for a wrong line or because it had stopped; submit the input again"]
    )
