"""Worker processes: who is there, with how much room, and when they were last seen. System transactions only."""

from uuid import UUID

from sqlalchemy import Connection

# The count does not see what the statement itself writes: this process is added to the others.
#
# claims_before stands still while nothing is claimed: then "no claim since claims_before_at" stays certain, for however
# long. Once it is a minute old and claims have come since, it moves up to what was last reported.
_SEEN = """
WITH seen AS (
    INSERT INTO workers (id, name, slots, busy, claims, received_at, memory_bytes, deaf_since)
    VALUES (%(id)s, %(name)s, %(slots)s, %(busy)s, %(claims)s, now() - make_interval(secs => %(received)s), %(memory)s,
            CASE WHEN %(deaf)s THEN now() END)
    ON CONFLICT (id) DO UPDATE SET
        busy = excluded.busy, claims = excluded.claims, seen_at = now(), memory_bytes = excluded.memory_bytes,
        received_at = coalesce(excluded.received_at, workers.received_at),
        deaf_since = CASE WHEN %(deaf)s THEN coalesce(workers.deaf_since, now()) END,
        (claims_before, claims_before_at) = (
            SELECT CASE WHEN moves THEN workers.claims ELSE workers.claims_before END,
                   CASE WHEN moves THEN workers.seen_at ELSE workers.claims_before_at END
            FROM (SELECT workers.claims_before_at < now() - interval '1 minute'
                         AND excluded.claims > workers.claims_before AS moves) AS rotation
        )
)
SELECT count(*) + 1 FROM workers
WHERE id <> %(id)s AND stopped_at IS NULL AND seen_at > now() - interval '30 seconds'
"""
_PUBLISHED_WAITING = """
SELECT extract(epoch FROM now() - min(published_at))::float8 FROM jobs WHERE state = 'published'
"""


def seen(
    connection: Connection,
    worker_id: UUID,
    name: str,
    *,
    slots: int,
    busy: int,
    claims: int,
    received_seconds_ago: float | None = None,
    memory_bytes: int | None = None,
    deaf: bool = False,
) -> int:
    """Report a process, in one statement.

    Args:
        slots: jobs that it can run at a time; ``busy`` of them run one.
        claims: jobs that it has claimed since it started.
        received_seconds_ago: since the last message came to it; None before the first.
        memory_bytes: its resident memory.
        deaf: it receives nothing although jobs wait (``workers.deafness``).

    Returns:
        How many worker processes are live, this one included.
    """
    return int(
        connection.exec_driver_sql(
            _SEEN,
            {
                "id": worker_id,
                "name": name,
                "slots": slots,
                "busy": busy,
                "claims": claims,
                "received": received_seconds_ago,
                "memory": memory_bytes,
                "deaf": deaf,
            },
        ).scalar_one()
    )


def published_waiting_seconds(connection: Connection) -> float | None:
    """How long the job that was published first has been waiting to be claimed; None where none is published."""
    seconds = connection.exec_driver_sql(_PUBLISHED_WAITING).scalar_one()
    return None if seconds is None else float(seconds)


def stopped(connection: Connection, worker_id: UUID) -> None:
    """Report that a process has ended in order."""
    connection.exec_driver_sql("UPDATE workers SET stopped_at = now() WHERE id = %(id)s", {"id": worker_id})


def forget(connection: Connection, days: int) -> None:
    """Drop the rows of processes not seen for so many days."""
    connection.exec_driver_sql(
        "DELETE FROM workers WHERE seen_at < now() - make_interval(days => %(days)s)", {"days": days}
    )
