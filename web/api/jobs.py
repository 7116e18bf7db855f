"""``/v1/jobs``: submit one document, follow it, list, cancel. ``/v1/tasks``: what can be asked."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field, StrictStr

from jobs import listing, show
from jobs.cancel import cancel
from jobs.submit import submit_one
from schemas.base import Contract
from schemas.job import JobState, JobView
from schemas.listing import JobPage
from tasks import catalogue
from web.access import Producer, ProducerOrOperator
from web.api import examples
from web.api.options import Options
from web.api.parameters import (
    ALWAYS,
    NAMES_A_TASK,
    WITH_BODY,
    After,
    IdempotencyKey,
    JobId,
    Limit,
    OneTask,
    check_task,
    next_link,
    tenant_of,
)
from web.api.refusals import as_problems
from web.bodies import JsonBody, read_as, takes
from web.problems import Kind, documented
from web.replies import reply
from web.site import TheSite

router = APIRouter(prefix="/v1", tags=["jobs"])


class Submission(Contract):
    """One document to work on: the same fields as a line of a batch, below ``input``."""

    task: StrictStr = Field(description="What is asked.", json_schema_extra=NAMES_A_TASK)
    input: dict[StrictStr, Any] = Field(
        description="The task's request: `text` and its other fields, as `GET /v1/tasks` describes them."
    )
    options: Options = Options()


class TaskDescription(Contract):
    """A task that can be asked.

    Attributes:
        contract: JSON Schema of its request (``properties.request``) and its answer (``properties.answer``).
    """

    task: str
    about: str
    prompt_versions: list[str]
    contract: dict[str, Any]


class TaskList(Contract):
    """All tasks."""

    tasks: list[TaskDescription]


@router.post(
    "/jobs",
    status_code=201,
    response_class=Response,
    openapi_extra=takes(Submission, examples.SUBMISSIONS),
    responses={
        **documented(*WITH_BODY, Kind.CONFLICT),
        **examples.answers(201, "The job.", JobView, examples.QUEUED, location=True),
        **examples.answers(200, "The job that was made with this key before.", JobView, examples.QUEUED, location=True),
    },
)
def submit_job(site: TheSite, producer: Producer, body: JsonBody, key: IdempotencyKey = None) -> Response:
    """Submit one document. It is answered at once, with the job; the answer comes later."""
    submission = read_as(Submission, body)
    tenant = tenant_of(producer)
    with as_problems(below="input"):
        made = submit_one(
            site.database, tenant, submission.task, submission.input, submission.options.chosen(), idempotency_key=key
        )
        assert made.job_id is not None
        view = show.show(site.database, tenant, made.job_id)
    return reply(view, 200 if made.repeated else 201, {"Location": f"/v1/jobs/{made.job_id}"})


@router.get(
    "/jobs",
    response_class=Response,
    responses={
        **documented(*ALWAYS),
        **examples.answers(200, "A page of jobs.", JobPage, examples.JOB_PAGE, link=True),
    },
)
def list_jobs(
    site: TheSite,
    caller: ProducerOrOperator,
    limit: Limit = 50,
    after: After = None,
    state: Annotated[JobState | None, Query(description="Only those in this state.")] = None,
    task: OneTask = None,
    batch_id: Annotated[UUID | None, Query(description="Only those of this batch, in the order of its lines.")] = None,
) -> Response:
    """List jobs, newest first, without their answers. Go on with `next` until it is null: with a filter, a page may be empty
    although more follow."""
    if task is not None:
        check_task(task)
    with as_problems():
        page = listing.list_jobs(
            site.database, tenant_of(caller), after=after, limit=limit, state=state, task=task, batch_id=batch_id
        )
    chosen = {"limit": limit, "state": state, "task": task, "batch_id": batch_id}
    return reply(page, headers=next_link("/v1/jobs", page.next, chosen))


@router.get(
    "/jobs/{job_id}",
    response_class=Response,
    responses={**documented(*ALWAYS), **examples.answers(200, "The job.", JobView, examples.ANSWERED)},
)
def get_job(site: TheSite, caller: ProducerOrOperator, job_id: JobId) -> Response:
    """One job: its state, and its answer when it is there."""
    with as_problems():
        return reply(show.show(site.database, tenant_of(caller), job_id))


@router.delete(
    "/jobs/{job_id}",
    response_class=Response,
    responses={
        **documented(*ALWAYS),
        **examples.answers(200, "The job as it is now.", JobView, examples.CANCELLED),
    },
)
def cancel_job(site: TheSite, caller: ProducerOrOperator, job_id: JobId) -> Response:
    """Cancel a job. One that is over stays as it is: its `state` says what it ended with."""
    tenant = tenant_of(caller)
    with as_problems():
        show.show(site.database, tenant, job_id)  # the id of a batch is none of a job
        cancel(site.database, tenant, job_id, actor=caller.name)
        return reply(show.show(site.database, tenant, job_id))


@router.get(
    "/tasks",
    response_class=Response,
    tags=["tasks"],
    responses={**documented(*ALWAYS), **examples.answers(200, "All tasks.", TaskList, examples.TASKS)},
)
def list_tasks(_caller: ProducerOrOperator) -> Response:
    """What can be asked, with the contract of each task as JSON Schema."""
    described = [
        TaskDescription(
            task=name, about=task.about, prompt_versions=list(task.prompts), contract=task.published_schema()
        )
        for name, task in sorted(catalogue().items())
    ]
    return reply(TaskList(tasks=described))
