"""Accept many reviews at once: those of one cluster, which have task, reason and suggestion in common."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from jobs.cancel import NotFound
from jobs.review_answers import checked_output, kept_remark
from jobs.review_refusals import DecisionRefused
from schemas.review import EVERYTHING, UNDO_SECONDS, Decision, QueueFilter
from storage import jobs, review_claims, review_queue, reviews
from storage.database import Database
from storage.review_claims import REVIEWS
from storage.review_queue import ClusterKey
from storage.reviews import Settled
from tasks import find_task

BULK_LIMIT: Final = 200
"""Reviews that one call accepts at most: few enough that a person can take them back within the minute."""
MOST_COUNTED: Final = 1000
MOST_CLUSTERS: Final = 1000
"""The largest, that a program or the command line is shown."""
_CHUNK = 50
"""Each suggestion is held to the contract again with its own document, which may be a megabyte; so few are in hand."""
_LEASE_SECONDS = 60.0
_BEFORE_ALL = UUID(int=0)


@dataclass(frozen=True)
class Cluster:
    """Reviews that one decision can end.

    Attributes:
        cluster: the digest of their suggestion.
        waiting: how many of them nobody holds; at most :data:`MOST_COUNTED` where it belongs to an item.
    """

    tenant_id: str
    task: str
    reason: str
    cluster: str
    waiting: int
    suggestion: dict[str, Any]
    oldest: datetime | None


@dataclass(frozen=True)
class BulkAccepted:
    """What became of a bulk accept.

    Attributes:
        refused: how many suggestions broke the contract; they wait as before.
        left: how many of the cluster nobody holds now, counted up to :data:`MOST_COUNTED`.
    """

    accepted: list[UUID] = field(default_factory=list)
    refused: int = 0
    left: int = 0


def clusters(
    database: Database, tenants: Sequence[str], only: QueueFilter = EVERYTHING, *, limit: int = 50
) -> list[Cluster]:
    """Clusters of two or more that nobody holds, the largest first."""
    found: list[Cluster] = []
    for tenant in tenants:
        with database.tenant(tenant) as connection:
            found += [Cluster(**row) for row in review_queue.clusters(connection, only=only, limit=limit)]
    return sorted(found, key=lambda cluster: cluster.waiting, reverse=True)[:limit]


def cluster_of(database: Database, tenant_id: str, job_id: UUID) -> Cluster | None:
    """The cluster of a review; None where it has no suggestion.

    Raises:
        NotFound: there is no review of this job.
    """
    with database.tenant(tenant_id) as connection:
        review = reviews.of_job(connection, job_id)
        if review is None:
            raise NotFound(f"There is no review of job {job_id}.")
        if review["cluster"] is None:
            return None
        key = ClusterKey(review["task"], review["reason"], review["cluster"])
        waiting, oldest = review_queue.cluster_size(connection, key, most=MOST_COUNTED)
    return Cluster(tenant_id, key.task, key.reason, key.cluster, waiting, review["suggestion"], oldest)


def accept_cluster(
    database: Database,
    tenant_id: str,
    reviewer: str,
    *,
    task: str,
    reason: str,
    cluster: str,
    limit: int = BULK_LIMIT,
    grace_seconds: float = UNDO_SECONDS,
    note: str | None = None,
) -> BulkAccepted:
    """Accept the suggestion of every review of a cluster that nobody else holds, each with its own line in the audit.

    Args:
        limit: at most so many, and never more than :data:`BULK_LIMIT`.
        grace_seconds: so long each can be taken back.
    """
    key = ClusterKey(task, reason, cluster)
    settled_note = kept_remark(note)
    left_to_do, after = min(limit, BULK_LIMIT), _BEFORE_ALL
    accepted: list[UUID] = []
    refused = 0
    while left_to_do > 0:
        with database.tenant(tenant_id) as connection:
            claimed = review_queue.claim_cluster(
                connection, reviewer, key,
                after=after, limit=min(left_to_do, _CHUNK), lease_seconds=_LEASE_SECONDS,
            )  # fmt: skip
            if not claimed:
                break
            done = [
                row["job_id"] for row in claimed if _accept(connection, reviewer, key, row, grace_seconds, settled_note)
            ]
            jobs.note_event(connection, tenant_id, done, "decided", reviewer, "accept, together with equal ones")
        accepted += done
        refused += len(claimed) - len(done)
        left_to_do -= len(claimed)
        after = max(row["job_id"] for row in claimed)
    return BulkAccepted(accepted, refused, _left(database, tenant_id, key, at_once=grace_seconds <= 0))


def undo_many(database: Database, tenant_id: str, job_ids: Sequence[UUID], reviewer: str) -> list[UUID]:
    """Take back these decisions of this person where they have not taken effect; they wait again for anybody.

    Returns:
        The reviews that came back.
    """
    back: list[UUID] = []
    with database.tenant(tenant_id) as connection:
        for job_id in sorted(job_ids):
            taken = reviews.take_back(connection, job_id, reviewer, _LEASE_SECONDS)
            if taken is not None and review_claims.release(connection, REVIEWS, job_id, reviewer, taken.fence):
                back.append(job_id)
        jobs.note_event(connection, tenant_id, back, "decision_undone", reviewer)
    return back


def _accept(
    connection: Connection,
    reviewer: str,
    key: ClusterKey,
    row: dict[str, Any],
    grace_seconds: float,
    note: str | None,
) -> bool:
    """Set one down; a suggestion that does not hold for its document is given back."""
    job_id, fence = row["job_id"], row["fence"]
    try:
        answer = checked_output(find_task(key.task), jobs.request_of(connection, job_id), row["suggestion"])
    except DecisionRefused:
        review_claims.release(connection, REVIEWS, job_id, reviewer, fence)
        return False
    settled = Settled(Decision.ACCEPT.value, answer, note)
    return reviews.set_down(connection, job_id, reviewer, fence, settled, grace_seconds)


def _left(database: Database, tenant_id: str, key: ClusterKey, *, at_once: bool) -> int:
    """How many are left; without a grace the decisions take effect first. Not in the transaction that set them down: there
    reviews were locked before their jobs, and a cancellation locks them the other way round."""
    with database.tenant(tenant_id) as connection:
        if at_once:
            reviews.settle_due(connection, limit=BULK_LIMIT)
        return review_queue.cluster_size(connection, key, most=MOST_COUNTED)[0]
