"""``/v1/reviews/second``: a second look at what the model answered, which is not shown before one's own answer is given."""

from typing import Literal

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import StrictStr

from jobs import second_review
from jobs.review_views import second_view, waiting_second_view
from schemas.review import Decision, Verdict
from schemas.second_desk import Judged, SecondOpinion, SecondReview, WaitingSeconds
from web.access import Reviewer
from web.api import review_examples as examples
from web.api.claims import (
    NOTE,
    RELEASES,
    RENEWS,
    TAKEN,
    Answering,
    Claimed,
    lease_seconds,
    refusals_as_problems,
    released,
    renewed,
)
from web.api.described import described
from web.api.parameters import JobId, Limit, TaskPart, tenant_of
from web.bodies import JsonBody, read_as
from web.problems import Kind, Problem
from web.replies import reply
from web.site import TheSite

router = APIRouter(prefix="/v1/reviews", tags=["second reviews"])


class GivingOpinion(Answering):
    """A second opinion. It takes effect at once and cannot be undone, because with it the model's answer is shown."""

    decision: Literal[Decision.EDIT, Decision.NOT_APPLICABLE, Decision.REJECT]


class Judging(Claimed):
    """Who of the two is right."""

    verdict: Verdict
    note: StrictStr | None = NOTE


@router.get("/second", **described("What is not settled.", WaitingSeconds, examples.WAITING_SECONDS))
def list_second_reviews(site: TheSite, reviewer: Reviewer, task: TaskPart, limit: Limit = 50) -> Response:
    """What waits for a second opinion, or where the two differ for a third, the longest waiting first."""
    found = second_review.waiting(site.database, reviewer.tenants, reviewer.name, task=task, limit=limit)
    return reply(WaitingSeconds(reviews=[waiting_second_view(line) for line in found]))


@router.post(
    "/second/next",
    **described(
        "One, claimed.", SecondReview, examples.SECOND_REVIEW, or_nothing="Nothing waits that this key may decide."
    ),
)
def claim_next_second(site: TheSite, reviewer: Reviewer, task: TaskPart) -> Response:
    """Claim the oldest that nobody holds and this key did not skip lately. Who gave the second opinion never judges."""
    item = second_review.claim(site.database, reviewer.tenants, reviewer.name, lease_seconds(site), task=task)
    return Response(status_code=204) if item is None else reply(second_view(item))


@router.get(
    "/second/{job_id:uuid}",
    **described("The second review.", SecondReview, examples.SECOND_REVIEW),
)
def get_second_review(site: TheSite, reviewer: Reviewer, job_id: JobId) -> Response:
    """What may be seen at its stage: both answers only after the second is given. The audit notes that it was looked at."""
    with refusals_as_problems():
        return reply(second_view(second_review.look(site.database, tenant_of(reviewer), job_id, reviewer.name)))


@router.post(
    "/second/{job_id}/claim",
    **described("It, claimed.", SecondReview, examples.SECOND_REVIEW, Kind.STATE_CONFLICT),
)
def claim_second_review(site: TheSite, reviewer: Reviewer, job_id: JobId) -> Response:
    """Claim this one; one that this key holds already, anew, under another fence."""
    item = second_review.claim(site.database, reviewer.tenants, reviewer.name, lease_seconds(site), job_id=job_id)
    if item is None:
        with refusals_as_problems():
            second_review.check_there(site.database, tenant_of(reviewer), job_id)
        raise Problem(Kind.STATE_CONFLICT, TAKEN)
    return reply(second_view(item))


@router.post("/second/{job_id}/renew", **RENEWS)
def renew_second_claim(site: TheSite, reviewer: Reviewer, job_id: JobId, body: JsonBody) -> Response:
    """Hold a claimed one for longer."""
    return renewed(site, reviewer, job_id, body, second_review.renew)


@router.post("/second/{job_id}/release", **RELEASES)
def release_second_claim(site: TheSite, reviewer: Reviewer, job_id: JobId, body: JsonBody) -> Response:
    """Give a claimed one back, undecided."""
    return released(site, reviewer, job_id, body, second_review.release)


@router.post(
    "/second/{job_id}/decision",
    **described(
        "How the two compare.",
        SecondOpinion,
        examples.SECOND_OPINION,
        Kind.STATE_CONFLICT,
        body=(GivingOpinion, examples.OPINIONS),
    ),
)
def give_second_opinion(site: TheSite, reviewer: Reviewer, job_id: JobId, body: JsonBody) -> Response:
    """Give the second opinion. An answer meets the same contract as the model's; then the model's is shown."""
    asked = read_as(GivingOpinion, body)
    with refusals_as_problems():
        outcome = second_review.decide(
            site.database, tenant_of(reviewer), job_id, reviewer.name, asked.decision,
            output=asked.output, reason=asked.reason, note=asked.note, fence=asked.fence,
        )  # fmt: skip
    agreement = outcome.agreement
    return reply(
        SecondOpinion(
            job_id=job_id, stage=outcome.stage, agrees=agreement.agrees, differing=agreement.differing, model=outcome.model
        )
    )  # fmt: skip


@router.post(
    "/second/{job_id}/verdict",
    **described("It is settled.", Judged, examples.JUDGED, Kind.STATE_CONFLICT, body=(Judging, examples.VERDICTS)),
)
def judge_second_review(site: TheSite, reviewer: Reviewer, job_id: JobId, body: JsonBody) -> Response:
    """Say who is right, where the two differ. It measures and corrects nothing: the job's answer stays."""
    asked = read_as(Judging, body)
    with refusals_as_problems():
        second_review.judge(
            site.database, tenant_of(reviewer), job_id, reviewer.name, asked.verdict,
            note=asked.note, fence=asked.fence,
        )  # fmt: skip
    return reply(Judged(job_id=job_id, verdict=asked.verdict))
