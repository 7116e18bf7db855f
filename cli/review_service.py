"""A person's turn as the commands reach it: over the API where ASSAY_URL is set, else over the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from cli.errors import wrong_usage
from cli.reached import reached
from cli.reviewers import reviewer_name

if TYPE_CHECKING:
    from cli.api import Api
    from cli.connect import Connection
    from schemas.desk import ClusterAccepted, Decided, HeldReview, Released, ReviewCluster, WaitingReview
    from schemas.review import Decision, QueueFilter
    from storage.database import Database


class ReviewService(Protocol):
    """One tenant's reviews, for one reviewer.

    ``release`` and ``decide`` raise ``NotFound`` for a job that has no review there, ``ClaimLost`` where this reviewer does not
    hold it, and ``decide`` ``DecisionRefused`` for an answer that breaks its contract.
    """

    def waiting(self, only: "QueueFilter", limit: int) -> "list[WaitingReview]":
        """What waits, the most valuable first."""

    def claim(self, job_id: UUID) -> "HeldReview | None":
        """This one. None: it is not in review, or somebody else holds it."""

    def claim_next(self, only: "QueueFilter") -> "HeldReview | None":
        """The most valuable. None: nothing waits."""

    def release(self, job_id: UUID) -> "Released":
        """Give it back undecided."""

    def decide(
        self, job_id: UUID, decision: "Decision", output: dict[str, Any] | None, reason: str | None, note: str | None
    ) -> "Decided":
        """Decide what this reviewer holds."""

    def clusters(self, only: "QueueFilter") -> "list[ReviewCluster]":
        """Equal suggestions, the largest clusters first."""

    def accept(self, cluster: "ReviewCluster", limit: int, note: str | None) -> "ClusterAccepted":
        """Accept the suggestion of so many of a cluster, at once."""


class OverDatabase:
    """The use cases, called here."""

    def __init__(self, database: "Database", tenant: str, reviewer: str, lease_seconds: float) -> None:
        self._database = database
        self._tenant = tenant
        self._reviewer = reviewer
        self._lease_seconds = lease_seconds

    def waiting(self, only: "QueueFilter", limit: int) -> "list[WaitingReview]":
        """See :class:`ReviewService`."""
        from jobs.review_queue import queue
        from jobs.review_views import waiting_view

        page = queue(self._database, [self._tenant], only, limit=limit)
        return [waiting_view(line) for line in page.lines]

    def claim(self, job_id: UUID) -> "HeldReview | None":
        """See :class:`ReviewService`."""
        from jobs.review import claim
        from jobs.review_views import held_view

        item = claim(self._database, self._tenant, self._reviewer, self._lease_seconds, job_id=job_id)
        return None if item is None else held_view(item)

    def claim_next(self, only: "QueueFilter") -> "HeldReview | None":
        """See :class:`ReviewService`."""
        from jobs.review_queue import claim_next
        from jobs.review_views import held_view

        item = claim_next(self._database, [self._tenant], self._reviewer, self._lease_seconds, only)
        return None if item is None else held_view(item)

    def release(self, job_id: UUID) -> "Released":
        """See :class:`ReviewService`."""
        from jobs.review import release
        from schemas.desk import Released

        release(self._database, self._tenant, job_id, self._reviewer)
        return Released(job_id=job_id, reviewer=self._reviewer)

    def decide(
        self, job_id: UUID, decision: "Decision", output: dict[str, Any] | None, reason: str | None, note: str | None
    ) -> "Decided":
        """See :class:`ReviewService`."""
        from jobs.review import decide
        from schemas.desk import Decided

        answer = decide(
            self._database, self._tenant, job_id, self._reviewer, decision, output=output, reason=reason, note=note
        )
        return Decided(job_id=job_id, decision=decision, reviewer=self._reviewer, answer=answer)

    def clusters(self, only: "QueueFilter") -> "list[ReviewCluster]":
        """See :class:`ReviewService`."""
        from jobs.review_bulk import MOST_CLUSTERS, clusters
        from jobs.review_views import cluster_view

        return [cluster_view(one) for one in clusters(self._database, [self._tenant], only, limit=MOST_CLUSTERS)]

    def accept(self, cluster: "ReviewCluster", limit: int, note: str | None) -> "ClusterAccepted":
        """See :class:`ReviewService`."""
        from jobs.review_bulk import accept_cluster
        from jobs.review_views import accepted_view

        done = accept_cluster(
            self._database, self._tenant, self._reviewer,
            task=cluster.task, reason=cluster.reason, cluster=cluster.cluster, limit=limit, grace_seconds=0, note=note,
        )  # fmt: skip
        return accepted_view(done, self._reviewer)


@contextmanager
def connected_reviews(tenant: str, reviewer: str | None = None) -> Iterator[ReviewService]:
    """Whichever way the settings name.

    Args:
        reviewer: as given with ``--as``.

    Raises:
        Stop: a tenant or a reviewer is named beside a key, which says both; neither way is known.
    """
    name = reviewer_name(reviewer)

    def over_http(api: "Api") -> ReviewService:
        if reviewer is not None:
            raise wrong_usage("Over the API the key says who reviews: leave --as out, or unset ASSAY_URL.")
        from cli.reviews_over_http import ReviewsOverHttp

        return ReviewsOverHttp(api)

    def over_database(connection: "Connection") -> ReviewService:
        return OverDatabase(connection.database, tenant, name, connection.settings.review_lease_seconds)

    with reached(tenant, over_http, over_database) as service:
        yield service
