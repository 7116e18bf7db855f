"""Review: a person's turn. Claim with a lease; a decision meets the same contract as a model's answer, or is refused."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from jobs.cancel import NotFound
from schemas.answer import NotApplicable
from storage import jobs, reviews
from storage.database import Database
from storage.reviews import ClaimedReview
from tasks import find_task
from tasks.spec import AnyTask


class Decision(StrEnum):
    """What a person may decide."""

    ACCEPT = "accept"  # the suggestion as it is
    EDIT = "edit"  # an answer of their own
    NOT_APPLICABLE = "not_applicable"  # not this task: that is the answer
    REJECT = "reject"  # no answer can be given: the job fails


class DecisionRefused(ValueError):
    """The decision does not count; each of ``reasons`` is one plain sentence. The review stays claimed."""

    def __init__(self, reasons: list[str]) -> None:
        self.reasons = reasons
        super().__init__("; ".join(reasons))


@dataclass(frozen=True)
class ReviewItem:
    """A claimed review with all that a person needs to decide."""

    claimed: ClaimedReview
    request: dict[str, Any]


def list_waiting(
    database: Database, tenant_id: str, *, task: str | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Undecided reviews, oldest first."""
    with database.tenant(tenant_id) as connection:
        return reviews.waiting(connection, task=task, limit=limit)


def claim(
    database: Database,
    tenant_id: str,
    reviewer: str,
    lease_seconds: float,
    *,
    job_id: UUID | None = None,
    task: str | None = None,
) -> ReviewItem | None:
    """Take the next review, or this one. None: nothing is waiting, or somebody else holds it."""
    with database.tenant(tenant_id) as connection:
        claimed = reviews.claim(connection, reviewer, lease_seconds, job_id=job_id, task=task)
        if claimed is None:
            return None
        jobs.note_event(connection, tenant_id, [claimed.job_id], "review_claimed", reviewer)
        return ReviewItem(claimed, jobs.request_of(connection, claimed.job_id))


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
) -> dict[str, Any] | None:
    """Decide a review that this person holds.

    Args:
        fence: that of the claim the decision was made under; an older one is refused even where the same person has
            claimed the review again since. None takes the present one.
        output: the answer, for ``edit``.
        reason: why the task does not apply, for ``not_applicable``.

    Returns:
        The answer that was written; None where the job was rejected.

    Raises:
        NotFound: there is no review of this job.
        DecisionRefused: the answer breaks the contract, or the claim is not (or no longer) held.
    """
    with database.tenant(tenant_id) as connection:
        review = reviews.of_job(connection, job_id)
        if review is None:
            raise NotFound(f"There is no review of job {job_id}.")
        _check_held(review, reviewer, fence)
        task = find_task(review["task"])
        chosen = _chosen(task, decision, review["suggestion"], output, reason)
        answer = None if chosen is None else _checked(task, jobs.request_of(connection, job_id), chosen)
        written = reviews.decide(
            connection, tenant_id, job_id,
            reviewer=reviewer, fence=review["fence"], decision=decision.value, output=answer, note=note,
        )  # fmt: skip
        if not written:
            raise DecisionRefused([f"your claim ran out; claim it again with `assay review claim {job_id}`"])
        jobs.note_event(connection, tenant_id, [job_id], "decided", reviewer, decision.value)
    return answer


def _check_held(review: dict[str, Any], reviewer: str, fence: int | None) -> None:
    if review["decision"] is not None:
        raise DecisionRefused([f"it was decided already, by {review['decided_by']} ({review['decision']})"])
    if review["reviewer"] != reviewer:
        who = f"{review['reviewer']} holds it" if review["reviewer"] else "nobody holds it"
        raise DecisionRefused([f"{who}; claim it first with `assay review claim {review['job_id']}`"])
    if fence is not None and fence != review["fence"]:
        raise DecisionRefused(["it was claimed anew since this decision was begun; look at it again and decide then"])


def _chosen(
    task: AnyTask,
    decision: Decision,
    suggestion: dict[str, Any] | None,
    output: dict[str, Any] | None,
    reason: str | None,
) -> dict[str, Any] | None:
    match decision:
        case Decision.ACCEPT:
            if suggestion is None:
                raise DecisionRefused(["there is no suggestion to accept; give an answer with `edit`"])
            return suggestion
        case Decision.EDIT:
            if output is None:
                raise DecisionRefused([f"give the answer, as JSON of schemas/published/{task.name}.json"])
            return output
        case Decision.NOT_APPLICABLE:
            if not reason:
                raise DecisionRefused(["say why the task does not apply, with a reason"])
            return NotApplicable(reason=reason).model_dump(mode="json")
        case Decision.REJECT:
            return None


def _checked(task: AnyTask, request_data: dict[str, Any], output: dict[str, Any]) -> dict[str, Any]:
    """A person's answer under the model's contract; computed fields may be left out."""
    request = task.read_request(request_data)
    if output.get("outcome") != "not_applicable":
        output = task.from_wire(request, output)
    checked = task.check(request, output)
    if isinstance(checked, list):
        raise DecisionRefused([str(violation) for violation in checked])
    answer: dict[str, Any] = checked.model_dump(mode="json")
    return answer
