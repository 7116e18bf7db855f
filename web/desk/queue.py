"""The queue: what waits and in which order, the next one, many at once, and taking back."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.status import HTTP_303_SEE_OTHER

from jobs import review, review_bulk, review_queue
from jobs.cancel import NotFound
from jobs.review import ClaimLost
from jobs.review_queue import BadCursor, QueueCount
from tasks import catalogue
from web.access import AtDesk
from web.desk.comparing import lines
from web.desk.filters import Shown, ShownPart
from web.desk.frame import desk_page
from web.desk.words import REASONS
from web.problems import Kind, Problem
from web.sent import Posted, PostedAtDesk
from web.site import Site, TheSite

PAGE_LINES = 50
MOST_CLUSTERS = 6
MOST_UNDONE = 1000
NOTICES = {
    "none": "Nothing is waiting that nobody else holds.",
    "taken-back": "The decision was taken back.",
    "too-late": "It was too late to take that back: the decision has taken effect.",
    "skipped": "Skipped. It waits for others, and for you again in half an hour.",
    "taken": "Somebody else was faster: that review is held or decided.",
}
"""Said after a form, named in the address: nothing that somebody else writes there is shown."""
_BULK = re.compile(r"bulk-([0-9]{1,4})-([0-9]{1,4})-([0-9]{1,4})")

router = APIRouter()


@dataclass(frozen=True)
class TaskCount:
    """What waits of one task, over all reasons and tenants shown."""

    task: str
    waiting: int
    held: int
    oldest: datetime


@router.get("/desk")
def queue_page(
    request: Request,
    site: TheSite,
    signed_in: AtDesk,
    shown: ShownPart,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    notice: Annotated[str, Query(max_length=50)] = "",
) -> Response:
    """What waits, the most valuable first."""
    database, mine = site.database, signed_in.principal
    try:
        queue = review_queue.queue(database, shown.tenants, shown.only, cursor=cursor, limit=PAGE_LINES)
    except BadCursor:
        return _to(f"/desk{shown.query}")
    counts = review_queue.counts(database, mine.tenants)
    held = review_queue.held(database, mine.tenants)
    clusters = review_bulk.clusters(database, shown.tenants, shown.only, limit=MOST_CLUSTERS)
    return desk_page(
        request, site, signed_in, "desk/queue.html",
        section="queue", shown=shown, queue=queue, is_first=cursor is None, counts=_by_task(counts),
        total=sum(one.waiting for one in counts), free=sum(one.waiting - one.held for one in counts),
        mine=[line for line in held if line.reviewer == mine.name],
        others=[line for line in held if line.reviewer != mine.name],
        clusters=[(one, lines([one.suggestion], [])) for one in clusters], most_at_once=review_bulk.BULK_LIMIT,
        tasks=sorted(catalogue()), reasons=sorted(REASONS.items(), key=lambda pair: pair[1]), notice=_notice(notice),
    )  # fmt: skip


@router.post("/desk/next")
def claim_next(site: TheSite, sent: PostedAtDesk, shown: ShownPart) -> Response:
    """Take the most valuable one of what is shown."""
    return to_next(site, sent, shown)


@router.post("/desk/bulk")
def accept_cluster(site: TheSite, sent: PostedAtDesk, shown: ShownPart) -> Response:
    """Accept the suggestion of all that have the same."""
    tenant_id = _own_tenant(sent)
    done = review_bulk.accept_cluster(
        site.database, tenant_id, sent.principal.name,
        task=sent.one("task"), reason=sent.one("reason"), cluster=sent.one("cluster"),
    )  # fmt: skip
    return _to(f"/desk{shown.with_(notice=f'bulk-{len(done.accepted)}-{done.refused}-{done.left}')}")


@router.post("/desk/undo")
def undo(site: TheSite, sent: PostedAtDesk) -> Response:
    """Take back one decision, which is then claimed again, or those of a bulk accept."""
    tenant_id, job_ids = _own_tenant(sent), _job_ids(sent)
    try:
        if len(job_ids) > 1:
            review_bulk.undo_many(site.database, tenant_id, job_ids, sent.principal.name)
            return _to("/desk?notice=taken-back")
        lease = site.settings.review_lease_seconds
        review.undo(site.database, tenant_id, job_ids[0], sent.principal.name, lease)
    except ClaimLost:
        return _to("/desk?notice=too-late")
    except NotFound:
        raise Problem(Kind.NOT_FOUND) from None
    return _to(f"/desk/items/{job_ids[0]}")


def to_next(site: Site, sent: Posted, shown: Shown) -> Response:
    """To the next review, which is claimed; to the queue where there is none."""
    item = review_queue.claim_next(
        site.database, shown.tenants, sent.principal.name, site.settings.review_lease_seconds, shown.only
    )
    if item is None:
        return _to(f"/desk{shown.with_(notice='none')}")
    return _to(f"/desk/items/{item.claimed.job_id}{shown.query}")


def _by_task(counts: list[QueueCount]) -> list[TaskCount]:
    by_task: dict[str, list[QueueCount]] = {}
    for one in counts:
        by_task.setdefault(one.task, []).append(one)
    return [
        TaskCount(task, sum(c.waiting for c in some), sum(c.held for c in some), min(c.oldest for c in some))
        for task, some in sorted(by_task.items())
    ]


def _notice(name: str) -> str | None:
    if (bulk := _BULK.fullmatch(name)) is None:
        return NOTICES.get(name)
    accepted, refused, left = map(int, bulk.groups())
    sentences = [f"{accepted} accepted together."]
    if refused:
        sentences.append(f"{refused} were not: their suggestion does not hold for their own document.")
    if left:
        sentences.append(f"{left} of the same kind still wait.")
    return " ".join(sentences)


def _own_tenant(sent: Posted) -> str:
    tenant_id = sent.one("tenant")
    if tenant_id not in sent.principal.tenants:
        raise Problem(Kind.NOT_FOUND)
    return tenant_id


def _job_ids(sent: Posted) -> list[UUID]:
    try:
        found = [UUID(text) for text in sent.texts.get("job", [])[:MOST_UNDONE]]
    except ValueError:
        found = []
    if not found:
        raise Problem(Kind.NOT_FOUND)
    return found


def _to(target: str) -> Response:
    return RedirectResponse(target, status_code=HTTP_303_SEE_OTHER)
