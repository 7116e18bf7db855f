"""Reviews as they are shown outside the desk, by the API and by the commands: without the tenant, which is one and known."""

from jobs.review import ReviewItem
from jobs.review_bulk import BulkAccepted, Cluster
from jobs.review_queue import QueueCount, QueueLine
from jobs.review_story import Item
from jobs.second_review import SecondItem, SecondLine
from schemas.desk import ClusterAccepted, HeldReview, ReviewCluster, ReviewDetail, WaitingCount, WaitingReview
from schemas.second_desk import SecondReview, WaitingSecond


def waiting_view(line: QueueLine) -> WaitingReview:
    """A line of the queue."""
    return WaitingReview.model_validate(line, from_attributes=True)


def count_view(count: QueueCount) -> WaitingCount:
    """What waits of a task and reason."""
    return WaitingCount.model_validate(count, from_attributes=True)


def cluster_view(cluster: Cluster) -> ReviewCluster:
    """Equal suggestions."""
    return ReviewCluster.model_validate(cluster, from_attributes=True)


def accepted_view(done: BulkAccepted, reviewer: str) -> ClusterAccepted:
    """What this reviewer accepted at once."""
    return ClusterAccepted(accepted=done.accepted, refused=done.refused, left=done.left, reviewer=reviewer)


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
        reviewer=claimed.reviewer,
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
        reviewer=seen.reviewer if seen.held else None,
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


def waiting_second_view(line: SecondLine) -> WaitingSecond:
    """A second review that is not settled."""
    return WaitingSecond.model_validate(line, from_attributes=True)


def second_view(item: SecondItem) -> SecondReview:
    """All of a second review that may be seen at its stage: what is hidden, the item has not."""
    return SecondReview.model_validate(item, from_attributes=True)
