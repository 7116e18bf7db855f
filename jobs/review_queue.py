"""The queue of the desk, over all tenants of whoever asks: what waits in the order of its value, what is held, what can be undone.

A tenant is read in its own transaction, so row-level security stands between tenants here as everywhere; their lines are
merged afterwards.
"""

import base64
import heapq
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from jobs import review
from jobs.cancel import NotFound
from jobs.review import ReviewItem
from schemas.job import Priority
from schemas.review import EVERYTHING, Decision, QueueFilter
from storage import review_queue, reviews, second_reviews
from storage.database import Database
from storage.review_queue import Place

SETTLED_AT_ONCE = 50
"""Decisions that a look at the queue lets take effect; the sweep does the rest."""
_FOREVER = datetime.max.replace(tzinfo=UTC)


class BadCursor(ValueError):
    """It was not made by this queue."""


@dataclass(frozen=True)
class QueueLine:
    """A waiting review.

    Attributes:
        attempts: calls that were made to models for it.
        cluster: the digest of its suggestion; None where it has none.
        reviewer, lease_until: who holds it now, and until when.
    """

    tenant_id: str
    job_id: UUID
    task: str
    reason: str
    detail: str
    created_at: datetime
    deadline: datetime | None
    priority: Priority
    rank: int
    attempts: int
    cluster: str | None
    reviewer: str | None
    lease_until: datetime | None
    held: bool


@dataclass(frozen=True)
class QueuePage:
    """Some lines, and where the next ones begin; None at the end."""

    lines: list[QueueLine]
    next_cursor: str | None


@dataclass(frozen=True)
class QueueCount:
    """What waits of one tenant, task and reason; ``held`` of these somebody holds."""

    tenant_id: str
    task: str
    reason: str
    waiting: int
    held: int
    oldest: datetime
    next_deadline: datetime | None


@dataclass(frozen=True)
class Pending:
    """A decision that can still be taken back, for so many seconds."""

    tenant_id: str
    job_id: UUID
    task: str
    decision: Decision
    decided_at: datetime
    effective_at: datetime
    seconds_left: float


def queue(
    database: Database,
    tenants: Sequence[str],
    only: QueueFilter = EVERYTHING,
    *,
    cursor: str | None = None,
    limit: int = 50,
) -> QueuePage:
    """What waits, the most valuable first (docs/decisions/0014).

    Args:
        cursor: ``next_cursor`` of the page before.

    Raises:
        BadCursor: it is none.
    """
    after = None if cursor is None else _place(cursor)
    by_tenant: list[list[dict[str, Any]]] = []
    for tenant in tenants:
        with database.tenant(tenant) as connection:
            reviews.settle_due(connection, limit=SETTLED_AT_ONCE)
            by_tenant.append(review_queue.lines(connection, only=only, after=after, limit=limit + 1))
    rows = list(heapq.merge(*by_tenant, key=_order))
    lines = [_line(row) for row in rows[:limit]]
    return QueuePage(lines, _cursor(lines[-1]) if len(rows) > limit else None)


def counts(database: Database, tenants: Sequence[str]) -> list[QueueCount]:
    """How many wait, by tenant, task and reason."""
    found: list[QueueCount] = []
    for tenant in tenants:
        with database.tenant(tenant) as connection:
            found += [QueueCount(**row) for row in review_queue.counts(connection)]
    return found


def held(database: Database, tenants: Sequence[str], *, limit: int = 100) -> list[QueueLine]:
    """What anybody holds now, and until when; the claim that ends first comes first."""
    found: list[QueueLine] = []
    for tenant in tenants:
        with database.tenant(tenant) as connection:
            found += [_line(row) for row in review_queue.held(connection, limit=limit)]
    return sorted(found, key=lambda line: line.lease_until or _FOREVER)[:limit]


def claim_next(
    database: Database,
    tenants: Sequence[str],
    reviewer: str,
    lease_seconds: float,
    only: QueueFilter = EVERYTHING,
) -> ReviewItem | None:
    """Take the most valuable review that nobody else holds and that this person did not skip lately."""
    for tenant in _by_value(database, tenants, only):
        item = review.claim(database, tenant, reviewer, lease_seconds, only=only)
        if item is not None:
            return item
    return None


def pending(database: Database, tenants: Sequence[str], reviewer: str) -> list[Pending]:
    """What this person decided and can still take back, the latest first."""
    found: list[Pending] = []
    for tenant in tenants:
        with database.tenant(tenant) as connection:
            rows = review_queue.pending(connection, reviewer)
        found += [Pending(**{**row, "decision": Decision(row["decision"])}) for row in rows]
    return sorted(found, key=lambda one: one.effective_at, reverse=True)


def tenant_of(database: Database, tenants: Sequence[str], job_id: UUID) -> str:
    """Which of these tenants has a review, or a second review, of this job.

    Raises:
        NotFound: none of them.
    """
    for tenant in tenants:
        with database.tenant(tenant) as connection:
            if reviews.of_job(connection, job_id) or second_reviews.of_job(connection, job_id):
                return tenant
    raise NotFound(f"There is no review of job {job_id}.")


def _by_value(database: Database, tenants: Sequence[str], only: QueueFilter) -> list[str]:
    """The tenants that have something, the one with the most valuable review first. What comes of a claim may still be
    another one: that is decided under the lock."""
    if len(tenants) == 1:
        return list(tenants)
    first: list[dict[str, Any]] = []
    for tenant in tenants:
        with database.tenant(tenant) as connection:
            first += review_queue.lines(connection, only=only, limit=1)
    return [row["tenant_id"] for row in sorted(first, key=_order)]


def _order(row: dict[str, Any]) -> tuple[datetime, int, datetime, UUID]:
    """As the index has it."""
    return (row["deadline"] or _FOREVER, row["rank"], row["created_at"], row["job_id"])


def _line(row: dict[str, Any]) -> QueueLine:
    return QueueLine(**{**row, "priority": priority_of(row["priority"])})


def priority_of(rank: int) -> Priority:
    """A job's class from how it is stored."""
    return next(priority for priority in Priority if priority.rank == rank)


def _cursor(line: QueueLine) -> str:
    due = None if line.deadline is None else line.deadline.isoformat()
    place = [due, line.rank, line.created_at.isoformat(), str(line.job_id)]
    return base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode().rstrip("=")


def _place(cursor: str) -> Place:
    try:
        due, rank, created_at, job_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        place = Place(None if due is None else _moment(due), int(rank), _moment(created_at), UUID(job_id))
        if not -32768 <= place.rank <= 32767:
            raise ValueError
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        raise BadCursor("this is no cursor of the queue; begin at the first page") from None
    return place


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)
