"""The window towards the broker and the sweep, across tenants. All in system transactions: no content."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from storage.duties import DISPATCH
from storage.leases import OpenCall

MOST_DUE = 2000
"""Jobs whose wait is over that one round puts in line: enough for any window, and a bounded transaction."""

# One branch per state: a partial index serves a query that names its state, and "IN" of two names neither.
_WINDOW = """
SELECT task, 'published', count(*) FROM jobs WHERE state = 'published' GROUP BY task
UNION ALL
SELECT NULL, 'running', count(*) FROM jobs WHERE state = 'running'
UNION ALL
SELECT NULL, 'slots', coalesce(sum(slots), 0) FROM workers
WHERE stopped_at IS NULL AND deaf_since IS NULL AND seen_at > now() - interval '30 seconds'
"""
_DUE = """
UPDATE jobs SET run_at = NULL
WHERE id IN (SELECT id FROM jobs WHERE state = 'queued' AND run_at <= now() ORDER BY run_at LIMIT %(most)s
             FOR UPDATE SKIP LOCKED)
"""
# Found by id alone and looked at afterwards: asked for ids that are queued, a server that knows of few queued jobs reads all
# that are queued, and goes on doing so when they are a million.
_TAKE = """
WITH free AS MATERIALIZED (
    SELECT id, state, run_at FROM jobs WHERE id = ANY(%(ids)s) FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE jobs SET state = 'published', published_at = now()
    FROM free WHERE jobs.id = free.id AND free.state = 'queued' AND free.run_at IS NULL
    RETURNING jobs.id
), counted AS (
    UPDATE duties SET done = done + (SELECT count(*) FROM taken) WHERE name = %(duty)s
)
SELECT id FROM taken
"""
_UNPUBLISH = """
UPDATE jobs SET state = 'queued'
WHERE id IN (SELECT id FROM jobs WHERE id = ANY(%(ids)s) AND state = 'published' ORDER BY id FOR UPDATE)
"""
# Only while a slot is free: with all slots busy the messages are not lost, they wait, and ringing again would only make
# the broker's queue longer. Here and below rows that somebody holds are left for the next sweep: a process that stands
# still in a transaction must not keep the others from being helped.
_LOST_MESSAGES = """
UPDATE jobs SET state = 'queued', rings = least(rings + 1, 1000)
WHERE id IN (SELECT id FROM jobs
             WHERE state = 'published' AND published_at < now() - make_interval(secs => %(after)s)
             FOR UPDATE SKIP LOCKED)
  AND EXISTS (SELECT 1 FROM workers
              WHERE stopped_at IS NULL AND seen_at > now() - interval '30 seconds' AND busy < slots)
"""
# A loss makes a suspect of a job and uses no try: which of its neighbours ended the process is not known. A suspect runs
# alone; when even then nobody comes back, its tries bound it.
_EXPIRED_LEASES = """
WITH job AS (
    UPDATE jobs SET state = 'queued', lease_until = NULL, worker_id = NULL, run_at = NULL, fence = fence + 1,
                    tries = tries + (losses >= %(suspect)s)::int,
                    losses = greatest(losses, least(losses + 1, %(suspect)s))
    WHERE id IN (SELECT id FROM jobs WHERE state = 'running' AND lease_until < now() FOR UPDATE SKIP LOCKED)
    RETURNING id, tenant_id
), attempt AS (
    UPDATE attempts SET outcome = 'unknown', settled_at = now(), failure_reason = 'unreachable',
                        failure_detail = 'the worker was lost before the reply was recorded: maybe billed'
    FROM job WHERE attempts.job_id = job.id AND attempts.outcome = 'open'
    RETURNING attempts.job_id, attempts.number, attempts.fence, attempts.model, attempts.tenant_id
), event AS (
    INSERT INTO events (job_id, tenant_id, kind, actor, detail)
    SELECT id, tenant_id, 'recovered', 'sweeper', 'the lease of its worker ran out' FROM job
)
SELECT job.id, attempt.* FROM job LEFT JOIN attempt ON attempt.job_id = job.id
"""
_ORPHANED_ATTEMPTS = """
UPDATE attempts SET outcome = 'unknown', settled_at = now(), failure_reason = 'unreachable',
                    failure_detail = 'no worker came back with its reply: maybe billed'
