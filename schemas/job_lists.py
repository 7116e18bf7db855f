"""Lists of jobs behind a figure: which, in what order, and from where they go on. No content."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from schemas.base import Contract

MOST_LISTED = 50
"""Rows of one page."""


class Outcome(StrEnum):
    """How jobs landed, one or several at a time."""

    MODEL = "model"
    CACHE = "cache"
    RULES = "rules"
    PERSON = "person"
    REVIEW = "review"  # sent to a person
    FAILED = "failed"
    TURNED_DOWN = "turned_down"  # by a person
    CANCELLED = "cancelled"
    ANSWERED = "answered"  # any of the first four
    FALLBACK = "fallback"  # rules, review or failed
    ACCEPTED = "accepted"  # of a call
    REJECTED = "rejected"
    CALL_FAILED = "call_failed"
    UNKNOWN = "unknown"
    NO_REPLY = "no_reply"  # call_failed or unknown


OF_LANDINGS: dict[Outcome, tuple[str, ...]] = {
    **{o: (f"answered_by_{o}",) for o in (Outcome.MODEL, Outcome.CACHE, Outcome.RULES, Outcome.PERSON)},
    Outcome.REVIEW: ("sent_to_review",),
    **{o: (str(o),) for o in (Outcome.FAILED, Outcome.TURNED_DOWN, Outcome.CANCELLED)},
    Outcome.ANSWERED: ("answered_by_model", "answered_by_cache", "answered_by_rules", "answered_by_person"),
    Outcome.FALLBACK: ("answered_by_rules", "sent_to_review", "failed"),
}
"""As ``schemas.figures`` names them."""
OF_CALLS: dict[Outcome, tuple[str, ...]] = {
    Outcome.ACCEPTED: ("accepted",),
    Outcome.REJECTED: ("rejected",),
    Outcome.CALL_FAILED: ("failed",),
    Outcome.UNKNOWN: ("unknown",),
    Outcome.NO_REPLY: ("failed", "unknown"),
}
"""As ``attempts.outcome`` has them."""

_Label = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")]


class Filters(Contract):
    """What a list is narrowed to; None is everything.

    Attributes:
        outcome: of landings or of calls.
        reason: of a job's or a call's failure.
        purpose: of a call.
        waited_over: seconds from submission to the first claim.
    """

    tenant: _Label | None = None
    task: _Label | None = None
    prompt_version: _Label | None = None
    model: _Label | None = None
    outcome: Outcome | None = None
    reason: _Label | None = None
    purpose: _Label | None = None
    waited_over: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class Place(Contract):
    """Where a list goes on: after the row that happened then."""

    at: datetime
    job_id: UUID
    number: int = 0


class ListedJob(Contract):
    """A row.

    Attributes:
        at: when it landed, was settled, submitted, or began to wait.
        outcome: how it landed or the call ended; None where it has not.
        number: of the call, in a list of calls.
        waited_seconds: from submission to the first claim.
    """

    job_id: UUID
    tenant_id: str
    task: str
    state: str
    at: datetime
    outcome: str | None = None
    reason: str | None = None
    prompt_version: str | None = None
    model: str | None = None
    purpose: str | None = None
    number: int = 0
    waited_seconds: float | None = None
    usd: float | None = None
    tokens: int | None = None


class JobList(Contract):
    """One page of a list.

    Attributes:
        go_on: where the next page begins; None at the end.
        searched_until: how far back was searched for this page, where that is less than what was asked for.
    """

    jobs: list[ListedJob]
    go_on: Place | None = None
    searched_until: datetime | None = None
