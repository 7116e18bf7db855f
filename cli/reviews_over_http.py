"""A person's turn over the API. What the API refuses becomes the same refusal that the use case raises."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from cli.api import NOT_FOUND, STATE_CONFLICT, Api, Refused
from cli.errors import wrong_usage
from jobs.cancel import NotFound
from jobs.listing import MOST_LISTED
from jobs.review_bulk import MOST_CLUSTERS
from jobs.review_refusals import ClaimLost, DecisionRefused
from schemas.answer import Violation
from schemas.desk import (
    ClusterAccepted,
    Decided,
    HeldReview,
    Released,
    ReviewCluster,
    ReviewClusters,
    ReviewPage,
    WaitingReview,
)
from schemas.review import Decision, QueueFilter

_QUEUE = "/v1/reviews"


class ReviewsOverHttp:
    """The API, called over HTTP with a reviewer's key. See :class:`cli.review_service.ReviewService`."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def waiting(self, only: QueueFilter, limit: int) -> list[WaitingReview]:
        """Page by page."""
        found: list[WaitingReview] = []
        after: str | None = None
        while len(found) < limit:
            rows = min(limit - len(found), MOST_LISTED)
            said = self._ask("GET", _QUEUE, params={**_part(only), "limit": rows, "after": after})
            page = ReviewPage.model_validate(said)
            found += page.reviews
            if page.next is None:
                break
            after = page.next
        return found

    def claim(self, job_id: UUID) -> HeldReview | None:
        """By its id."""
        try:
            return HeldReview.model_validate(self._ask("POST", f"{_QUEUE}/{job_id}/claim"))
        except (NotFound, ClaimLost):
            return None

    def claim_next(self, only: QueueFilter) -> HeldReview | None:
        """An empty answer is none."""
        said = self._ask("POST", f"{_QUEUE}/next", params=_part(only))
        return HeldReview.model_validate(said) if said else None

    def release(self, job_id: UUID) -> Released:
        """Whatever the claim is."""
        return Released.model_validate(
            self._ask("POST", f"{_QUEUE}/{job_id}/release", body={}, missing=_no_review(job_id))
        )

    def decide(
        self, job_id: UUID, decision: Decision, output: dict[str, Any] | None, reason: str | None, note: str | None
    ) -> Decided:
        """Under the present claim."""
        body = {"decision": decision.value, "output": output, "reason": reason, "note": note}
        return Decided.model_validate(
            self._ask("POST", f"{_QUEUE}/{job_id}/decision", body=body, missing=_no_review(job_id))
        )

    def clusters(self, only: QueueFilter) -> list[ReviewCluster]:
        """At most as many as the API shows."""
        said = self._ask("GET", f"{_QUEUE}/clusters", params={**_part(only), "limit": MOST_CLUSTERS})
        return ReviewClusters.model_validate(said).clusters

    def accept(self, cluster: ReviewCluster, limit: int, note: str | None) -> ClusterAccepted:
        """By its digest, task and reason."""
        body = {"task": cluster.task, "reason": cluster.reason, "limit": limit, "note": note}
        return ClusterAccepted.model_validate(
            self._ask(
                "POST",
                f"{_QUEUE}/clusters/{cluster.cluster}/accept",
                body=body,
                missing="Nothing of this cluster waits any more.",
            )
        )

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        missing: str = "There is no such review.",
    ) -> dict[str, Any]:
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": None if body is None else "application/json"}
        try:
            said, _ = self._api.ask(method, path, params=params, content=content, headers=headers)
        except Refused as refused:
            if refused.kind != NOT_FOUND:
                raise _refusal(refused) from None
            if path == _QUEUE or not self._opens_queue():
                raise wrong_usage(
                    "ASSAY_API_KEY opens no reviews: use a key made with `assay keys create --role reviewer`."
                ) from None
            raise NotFound(missing) from None
        return said

    def _opens_queue(self) -> bool:
        """Whether this key is a reviewer's: what a role does not open looks like what is not there, and the queue is there."""
        try:
            self._api.ask("GET", _QUEUE, params={"limit": 1})
        except Refused:
            return False
        return True


def _no_review(job_id: UUID) -> str:
    return f"There is no review of job {job_id}."


def _part(only: QueueFilter) -> dict[str, str | None]:
    return {"task": only.task, "reason": only.reason}


def _refusal(refused: Refused) -> Exception:
    if refused.kind == STATE_CONFLICT:
        return ClaimLost(refused.detail.removesuffix("."))
    errors = [Violation(path=one["path"], message=one["detail"]) for one in refused.errors]
    return DecisionRefused(errors or [refused.detail])
