"""Why there is no acceptable model answer. Reasons name causes; what follows from them stands in ``fallbacks.routing``."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator

from schemas.base import Contract


class FailureReason(StrEnum):
    """The closed set of causes. A new member breaks the type check of ``fallbacks.routing`` until it has a row there."""

    RATE_LIMITED = "rate_limited"  # the provider asked us to slow down
    OVERLOADED = "overloaded"  # the provider is up but cannot take more (5xx, 529)
    TIMEOUT = "timeout"  # our own deadline for the call passed
    UNREACHABLE = "unreachable"  # no connection, or it broke before the answer was whole
    REFUSED = "refused"  # the model declined
    TRUNCATED = "truncated"  # the answer hit the token cap
    CONTEXT_TOO_LONG = "context_too_long"  # the prompt does not fit the model
    SCHEMA_VIOLATION = "schema_violation"  # the answer breaks the output contract
    UNGROUNDED = "ungrounded"  # a quote does not stand in the source
    LOW_CONFIDENCE = "low_confidence"  # a calibrated confidence is below the task's bar
    NOT_APPLICABLE = "not_applicable"  # the model says: the wrong kind of document
    BUDGET_EXHAUSTED = "budget_exhausted"  # a money or token budget refused the call
    POLICY_DENIED = "policy_denied"  # a data policy forbids sending this text
    BAD_REQUEST = "bad_request"  # the provider says that our request is malformed
    MISCONFIGURED = "misconfigured"  # key, model or permission is wrong: an operator must act
    CANCELLED = "cancelled"  # somebody cancelled the job while it ran
    QUARANTINED = "quarantined"  # running it ended its process, again and again


def _storable(detail: str) -> str:
    """A detail may carry a model's words: what PostgreSQL cannot hold is dropped, and its length is bounded."""
    return detail.replace("\x00", "").encode("utf-8", "replace").decode()[:2000]


class Failure(Contract):
    """No acceptable answer, and why.

    Attributes:
        reason: the cause.
        detail: one plain sentence for people. It may name fields and limits but never repeats document text.
        retry_after: seconds the provider asked us to wait, where it said so.
    """

    reason: FailureReason
    detail: Annotated[str, AfterValidator(_storable)]
    retry_after: float | None = None
