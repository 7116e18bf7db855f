"""The bell: what other processes are told when this transaction commits, and only then. Rings may be missed: the tables
say what is to be done, a ring only says that it is worth looking now."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import Connection

if TYPE_CHECKING:
    import psycopg

WAITING = "assay_waiting"
"""What a dispatcher listens to: jobs wait. Nothing is carried."""
CALLED_OFF = "assay_called_off"
"""What workers listen to: a running job was cancelled. Carries its id."""


def ring(connection: Connection) -> None:
    """Say that jobs wait; saying it several times in one transaction is saying it once."""
    connection.exec_driver_sql(f"SELECT pg_notify('{WAITING}', '')")


def call_off(connection: Connection, job_ids: Sequence[UUID]) -> None:
    """Say that these running jobs are cancelled, so that a call for them ends at once."""
    if job_ids:
        connection.exec_driver_sql(
            "SELECT pg_notify(%(channel)s, id::text) FROM unnest(%(ids)s::uuid[]) AS id",
            {"channel": CALLED_OFF, "ids": list(job_ids)},
        )


class Listener:
    """Hears what transactions tell, on a connection of its own."""

    def __init__(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        self._connection = connection

    def heard(self, seconds: float) -> Iterator[tuple[str, str]]:
        """Channel and payload of each ring, for so long; raises ``psycopg.Error`` when the connection is cut."""
        for ring in self._connection.notifies(timeout=seconds):
            yield ring.channel, ring.payload


@contextmanager
def listening(url: str) -> Iterator[Listener]:
    """Listen at a database.

    Args:
        url: libpq URL of the application role.
    """
    import psycopg  # a producer that only rings may have another driver

    with psycopg.connect(url, autocommit=True, connect_timeout=5, application_name="assay listener") as connection:
        for channel in (WAITING, CALLED_OFF):
            connection.execute(f"LISTEN {channel}".encode())
        yield Listener(connection)
