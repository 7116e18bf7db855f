"""List a tenant's jobs and batches page by page. A cursor is opaque: what it holds may change with a release."""

import base64
import binascii
from uuid import UUID

from jobs.cancel import NotFound
from jobs.show import Progress
from schemas.job import JobState
from schemas.listing import BatchPage, BatchState, BatchView, JobPage
from storage import batches, listing
from storage.database import Database
from storage.listing import Page

MOST_LISTED = 200
"""Rows of one page."""
_BY_ID, _BY_LINE = b"i", b"l"


class BadCursor(ValueError):
    """The cursor is none of ours, or of another list."""


def list_jobs(
    database: Database,
    tenant_id: str,
    *,
    after: str | None = None,
    limit: int = 50,
    state: JobState | None = None,
    task: str | None = None,
    batch_id: UUID | None = None,
) -> JobPage:
    """Jobs, newest first; with ``batch_id``, those of a batch in the order of its lines.

    Raises:
        BadCursor: ``after`` is not the ``next`` of a page of this list.
        NotFound: this tenant has no such batch.
    """
    chosen = None if state is None else state.value
    with database.tenant(tenant_id) as connection:
        if batch_id is None:
            page = listing.jobs(connection, after=_id_of(after), limit=limit, state=chosen, task=task)
        else:
            line = _line_of(after)
            if batches.find(connection, batch_id) is None:
                raise NotFound(f"There is no batch {batch_id}.")
            page = listing.jobs_of_batch(connection, batch_id, after=line, limit=limit, state=chosen, task=task)
    return JobPage.model_validate({"jobs": page.rows, "next": _next(page)})


def list_batches(database: Database, tenant_id: str, *, after: str | None = None, limit: int = 50) -> BatchPage:
    """Batches, newest first.

    Raises:
        BadCursor: ``after`` is not the ``next`` of a page of this list.
    """
    with database.tenant(tenant_id) as connection:
        page = listing.batches(connection, after=_id_of(after), limit=limit)
    return BatchPage.model_validate({"batches": page.rows, "next": _next(page)})


def batch_view(progress: Progress) -> BatchView:
    """A batch's progress as the outside sees it."""
    state = BatchState.RUNNING
    if progress.is_receiving:
        state = BatchState.RECEIVING
    elif progress.is_over:
        state = BatchState.OVER
    return BatchView.model_validate(
        {
            "batch_id": progress.batch_id,
            "task": progress.task,
            "state": state,
            "total": progress.total,
            "landed": progress.landed,
            "states": progress.states,
            "answered_by": progress.answered_by,
            "input_tokens": progress.input_tokens,
            "output_tokens": progress.output_tokens,
            "attempts": progress.attempts,
            "repairs": progress.repairs,
            "cost_usd": progress.cost_usd,
        }
    )


def _next(page: Page) -> str | None:
    match page.next:
        case None:
            return None
        case UUID():
            return _encoded(_BY_ID + page.next.bytes)
        case int():
            return _encoded(_BY_LINE + page.next.to_bytes(4, "big"))


def _id_of(cursor: str | None) -> UUID | None:
    return None if cursor is None else UUID(bytes=_decoded(cursor, _BY_ID, 16))


def _line_of(cursor: str | None) -> int | None:
    # A line is a signed integer of four bytes in the database.
    return None if cursor is None else int.from_bytes(_decoded(cursor, _BY_LINE, 4), "big") & 0x7FFFFFFF


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decoded(cursor: str, kind: bytes, size: int) -> bytes:
    try:
        content = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        content = b""
    if content[:1] != kind or len(content) != size + 1:
        raise BadCursor("is no cursor of this list; pass on the `next` of a page as it stands")
    return content[1:]
