"""What every page of the desk has: who looks, and what they can still take back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from fastapi import Request, Response

from jobs import review_queue
from jobs.access import SignedIn
from jobs.cancel import NotFound
from jobs.review_queue import Pending
from schemas.access import Principal
from web.desk import words
from web.pages import add_filters, page
from web.problems import Kind, Problem
from web.site import Site

TOGETHER = timedelta(seconds=10)
"""Bulk decisions are written in portions; portions that follow each other within this are shown as one."""
MOST_BANNERS = 3

add_filters(words.FILTERS)


@dataclass(frozen=True)
class Undo:
    """Decisions that are taken back together.

    Attributes:
        seconds: until the first of them takes effect.
    """

    tenant_id: str
    task: str
    said: str
    job_ids: list[UUID]
    seconds: float


def desk_page(
    request: Request, site: Site, signed_in: SignedIn, template: str, *, status_code: int = 200, **values: Any
) -> Response:
    """A page of the desk."""
    pending = review_queue.pending(site.database, signed_in.principal.tenants, signed_in.principal.name)
    return page(
        request, template, status_code=status_code,
        signed_in=signed_in, undos=undos(pending)[:MOST_BANNERS], lease_seconds=site.settings.review_lease_seconds,
        **values,
    )  # fmt: skip


def undos(pending: Sequence[Pending]) -> list[Undo]:
    """What can be taken back, the latest first; what was decided in bulk is one."""
    groups: list[list[Pending]] = []
    for one in pending:
        last = groups[-1] if groups else None
        if last is not None and _together(last, one):
            last.append(one)
        else:
            groups.append([one])
    return [
        Undo(
            group[0].tenant_id, group[0].task, words.DECIDED[group[0].decision],
            [one.job_id for one in group], min(one.seconds_left for one in group),
        )
        for group in groups
    ]  # fmt: skip


def tenant_of(site: Site, principal: Principal, job_id: UUID) -> str:
    """Which of their tenants has a review of this job.

    Raises:
        Problem: none of them; there may be one or not.
    """
    try:
        return review_queue.tenant_of(site.database, principal.tenants, job_id)
    except NotFound:
        raise Problem(Kind.NOT_FOUND) from None


def _together(group: Sequence[Pending], one: Pending) -> bool:
    first, last = group[0], group[-1]
    same = (first.tenant_id, first.task, first.decision) == (one.tenant_id, one.task, one.decision)
    at_once = last.decided_at == one.decided_at
    return same and (at_once or (len(group) > 1 and last.decided_at - one.decided_at < TOGETHER))
