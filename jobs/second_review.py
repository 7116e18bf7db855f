"""A second look at what the model answered: a person answers without seeing it; where the two differ, another one judges.

It measures and corrects nothing: the job's answer was given, and answers never change. Decisions take effect at once and
cannot be taken back, because with them the model's answer is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from jobs.agreement import Agreement, compare
from jobs.cancel import NotFound
from jobs.review_answers import checked_output, chosen_output, kept_remark
from jobs.review_refusals import ClaimLost, DecisionRefused
from schemas.review import SKIP_SECONDS, Decision, Stage, Verdict
from storage import jobs, review_claims, reviews, second_reviews
from storage.database import Database
from storage.review_claims import SECOND_REVIEWS
from storage.second_reviews import Opinion
from tasks import find_task


@dataclass(frozen=True)
class SecondLine:
    """One that is not settled.

    Attributes:
        mine: who asks gave the second opinion, and may not judge.
    """

    tenant_id: str
    job_id: UUID
    task: str
    stage: Stage
    created_at: datetime
    reviewer: str | None
    lease_until: datetime | None
    held: bool
    mine: bool


@dataclass(frozen=True)
class SecondItem:
    """All that its page shows. Before the second opinion is given, nothing of what the model answered.

    Attributes:
        model, second: the two answers; ``second`` is None also where the second person holds that none can be given.
        differing: paths in which they differ, as :func:`jobs.agreement.compare` names them.
    """

    job_id: UUID
    tenant_id: str
    task: str
    stage: Stage
    request: dict[str, Any]
    created_at: datetime
    fence: int
    reviewer: str | None
    lease_until: datetime | None
    held: bool
    model: dict[str, Any] | None = None
    second: dict[str, Any] | None = None
    second_by: str | None = None
    second_decision: Decision | None = None
    second_note: str | None = None
    agrees: bool | None = None
    differing: list[str] = field(default_factory=list)
    verdict: Verdict | None = None
    judged_by: str | None = None
    judged_note: str | None = None

    def is_held_by(self, reviewer: str) -> bool:
        """Whether this person may decide it now."""
        return self.held and self.reviewer == reviewer


@dataclass(frozen=True)
class Outcome:
    """What came of a second opinion: how it compares, and what the model had answered."""

    agreement: Agreement
    model: dict[str, Any]
    stage: Stage


def waiting(
    database: Database, tenants: Sequence[str], reviewer: str, *, task: str | None = None, limit: int = 50
) -> list[SecondLine]:
    """What is not settled, the longest waiting first."""
    found: list[SecondLine] = []
    for tenant in tenants:
        with database.tenant(tenant) as connection:
            rows = second_reviews.waiting(connection, reviewer, task=task, limit=limit)
        found += [SecondLine(**{**row, "stage": Stage(row["stage"])}) for row in rows]
    return sorted(found, key=lambda line: (line.created_at, line.job_id))[:limit]


def claim(
    database: Database,
    tenants: Sequence[str],
    reviewer: str,
    lease_seconds: float,
    *,
    job_id: UUID | None = None,
    task: str | None = None,
) -> SecondItem | None:
    """Take the next, or this one. Whoever gave the second opinion is never given the third.

    Returns:
        None: nothing waits for this person, or somebody else holds it.
    """
    for tenant in tenants:
        with database.tenant(tenant) as connection:
            taken = second_reviews.claim(connection, reviewer, lease_seconds, job_id=job_id, task=task)
            if taken is not None:
                jobs.note_event(connection, tenant, [taken], "second_review_claimed", reviewer)
                return _item(connection, _find(connection, taken))
    return None


def check_there(database: Database, tenant_id: str, job_id: UUID) -> None:
    """Refuse a job that has no second review, whatever its stage.

    Raises:
        NotFound: it has none.
    """
    with database.tenant(tenant_id) as connection:
        _find(connection, job_id)


def look(database: Database, tenant_id: str, job_id: UUID, reviewer: str) -> SecondItem:
    """Open one, which the audit notes; the claim stays what it is.

    Raises:
        NotFound: there is no second review of this job.
    """
    with database.tenant(tenant_id) as connection:
        row = _find(connection, job_id)
        jobs.note_event(connection, tenant_id, [job_id], "second_review_seen", reviewer)
        return _item(connection, row)


def renew(
    database: Database, tenant_id: str, job_id: UUID, reviewer: str, fence: int, lease_seconds: float
) -> datetime:
    """Hold it for longer; the fence stays.

    Raises:
        NotFound: there is no second review of this job.
        ClaimLost: it is not held any more.
    """
    with database.tenant(tenant_id) as connection:
        until = review_claims.renew(connection, SECOND_REVIEWS, job_id, reviewer, fence, lease_seconds)
        if until is None:
            _find(connection, job_id)
            raise ClaimLost("your claim has ended; look at it again")
    return until


def release(
    database: Database,
    tenant_id: str,
    job_id: UUID,
    reviewer: str,
    *,
    fence: int | None = None,
    skip_seconds: float = SKIP_SECONDS,
) -> None:
    """Give it back; for a while it is not this person's next one.

    Raises:
        NotFound: there is no second review of this job.
        ClaimLost: this person does not hold it.
    """
    with database.tenant(tenant_id) as connection:
        row = _held(connection, job_id, reviewer, fence)
        if not review_claims.release(connection, SECOND_REVIEWS, job_id, reviewer, row["fence"]):
            raise ClaimLost("your claim had ended already")
        if skip_seconds > 0:
            reviews.skip(connection, tenant_id, job_id, reviewer, skip_seconds)
        jobs.note_event(connection, tenant_id, [job_id], "second_review_released", reviewer)


def decide(
    database: Database,
    tenant_id: str,
    job_id: UUID,
    reviewer: str,
    decision: Decision,
    *,
    output: dict[str, Any] | None = None,
    reason: str | None = None,
    note: str | None = None,
    fence: int | None = None,
) -> Outcome:
    """Give the second opinion.

    Args:
        decision: ``edit`` with an output, ``not_applicable`` with a reason, or ``reject``: no answer can be given.

    Raises:
        NotFound: there is no second review of this job.
        ClaimLost: the claim is not (or no longer) held.
        DecisionRefused: the answer breaks the contract.
    """
    if decision is Decision.ACCEPT:
        raise DecisionRefused(["there is nothing to accept: give your own answer without the model's"])
    with database.tenant(tenant_id) as connection:
        row = _held(connection, job_id, reviewer, fence)
        if row["stage"] != Stage.SECOND:
            raise ClaimLost(f"the second opinion was given, by {row['decided_by']}; it waits to be judged")
        task = find_task(row["task"])
        chosen = chosen_output(task, decision, None, output, reason)
        answer = None if chosen is None else checked_output(task, jobs.request_of(connection, job_id), chosen)
        agreement = compare(row["answer"], answer)
        opinion = Opinion(
            decision.value, answer, kept_remark(note),
            agreement.agrees, agreement.fields, agreement.equal, agreement.differing,
        )  # fmt: skip
        if not second_reviews.decide(connection, job_id, reviewer, row["fence"], opinion):
            raise ClaimLost("your claim ran out; claim it again")
        said = "agrees" if agreement.agrees else "differs"
        jobs.note_event(connection, tenant_id, [job_id], "second_reviewed", reviewer, f"{decision.value}, {said}")
    return Outcome(agreement, row["answer"], Stage.SETTLED if agreement.agrees else Stage.THIRD)


def judge(
    database: Database,
    tenant_id: str,
    job_id: UUID,
    reviewer: str,
    verdict: Verdict,
    *,
    note: str | None = None,
    fence: int | None = None,
) -> None:
    """Say who was right; that settles it.

    Raises:
        NotFound: there is no second review of this job.
        ClaimLost: the claim is not (or no longer) held, or there is nothing to judge.
    """
    with database.tenant(tenant_id) as connection:
        row = _held(connection, job_id, reviewer, fence)
        if row["stage"] != Stage.THIRD:
            raise ClaimLost("there is nothing to judge before the second opinion is given")
        if not second_reviews.judge(connection, job_id, reviewer, row["fence"], verdict.value, kept_remark(note)):
            raise ClaimLost("your claim ran out; claim it again")
        jobs.note_event(connection, tenant_id, [job_id], "second_review_judged", reviewer, verdict.value)


def _find(connection: Connection, job_id: UUID) -> dict[str, Any]:
    row = second_reviews.of_job(connection, job_id)
    if row is None:
        raise NotFound(f"There is no second review of job {job_id}.")
    return row


def _held(connection: Connection, job_id: UUID, reviewer: str, fence: int | None) -> dict[str, Any]:
    row = _find(connection, job_id)
    if row["stage"] == Stage.SETTLED:
        raise ClaimLost("it is settled already")
    if row["reviewer"] != reviewer:
        raise ClaimLost(f"{row['reviewer']} holds it" if row["held"] else "nobody holds it; claim it first")
    if fence is not None and fence != row["fence"]:
        raise ClaimLost("it was claimed anew since this was begun; look at it again and decide then")
    return row


def _item(connection: Connection, row: dict[str, Any]) -> SecondItem:
    stage = Stage(row["stage"])
    blind = SecondItem(
        job_id=row["job_id"], tenant_id=row["tenant_id"], task=row["task"], stage=stage,
        request=jobs.request_of(connection, row["job_id"]), created_at=row["created_at"], fence=row["fence"],
        reviewer=row["reviewer"] if row["held"] else None, lease_until=row["lease_until"] if row["held"] else None,
        held=row["held"],
    )  # fmt: skip
    return blind if stage is Stage.SECOND else _opened(blind, row)


def _opened(blind: SecondItem, row: dict[str, Any]) -> SecondItem:
    return replace(
        blind,
        model=row["answer"], second=row["output"], second_by=row["decided_by"], second_decision=Decision(row["decision"]),
        second_note=row["note"], agrees=row["agrees"], differing=row["differing"],
        verdict=None if row["verdict"] is None else Verdict(row["verdict"]),
        judged_by=row["judged_by"], judged_note=row["judged_note"],
    )  # fmt: skip
