"""``/v1/reviews``: what waits for a person, for programs of reviewers."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field, StrictBool, StrictInt, StrictStr

from jobs import review, review_queue, review_story
from jobs.review_refusals import ClaimLost, DecisionRefused
from schemas.access import Principal
from schemas.base import Contract
from schemas.desk import Decided, HeldReview, Lease, ReviewDetail, ReviewPage
from schemas.failure import FailureReason
from schemas.review import SKIP_SECONDS, UNDO_SECONDS, Decision, QueueFilter
from web.access import Reviewer
from web.api import examples
from web.api.parameters import ALWAYS, WITH_BODY, After, JobId, Limit, OneTask, check_task, parameter, tenant_of
from web.api.refusals import as_problems
from web.api.review_views import detail_view, held_view, waiting_view
from web.bodies import JsonBody, invalid, read_as, takes
from web.problems import Kind, Problem, documented
from web.replies import reply
from web.site import Site, TheSite

router = APIRouter(prefix="/v1", tags=["reviews"])

OneReason = Annotated[FailureReason | None, Query(description="Only those that are here for this reason.")]
OlderThan = Annotated[
    int | None, Query(ge=0, le=365 * 86400, description="Only those that have waited for longer, in seconds.")
]
_FENCE = Field(None, ge=0, le=2**31 - 1, description="Of the claim; without it, of the present one.")


class Deciding(Contract):
    """A decision."""

    decision: Decision
    output: dict[StrictStr, Any] | None = Field(
        None, description="The answer, for `edit`: held to the task's contract."
    )
    reason: StrictStr | None = Field(None, max_length=500, description="Why the task does not apply.")
    note: StrictStr | None = Field(None, max_length=2000, description="For the audit.")
    fence: StrictInt | None = _FENCE
    can_be_undone: StrictBool = Field(
        False, description="It takes effect after a minute, and until then can be undone."
    )


class Renewing(Contract):
    """A claim to hold on to."""

    fence: StrictInt = Field(ge=0, le=2**31 - 1, description="Of the claim.")


class Releasing(Contract):
    """A claim to give back."""

    fence: StrictInt | None = _FENCE
    skip: StrictBool = Field(True, description="For half an hour it is not the next one for this key again.")


class Released(Contract):
    """It is back in the queue."""

    job_id: str
    released: Literal[True] = True


@contextmanager
def _as_problems() -> Iterator[None]:
    with as_problems():
        try:
            yield
        except review_queue.BadCursor:
            raise parameter("after", "is no cursor of this list; pass on the `next` of a page as it stands") from None
        except ClaimLost as refusal:
            raise Problem(Kind.STATE_CONFLICT, f"{refusal}.") from None
        except DecisionRefused as refusal:
            raise invalid([(one.path, one.message) for one in refusal.errors]) from None


def _only(task: str | None, reason: FailureReason | None, older_than: int | None) -> QueueFilter:
    if task is not None:
        check_task(task)
    return QueueFilter(
        task=task,
        reason=None if reason is None else reason.value,
        older_than=None if older_than is None else timedelta(seconds=older_than),
    )


def _seconds(site: Site) -> float:
    return site.settings.review_lease_seconds


@router.get(
    "/reviews",
    response_class=Response,
    responses={
        **documented(*ALWAYS),
        **examples.answers(200, "A page of the queue.", ReviewPage, examples.REVIEW_PAGE),
    },
)
def list_reviews(
    site: TheSite,
    reviewer: Reviewer,
    limit: Limit = 50,
    after: After = None,
    task: OneTask = None,
    reason: OneReason = None,
    older_than: OlderThan = None,
) -> Response:
    """What waits for a person, the most valuable first, held ones among them."""
    only = _only(task, reason, older_than)
    with _as_problems():
        page = review_queue.queue(site.database, reviewer.tenants, only, cursor=after, limit=limit)
    return reply(ReviewPage(reviews=[waiting_view(line) for line in page.lines], next=page.next_cursor))


@router.post(
    "/reviews/next",
    status_code=200,
    response_class=Response,
    responses={
        **documented(*ALWAYS),
        **examples.answers(200, "A review, claimed.", HeldReview, examples.HELD_REVIEW),
        204: {"description": "Nothing waits that nobody else holds."},
    },
)
def claim_next(
    site: TheSite,
    reviewer: Reviewer,
    task: OneTask = None,
    reason: OneReason = None,
    older_than: OlderThan = None,
) -> Response:
    """Claim the most valuable review that nobody holds and that this key did not skip lately."""
    only = _only(task, reason, older_than)
    item = review_queue.claim_next(site.database, reviewer.tenants, reviewer.name, _seconds(site), only)
    return Response(status_code=204) if item is None else reply(held_view(item))


@router.get(
    "/reviews/{job_id:uuid}",  # and not for `next`, which knows POST only
    response_class=Response,
    responses={**documented(*ALWAYS), **examples.answers(200, "The review.", ReviewDetail, examples.REVIEW_DETAIL)},
)
def get_review(site: TheSite, reviewer: Reviewer, job_id: JobId) -> Response:
    """Everything there is to see of a review, claimed or not. The audit notes that it was looked at."""
    with _as_problems():
        return reply(detail_view(review_story.look(site.database, tenant_of(reviewer), job_id, reviewer.name)))


@router.post(
    "/reviews/{job_id}/claim",
    response_class=Response,
    responses={
        **documented(*ALWAYS, Kind.STATE_CONFLICT),
        **examples.answers(200, "The review, claimed.", HeldReview, examples.HELD_REVIEW),
    },
)
def claim_review(site: TheSite, reviewer: Reviewer, job_id: JobId) -> Response:
    """Claim this review; one that this key holds already, anew, under another fence."""
    with _as_problems():
        _is_there(site, reviewer, job_id)
        item = review.claim(site.database, tenant_of(reviewer), reviewer.name, _seconds(site), job_id=job_id)
    if item is None:
        raise Problem(Kind.STATE_CONFLICT, "Somebody else holds it, or it is decided.")
    return reply(held_view(item))


@router.post(
    "/reviews/{job_id}/renew",
    response_class=Response,
    openapi_extra=takes(Renewing, examples.RENEWING),
    responses={
        **documented(*WITH_BODY, Kind.STATE_CONFLICT),
        **examples.answers(200, "Until when the claim holds.", Lease, examples.LEASE),
    },
)
def renew_claim(site: TheSite, reviewer: Reviewer, job_id: JobId, body: JsonBody) -> Response:
    """Hold a claimed review for longer."""
    asked = read_as(Renewing, body)
    with _as_problems():
        _is_there(site, reviewer, job_id)
        until = review.renew(site.database, tenant_of(reviewer), job_id, reviewer.name, asked.fence, _seconds(site))
    return reply(Lease(job_id=job_id, fence=asked.fence, lease_until=until))


@router.post(
    "/reviews/{job_id}/release",
    response_class=Response,
    openapi_extra=takes(Releasing, examples.RELEASING),
    responses={
        **documented(*WITH_BODY, Kind.STATE_CONFLICT),
        **examples.answers(200, "It is back in the queue.", Released, examples.RELEASED),
    },
)
def release_claim(site: TheSite, reviewer: Reviewer, job_id: JobId, body: JsonBody) -> Response:
    """Give a claimed review back, undecided."""
    asked = read_as(Releasing, body)
    with _as_problems():
        _is_there(site, reviewer, job_id)
        review.release(
            site.database,
            tenant_of(reviewer),
            job_id,
            reviewer.name,
            fence=asked.fence,
            skip_seconds=SKIP_SECONDS if asked.skip else 0,
        )
    return reply(Released(job_id=str(job_id)))


@router.post(
    "/reviews/{job_id}/decision",
    response_class=Response,
    openapi_extra=takes(Deciding, examples.DECISIONS),
    responses={
        **documented(*WITH_BODY, Kind.STATE_CONFLICT),
        **examples.answers(200, "The decision.", Decided, examples.DECIDED),
    },
)
def decide_review(site: TheSite, reviewer: Reviewer, job_id: JobId, body: JsonBody) -> Response:
    """Decide a review that this key holds. An answer meets the same contract as a model's, or is refused field by field."""
    asked = read_as(Deciding, body)
    with _as_problems():
        _is_there(site, reviewer, job_id)
        answer = review.decide(
            site.database,
            tenant_of(reviewer),
            job_id,
            reviewer.name,
            asked.decision,
            output=asked.output,
            reason=asked.reason,
            note=asked.note,
            fence=asked.fence,
            grace_seconds=UNDO_SECONDS if asked.can_be_undone else 0,
        )
    return reply(Decided(job_id=job_id, decision=asked.decision, answer=answer))


@router.post(
    "/reviews/{job_id}/undo",
    response_class=Response,
    responses={
        **documented(*ALWAYS, Kind.STATE_CONFLICT),
        **examples.answers(200, "The review, claimed again.", HeldReview, examples.HELD_REVIEW),
    },
)
def undo_decision(site: TheSite, reviewer: Reviewer, job_id: JobId) -> Response:
    """Take back a decision that was made with `can_be_undone` and has not taken effect."""
    with _as_problems():
        item = review.undo(site.database, tenant_of(reviewer), job_id, reviewer.name, _seconds(site))
    return reply(held_view(item))


def _is_there(site: Site, reviewer: Principal, job_id: JobId) -> None:
    """Whatever is wrong with a claim, what is not there is not there."""
    review_queue.tenant_of(site.database, reviewer.tenants, job_id)
