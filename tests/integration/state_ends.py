"""How a run of a job can end: what a worker writes, and what the model says to it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from schemas.answer import AnsweredBy
from schemas.attempt import AttemptOutcome, Call, Purpose, Reply
from schemas.failure import Failure, FailureReason
from schemas.tier import Tier
from schemas.usage import Usage
from storage import leases
from storage.leases import Claim
from tests.integration.state_model import Job

LONG = 3600.0
"""Seconds of every lease and wait: in no test do they pass by themselves."""
TEXT = "Please refund the invoice."
OUTPUT: dict[str, Any] = {"outcome": "classification", "labels": ["billing"], "evidence": "refund the invoice"}
WHY = Failure(reason=FailureReason.OVERLOADED, detail="The provider is busy.")
REPLY = Reply(
    text="{}", stop_reason="end_turn", model="m", request_id="r", usage=Usage(input_tokens=5), raw={}, seconds=1
)
CALL = Call(
    task="classify", purpose=Purpose.FIRST, prompt_version="v1", prompt_digest="d", tier=Tier.SMALL, model="m", system="s",
    messages=[{"role": "user", "content": "u"}], max_tokens=16, parameters={}, output_schema={},
)  # fmt: skip
SETTLED = [AttemptOutcome.ACCEPTED, AttemptOutcome.REJECTED, AttemptOutcome.FAILED]


@dataclass(frozen=True)
class End:
    """One way for a run to end.

    Attributes:
        write: to the database; whether it took effect.
        must: on the model, under this fence; whether it must take effect.
    """

    write: Callable[[Connection, Claim], bool]
    must: Callable[[Job, int], bool]


def _answered(by: AnsweredBy, failure: Failure | None) -> End:
    return End(
        lambda connection, held: leases.conclude_answered(connection, held, by, OUTPUT, attempt=None, failure=failure),
        lambda job, fence: job.answer(fence, by.value),
    )


def _in_review(suggestion: dict[str, Any] | None) -> End:
    return End(
        lambda connection, held: leases.conclude_in_review(connection, held, WHY, suggestion),
        lambda job, fence: job.hand_to_person(fence, suggested=suggestion is not None),
    )


def _put_back(seconds: float, tries: int = 0, waits: int = 0) -> End:
    return End(
        lambda connection, held: leases.put_back(connection, held, WHY, seconds=seconds, tries=tries, waits=waits),
        lambda job, fence: job.put_back(fence, seconds=seconds, tries=tries, waits=waits),
    )


def _ended_alone(*, killed: bool) -> End:
    return End(
        lambda connection, held: leases.ended_alone(connection, held, "played", killed=killed, actor="test"),
        lambda job, fence: job.lose_holder(fence, tries=int(not killed), losses=int(killed)),
    )


ENDS = {
    "in review": _in_review(OUTPUT),
    "in review without a suggestion": _in_review(None),
    "failed": End(lambda connection, held: leases.conclude_failed(connection, held, WHY), Job.fail),
    "tried in vain": _put_back(0, tries=1),
    "waits for an outage": _put_back(LONG, waits=1),
    "waits for a place": _put_back(LONG),
    "its own process was killed": _ended_alone(killed=True),
    "its own process did not start": _ended_alone(killed=False),
    "answered by the model": _answered(AnsweredBy.MODEL, None),
    "answered by the rules": _answered(AnsweredBy.RULES, WHY),
}
