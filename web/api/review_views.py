"""Reviews of the domain as the API shows them: without the tenant, which the key is of, and without other reviewers' names."""

from jobs.review import ReviewItem
from jobs.review_queue import QueueLine
from jobs.review_story import Item
from schemas.desk import HeldReview, ReviewDetail, WaitingReview


def waiting_view(line: QueueLine) -> WaitingReview:
    """A line of the queue."""
    return WaitingReview(
        job_id=line.job_id,
        task=line.task,
        reason=line.reason,
        detail=line.detail,
        created_at=line.created_at,
        deadline=line.deadline,
        priority=line.priority,
        attempts=line.attempts,
        held=line.held,
        lease_until=line.lease_until if line.held else None,
    )


def held_view(item: ReviewItem) -> HeldReview:
    """A claimed review."""
    claimed = item.claimed
    return HeldReview(
        job_id=claimed.job_id,
        task=claimed.task,
        reason=claimed.reason,
        detail=claimed.detail,
        suggestion=claimed.suggestion,
        request=item.request,
        fence=claimed.fence,
        lease_until=claimed.lease_until,
    )


def detail_view(item: Item) -> ReviewDetail:
    """All of a review."""
    seen = item.review
    return ReviewDetail(
        job_id=seen.job_id,
        task=seen.task,
        reason=seen.reason,
        detail=seen.detail,
        created_at=seen.created_at,
        deadline=seen.deadline,
        priority=seen.priority,
        held=seen.held,
        lease_until=seen.lease_until if seen.held else None,
        request=item.request,
        model=item.model,
        violations=item.violations,
        rules=item.rules,
        differing=item.differing,
        cost_usd=item.cost_usd,
        decision=seen.decision or seen.pending,
        pending=seen.pending is not None,
        effective_at=seen.effective_at,
    )
