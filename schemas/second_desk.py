"""Second reviews as the API shows them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from schemas.base import Contract
from schemas.review import Decision, Stage, Verdict


class WaitingSecond(Contract):
    """A second review that is not settled.

    Attributes:
        held: ``reviewer`` has claimed it, until ``lease_until``.
        mine: this key gave the second opinion, and may not judge.
    """

    job_id: UUID
    task: str
    stage: Stage
    created_at: datetime
    held: bool
    reviewer: str | None = None
    lease_until: datetime | None = None
    mine: bool


class WaitingSeconds(Contract):
    """Second reviews that are not settled, the longest waiting first."""

    reviews: list[WaitingSecond]


class SecondReview(Contract):
    """A second review. Before the second opinion is given, nothing of what the model answered.

    Attributes:
        request: what was asked: the document and its fields.
        fence: of the last claim; a decision names it, so that none is made under an older one.
        model: what the model answered. ``second``: what the second person did; None also where they hold that no answer
            can be given.
        differing: the paths in which the two differ.
        verdict: whom the third person held to be right.
    """

    job_id: UUID
    task: str
    stage: Stage
    created_at: datetime
    request: dict[str, Any]
    fence: int
    held: bool
    reviewer: str | None = None
    lease_until: datetime | None = None
    model: dict[str, Any] | None = None
    second: dict[str, Any] | None = None
    second_by: str | None = None
    second_decision: Decision | None = None
    second_note: str | None = None
    agrees: bool | None = None
    differing: list[str] = Field(default_factory=list)
    verdict: Verdict | None = None
    judged_by: str | None = None
    judged_note: str | None = None


class SecondOpinion(Contract):
    """What came of a second opinion.

    Attributes:
        stage: ``settled`` where the two agree, else ``third``: somebody else judges.
        model: what the model had answered.
        differing: the paths in which the two differ.
    """

    job_id: UUID
    stage: Stage
    agrees: bool
    differing: list[str]
    model: dict[str, Any]


class Judged(Contract):
    """A verdict that was given, which settles it."""

    job_id: UUID
    verdict: Verdict
    stage: Stage = Stage.SETTLED
