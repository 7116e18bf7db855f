"""Attempts: the append-only audit of model calls. A row is written before its call and settled once after it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from schemas.attempt import AttemptOutcome, BrokenCall, Call, Reply
from schemas.failure import Failure
from storage.jobs import dump
from storage.leases import Claim

_OPEN = """
INSERT INTO attempts (job_id, number, tenant_id, fence, actor, purpose, prompt_version, prompt_digest, tier, model, request)
VALUES (%(job)s, %(number)s, %(tenant)s, %(fence)s, %(actor)s, %(purpose)s, %(prompt_version)s, %(prompt_digest)s, %(tier)s,
        %(model)s, %(request)s)
"""
_OPEN_FENCED = """
INSERT INTO attempts (job_id, number, tenant_id, fence, actor, purpose, prompt_version, prompt_digest, tier, model, request)
SELECT id, %(number)s, tenant_id, fence, %(actor)s, %(purpose)s, %(prompt_version)s, %(prompt_digest)s, %(tier)s, %(model)s,
       %(request)s
FROM jobs WHERE id = %(job)s AND fence = %(fence)s AND state = 'running'
ON CONFLICT (job_id, number) DO UPDATE SET outcome = 'open' WHERE attempts.fence = excluded.fence AND attempts.outcome = 'open'
RETURNING number
"""
_SETTLE = """
UPDATE attempts SET outcome = %(outcome)s, settled_at = now(), seconds = %(seconds)s, answered_model = %(answered_model)s,
    request_id = %(request_id)s, http_status = %(http_status)s, stop_reason = %(stop_reason)s, response = %(response)s,
    input_tokens = %(input_tokens)s, output_tokens = %(output_tokens)s, cache_read_tokens = %(cache_read_tokens)s,
    cache_write_tokens = %(cache_write_tokens)s, cost_usd = %(cost_usd)s, failure_reason = %(failure_reason)s,
    failure_detail = %(failure_detail)s
WHERE job_id = %(job)s AND number = %(number)s AND fence = %(fence)s AND outcome = 'open'
"""
_OF_JOB = "SELECT * FROM attempts WHERE job_id = %(job)s ORDER BY number"


@dataclass(frozen=True)
class Settlement:
    """How one attempt ended: what came back, what it cost, and why it was not good enough."""

    number: int
    outcome: AttemptOutcome
    reply: Reply | None = None
    broken: BrokenCall | None = None
    failure: Failure | None = None
    cost_usd: Decimal | None = None


def open_first(connection: Connection, claimed: Claim, number: int, call: Call, actor: str) -> None:
    """Record a call's intent in the transaction that claimed the job."""
    connection.exec_driver_sql(_OPEN, _opening(claimed, number, call, actor) | {"tenant": claimed.tenant_id})


def open_next(connection: Connection, claimed: Claim, number: int, call: Call, actor: str) -> bool:
    """Record a further call's intent; doing it again changes nothing. False: the lease was lost, do not call."""
    row = connection.exec_driver_sql(_OPEN_FENCED, _opening(claimed, number, call, actor)).first()
    return row is not None


def settle(connection: Connection, claimed: Claim, settlement: Settlement) -> None:
    """Record what came back. This does not need the lease: what was billed is booked even when the job was cancelled."""
    connection.exec_driver_sql(
        _SETTLE,
        {
            "job": claimed.job_id,
            "fence": claimed.fence,
            "number": settlement.number,
            "outcome": settlement.outcome.value,
            "cost_usd": settlement.cost_usd,
            "failure_reason": settlement.failure.reason.value if settlement.failure else None,
            "failure_detail": settlement.failure.detail if settlement.failure else None,
            **_received(settlement.reply, settlement.broken),
        },
    )


def of_job(connection: Connection, job_id: UUID) -> list[dict[str, Any]]:
    """All attempts of a job, in full."""
    return [dict(row) for row in connection.exec_driver_sql(_OF_JOB, {"job": job_id}).mappings()]


def _opening(claimed: Claim, number: int, call: Call, actor: str) -> dict[str, Any]:
    request = {
        "system": call.system,
        "messages": call.messages,
        "max_tokens": call.max_tokens,
        "parameters": call.parameters,
        "output_schema": call.output_schema,
    }
    return {
        "job": claimed.job_id,
        "number": number,
        "fence": claimed.fence,
        "actor": actor,
        "purpose": call.purpose.value,
        "prompt_version": call.prompt_version,
        "prompt_digest": call.prompt_digest,
        "tier": call.tier.value,
        "model": call.model,
        "request": dump(request),
    }


def _received(reply: Reply | None, broken: BrokenCall | None) -> dict[str, Any]:
    came = reply or broken
    usage = came.usage if came else None
    return {
        "seconds": came.seconds if came else None,
        "answered_model": came.model if came else None,
        "request_id": came.request_id if came else None,
        "http_status": 200 if reply else broken.status if broken else None,
        "stop_reason": reply.stop_reason if reply else None,
        "response": dump(came.raw) if came else None,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "cache_read_tokens": usage.cache_read_tokens if usage else None,
        "cache_write_tokens": usage.cache_write_tokens if usage else None,
    }
