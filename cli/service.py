"""Assay as the commands reach it: over the API where ASSAY_URL is set, else over the database. What they print is the same."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from cli.ended import Ended
from cli.reached import reached

if TYPE_CHECKING:
    from cli.api import Api
    from jobs.show import Progress
    from jobs.submit import Submitted
    from schemas.job import JobOptions, JobView
    from storage.database import Database


class Service(Protocol):
    """One tenant's jobs.

    Every method raises ``NotFound`` for an id that the tenant does not have, and the refusals of ``jobs.contract`` for an input
    that breaks its contract.
    """

    def submit_one(self, task: str, fields: Mapping[str, Any], options: "JobOptions", key: str | None) -> "Submitted":
        """Submit one document."""

    def submit_batch(
        self, task: str, lines: Iterable[bytes], fields: Mapping[str, Any], options: "JobOptions", key: str | None
    ) -> "Submitted":
        """Submit JSONL as one batch, all or nothing."""

    def show(self, job_id: UUID) -> "JobView":
        """One job."""

    def progress(self, batch_id: UUID) -> "Progress":
        """Where a batch stands."""

    def results(self, batch_id: UUID) -> "Iterator[JobView]":
        """A batch's jobs in input order."""

    def cancel(self, which: UUID) -> Ended:
        """Cancel a job, or what is not over of a batch."""

    def retry(self, batch_id: UUID) -> int:
        """Queue a batch's failed jobs again; returns how many."""


class OverDatabase:
    """The use cases, called here."""

    def __init__(self, database: "Database", tenant: str) -> None:
        self._database = database
        self._tenant = tenant

    def submit_one(self, task: str, fields: Mapping[str, Any], options: "JobOptions", key: str | None) -> "Submitted":
        """See :class:`Service`."""
        from jobs.submit import submit_one

        return submit_one(self._database, self._tenant, task, fields, options, idempotency_key=key)

    def submit_batch(
        self, task: str, lines: Iterable[bytes], fields: Mapping[str, Any], options: "JobOptions", key: str | None
    ) -> "Submitted":
        """See :class:`Service`."""
        from jobs.submit import submit_batch

        return submit_batch(self._database, self._tenant, task, lines, fields, options, idempotency_key=key)

    def show(self, job_id: UUID) -> "JobView":
        """See :class:`Service`."""
        from jobs.show import show

        return show(self._database, self._tenant, job_id)

    def progress(self, batch_id: UUID) -> "Progress":
        """See :class:`Service`."""
        from jobs.show import progress

        return progress(self._database, self._tenant, batch_id)

    def results(self, batch_id: UUID) -> "Iterator[JobView]":
        """See :class:`Service`."""
        from jobs.show import results

        return results(self._database, self._tenant, batch_id)

    def cancel(self, which: UUID) -> Ended:
        """See :class:`Service`."""
        from jobs.cancel import cancel

        cancelled = cancel(self._database, self._tenant, which)
        return Ended(len(cancelled.jobs), cancelled.upload)

    def retry(self, batch_id: UUID) -> int:
        """See :class:`Service`."""
        from jobs.cancel import retry_failed

        return len(retry_failed(self._database, self._tenant, batch_id))


@contextmanager
def connected(tenant: str) -> Iterator[Service]:
    """Whichever way the settings name.

    Raises:
        Stop: a tenant is named beside a key, which has its own; neither way is known.
    """
    with reached(tenant, _over_http, lambda connection: OverDatabase(connection.database, tenant)) as service:
        yield service


def _over_http(api: "Api") -> Service:
    from cli.over_http import OverHttp

    return OverHttp(api)
