"""Duties that one process at a time has, elected by a lease row. System transactions only.

The row also says when the duty was last done: a dispatcher or sweeper that stands still is seen there. Being elected is for
economy, not for safety: the statements of two dispatchers or sweepers do not hurt each other, so a holder that was frozen and
comes back does no harm.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

DISPATCH = "dispatch"
SWEEP = "sweep"
TALLY = "tally"
ALERTS = "alerts"

_TAKE_TURN = """
UPDATE duties SET holder = %(holder)s, held_until = now() + make_interval(secs => %(seconds)s), turn_at = now(),
                  turns = turns + 1,
                  resumed_at = CASE WHEN turn_at IS NULL OR turn_at < now() - make_interval(secs => %(gap)s) THEN now()
                                    ELSE resumed_at END
WHERE name = (SELECT name FROM duties
              WHERE name = %(name)s AND (holder = %(holder)s OR held_until IS NULL OR held_until < now())
              FOR UPDATE SKIP LOCKED)
RETURNING turns, extract(epoch FROM now() - resumed_at)::float8 AS steady_seconds
"""


@dataclass(frozen=True)
class Turn:
    """A turn that may be taken.

    Attributes:
        number: of this duty, over all processes.
        steady_seconds: since turns have been coming without a gap.
    """

    number: int
    steady_seconds: float


def take_turn(connection: Connection, name: str, holder: UUID, *, seconds: float, gap: float) -> Turn | None:
    """Take or keep a duty and take a turn at it.

    Args:
        seconds: another process may take the duty this long after the last turn.
        gap: a pause between turns longer than this means that nobody was there, or the database was away.

    Returns:
        None where another process has the duty.
    """
    row = connection.exec_driver_sql(
        _TAKE_TURN, {"name": name, "holder": holder, "seconds": seconds, "gap": gap}
    ).first()
    return None if row is None else Turn(row[0], row[1])


def count(connection: Connection, name: str, done: int) -> None:
    """Add to what the duty has done: jobs dispatched, corrections made."""
    connection.exec_driver_sql(
        "UPDATE duties SET done = done + %(done)s WHERE name = %(name)s", {"name": name, "done": done}
    )


def lay_down(connection: Connection, holder: UUID) -> None:
    """Give up all duties, so that another process may take them at once."""
    connection.exec_driver_sql(
        "UPDATE duties SET holder = NULL, held_until = NULL WHERE holder = %(holder)s", {"holder": holder}
    )