FROM (
    SELECT attempts.job_id, attempts.number FROM attempts JOIN jobs ON jobs.id = attempts.job_id
    WHERE attempts.outcome = 'open' AND attempts.opened_at < now() - make_interval(secs => %(after)s)
      AND (jobs.state <> 'running' OR jobs.fence <> attempts.fence)
    FOR UPDATE OF attempts SKIP LOCKED
) AS orphan
WHERE attempts.job_id = orphan.job_id AND attempts.number = orphan.number
RETURNING attempts.job_id, attempts.number, attempts.fence, attempts.model, attempts.tenant_id
"""


@dataclass(frozen=True)
class Window:
    """What is on the broker or running, as counts of jobs.

    Attributes:
        published: by task, those not begun.
        running: those under way.
        slots: jobs that the live workers can run at a time.
    """

    published: dict[str, int]
    running: int
    slots: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.published.values()) + self.running


@dataclass(frozen=True)
class Swept:
    """What a sweep put right.

    Attributes:
        republished, recovered: how many messages that were lost, how many jobs of dead workers.
        lost_calls: calls that are settled as unknown.
    """

    republished: int
    recovered: int
    lost_calls: list[OpenCall]

    @property
    def total(self) -> int:
        """All corrections."""
        return self.republished + self.recovered + len(self.lost_calls)


def window(connection: Connection) -> Window:
    """The window as it is now, and the room that it is for."""
    rows = connection.exec_driver_sql(_WINDOW).all()
    published = {task: jobs for task, what, jobs in rows if what == "published"}
    counts = {what: jobs for task, what, jobs in rows if task is None}
    return Window(published, counts["running"], counts["slots"])


def put_due_in_line(connection: Connection) -> int:
    """Jobs whose wait is over wait for their turn now; returns how many."""
    return connection.exec_driver_sql(_DUE, {"most": MOST_DUE}).rowcount


def take(connection: Connection, job_ids: Sequence[UUID]) -> set[UUID]:
    """Move these jobs into the window, and count them; returns those that were still waiting."""
    return set(connection.exec_driver_sql(_TAKE, {"ids": list(job_ids), "duty": DISPATCH}).scalars().all())


def unpublish(connection: Connection, job_ids: Sequence[UUID]) -> None:
    """Back to waiting: the broker did not take the message."""
    connection.exec_driver_sql(_UNPUBLISH, {"ids": list(job_ids)})


def ring_again(connection: Connection, *, published_seconds: float) -> int:
    """Queue again what was published but not claimed although a slot was free; returns how many."""
    return connection.exec_driver_sql(_LOST_MESSAGES, {"after": published_seconds}).rowcount


def recover(connection: Connection, *, suspect: int) -> tuple[int, list[OpenCall]]:
    """Queue again what dead workers held, and settle its calls as unknown.

    Args:
        suspect: so many losses make a job a suspect.

    Returns:
        How many jobs, and the calls that were under way for them.
    """
    rows = connection.exec_driver_sql(_EXPIRED_LEASES, {"suspect": suspect}).all()
    # A late twin's call may still be open beside that of the run which is lost now.
    return len({row[0] for row in rows}), [OpenCall(*row[1:]) for row in rows if row[1] is not None]


def settle_orphans(connection: Connection, *, orphan_seconds: float) -> list[OpenCall]:
    """Settle as unknown the calls that nobody can settle any more."""
    return [OpenCall(*row) for row in connection.exec_driver_sql(_ORPHANED_ATTEMPTS, {"after": orphan_seconds})]


def make_partitions(connection: Connection, months_ahead: int) -> int:
    """Make the partitions up to so many months from now; returns how many were new."""
    made = connection.exec_driver_sql("SELECT assay_make_partitions(%(months)s)", {"months": months_ahead})
    return int(made.scalar_one())
