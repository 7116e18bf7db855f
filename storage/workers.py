"""Worker processes: who is there, with how much room, and when they were last seen. System transactions only."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection

_SEEN = """
INSERT INTO workers (id, name, slots, busy, claims) VALUES (%(id)s, %(name)s, %(slots)s, %(busy)s, %(claims)s)
ON CONFLICT (id) DO UPDATE SET busy = excluded.busy, claims = excluded.claims, seen_at = now()
"""


def seen(connection: Connection, worker_id: UUID, name: str, *, slots: int, busy: int, claims: int) -> None:
    """Report a process: its slots, how many are busy, and how many jobs it has claimed since it started."""
    connection.exec_driver_sql(_SEEN, {"id": worker_id, "name": name, "slots": slots, "busy": busy, "claims": claims})


def stopped(connection: Connection, worker_id: UUID) -> None:
    """Report that a process has ended in order."""
    connection.exec_driver_sql("UPDATE workers SET stopped_at = now() WHERE id = %(id)s", {"id": worker_id})


def live(connection: Connection) -> list[dict[str, Any]]:
    """Processes seen within the last 30 seconds."""
    rows = connection.exec_driver_sql(
        "SELECT name, slots, busy, claims, started_at, seen_at FROM workers"
        " WHERE stopped_at IS NULL AND seen_at > now() - interval '30 seconds' ORDER BY name"
    )
    return [dict(row) for row in rows.mappings()]


def forget(connection: Connection, days: int) -> None:
    """Drop the rows of processes not seen for so many days."""
    connection.exec_driver_sql(
        "DELETE FROM workers WHERE seen_at < now() - make_interval(days => %(days)s)", {"days": days}
    )
