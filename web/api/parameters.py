"""What the routes of the API have in common: parameters, the problems that any of them may answer, cursors."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Header, Path, Query
from pydantic.config import JsonDict

from jobs import listing
from schemas.access import Principal
from schemas.failure import FailureReason
from schemas.review import QueueFilter
from tasks import catalogue
from web.bodies import invalid
from web.problems import FieldError, Kind, Problem

ALWAYS = (Kind.UNAUTHENTICATED, Kind.NOT_FOUND, Kind.INVALID_REQUEST, Kind.RATE_LIMITED, Kind.UNAVAILABLE)
"""What any request with a key may be answered."""
WITH_BODY = (*ALWAYS, Kind.TOO_LARGE, Kind.UNSUPPORTED, Kind.INVALID_INPUT)
TASKS = sorted(catalogue())
NAMES_A_TASK: JsonDict = {"enum": [*TASKS]}
"""For the OpenAPI document."""

JobId = Annotated[UUID, Path(description="The job.")]
BatchId = Annotated[UUID, Path(description="The batch.")]
Limit = Annotated[int, Query(ge=1, le=listing.MOST_LISTED, description="Rows of a page at most.")]
After = Annotated[
    str | None, Query(max_length=300, description="Where the page begins: the `next` of the page before.")
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key and input again give the same work; with another input it is refused.",
    ),
]
OneTask = Annotated[str | None, Query(description="Only those of this task.", json_schema_extra=NAMES_A_TASK)]
OneReason = Annotated[FailureReason | None, Query(description="Only those that are here for this reason.")]
OlderThan = Annotated[
    int | None, Query(ge=0, le=365 * 86400, description="Only those that have waited for longer, in seconds.")
]


def _task_part(task: OneTask = None) -> str | None:
    if task is not None:
        check_task(task)
    return task


TaskPart = Annotated[str | None, Depends(_task_part)]


def _queue_part(task: TaskPart, reason: OneReason = None, older_than: OlderThan = None) -> QueueFilter:
    return QueueFilter(
        task=task,
        reason=None if reason is None else reason.value,
        older_than=None if older_than is None else timedelta(seconds=older_than),
    )


QueuePart = Annotated[QueueFilter, Depends(_queue_part)]
"""As a parameter of a route, behind who asks: a part of the review queue."""


def tenant_of(principal: Principal) -> str:
    """The tenant of a key."""
    return principal.tenants[0]


def check_task(task: str) -> None:
    """Refuse a parameter that names no task.

    Raises:
        Problem: it names none.
    """
    if task not in TASKS:
        raise parameter("task", f"there is no such task; choose one of: {', '.join(TASKS)}")


def check_named(task: str) -> None:
    """Refuse a body that names no task.

    Raises:
        Problem: it names none.
    """
    if task not in TASKS:
        raise invalid([("task", f"there is no such task; choose one of: {', '.join(TASKS)}")])


def parameter(name: str, detail: str) -> Problem:
    """The problem of a query parameter or header."""
    return Problem(Kind.INVALID_REQUEST, f"{name}: {detail}.", errors=[FieldError(path=name, detail=detail)])


def next_link(path: str, cursor: str | None, chosen: Mapping[str, object]) -> dict[str, str]:
    """The header ``Link`` (RFC 8288) of a page, where another follows."""
    if cursor is None:
        return {}
    query = urlencode({**{name: value for name, value in chosen.items() if value is not None}, "after": cursor})
    return {"Link": f'<{path}?{query}>; rel="next"'}
