"""What the tests of orchestration share: a call, settings that do not read the environment, a ledger in memory."""

import time
from dataclasses import dataclass, field
from typing import Any

from orchestration.pipeline import Prepared, prepare
from schemas.attempt import AttemptOutcome, BrokenCall, Call, Purpose, Reply
from schemas.failure import Failure
from schemas.settings import Settings
from schemas.tier import Tier
from schemas.usage import Usage
from tasks import find_task

TICKET = "My parcel never arrived and I want my money back, please look into it."
MODELS = {"small": "model-s", "standard": "model-m", "deep": "model-l"}


def settings(url: str = "http://127.0.0.1:9", **changes: Any) -> Settings:
    """Settings for a provider at this address, whatever the environment says."""
    given = {"anthropic_base_url": url, "anthropic_api_key": "test-key", "call_seconds": 10, "worker_slots": 4}
    return Settings.model_validate({**given, "calls_per_client": 2, **changes})


def call(**changes: Any) -> Call:
    """A call that asks for one field, with the document's first words as evidence."""
    field_schema = {"type": "string"}
    schema = {"type": "object", "properties": {"evidence": field_schema}, "required": ["evidence"]}
    given: dict[str, Any] = {
        "task": "classify",
        "purpose": Purpose.FIRST,
        "prompt_version": "v1",
        "prompt_digest": "0" * 64,
        "tier": Tier.SMALL,
        "model": "model-s",
        "system": "You classify.",
        "messages": [{"role": "user", "content": TICKET}],
        "max_tokens": 512,
        "parameters": {"effort": "low"},
        "output_schema": schema,
    }
    return Call.model_validate({**given, **changes})


def reply(text: str, stop_reason: str | None = "end_turn", **changes: Any) -> Reply:
    """A reply with this text."""
    given: dict[str, Any] = {"model": "model-s", "request_id": "req_1", "usage": Usage(), "raw": {}, "seconds": 0.1}
    return Reply(text=text, stop_reason=stop_reason, **{**given, **changes})


def classification(**changes: Any) -> Prepared:
    """A classify job, ready to be pursued."""
    task = find_task("classify")
    request = task.read_request({"text": TICKET, "labels": ["shipping", "billing"], **changes})
    prepared = prepare(task, request, MODELS)
    assert isinstance(prepared, Prepared)
    return prepared


@dataclass
class Entry:
    """One attempt in the ledger."""

    call: Call
    outcome: AttemptOutcome = AttemptOutcome.OPEN
    reply: Reply | None = None
    broken: BrokenCall | None = None
    failure: Failure | None = None


@dataclass
class MemoryLedger:
    """Attempts in memory; refuses to open one where told to.

    Attributes:
        refuse_at: the number of attempts after which :meth:`open` gives ``refusal``.
    """

    refusal: Failure | None = None
    refuse_at: int = 0
    entries: list[Entry] = field(default_factory=list)

    def open(self, call: Call) -> int | Failure:
        if self.refusal and len(self.entries) >= self.refuse_at:
            return self.refusal
        self.entries.append(Entry(call))
        return len(self.entries) - 1

    def settle(
        self,
        number: int,
        outcome: AttemptOutcome,
        *,
        reply: Reply | None = None,
        broken: BrokenCall | None = None,
        failure: Failure | None = None,
    ) -> None:
        entry = self.entries[number]
        assert entry.outcome is AttemptOutcome.OPEN, "an attempt is settled once"
        entry.outcome, entry.reply, entry.broken, entry.failure = outcome, reply, broken, failure

    def purposes(self) -> list[str]:
        """The attempts' purposes in order."""
        return [entry.call.purpose.value for entry in self.entries]

    def outcomes(self) -> list[str]:
        """How they ended, in order."""
        return [entry.outcome.value for entry in self.entries]


def soon(seconds: float = 20) -> float:
    """A deadline."""
    return time.monotonic() + seconds
