"""Watching: the way of a job through its states, told from where it stands.

No log of states is kept for this. A job's row, and the runs that have made calls, tell which states it must have passed: so a
watcher that looks every now and then, or comes back after an hour, is told each state once and in order, those between two looks
too, and two watchers are told the same.

A state is told per *run*, which is the fence of the claim; 0 is the time before the first. While a job waits, it may be claimed
and put back because there is no room, or rung for again: to a watcher it goes on waiting, and nothing is told.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple, Self
from uuid import UUID

from schemas.answer import AnsweredBy
from schemas.job import FINAL_STATES, JobState
from storage import standings
from storage.database import Database
from storage.standings import StandingRow

_RANK = {
    JobState.RUNNING: 0,
    JobState.IN_REVIEW: 1,
    JobState.ANSWERED: 2,
    JobState.FAILED: 2,
    JobState.QUEUED: 3,
    JobState.PUBLISHED: 4,
    JobState.CANCELLED: 5,
}
"""The order of states within one run. What follows a run belongs to it: put back, a job waits again."""


class Passed(NamedTuple):
    """A state that a job has reached. Its text, ``1-running``, is how a watcher says what it was told last.

    Attributes:
        run: the run that it belongs to; grows, but not by one each time.
    """

    run: int
    state: JobState

    def __str__(self) -> str:
        return f"{self.run}-{self.state}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The opposite of ``str``; None where it is none."""
        run, _, state = text.partition("-")
        if not (run.isascii() and run.isdigit() and len(run) < 10 and state in _RANK):
            return None
        return cls(int(run), JobState(state))

    @property
    def order(self) -> tuple[int, int]:
        """Sorts the states of one job in the order in which they come."""
        return self.run, _RANK[self.state]


@dataclass(frozen=True)
class Standing:
    """Where a job stands.

    Attributes:
        fence: of its row.
        runs: fences of its runs that made calls.
        native: it came as a Celery message and did not wait to be published.
        was_reviewed: a person ended it, or it was withdrawn from one.
    """

    state: JobState
    fence: int
    runs: frozenset[int] = frozenset()
    native: bool = False
    answered_by: AnsweredBy | None = None
    was_reviewed: bool = False

    @property
    def is_final(self) -> bool:
        """Nothing follows."""
        return self.state in FINAL_STATES


def path(standing: Standing, last_told: Passed | None = None) -> list[Passed]:
    """The states that a job has passed on its way to where it stands, that included.

    Args:
        last_told: only those behind this one.
    """
    if last_told is None or last_told.run > standing.fence:  # the latter was told by nobody
        return _whole_path(standing, frozenset())
    # A run that was seen was one, even if it ended before it made a call.
    way = _whole_path(standing, {last_told.run} - {0})
    return [passed for passed in way if passed.order > last_told.order]


def _whole_path(standing: Standing, seen: Set[int]) -> list[Passed]:
    runs = sorted(standing.runs | seen | _runs_without_doubt(standing))
    way = [] if standing.native else [Passed(0, JobState.QUEUED)]
    for before, run in zip([0, *runs], runs, strict=False):
        if before:
            way.append(Passed(before, JobState.QUEUED))
        way += [Passed(before, JobState.PUBLISHED), Passed(run, JobState.RUNNING)]
    last = runs[-1] if runs else 0
    return way + [passed for passed in _ending(standing, last) if passed not in way]


def _runs_without_doubt(standing: Standing) -> set[int]:
    """A claim that lasts, or was concluded, was committed: it was a run, whether or not it made a call."""
    match standing.state:
        case JobState.QUEUED | JobState.PUBLISHED:
            return set()
        case JobState.CANCELLED:
            return {standing.fence - 1} if standing.was_reviewed else set()
        case _:
            return {standing.fence}


def _ending(standing: Standing, last: int) -> list[Passed]:
    """What came after the last run's beginning."""
    now = Passed(last, standing.state)
    if standing.state is JobState.QUEUED and standing.native and not last:
        return [Passed(0, JobState.PUBLISHED)]  # it was so from the start, and goes on waiting
    if _has_waited(standing, last):
        return [Passed(last, JobState.QUEUED), now]
    if standing.was_reviewed or standing.answered_by is AnsweredBy.PERSON:
        return [Passed(last, JobState.IN_REVIEW), now]
    return [now]


def _has_waited(standing: Standing, last: int) -> bool:
    """Whether it waited again after its last run. Cancelling moves the fence by one; whatever else moved it since then was a
    return to waiting."""
    match standing.state:
        case JobState.PUBLISHED:
            return last > 0 or not standing.native
        case JobState.CANCELLED:
            return last > 0 and standing.fence > last + 1
        case _:
            return False


def look(database: Database, known: Mapping[UUID, Standing | None]) -> dict[UUID, Standing]:
    """Where those of these jobs stand now that have moved; None is known of a job that nobody has looked at."""
    if not known:
        return {}
    with database.system() as connection:
        rows = standings.moved(
            connection,
            {job_id: (was.state.value, was.fence) if was else (None, -1) for job_id, was in known.items()},
        )
    return {row.id: _standing(row) for row in rows}


def look_at_one(database: Database, tenant_id: str, job_id: UUID) -> Standing | None:
    """Where a job of this tenant stands; None where it has no such job."""
    with database.tenant(tenant_id) as connection:
        row = standings.of_job(connection, job_id)
    return None if row is None else _standing(row)


def with_partial_text(database: Database, job_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these jobs whose tenant allows its text to be watched while it comes."""
    if not job_ids:
        return set()
    with database.system() as connection:
        return standings.with_partial_text(connection, job_ids)


def _standing(row: StandingRow) -> Standing:
    return Standing(
        state=JobState(row.state),
        fence=row.fence,
        runs=frozenset(row.runs),
        native=row.native,
        answered_by=AnsweredBy(row.answered_by) if row.answered_by else None,
        was_reviewed=row.was_reviewed,
    )
