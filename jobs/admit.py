"""Admission as a job meets it: what it asks for, and what follows from "not now"."""

from collections.abc import Sequence
from typing import Protocol

from schemas.admission import Abandoned, Admitted, Ask, NotNow, SeenRates
from schemas.attempt import Call
from schemas.failure import Failure, FailureReason
from schemas.settings import Settings
from schemas.usage import Usage
from storage.leases import Claim, OpenCall

BYTES_PER_TOKEN = 3
"""A rough count is enough here, since windows are corrected by what the provider counts; measured texts hold 2.4 to 3.5
characters a token (job ads 2.9, mail 2.5, prose 3.5) but receipts 1.4."""
SPARE_SECONDS = 10
"""A reservation outlives the longest call by this, and then ends by itself: its worker is dead."""


class Gate(Protocol):
    """Who says whether a call may be made; ``admission.gate`` is the real one."""

    def admit(self, ask: Ask) -> Admitted | NotNow:
        """Reserve all that a call needs, or nothing."""

    def settle(self, ask: Ask, *, usage: Usage | None, failure: Failure | None, seen: SeenRates | None) -> None:
        """The call is over."""

    def give_up(self, attempt: str) -> None:
        """The call was never made."""

    def abandon(self, calls: Sequence[Abandoned]) -> None:
        """Nobody will say how these calls ended: their worker is dead or gave their jobs back."""


def ask_for(settings: Settings, claim: Claim, number: int, call: Call) -> Ask:
    """What a call needs."""
    text = len(call.system) + sum(len(message["content"]) for message in call.messages)
    return Ask(
        attempt=f"{claim.job_id}:{number}:{claim.fence}",
        model=call.model,
        tenant=claim.tenant_id,
        tenant_limits=claim.tenant_limits,
        input_tokens=text // BYTES_PER_TOKEN,
        max_tokens=call.max_tokens,
        expires_seconds=settings.call_seconds + SPARE_SECONDS,
    )


def abandoned(calls: Sequence[OpenCall]) -> list[Abandoned]:
    """Calls that were under way when their jobs were taken from their workers, in admission's words."""
    return [
        Abandoned(attempt=f"{call.job_id}:{call.number}:{call.fence}", model=call.model, tenant=call.tenant_id)
        for call in calls
    ]


def as_failure(refusal: NotNow) -> Failure:
    """Why no call was made, in the words of the routing table."""
    reason = FailureReason.OVERLOADED if refusal.outage else FailureReason.RATE_LIMITED
    return Failure(reason=reason, detail=refusal.detail, retry_after=refusal.seconds)
