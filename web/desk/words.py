"""What the desk says: reasons, decisions, times and paths in words."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from schemas.failure import FailureReason
from schemas.review import Decision, Verdict

REASONS = {
    FailureReason.RATE_LIMITED: "Provider’s limit",
    FailureReason.OVERLOADED: "Provider overloaded",
    FailureReason.TIMEOUT: "Took too long",
    FailureReason.UNREACHABLE: "Provider unreachable",
    FailureReason.REFUSED: "Model declined",
    FailureReason.TRUNCATED: "Answer cut short",
    FailureReason.CONTEXT_TOO_LONG: "Document too long",
    FailureReason.SCHEMA_VIOLATION: "Broke the contract",
    FailureReason.UNGROUNDED: "Quote not in the source",
    FailureReason.LOW_CONFIDENCE: "Unsure",
    FailureReason.NOT_APPLICABLE: "Not this task?",
    FailureReason.BUDGET_EXHAUSTED: "Budget spent",
    FailureReason.POLICY_DENIED: "Policy forbids a model",
    FailureReason.BAD_REQUEST: "Request malformed",
    FailureReason.MISCONFIGURED: "Misconfigured",
    FailureReason.CANCELLED: "Cancelled",
    FailureReason.QUARANTINED: "Quarantined",
}
"""Why a job came to a person, in a few words."""
KNOWN_REASONS = frozenset(reason.value for reason in FailureReason)
DECIDED = {
    Decision.ACCEPT: "accepted",
    Decision.EDIT: "answered",
    Decision.NOT_APPLICABLE: "called not this task",
    Decision.REJECT: "rejected",
}
VERDICTS = {
    Verdict.MODEL: "The model is right",
    Verdict.SECOND: "The second person is right",
    Verdict.BOTH: "Both are acceptable",
    Verdict.NEITHER: "Neither is right",
}
_STEPS = ((60, "s", 1), (3600, "min", 60), (48 * 3600, "h", 3600))


def reason_words(reason: str) -> str:
    """A reason as people say it; one that this release does not know as it is stored."""
    return REASONS[FailureReason(reason)] if reason in KNOWN_REASONS else reason.replace("_", " ")


def span(seconds: float) -> str:
    """A length of time, in one unit."""
    for below, unit, size in _STEPS:
        if seconds < below:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds // 86400)} days"


def ago(moment: datetime) -> str:
    """How long ago something was, or in how long it is. For reading only: nothing is decided by this clock."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def left(moment: datetime) -> float:
    """Seconds until a moment; 0 after it."""
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def moment(when: datetime) -> str:
    """A moment in full."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def path_words(path: str) -> str:
    """``key_points.0.quote`` as "Key points 1 › quote"; the steps that every path has are left out."""
    words: list[str] = []
    for step in path.removeprefix("fields.").split("."):
        if step.isdecimal() and words:
            words[-1] += f" {int(step) + 1}"
        else:
            words.append(step.replace("_", " "))
    text = " › ".join(words)
    return text[:1].upper() + text[1:]


def value_words(value: Any) -> str:
    """A value as people read it."""
    match value:
        case None | [] | {}:
            return "—"
        case True:
            return "Yes"
        case False:
            return "No"
        case list() if all(isinstance(one, str) for one in value):
            return ", ".join(value)
    return str(value)


def money(dollars: Decimal) -> str:
    """Dollars, with as many places as say something."""
    return f"${dollars:.2f}" if dollars >= 1 else f"${dollars:.4f}"


def since(moment: datetime) -> str:
    """How long something has lasted."""
    return span(max(0.0, (datetime.now(UTC) - moment).total_seconds()))


FILTERS: Mapping[str, Callable[..., Any]] = {
    "reason_words": reason_words,
    "ago": ago,
    "span": span,
    "left": left,
    "moment": moment,
    "money": money,
    "since": since,
    "path_words": path_words,
    "value_words": value_words,
}
"""For templates."""
