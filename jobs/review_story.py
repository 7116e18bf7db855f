"""The story of a review: why a job is with a person, what was tried for it, and what model and rules would answer."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from jobs.agreement import differences
from jobs.cancel import NotFound
from jobs.review_queue import priority_of
from schemas.answer import Violation
from schemas.job import Priority
from schemas.review import Decision
from storage import attempts, jobs, reviews
from storage.database import Database
from tasks import find_task
from tasks.spec import REPLY, AnyTask, RequestRefused


@dataclass(frozen=True)
class SeenReview:
    """A review as it is now.

    Attributes:
        reviewer: who holds it (``held``), or held or decided it last.
        pending: a decision that takes effect at ``effective_at``, in ``undo_seconds``.
        decision: one that has taken effect.
    """

    job_id: UUID
    tenant_id: str
    task: str
    reason: str
    detail: str
    suggestion: dict[str, Any] | None
    created_at: datetime
    deadline: datetime | None
    priority: Priority
    attempts: int
    cluster: str | None
    fence: int
    reviewer: str | None
    lease_until: datetime | None
    held: bool
    pending: Decision | None
    pending_at: datetime | None
    effective_at: datetime | None
    undo_seconds: float | None
    decision: str | None
    decided_by: str | None
    decided_at: datetime | None
    note: str | None

    def is_held_by(self, reviewer: str) -> bool:
        """Whether this person may decide it now."""
        return self.held and self.reviewer == reviewer

    def may_be_undone_by(self, reviewer: str) -> bool:
        """Whether this person may still take the decision back."""
        return self.undo_seconds is not None and self.undo_seconds > 0 and self.reviewer == reviewer


@dataclass(frozen=True)
class AttemptLine:
    """One call to a model, as its reviewer sees it."""

    number: int
    purpose: str
    tier: str
    model: str
    prompt_version: str
    outcome: str
    failure_reason: str | None
    failure_detail: str | None
    seconds: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: Decimal | None


@dataclass(frozen=True)
class Said:
    """What a model answered, as far as it can be read.

    Attributes:
        output: in the form of the task's output; None where it is no such object.
        violations: how it breaks the contract, each with the path of its field.
    """

    output: dict[str, Any] | None = None
    violations: list[Violation] = field(default_factory=list)


@dataclass(frozen=True)
class Item:
    """All that the page of a review shows.

    Attributes:
        violations: what is wrong with the model's last answer.
        model, rules: the two suggestions.
        differing: the paths in which they differ; empty where there are not two.
        cost_usd: of all attempts; None where none has a price.
    """

    review: SeenReview
    request: dict[str, Any]
    attempts: list[AttemptLine]
    violations: list[Violation]
    model: dict[str, Any] | None
    rules: dict[str, Any] | None
    differing: list[str]
    cost_usd: Decimal | None
    events: list[dict[str, Any]]


def look(database: Database, tenant_id: str, job_id: UUID, reviewer: str) -> Item:
    """Open a review, which the audit notes; the claim stays what it is.

    Raises:
        NotFound: there is no review of this job.
    """
    with database.tenant(tenant_id) as connection:
        row = reviews.of_job(connection, job_id)
        if row is None:
            raise NotFound(f"There is no review of job {job_id}.")
        jobs.note_event(connection, tenant_id, [job_id], "review_seen", reviewer)
        request = jobs.request_of(connection, job_id)
        calls = attempts.of_job(connection, job_id)
        events = jobs.events_of(connection, job_id)
    said = last_said(find_task(row["task"]), request, calls)
    costs = [call["cost_usd"] for call in calls if call["cost_usd"] is not None]
    return Item(
        review=_seen(row),
        request=request,
        attempts=[_attempt(call) for call in calls],
        violations=said.violations,
        model=said.output,
        rules=row["suggestion"],
        differing=differences(said.output, row["suggestion"]) if said.output and row["suggestion"] else [],
        cost_usd=sum(costs, Decimal(0)) if costs else None,
        events=events,
    )


def last_said(task: AnyTask, request_data: dict[str, Any], calls: list[dict[str, Any]]) -> Said:
    """The last answer of a model among these attempts of which anything can be read, right or wrong."""
    try:
        request = task.read_request(request_data)
    except RequestRefused:
        return Said()
    for call in reversed(calls):
        text = _text_of(call["response"])
        if call["outcome"] in {"accepted", "rejected"} and text.strip():
            return _read(task, request, text)
    return Said()


def _read(task: AnyTask, request: Any, text: str) -> Said:
    try:
        checked = task.read_reply(request, text)
    except RecursionError:  # Python's own parser of JSON
        return Said(violations=[Violation(path="", message="the reply is nested too deeply to be read")])
    if not isinstance(checked, list):
        return Said(checked.model_dump(mode="json"))
    return Said(_as_output(task, request, text), checked)


def _as_output(task: AnyTask, request: Any, text: str) -> dict[str, Any] | None:
    """An answer that breaks the contract, as far as it has the form of an output."""
    try:
        reply = json.loads(text)
    except ValueError:
        return None
    answer = reply.get(REPLY) if isinstance(reply, dict) else None
    if not isinstance(answer, dict):
        return None
    return answer if answer.get("outcome") == "not_applicable" else task.from_wire(request, answer)


def _text_of(response: Any) -> str:
    """The text blocks of a stored message, joined."""
    content = response.get("content") if isinstance(response, dict) else None
    blocks = content if isinstance(content, list) else []
    texts = [block.get("text") for block in blocks if isinstance(block, dict) and block.get("type") == "text"]
    return "".join(text for text in texts if isinstance(text, str))


def _seen(row: dict[str, Any]) -> SeenReview:
    pending = None if row["pending"] is None else Decision(row["pending"])
    return SeenReview(**{**row, "priority": priority_of(row["priority"]), "pending": pending})


def _attempt(call: dict[str, Any]) -> AttemptLine:
    return AttemptLine(**{name: call[name] for name in AttemptLine.__dataclass_fields__})
