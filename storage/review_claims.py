"""A person's claim on a review or a second review: a lease and a fence, by one rule for both tables."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection


@dataclass(frozen=True)
class Claims:
    """What can be claimed in one table.

    Attributes:
        undecided: the condition under which a row can still be claimed and decided, as SQL.
    """

    table: str
    undecided: str

    @property
    def take(self) -> str:
        """The beginning of a statement that claims, as SQL: for ``reviewer``, for ``lease`` seconds, under a new fence."""
        return (
            f"UPDATE {self.table} SET reviewer = %(reviewer)s, lease_until = now() + make_interval(secs => %(lease)s),"
            " fence = fence + 1"
        )

    @property
    def held(self) -> str:
        """The condition that this reviewer holds this row under this fence, as SQL."""
        return (
            "WHERE job_id = %(job)s AND fence = %(fence)s AND reviewer = %(reviewer)s"
            f" AND {self.undecided} AND lease_until > now()"
        )


REVIEWS = Claims("reviews", "decision IS NULL AND effective_at IS NULL")
SECOND_REVIEWS = Claims("second_reviews", "stage <> 'settled'")


def renew(
    connection: Connection, of: Claims, job_id: UUID, reviewer: str, fence: int, lease_seconds: float
) -> datetime | None:
    """Hold it for longer, from now. None: it is not held under this fence any more."""
    statement = (
        f"UPDATE {of.table} SET lease_until = now() + make_interval(secs => %(lease)s) {of.held} RETURNING lease_until"
    )
    until: datetime | None = connection.exec_driver_sql(
        statement, holding(job_id, reviewer, fence) | {"lease": lease_seconds}
    ).scalar()
    return until


def release(connection: Connection, of: Claims, job_id: UUID, reviewer: str, fence: int) -> bool:
    """Give it back. False: it is not held any more."""
    statement = f"UPDATE {of.table} SET reviewer = NULL, lease_until = NULL {of.held} RETURNING job_id"
    return connection.exec_driver_sql(statement, holding(job_id, reviewer, fence)).first() is not None


def holding(job_id: UUID, reviewer: str, fence: int) -> dict[str, object]:
    """The parameters of :attr:`Claims.held`."""
    return {"job": job_id, "reviewer": reviewer, "fence": fence}
