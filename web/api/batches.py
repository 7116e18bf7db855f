"""``/v1/batches``: many documents at once, as a stream of lines in and a stream of lines out."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from jobs import listing, show
from jobs.cancel import cancel, retry_failed
from jobs.jsonl import MAX_LINE_BYTES
from jobs.submit import Submitted, submit_batch
from schemas.base import Contract
from schemas.job import FallbackPolicy, JobOptions, JobView, OnOutage, Priority
from schemas.listing import BatchPage, BatchView
from storage.database import Database
from tasks.spec import field_errors
from web.access import Producer, ProducerOrOperator
from web.api import examples
from web.api.options import Options
from web.api.parameters import (
    ALWAYS,
    NAMES_A_TASK,
    WITH_BODY,
    After,
    BatchId,
    IdempotencyKey,
    Limit,
    check_task,
    next_link,
    parameter,
    tenant_of,
)
from web.api.refusals import as_problems
from web.bodies import check_type, read_json
from web.lines import Receiver
from web.problems import FieldError, Kind, Problem, documented
from web.replies import dump, reply
from web.site import Site, TheSite

router = APIRouter(prefix="/v1", tags=["batches"])

JSONL_TYPES = ("application/jsonl", "application/x-ndjson")
LINES_AT_A_TIME = 500
"""Lines of results that are written to the client together."""
_RECEIVER = "receiver"


@asynccontextmanager
async def opened(site: Site) -> AsyncIterator[None]:
    """Uploads are counted over the whole process."""
    site.parts[_RECEIVER] = Receiver()
    yield


class BatchSubmitted(Contract):
    """What an upload became.

    Attributes:
        total: jobs in the batch.
        repeated: the whole of it had been uploaded with this key before.
        resumed_lines: lines that an earlier upload with this key had brought already.
    """

    batch_id: UUID
    task: str
    total: int
    repeated: bool
    resumed_lines: int


class BatchCancelled(Contract):
    """What a cancellation ended.

    Attributes:
        cancelled: how many jobs.
        upload_dropped: it was still being received: its lines are gone, and its key is free.
    """

    batch_id: UUID
    cancelled: int
    upload_dropped: bool


class BatchRetried(Contract):
    """How many failed jobs are queued again."""

    batch_id: UUID
    retried: int


def _options(
    fallback: Annotated[
        FallbackPolicy, Query(description="Who stands in when there is no acceptable model answer.")
    ] = FallbackPolicy.RULES_THEN_PERSON,
    deadline: Annotated[
        str | None,
        Query(description="After it no model is asked: `2027-01-01T18:00:00Z`, or a span from now such as `PT30M`."),
    ] = None,
    prompt_version: Annotated[str | None, Query(description="This version of the prompt.", max_length=100)] = None,
    priority: Annotated[Priority, Query(description="Higher ones go first.")] = Priority.NORMAL,
    on_outage: Annotated[
        OnOutage, Query(description="What becomes of the jobs when the provider stays away.")
    ] = OnOutage.FALLBACK,
) -> JobOptions:
    try:
        return Options(
            fallback=fallback,
            deadline=deadline,
            prompt_version=prompt_version,
            priority=priority,
            on_outage=on_outage,
        ).chosen()
    except ValidationError as error:
        errors = [FieldError(path=path, detail=detail) for path, detail in field_errors(error)]
        detail = "; ".join(f"{one.path}: {one.detail}" for one in errors)
        raise Problem(Kind.INVALID_REQUEST, detail, errors=errors) from None


@router.post(
    "/batches",
    status_code=201,
    response_class=Response,
    openapi_extra=examples.takes_lines(JSONL_TYPES),
    responses={
        **documented(*WITH_BODY, Kind.CONFLICT, Kind.TIMEOUT),
        **examples.answers(201, "The batch.", BatchSubmitted, examples.SUBMITTED_BATCH, location=True),
        **examples.answers(200, "The batch of this key.", BatchSubmitted, examples.REPEATED_BATCH, location=True),
    },
)
async def submit_lines(
    request: Request,
    site: TheSite,
    producer: Producer,
    options: Annotated[JobOptions, Depends(_options)],
    task: Annotated[str, Query(description="What is asked of every line.", json_schema_extra=NAMES_A_TASK)],
    defaults: Annotated[
        str,
        Query(description='Fields for every line that does not give them itself, as JSON: `{"labels": ["a", "b"]}`.'),
    ] = "{}",
    key: IdempotencyKey = None,
) -> Response:
    """Submit JSONL: a JSON object a line, each the `input` of a job, with an `id` of your own if you like, which comes back
    as `reference`. All or nothing: no job exists before the last line was found good. With an Idempotency-Key an upload that
    broke off is continued by sending the same lines again; what had arrived is not written twice."""
    check_task(task)
    fields = _fields(defaults)
    check_type(request, *JSONL_TYPES)
    tenant = tenant_of(producer)

    receiver: Receiver = site.parts[_RECEIVER]

    def work(lines: Iterator[bytes]) -> Submitted:
        with as_problems():
            return submit_batch(site.database, tenant, task, lines, fields, options, idempotency_key=key)

    try:
        made = await receiver.receive(request, tenant, MAX_LINE_BYTES, work)
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is there to read it
    assert made.batch_id is not None
    submitted = BatchSubmitted(
        batch_id=made.batch_id,
        task=made.task,
        total=made.total,
        repeated=made.repeated,
        resumed_lines=made.resumed_lines,
    )
    return reply(submitted, 200 if made.repeated else 201, {"Location": f"/v1/batches/{made.batch_id}"})


@router.get(
    "/batches",
    response_class=Response,
    responses={
        **documented(*ALWAYS),
        **examples.answers(200, "A page of batches.", BatchPage, examples.BATCH_PAGE, link=True),
    },
)
def list_batches(site: TheSite, caller: ProducerOrOperator, limit: Limit = 50, after: After = None) -> Response:
    """List batches, newest first."""
    with as_problems():
        page = listing.list_batches(site.database, tenant_of(caller), after=after, limit=limit)
    return reply(page, headers=next_link("/v1/batches", page.next, {"limit": limit}))


@router.get(
    "/batches/{batch_id}",
    response_class=Response,
    responses={**documented(*ALWAYS), **examples.answers(200, "The batch.", BatchView, examples.BATCH)},
)
def get_batch(site: TheSite, caller: ProducerOrOperator, batch_id: BatchId) -> Response:
    """Where a batch stands: its jobs by state, who answered them, what they cost."""
    with as_problems():
        return reply(listing.batch_view(show.progress(site.database, tenant_of(caller), batch_id)))


@router.get(
    "/batches/{batch_id}/results",
    response_class=StreamingResponse,
    responses={
        **documented(*ALWAYS, Kind.STATE_CONFLICT),
        **examples.lines_out(JSONL_TYPES[0], JobView, examples.ANSWERED),
    },
)
def get_results(
    site: TheSite,
    caller: ProducerOrOperator,
    batch_id: BatchId,
    after: Annotated[
        int, Query(ge=0, le=2**31 - 1, description="Only lines behind this one; to go on where a stream broke off.")
    ] = 0,
) -> Response:
    """All jobs of a batch as JSONL in the order of its lines, whatever their state is now. It is a stream: when it breaks off,
    go on with `after`, the last line that came whole."""
    tenant = tenant_of(caller)
    with as_problems():
        if show.lines_so_far(site.database, tenant, batch_id) is not None:
            raise Problem(Kind.STATE_CONFLICT, "The batch is still being received: it has no jobs yet.")
    return StreamingResponse(_written(site.database, tenant, batch_id, after), media_type=JSONL_TYPES[0])


@router.delete(
    "/batches/{batch_id}",
    response_class=Response,
    responses={
        **documented(*ALWAYS),
        **examples.answers(200, "What was cancelled.", BatchCancelled, examples.BATCH_CANCELLED),
    },
)
def cancel_batch(site: TheSite, caller: ProducerOrOperator, batch_id: BatchId) -> Response:
    """Cancel every job of a batch that is not over; of one that is still being received, drop the lines."""
    tenant = tenant_of(caller)
    with as_problems():
        show.lines_so_far(site.database, tenant, batch_id)  # the id of a job is none of a batch
        ended = cancel(site.database, tenant, batch_id, actor=caller.name)
    return reply(BatchCancelled(batch_id=batch_id, cancelled=len(ended.jobs), upload_dropped=ended.upload))


@router.post(
    "/batches/{batch_id}/retry",
    response_class=Response,
    responses={
        **documented(*ALWAYS),
        **examples.answers(200, "How many jobs are queued again.", BatchRetried, examples.BATCH_RETRIED),
    },
)
def retry_batch(site: TheSite, caller: ProducerOrOperator, batch_id: BatchId) -> Response:
    """Queue the failed jobs of a batch again, with all their tries back."""
    with as_problems():
        again = retry_failed(site.database, tenant_of(caller), batch_id, actor=caller.name)
    return reply(BatchRetried(batch_id=batch_id, retried=len(again)))


def _fields(defaults: str) -> dict[str, Any]:
    found = read_json(defaults, "defaults")
    if not isinstance(found, dict):
        raise parameter("defaults", 'is no JSON object; write {"labels": ["a", "b"]}')
    return found


def _written(database: Database, tenant: str, batch_id: UUID, after: int) -> Iterator[bytes]:
    """Results as JSONL, many lines at a time: each piece that is handed to the server costs a change of threads."""
    lines = (
        dump(view.model_dump(mode="json")) + b"\n" for view in show.results(database, tenant, batch_id, after=after)
    )
    while piece := b"".join(islice(lines, LINES_AT_A_TIME)):
        yield piece
