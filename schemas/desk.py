"""Reviews as the API shows them."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from schemas.answer import Violation
from schemas.base import Contract
from schemas.job import Priority


class WaitingReview(Contract):
    """A review in the queue.

    Attributes:
        cluster: the digest of its suggestion, which equal ones have in common; None where it has none.
        held: ``reviewer`` has claimed it, until ``lease_until``.
    """

    job_id: UUID
    task: str
    reason: str
    detail: str
    created_at: datetime
    deadline: datetime | None = None
    priority: Priority
    attempts: int
    cluster: str | None = None
    held: bool
    reviewer: str | None = None
    lease_until: datetime | None = None


class ReviewPage(Contract):
    """Some of the queue, the most valuable first."""

    reviews: list[WaitingReview]
    next: str | None = Field(default=None, description="Pass it as `after` to get the next page; null: there is none.")


class ReviewList(Contract):
    """Reviews that somebody holds, the claim that ends first in front."""

    reviews: list[WaitingReview]


class WaitingCount(Contract):
    """What waits of one task for one reason; ``held`` of these somebody has claimed."""

    task: str
    reason: str
    waiting: int
    held: int
    oldest: datetime
    next_deadline: datetime | None = None


class WaitingCounts(Contract):
    """What waits, by task and reason."""

    counts: list[WaitingCount]


class ReviewCluster(Contract):
    """Reviews with the same task, reason and suggestion, which one decision can end.

    Attributes:
        cluster: the digest of their suggestion.
        waiting: how many of them nobody holds.
    """

    task: str
    reason: str
    cluster: str
    waiting: int
    suggestion: dict[str, Any]
    oldest: datetime | None = None


class ReviewClusters(Contract):
    """Clusters of two or more, the largest first."""

    clusters: list[ReviewCluster]


class ClusterAccepted(Contract):
    """What became of the reviews of a cluster that were accepted together.

    Attributes:
        accepted: the jobs.
        refused: how many suggestions broke the contract; they wait as before.
        left: how many of the cluster nobody holds now.
        reviewer: who accepted, as the audit names it.
    """

    accepted: list[UUID]
    refused: int
    left: int
    reviewer: str


class HeldReview(Contract):
    """A review that was claimed, with what it takes to decide it.

    Attributes:
        request: what was asked: the document and its fields.
        suggestion: of the rules, where they had one.
        fence: of this claim; a decision names it, so that none is made under an older one.
        reviewer: who holds it, as the audit names it.
    """

    job_id: UUID
    task: str
    reason: str
    detail: str
    suggestion: dict[str, Any] | None = None
    request: dict[str, Any]
    fence: int
    reviewer: str
    lease_until: datetime


class ReviewDetail(Contract):
    """Everything that there is to see of a review.

    Attributes:
        model: what the model answered last, as far as it can be read, and ``violations``: what is wrong with it.
        rules: what the rules suggest; ``differing``: the paths in which the two differ.
        held: ``reviewer`` has claimed it, until ``lease_until``.
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
    reviewer: str | None = None
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
        reviewer: who decided, as the audit names it.
        answer: what it says; None where the job was rejected.
    """

    job_id: UUID
    decision: str
    reviewer: str
    answer: dict[str, Any] | None = None


class Released(Contract):
    """A claim that was given back, by ``reviewer``."""

    job_id: UUID
    released: Literal[True] = True
    reviewer: str


class Lease(Contract):
    """Until when a claim holds."""

    job_id: UUID
    fence: int
    lease_until: datetime
