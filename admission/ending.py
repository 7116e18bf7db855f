"""How a call ended, as admission sees it."""

from dataclasses import dataclass
from enum import StrEnum

from schemas.admission import SeenRates
from schemas.failure import Failure, FailureReason
from schemas.usage import Usage


class Kind(StrEnum):
    """What an ending says about the provider."""

    ANSWERED = "answered"  # it works, whatever we think of the answer
    LIMITED = "limited"  # 429
    OVERLOADED = "overloaded"  # 529, 5xx
    BROKEN = "broken"  # no connection, or our deadline for the call passed
    UNTOLD = "untold"  # aborted by us: it says nothing
    NOT_MADE = "not_made"  # nothing was sent: all that was taken is given back


_KINDS = {
    FailureReason.RATE_LIMITED: Kind.LIMITED,
    FailureReason.OVERLOADED: Kind.OVERLOADED,
    FailureReason.TIMEOUT: Kind.BROKEN,
    FailureReason.UNREACHABLE: Kind.BROKEN,
    FailureReason.CANCELLED: Kind.UNTOLD,
    FailureReason.BUDGET_EXHAUSTED: Kind.NOT_MADE,
    FailureReason.POLICY_DENIED: Kind.NOT_MADE,
}


@dataclass(frozen=True)
class Ending:
    """How a call ended.

    Attributes:
        kind: what it says about the provider.
        used: tokens that its windows really bear, by window; empty: unknown, the estimates stay.
        retry_after: seconds the provider asked us to wait.
        seen: what the response said of limits.
    """

    kind: Kind
    used: dict[str, int]
    retry_after: float = 0.0
    seen: SeenRates | None = None


NOT_MADE = Ending(Kind.NOT_MADE, {"input_tokens": 0, "output_tokens": 0})
UNTOLD = Ending(Kind.UNTOLD, {})


def ending_of(usage: Usage | None, failure: Failure | None, seen: SeenRates | None) -> Ending:
    """Put an attempt's end into admission's words."""
    kind = Kind.ANSWERED if failure is None else _KINDS.get(failure.reason, Kind.ANSWERED)
    retry_after = max(0.0, failure.retry_after or 0.0) if failure is not None else 0.0
    return Ending(kind, _used(kind, usage), retry_after, seen)


def _used(kind: Kind, usage: Usage | None) -> dict[str, int]:
    """Cached input is not counted against a provider's windows; a call it turned away used nothing."""
    if usage is not None:
        return {"input_tokens": usage.input_tokens + usage.cache_write_tokens, "output_tokens": usage.output_tokens}
    if kind in {Kind.LIMITED, Kind.OVERLOADED, Kind.NOT_MADE}:
        return {"input_tokens": 0, "output_tokens": 0}
    return {}
