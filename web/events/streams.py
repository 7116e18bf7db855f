"""The streams that clients read: a job's events and a batch's, from wherever the client was to the end."""

import time
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

from starlette.concurrency import run_in_threadpool

from jobs import show
from jobs.cancel import NotFound
from jobs.listing import batch_view
from jobs.watching_batches import BatchStanding
from schemas.job import FINAL_STATES
from schemas.listing import BatchState
from storage.database import Database
from web.events import sse
from web.events.batchtower import Batchtower
from web.events.follower import Follower
from web.events.wakes import Wake
from web.events.watchtower import Watchtower

STREAM_SECONDS = 600.0
"""A stream ends after so long at the latest; its client comes back by itself, and has to show a key that is still good."""
BATCH_DONE = "done"
"""The id of a batch's last event."""


async def job_events(
    tower: Watchtower, database: Database, tenant_id: str, job_id: UUID, follower: Follower
) -> AsyncGenerator[bytes]:
    """States and partial text of a job as they come; then the job, and the end."""
    wake, ends_at = Wake(), time.monotonic() + STREAM_SECONDS
    tower.attach(job_id, wake)
    try:
        yield sse.OPENING
        while time.monotonic() < ends_at:
            standing, text = tower.glance(job_id)
            if standing is not None:
                for event in follower.news(standing, text):
                    yield event
                if standing.is_final:
                    view = await run_in_threadpool(show.show, database, tenant_id, job_id)
                    if view.state in FINAL_STATES:  # else it was queued again in the meantime
                        yield sse.event("done", view.model_dump(mode="json"), id=follower.done_id())
                        return
                    tower.look_again()
            if not await wake.wait(sse.KEEP_ALIVE_SECONDS):
                yield sse.KEEP_ALIVE
    finally:
        tower.detach(job_id, wake)


async def batch_events(tower: Batchtower, database: Database, tenant_id: str, batch_id: UUID) -> AsyncGenerator[bytes]:
    """How far a batch is, whenever that has changed; then what it came to, and the end."""
    wake, ends_at = Wake(), time.monotonic() + STREAM_SECONDS
    tower.attach(tenant_id, batch_id, wake)
    told: BatchStanding | None = None
    try:
        yield sse.OPENING
        while time.monotonic() < ends_at:
            standing = tower.glance(tenant_id, batch_id)
            if standing is not None and standing != told:
                told = standing
                yield sse.event("progress", _standing(batch_id, standing))
            if standing is not None and standing.is_over:
                progress = await run_in_threadpool(show.progress, database, tenant_id, batch_id)
                if progress.is_over:
                    yield sse.event("done", batch_view(progress).model_dump(mode="json"), id=BATCH_DONE)
                    return
            if not await wake.wait(sse.KEEP_ALIVE_SECONDS):
                yield sse.KEEP_ALIVE
    except NotFound:
        return  # an upload that was dropped: a client that comes back finds nothing
    finally:
        tower.detach(tenant_id, batch_id, wake)


def _standing(batch_id: UUID, standing: BatchStanding) -> dict[str, Any]:
    """As a batch is shown elsewhere, but for what it has cost."""
    state = BatchState.RECEIVING if standing.is_receiving else BatchState.RUNNING
    return {
        "batch_id": batch_id,
        "state": BatchState.OVER if standing.is_over else state,
        "total": standing.total,
        "landed": standing.landed,
        "states": standing.states,
        "answered_by": standing.answered_by,
    }
