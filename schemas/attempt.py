"""One call to a model: what is sent, what comes back, and how it ended."""

from enum import StrEnum
from typing import Any

from schemas.admission import SeenRates
from schemas.base import Contract
from schemas.failure import Failure
from schemas.tier import Tier
from schemas.usage import Usage


class Purpose(StrEnum):
    """Why this call is made."""

    FIRST = "first"
    RETRY = "retry"  # the same call again, after a transport error
    REPAIR = "repair"  # the model is told what was wrong with its answer
    LARGER = "larger"  # the same question with a larger token cap, after a truncated answer
    ESCALATION = "escalation"  # the next tier


class Call(Contract):
    """A model call in full, as it is recorded before it is made and as it goes out on the wire.

    Attributes:
        task: the task's name.
        purpose: why this call is made.
        prompt_version: version of the prompt file, e.g. ``v1``.
        prompt_digest: SHA-256 of that file, hex.
        tier: the role of the model.
        model: the model id asked for.
        system: the system prompt.
        messages: the turns, ``{"role": ..., "content": ...}``.
        max_tokens: cap on output tokens.
        parameters: further request parameters, e.g. ``{"effort": "low"}``.
        output_schema: JSON Schema that the answer must follow.
    """

    task: str
    purpose: Purpose
    prompt_version: str
    prompt_digest: str
    tier: Tier
    model: str
    system: str
    messages: list[dict[str, str]]
    max_tokens: int
    parameters: dict[str, Any]
    output_schema: dict[str, Any]


class Reply(Contract):
    """What a model answered.

    Attributes:
        text: the text blocks joined, verbatim.
        stop_reason: why the model stopped, in the provider's word; None when the stream ended without one.
        stop_detail: the category of a refusal, where the provider names one.
        model: the model version that answered.
        request_id: the provider's id of the request.
        usage: tokens as the provider counted them.
        raw: the whole message as received, as JSON; for a stream: put together from its events.
        seconds: from sending to the last byte.
        rates: what the response's headers say of the provider's limits; None where they say nothing.
    """

    text: str
    stop_reason: str | None
    stop_detail: str | None = None
    model: str
    request_id: str | None
    usage: Usage
    raw: dict[str, Any]
    seconds: float
    rates: SeenRates | None = None


class AttemptOutcome(StrEnum):
    """How an attempt ended. ``OPEN`` is the only one that is not final."""

    OPEN = "open"  # recorded, the call is on its way
    ACCEPTED = "accepted"  # its answer became the job's answer
    REJECTED = "rejected"  # it answered, but not acceptably: `failure` says why
    FAILED = "failed"  # no whole answer came back: `failure` says why
    UNKNOWN = "unknown"  # the worker died in between: maybe billed


class BrokenCall(Contract):
    """A call that brought no whole answer back.

    Attributes:
        failure: why; its sentence never repeats document text.
        status: the HTTP status, where one came.
        request_id: the provider's id of the request, where one came.
        raw: what did come back, as JSON: the error's body or the part of the message that arrived. It may echo the
            document: for the audit record only, never for logs.
        seconds: from sending to giving up.
        usage: tokens of a message that began and did not come whole, as far as they were told: the input as a rule, of
            the output what was counted until then. None where no message began: nothing is known of what was billed.
        model: the model version of such a message.
        rates: what the response's headers say of the provider's limits; None where they say nothing.
    """

    failure: Failure
    status: int | None = None
    request_id: str | None = None
    raw: dict[str, Any]
    seconds: float
    usage: Usage | None = None
    model: str | None = None
    rates: SeenRates | None = None
