"""Events of a job and of a batch while they happen, as server-sent events."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from jobs import show, watching
from jobs.cancel import NotFound
from jobs.watching_batches import look_at_batch
from partials.reader import PartialReader
from web.access import ProducerOrOperator
from web.api.parameters import BatchId, JobId, tenant_of
from web.events.batchtower import Batchtower
from web.events.follower import Follower
from web.events.streams import BATCH_DONE, batch_events, job_events
from web.events.watchtower import Watchtower
from web.problems import Kind, Problem, documented
from web.site import Site, TheSite

MOST_CLIENTS = 5000
"""Streams that one process holds open; each takes a connection and some 30 KB."""
AGAIN_SECONDS = 30
"""When a client that finds them all taken may ask again."""
_PART = "events"

router = APIRouter(tags=["events"])


@dataclass(frozen=True)
class Towers:
    """Who looks after what clients watch."""

    jobs: Watchtower
    batches: Batchtower

    @property
    def clients(self) -> int:
        """Streams that are open now."""
        return self.jobs.clients + self.batches.clients


@asynccontextmanager
async def opened(site: Site) -> AsyncIterator[None]:
    """The towers of this process, for as long as it lives."""
    settings = site.settings
    partials = None
    if settings.redis_url is not None and settings.stream_key is not None:
        partials = PartialReader(settings.redis_url, settings.stream_key.get_secret_value())
    towers = Towers(Watchtower(site.database, partials), Batchtower(site.database))
    site.parts[_PART] = towers
    towers.jobs.start()
    towers.batches.start()
    try:
        yield
    finally:
        await run_in_threadpool(towers.jobs.stop)
        await run_in_threadpool(towers.batches.stop)
        if partials is not None:
            partials.close()


def _towers_of(request: Request) -> Towers:
    towers: Towers = request.app.state.site.parts[_PART]
    if towers.clients >= MOST_CLIENTS:
        raise Problem(
            Kind.UNAVAILABLE,
            "This process follows as many jobs for clients as it can.",
            headers={"Retry-After": str(AGAIN_SECONDS)},
        )
    return towers


TheTowers = Annotated[Towers, Depends(_towers_of)]
LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        max_length=100,
        description="The id of the last event that you have: what came behind it follows, each state once.",
    ),
]


class EventStream(StreamingResponse):
    """A response of events, that ends its generator at once when the client goes."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes]) -> None:
        # nginx would hold events back until its buffer is full.
        super().__init__(events, headers={"X-Accel-Buffering": "no"})
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()


def _described(what: str, example: str) -> dict[int | str, dict[str, Any]]:
    return {
        200: {
            "description": what,
            "content": {"text/event-stream": {"example": example}},
        },
        204: {"description": "You have had everything: the id of the last event was sent. Do not come back."},
        **documented(Kind.UNAUTHENTICATED, Kind.NOT_FOUND, Kind.INVALID_REQUEST, Kind.RATE_LIMITED, Kind.UNAVAILABLE),
    }


_JOB_EXAMPLE = (
    "retry: 1000\n\n"
    'event: state\ndata: {"job_id":"0199...","state":"queued","run":0}\nid: 0-queued\n\n'
    'event: state\ndata: {"job_id":"0199...","state":"running","run":1}\nid: 1-running\n\n'
    'event: text\ndata: {"attempt":1,"from":0,"text":"{\\"label\\":\\"bil"}\n\n'
    'event: text\ndata: {"attempt":1,"from":13,"text":"ling\\"}"}\n\n'
    'event: state\ndata: {"job_id":"0199...","state":"answered","run":1,"answered_by":"model"}\nid: 1-answered\n\n'
    'event: done\ndata: {"job_id":"0199...","state":"answered","answer":{"label":"billing"}}\nid: 1-answered.done\n\n'
)
_BATCH_EXAMPLE = (
    "retry: 1000\n\n"
    'event: progress\ndata: {"batch_id":"0199...","state":"running","total":2,"landed":1,"states":{"answered":1,"running":1}}\n\n'
    'event: done\ndata: {"batch_id":"0199...","state":"over","total":2,"landed":2,"states":{"answered":2}}\nid: done\n\n'
)


@router.get(
    "/v1/jobs/{job_id}/events",
    status_code=200,  # FastAPI cannot read it off this class
    response_class=EventStream,
    responses=_described(
        "`state`: each state that the job has passed, once and in order, from the first one or from the one behind"
        " Last-Event-ID; `run` grows with each run. `text`: what the model has written so far in one `attempt`, raw and not yet"
        " checked; `from` is the number of characters before it, and 0 begins anew: the answer takes its place. It comes while"
        " the job runs, where the tenant allows it, and whole again to a client that comes back. `done`: the job as"
        " `GET /v1/jobs/{job_id}` shows it; then the stream ends. It also ends after ten minutes: come back with"
        " Last-Event-ID. Comments keep it alive.",
        _JOB_EXAMPLE,
    ),
    summary="Follow a job",
)
def follow_job(
    site: TheSite,
    caller: ProducerOrOperator,
    towers: TheTowers,
    job_id: JobId,
    last_event_id: LastEventId = None,
) -> Response:
    """States, partial text and the answer of a job as they come."""
    tenant_id = tenant_of(caller)
    standing = watching.look_at_one(site.database, tenant_id, job_id)
    if standing is None:
        raise Problem(Kind.NOT_FOUND)
    follower = Follower(job_id, last_event_id)
    if follower.has_everything(standing):
        return Response(status_code=204)
    events = job_events(towers.jobs, site.database, tenant_id, job_id, follower)
    return EventStream(events)


@router.get(
    "/v1/batches/{batch_id}/events",
    status_code=200,  # FastAPI cannot read it off this class
    response_class=EventStream,
    responses=_described(
        "`progress`: jobs by state and by who answered, whenever that has changed, twice a second at most. `done`: all have"
        " landed; the batch as `GET /v1/batches/{batch_id}` shows it; then the stream ends. It also ends after ten minutes: come"
        " back.",
        _BATCH_EXAMPLE,
    ),
    summary="Follow a batch",
)
def follow_batch(
    site: TheSite,
    caller: ProducerOrOperator,
    towers: TheTowers,
    batch_id: BatchId,
    last_event_id: LastEventId = None,
) -> Response:
    """How far a batch is, until all its jobs have landed."""
    tenant_id = tenant_of(caller)
    try:
        show.lines_so_far(site.database, tenant_id, batch_id)
        has_everything = last_event_id == BATCH_DONE and look_at_batch(site.database, tenant_id, batch_id).is_over
    except NotFound:
        raise Problem(Kind.NOT_FOUND) from None
    if has_everything:
        return Response(status_code=204)
    events = batch_events(towers.batches, site.database, tenant_id, batch_id)
    return EventStream(events)
