"""``/v1/reviews``: what waits for a person, for programs of reviewers: in its order, counted, held, and alike."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import Field, StrictBool, StrictInt, StrictStr

from jobs import review_bulk, review_queue
from jobs.review_views import accepted_view, cluster_view, count_view, held_view, waiting_view
from schemas.base import Contract
from schemas.desk import (
    ClusterAccepted,
    HeldReview,
    ReviewClusters,
    ReviewList,
    ReviewPage,
    WaitingCounts,
)
from schemas.failure import FailureReason
from schemas.review import UNDO_SECONDS
from web.access import Reviewer
from web.api import review_examples as examples
from web.api.claims import NOTE, lease_seconds, refusals_as_problems
from web.api.described import described
from web.api.parameters import NAMES_A_TASK, After, Limit, QueuePart, check_named, tenant_of
from web.bodies import JsonBody, read_as
from web.problems import Kind, Problem
from web.replies import reply
from web.site import TheSite

router = APIRouter(prefix="/v1", tags=["reviews"])

ClusterDigest = Annotated[
    str, Path(pattern=r"^[0-9a-f]{64}$", description="The digest of the suggestion, as clusters and reviews name it.")
]
ClusterLimit = Annotated[
    int, Query(ge=1, le=review_bulk.MOST_CLUSTERS, description="The largest of them, at most so many.")
]


class AcceptingCluster(Contract):
    """A cluster to accept; with its digest, task and reason make it out."""

    task: StrictStr = Field(description="Its task.", json_schema_extra=NAMES_A_TASK)
    reason: FailureReason = Field(description="Why its reviews are here.")
    limit: StrictInt = Field(review_bulk.BULK_LIMIT, ge=1, le=review_bulk.BULK_LIMIT, description="At most so many.")
    note: StrictStr | None = NOTE
    can_be_undone: StrictBool = Field(
        False, description="They take effect after a minute, and until then each can be undone."
    )


@router.get("/reviews", **described("A page of the queue.", ReviewPage, examples.REVIEW_PAGE))
def list_reviews(
    site: TheSite, reviewer: Reviewer, only: QueuePart, limit: Limit = 50, after: After = None
) -> Response:
    """What waits for a person, the most valuable first, held ones among them."""
    with refusals_as_problems():
        page = review_queue.queue(site.database, reviewer.tenants, only, cursor=after, limit=limit)
    return reply(ReviewPage(reviews=[waiting_view(line) for line in page.lines], next=page.next_cursor))


@router.post(
    "/reviews/next",
    **described(
        "A review, claimed.", HeldReview, examples.HELD_REVIEW, or_nothing="Nothing waits that nobody else holds."
    ),
)
def claim_next(site: TheSite, reviewer: Reviewer, only: QueuePart) -> Response:
    """Claim the most valuable review that nobody holds and that this key did not skip lately."""
    item = review_queue.claim_next(site.database, reviewer.tenants, reviewer.name, lease_seconds(site), only)
    return Response(status_code=204) if item is None else reply(held_view(item))


@router.get("/reviews/counts", **described("What waits.", WaitingCounts, examples.COUNTS))
def count_reviews(site: TheSite, reviewer: Reviewer) -> Response:
    """How many wait, by task and reason, and how many of these somebody holds."""
    found = review_queue.counts(site.database, reviewer.tenants)
    return reply(WaitingCounts(counts=[count_view(one) for one in found]))


@router.get("/reviews/held", **described("What is held.", ReviewList, examples.HELD))
def list_held(site: TheSite, reviewer: Reviewer, limit: Limit = 50) -> Response:
    """What anybody holds, this key or another or a person at the desk; the claim that ends first comes first."""
    found = review_queue.held(site.database, reviewer.tenants, limit=limit)
    return reply(ReviewList(reviews=[waiting_view(line) for line in found]))


@router.get("/reviews/clusters", **described("The largest clusters.", ReviewClusters, examples.CLUSTERS))
def list_clusters(site: TheSite, reviewer: Reviewer, only: QueuePart, limit: ClusterLimit = 50) -> Response:
    """Two or more reviews with the same task, reason and suggestion that nobody holds, the largest clusters first."""
    found = review_bulk.clusters(site.database, reviewer.tenants, only, limit=limit)
    return reply(ReviewClusters(clusters=[cluster_view(one) for one in found]))


@router.post(
    "/reviews/clusters/{cluster}/accept",
    **described(
        "What became of them.", ClusterAccepted, examples.ACCEPTED, body=(AcceptingCluster, examples.ACCEPTING)
    ),
)
def accept_cluster(site: TheSite, reviewer: Reviewer, cluster: ClusterDigest, body: JsonBody) -> Response:
    """Accept the suggestion of a whole cluster, but for what others hold; each job has its own line in the audit. Where
    nothing of it waits any more, there is no such cluster."""
    asked = read_as(AcceptingCluster, body)
    check_named(asked.task)
    done = review_bulk.accept_cluster(
        site.database, tenant_of(reviewer), reviewer.name,
        task=asked.task, reason=asked.reason.value, cluster=cluster, limit=asked.limit, note=asked.note,
        grace_seconds=UNDO_SECONDS if asked.can_be_undone else 0,
    )  # fmt: skip
    if not (done.accepted or done.refused or done.left):
        raise Problem(Kind.NOT_FOUND)
    return reply(accepted_view(done, reviewer.name))
