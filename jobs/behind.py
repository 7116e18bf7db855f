"""Behind a figure: the jobs that it is made of, as a list without content."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from schemas.job_lists import MOST_LISTED, Filters, JobList, Place
from storage import job_lists, jobs_now, tallies
from storage.database import Database

SEARCH_SECONDS = 0.2
"""A page is searched for so long: then it shows what it has found, and goes on where the reader asks it to."""


class Listing(StrEnum):
    """Which jobs."""

    LANDED = "landed"  # ended, or sent to a person, within a time
    CALLS = "calls"  # with a call that was settled within a time
    SUBMITTED = "submitted"  # within a time, by themselves
    WAITING = "waiting"  # now
    RUNNING = "running"  # now
    IN_REVIEW = "in_review"  # now

    @property
    def is_of_now(self) -> bool:
        """It shows the moment, and no time can be chosen."""
        return self in {Listing.WAITING, Listing.RUNNING, Listing.IN_REVIEW}


_SEARCHES: dict[Listing, Callable[..., JobList]] = {
    Listing.LANDED: job_lists.landed,
    Listing.CALLS: job_lists.calls,
    Listing.SUBMITTED: job_lists.submitted,
}
_MOMENTS: dict[Listing, Callable[..., list[Any]]] = {
    Listing.WAITING: jobs_now.waiting,
    Listing.RUNNING: jobs_now.running,
    Listing.IN_REVIEW: jobs_now.in_review,
}


def list_jobs(
    database: Database,
    listing: Listing,
    filters: Filters,
    *,
    since: datetime | None,
    until: datetime | None,
    seconds: float,
    after: Place | None = None,
) -> JobList:
    """One page.

    Args:
        since, until: a time; where they are not given, the last ``seconds`` until now.
        after: where the page before ended.
    """
    with database.system() as connection:
        if listing.is_of_now:
            return JobList(jobs=_MOMENTS[listing](connection, filters, limit=MOST_LISTED * 2))
    now = database_now(database)
    end = until or now
    begin = since or now - timedelta(seconds=seconds)
    page = JobList(jobs=[], go_on=after)
    stop = time.monotonic() + SEARCH_SECONDS
    while True:
        with database.system() as connection:
            more = _SEARCHES[listing](
                connection, begin, end, filters, limit=MOST_LISTED - len(page.jobs), after=page.go_on
            )
        page = JobList(jobs=[*page.jobs, *more.jobs], go_on=more.go_on, searched_until=more.searched_until)
        if page.go_on is None or len(page.jobs) >= MOST_LISTED or time.monotonic() >= stop:
            return page


def list_batches(
    database: Database, filters: Filters, *, since: datetime | None, until: datetime | None, seconds: float
) -> list[dict[str, Any]]:
    """Batches that became jobs within a time, the newest first."""
    now = database_now(database)
    with database.system() as connection:
        return job_lists.batches(
            connection, since or now - timedelta(seconds=seconds), until or now, filters, limit=MOST_LISTED
        )


def list_batch(database: Database, batch_id: UUID, *, after_line: int) -> JobList:
    """A page of a batch's jobs, in the order of their lines."""
    with database.system() as connection:
        jobs = job_lists.of_batch(connection, batch_id, limit=MOST_LISTED + 1, after=after_line)
    shown = jobs[:MOST_LISTED]
    if len(jobs) <= MOST_LISTED:
        return JobList(jobs=shown)
    last = shown[-1]
    return JobList(jobs=shown, go_on=Place(at=last.at, job_id=last.job_id, number=last.number))


def tenants_of(database: Database, job_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Whose jobs these are; without those that are none."""
    with database.system() as connection:
        return job_lists.tenants_of(connection, job_ids)


def database_now(database: Database) -> datetime:
    """The time by which everything is counted."""
    with database.system() as connection:
        return tallies.progress(connection).now
