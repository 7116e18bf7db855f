"""What a worker process has to run jobs with."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import UUID

import tenacity
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from jobs.admit import Gate
from jobs.hold import HeldLeases
from orchestration.provider import Provider
from schemas.failure import Failure, FailureReason
from schemas.settings import Settings
from storage.database import Database
from storage.leases import Claim

Result = TypeVar("Result")


class RunText(Protocol):
    """Takes the text of one run while it comes."""

    def add(self, attempt: int, piece: str) -> None:
        """Take the next piece of an attempt's text; never waits and never fails."""


class Partials(Protocol):
    """Who passes partial text on to those who watch; ``partials.writer`` is the real one."""

    def of_run(self, job_id: UUID, run: int) -> AbstractContextManager[RunText]:
        """Take the text of a run, named by its fence, while the block runs."""


@dataclass(frozen=True)
class Workplace:
    """The parts that running a job needs.

    Attributes:
        run_alone: runs a claimed job in a process of its own; None in that process.
        partials: None where partial text is off.
    """

    database: Database
    provider: Provider
    settings: Settings
    held: HeldLeases
    worker_id: UUID
    actor: str
    gate: Gate
    run_alone: Callable[[Claim], None] | None = None
    partials: Partials | None = None

    def insist(self, work: Callable[[Connection], Result], tenant_id: str) -> Result:
        """Run a transaction, and again while the database is away: what a model answered, and was paid for, is not dropped
        for a restart of the database. All such work names the fence, so doing it twice has the effect of once.

        Raises:
            DBAPIError: the database stayed away for four lease times; by then others have the job.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_away),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=2),
            stop=tenacity.stop_after_delay(self.settings.lease_seconds * 4),
            reraise=True,
        )

        def attempt() -> Result:
            with self.database.tenant(tenant_id) as connection:
                return work(connection)

        return retrying(attempt)


def no_longer_ours() -> Failure:
    """The failure of a run whose job was cancelled or taken over."""
    return Failure(reason=FailureReason.CANCELLED, detail="the job was cancelled or taken over in the meantime")


def _is_away(error: BaseException) -> bool:
    """The connection broke, none could be made, or the server is starting or stopping; not: it refused the statement."""
    if isinstance(error, PoolTimeout):
        return True
    return isinstance(error, DBAPIError) and (error.connection_invalidated or _never_connected(error))


def _never_connected(error: DBAPIError) -> bool:
    """psycopg gives errors of connecting no SQLSTATE; 57P is the server's class for shutting down and starting."""
    state = getattr(error.orig, "sqlstate", None)
    return state is None or state.startswith(("08", "57P", "53300"))
