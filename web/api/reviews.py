"""``/v1/reviews/{job}``: one review, claimed, decided, given back, and taken back, by programs of reviewers."""

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field, StrictBool

from jobs import review, review_story
from jobs.review_views import detail_view, held_view
from schemas.desk import Decided, HeldReview, ReviewDetail
from schemas.review import UNDO_SECONDS, Decision
from web.access import Reviewer
from web.api import review_examples as examples
from web.api.claims import RELEASES, RENEWS, TAKEN, Answering, lease_seconds, refusals_as_problems, released, renewed
from web.api.described import described
from web.api.parameters import JobId, tenant_of
from web.bodies import JsonBody, read_as
from web.problems import Kind, Problem
from web.replies import reply
from web.site import TheSite

router = APIRouter(prefix="/v1", tags=["reviews"])


class Deciding(Answering):
    """A decision."""

    decision: Decision
    can_be_undone: StrictBool = Field(
        False, description="It takes effect after a minute, and until then can be undone."
    )


@router.get(
    "/reviews/{job_id:uuid}",  # and not for `next`, which knows POST only
    **described("The review.", ReviewDetail, examples.REVIEW_DETAIL),
)
def get_review(site: TheSite, reviewer: Reviewer, job_id: JobId) -> Response:
    """Everything there is to see of a review, claimed or not. The audit notes that it was looked at."""
    with refusals_as_problems():
        return reply(detail_view(review_story.look(site.database, tenant_of(reviewer), job_id, reviewer.name)))


@router.post(
    "/reviews/{job_id}/claim",
    **described("The review, claimed.", HeldReview, examples.HELD_REVIEW, Kind.STATE_CONFLICT),
)
def claim_review(site: TheSite, reviewer: Reviewer, job_id: JobId) -> Response:
    """Claim this review; one that this key holds already, anew, under another fence."""
    item = review.claim(site.database, tenant_of(reviewer), reviewer.name, lease_seconds(site), job_id=job_id)
    if item is None:
        with refusals_as_problems():
            review.check_there(site.database, tenant_of(reviewer), job_id)
        raise Problem(Kind.STATE_CONFLICT, TAKEN)
    return reply(held_view(item))


@router.post("/reviews/{job_id}/renew", **RENEWS)
def renew_claim(site: TheSite, reviewer: Reviewer, job_id: JobId, body: JsonBody) -> Response:
    """Hold a claimed review for longer."""
    return renewed(site, reviewer, job_id, body, review.renew)


@router.post("/reviews/{job_id}/release", **RELEASES)
def release_claim(site: TheSite, reviewer: Reviewer, job_id: JobId, body: JsonBody) -> Response:
    """Give a claimed review back, undecided."""
    return released(site, reviewer, job_id, body, review.release)


@router.post(
    "/reviews/{job_id}/decision",
    **described("The decision.", Decided, examples.DECIDED, Kind.STATE_CONFLICT, body=(Deciding, examples.DECISIONS)),
)
def decide_review(site: TheSite, reviewer: Reviewer, job_id: JobId, body: JsonBody) -> Response:
    """Decide a review that this key holds. An answer meets the same contract as a model's, or is refused field by field."""
    asked = read_as(Deciding, body)
    with refusals_as_problems():
        answer = review.decide(
            site.database, tenant_of(reviewer), job_id, reviewer.name, asked.decision,
            output=asked.output, reason=asked.reason, note=asked.note, fence=asked.fence,
            grace_seconds=UNDO_SECONDS if asked.can_be_undone else 0,
        )  # fmt: skip
    return reply(Decided(job_id=job_id, decision=asked.decision, reviewer=reviewer.name, answer=answer))


@router.post(
    "/reviews/{job_id}/undo",
    **described("The review, claimed again.", HeldReview, examples.HELD_REVIEW, Kind.STATE_CONFLICT),
)
def undo_decision(site: TheSite, reviewer: Reviewer, job_id: JobId) -> Response:
    """Take back a decision that was made with `can_be_undone` and has not taken effect."""
    with refusals_as_problems():
        item = review.undo(site.database, tenant_of(reviewer), job_id, reviewer.name, lease_seconds(site))
    return reply(held_view(item))
