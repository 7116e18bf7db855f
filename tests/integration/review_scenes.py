"""Jobs brought to where people meet them: into review, or answered by the model."""

from typing import Any
from uuid import UUID

from schemas.answer import AnsweredBy
from schemas.failure import Failure, FailureReason
from schemas.ids import new_id
from schemas.job import JobOptions
from storage import leases
from storage.database import Database
from storage.leases import Claim
from tests.house import House, submit_text

TEXT = "Please refund the invoice."
GOOD: dict[str, Any] = {"outcome": "classification", "labels": ["billing"], "evidence": "refund the invoice"}
SUGGESTED: dict[str, Any] = {**GOOD, "confidence": None}
OTHER: dict[str, Any] = {**SUGGESTED, "labels": ["other"]}


def claimed_job(database: Database, tenant: str, text: str = TEXT, options: JobOptions | None = None) -> Claim:
    """A new job that a worker has claimed."""
    job_id = submit_text(database, tenant, text, options)
    with database.tenant(tenant) as connection:
        claim = leases.claim(connection, job_id, new_id(), 30)
    assert claim is not None
    return claim


def in_review(
    database: Database,
    tenant: str,
    suggestion: dict[str, Any] | None = SUGGESTED,
    *,
    text: str = TEXT,
    reason: FailureReason = FailureReason.REFUSED,
    options: JobOptions | None = None,
) -> UUID:
    """Bring a new job into review."""
    claim = claimed_job(database, tenant, text, options)
    with database.tenant(tenant) as connection:
        failure = Failure(reason=reason, detail="The model declined.")
        assert leases.conclude_in_review(connection, claim, failure, suggestion)
    return claim.job_id


def answered(
    database: Database, tenant: str, output: dict[str, Any] = SUGGESTED, by: AnsweredBy = AnsweredBy.MODEL
) -> UUID:
    """A new job with an answer."""
    claim = claimed_job(database, tenant)
    with database.tenant(tenant) as connection:
        assert leases.conclude_answered(connection, claim, by, output, attempt=None, failure=None)
    return claim.job_id


def kinds(house: House, job_id: UUID) -> list[tuple[str, str]]:
    """The story of a job: what happened, and who did it."""
    rows = house.query("SELECT kind, actor FROM events WHERE job_id = %s ORDER BY at", job_id)
    return [(kind, actor) for kind, actor in rows]
