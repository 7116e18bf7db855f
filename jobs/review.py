"""Review: a person's turn. Claim with a lease; a decision meets the same contract as a model's answer, or is refused."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from jobs.cancel import NotFound
from jobs.review_answers import checked_output, chosen_output, kept_remark
from jobs.review_refusals import ClaimLost, DecisionRefused
from schemas.review import EVERYTHING, SKIP_SECONDS, Decision, QueueFilter
from storage import jobs, review_claims, reviews
from storage.database import Database
from storage.review_claims import REVIEWS
from storage.reviews import ClaimedReview, Settled
from tasks import find_task

__all__ = ["ClaimLost", "Decision", "DecisionRefused", "ReviewItem"]


@dataclass(frozen=True)
class ReviewItem:
    """A claimed review with all that a person needs to decide."""

    claimed: ClaimedReview
    request: dict[str, Any]


def claim(
    database: Database,
    tenant_id: str,
    reviewer: str,
    lease_seconds: float,
    *,
    job_id: UUID | None = None,
    task: str | None = None,
    only: QueueFilter = EVERYTHING,
) -> ReviewItem | None:
    """Take the next review, or this one; what one holds already is renewed under a new fence.

    Returns:
        None: nothing is waiting, or somebody else holds it, or it is decided.
    """
    only = only if task is None else only.model_copy(update={"task": task})
    with database.tenant(tenant_id) as connection:
        claimed = reviews.claim(connection, reviewer, lease_seconds, job_id=job_id, only=only)
        if claimed is None:
            return None
        jobs.note_event(connection, tenant_id, [claimed.job_id], "review_claimed", reviewer)
        return ReviewItem(claimed, jobs.request_of(connection, claimed.job_id))


def check_there(database: Database, tenant_id: str, job_id: UUID) -> None:
    """Refuse a job that has no review, claimed or not, decided or not.

    Raises:
        NotFound: it has none.
    """
    with database.tenant(tenant_id) as connection:
        _find(connection, job_id)


def renew(
    database: Database, tenant_id: str, job_id: UUID, reviewer: str, fence: int, lease_seconds: float
) -> datetime:
    """Hold a review for longer; the fence stays.

    Returns:
        Until when.

    Raises:
        NotFound: there is no review of this job.
        ClaimLost: it is not held any more.
    """
    with database.tenant(tenant_id) as connection:
        until = review_claims.renew(connection, REVIEWS, job_id, reviewer, fence, lease_seconds)
        if until is None:
            _find(connection, job_id)
            raise ClaimLost("your claim has ended; look at it again")
    return until


def release(
    database: Database,
    tenant_id: str,
    job_id: UUID,
    reviewer: str,
    *,
    fence: int | None = None,
    skip_seconds: float = SKIP_SECONDS,
) -> None:
    """Give a review back undecided: at once for everybody else, and for this person as the next one only after a while.

    Raises:
        NotFound: there is no review of this job.
        ClaimLost: this person does not hold it.
    """
    with database.tenant(tenant_id) as connection:
        review = _held(connection, job_id, reviewer, fence)
        if not review_claims.release(connection, REVIEWS, job_id, reviewer, review["fence"]):
            raise ClaimLost("your claim had ended already")
        if skip_seconds > 0:
            reviews.skip(connection, tenant_id, job_id, reviewer, skip_seconds)
        jobs.note_event(connection, tenant_id, [job_id], "review_released", reviewer)


def decide(
    database: Database,
    tenant_id: str,
    job_id: UUID,
    reviewer: str,
    decision: Decision,
    *,
    output: dict[str, Any] | None = None,
    reason: str | None = None,
    note: str | None = None,
    fence: int | None = None,
    grace_seconds: float = 0,
) -> dict[str, Any] | None:
    """Decide a review that this person holds.

    Args:
        fence: that of the claim the decision was made under; an older one is refused even where the same person has
            claimed the review again since. None takes the present one.
        output: the answer, for ``edit``.
        reason: why the task does not apply, for ``not_applicable``.
        grace_seconds: so long the decision can be taken back (:func:`undo`); then it takes effect. 0: at once.

    Returns:
        The answer that was written or set down; None where the job was rejected.

    Raises:
        NotFound: there is no review of this job.
        ClaimLost: the claim is not (or no longer) held.
        DecisionRefused: the answer breaks the contract.
    """
    with database.tenant(tenant_id) as connection:
        review = _held(connection, job_id, reviewer, fence)
        task = find_task(review["task"])
        chosen = chosen_output(task, decision, review["suggestion"], output, reason)
        answer = None if chosen is None else checked_output(task, jobs.request_of(connection, job_id), chosen)
        settled = Settled(decision.value, answer, kept_remark(note))
        if not _write(connection, review, reviewer, settled, grace_seconds):
            raise ClaimLost(f"your claim ran out; claim it again with `assay review claim {job_id}`")
        jobs.note_event(connection, tenant_id, [job_id], "decided", reviewer, decision.value)
    return answer


def undo(database: Database, tenant_id: str, job_id: UUID, reviewer: str, lease_seconds: float) -> ReviewItem:
    """Take back a decision that has not taken effect; the review is claimed again by who decided.

    Raises:
        NotFound: there is no review of this job.
        ClaimLost: it took effect, or somebody else decided.
    """
    with database.tenant(tenant_id) as connection:
        claimed = reviews.take_back(connection, job_id, reviewer, lease_seconds)
        if claimed is None:
            _find(connection, job_id)
            raise ClaimLost("there is no decision of yours that can still be taken back")
        jobs.note_event(connection, tenant_id, [job_id], "decision_undone", reviewer)
        return ReviewItem(claimed, jobs.request_of(connection, job_id))


def _write(
    connection: Connection, review: dict[str, Any], reviewer: str, settled: Settled, grace_seconds: float
) -> bool:
    job_id, fence = review["job_id"], review["fence"]
    if grace_seconds > 0:
        return reviews.set_down(connection, job_id, reviewer, fence, settled, grace_seconds)
    return reviews.decide(
        connection, review["tenant_id"], job_id,
        reviewer=reviewer, fence=fence, decision=settled.decision, output=settled.output, note=settled.note,
    )  # fmt: skip


def _find(connection: Connection, job_id: UUID) -> dict[str, Any]:
    review = reviews.of_job(connection, job_id)
    if review is None:
        raise NotFound(f"There is no review of job {job_id}.")
    return review


def _held(connection: Connection, job_id: UUID, reviewer: str, fence: int | None) -> dict[str, Any]:
    """The review, which this person holds; whether the lease has run out is left to the statement that writes."""
    review = _find(connection, job_id)
    if review["decision"] is not None:
        raise ClaimLost(f"it was decided already, by {review['decided_by']} ({review['decision']})")
    if review["pending"] is not None:
        raise ClaimLost(f"it was decided already, by {review['reviewer']} ({review['pending']})")
    if review["reviewer"] != reviewer:
        who = f"{review['reviewer']} holds it" if review["reviewer"] else "nobody holds it"
        raise ClaimLost(f"{who}; claim it first with `assay review claim {review['job_id']}`")
    if fence is not None and fence != review["fence"]:
        raise ClaimLost("it was claimed anew since this decision was begun; look at it again and decide then")
    return review
