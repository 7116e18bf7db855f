"""Tally: count what has happened lately, for operators' figures. One process at a time, every few seconds."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from storage import duties, tallies
from storage.database import Database
from storage.tallies import Progress

EVERY_SECONDS = 5.0
"""Between two turns."""
LATE = timedelta(minutes=3)
"""What was committed so long after it began is still counted: statements end after a minute, idle transactions sooner. It is
looked for once a minute; between, only the last moments are counted again."""
RECENT = timedelta(seconds=20)
STRETCH = timedelta(minutes=10)
"""Counted in one transaction at most, where nobody counted for a while."""
REST = 9
"""After a turn it rests for so many times as long as the turn took, at least: counting takes no more than a tenth of a core.
Where it is behind, it rests as long as it worked."""


@dataclass(frozen=True)
class Counted:
    """A turn.

    Attributes:
        is_behind: there is more to count than one turn does.
        pause_seconds: until the next turn.
    """

    is_behind: bool
    pause_seconds: float


def tally(database: Database, holder: UUID, *, every_seconds: float) -> Counted | None:
    """Count as far as now, or a stretch further where counting is behind.

    Returns:
        None where another process has the duty.
    """
    began = time.monotonic()
    with database.system() as connection:
        turn = duties.take_turn(connection, duties.TALLY, holder, seconds=every_seconds * 3, gap=every_seconds * 10)
        if turn is None:
            return None
        known = tallies.progress(connection)
        start = whole_minute(known.counted_until - _again(known))
        if known.now - known.counted_until > STRETCH:
            # Nothing has happened for longer than is ever committed late, or much is to be counted from there on.
            happened = tallies.next_happening(connection, start)
            start = max(start, whole_minute(known.now if happened is None else happened))
        until = min(known.now, start + STRETCH)
        changed = tallies.count(connection, start, until)
        duties.count(connection, duties.TALLY, changed)
        if until.hour != known.counted_until.hour:
            tallies.forget(connection, until)
    took = time.monotonic() - began
    is_behind = until < known.now
    return Counted(is_behind, took if is_behind else max(every_seconds, took * REST))


def whole_minute(moment: datetime) -> datetime:
    """The minute that a moment lies in."""
    return moment.replace(second=0, microsecond=0)


def _again(known: Progress) -> timedelta:
    """How far back is counted again: a new minute looks for all that came late."""
    return RECENT if whole_minute(known.now) == whole_minute(known.counted_until) else LATE
