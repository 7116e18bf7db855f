"""Reviews as the API shows them."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import Field

from schemas.answer import Violation
from schemas.base import Contract
from schemas.job import Priority


class WaitingReview(Contract):
    """A review in the queue.

    Attributes:
        held: somebody has claimed it, until ``lease_until``.
    """

    job_id: UUID
    task: str
    reason: str
    detail: str
    created_at: datetime
    deadline: datetime | None = None
    priority: Priority
    attempts: int
    held: bool
    lease_until: datetime | None = None


class ReviewPage(Contract):
    """Some of the queue, the most valuable first."""

    reviews: list[WaitingReview]
    next: str | None = Field(default=None, description="Pass it as `after` to get the next page; null: there is none.")


class HeldReview(Contract):
    """A review that was claimed, with what it takes to decide it.

    Attributes:
        request: what was asked: the document and its fields.
        suggestion: of the rules, where they had one.
        fence: of this claim; a decision names it, so that none is made under an older one.
    """

    job_id: UUID
    task: str
    reason: str
    detail: str
    suggestion: dict[str, Any] | None = None
    request: dict[str, Any]
    fence: int
    lease_until: datetime


class ReviewDetail(Contract):
    """Everything that there is to see of a review.

    Attributes:
        model: what the model answered last, as far as it can be read, and ``violations``: what is wrong with it.
        rules: what the rules suggest; ``differing``: the paths in which the two differ.
        decision: one that was made; while it can be taken back, until ``effective_at``, it is ``pending``.
    """

    job_id: UUID
    task: str
    reason: str
    detail: str
    created_at: datetime
    deadline: datetime | None = None
    priority: Priority
    held: bool
    lease_until: datetime | None = None
    request: dict[str, Any]
    model: dict[str, Any] | None = None
    violations: list[Violation]
    rules: dict[str, Any] | None = None
    differing: list[str]
    cost_usd: Decimal | None = None
    decision: str | None = None
    pending: bool
    effective_at: datetime | None = None


class Decided(Contract):
    """A decision that was taken.

    Attributes:
        answer: what it says; None where the job was rejected.
    """

    job_id: UUID
    decision: str
    answer: dict[str, Any] | None = None


class Lease(Contract):
    """Until when a claim holds."""

    job_id: UUID
    fence: int
    lease_until: datetime
