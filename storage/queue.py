"""What waits, across tenants: the window towards the broker and the sweep. All in system transactions: no content."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

DISPATCH_LOCK = 0x0A55A1
SWEEP_LOCK = 0x0A55A2

_IN_WINDOW = "SELECT count(*) FROM jobs WHERE state IN ('published', 'running')"
_CAPACITY = (
    "SELECT coalesce(sum(slots), 0) FROM workers WHERE stopped_at IS NULL AND seen_at > now() - interval '30 seconds'"
)
_TAKE = """
UPDATE jobs SET state = 'published', published_at = now()
WHERE id IN (SELECT id FROM jobs WHERE state = 'queued' AND run_at <= now()
             ORDER BY priority DESC, run_at, id LIMIT %(room)s FOR UPDATE SKIP LOCKED)
RETURNING id, tenant_id, task
"""
_UNPUBLISH = "UPDATE jobs SET state = 'queued' WHERE id = ANY(%(ids)s) AND state = 'published'"
_LOST_MESSAGES = """
UPDATE jobs SET state = 'queued' WHERE state = 'published' AND published_at < now() - make_interval(secs => %(after)s)
RETURNING id
"""
_EXPIRED_LEASES = """
WITH job AS (
    UPDATE jobs SET state = 'queued', lease_until = NULL, worker_id = NULL, run_at = now(), tries = tries + 1, fence = fence + 1
    WHERE state = 'running' AND lease_until < now()
    RETURNING id, tenant_id
), attempt AS (
    UPDATE attempts SET outcome = 'unknown', settled_at = now(), failure_reason = 'unreachable',
                        failure_detail = 'the worker was lost before the reply was recorded: maybe billed'
    FROM job WHERE attempts.job_id = job.id AND attempts.outcome = 'open'
)
INSERT INTO events (job_id, tenant_id, kind, actor, detail)
SELECT id, tenant_id, 'recovered', 'sweeper', 'the lease of its worker ran out' FROM job
RETURNING job_id
"""
_ORPHANED_ATTEMPTS = """
UPDATE attempts SET outcome = 'unknown', settled_at = now(), failure_reason = 'unreachable',
                    failure_detail = 'no worker came back with its reply: maybe billed'
FROM jobs
WHERE attempts.outcome = 'open' AND attempts.opened_at < now() - make_interval(secs => %(after)s)
  AND jobs.id = attempts.job_id AND (jobs.state <> 'running' OR jobs.fence <> attempts.fence)
RETURNING attempts.job_id
"""


@dataclass(frozen=True)
class Waiting:
    """A job taken into the window: its id is to be published."""

    job_id: UUID
    tenant_id: str
    task: str


@dataclass(frozen=True)
class Swept:
    """What a sweep put right, as counts."""

    republished: int
    recovered: int
    unknown_attempts: int


def try_lock(connection: Connection, lock: int) -> bool:
    """One at a time across all processes, until the transaction ends; False: another one is at it."""
    return bool(connection.exec_driver_sql("SELECT pg_try_advisory_xact_lock(%(lock)s)", {"lock": lock}).scalar())


def capacity(connection: Connection) -> int:
    """Jobs that the live workers can run at a time."""
    return int(connection.exec_driver_sql(_CAPACITY).scalar_one())


def in_window(connection: Connection) -> int:
    """Jobs on the broker or running."""
    return int(connection.exec_driver_sql(_IN_WINDOW).scalar_one())


def take(connection: Connection, room: int) -> list[Waiting]:
    """Move up to ``room`` due jobs into the window, in the order in which they are to run."""
    rows = connection.exec_driver_sql(_TAKE, {"room": room}).all()
    return [Waiting(*row) for row in rows]


def unpublish(connection: Connection, job_ids: Sequence[UUID]) -> None:
    """Back to waiting: the broker did not take the message."""
    connection.exec_driver_sql(_UNPUBLISH, {"ids": list(job_ids)})


def sweep(connection: Connection, *, published_seconds: float, orphan_seconds: float) -> Swept:
    """Put right what was lost: messages that never arrived, workers that died, calls that nobody settled."""
    republished = connection.exec_driver_sql(_LOST_MESSAGES, {"after": published_seconds}).all()
    recovered = connection.exec_driver_sql(_EXPIRED_LEASES).all()
    unknown = connection.exec_driver_sql(_ORPHANED_ATTEMPTS, {"after": orphan_seconds}).all()
    return Swept(len(republished), len(recovered), len(unknown))


def make_partitions(connection: Connection, months_ahead: int) -> int:
    """Make the partitions up to so many months from now; returns how many were new."""
    made = connection.exec_driver_sql("SELECT assay_make_partitions(%(months)s)", {"months": months_ahead})
    return int(made.scalar_one())
