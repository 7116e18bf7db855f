"""What is counted about jobs and model calls, and the figures that operators look at, put alerts on and draw.

Everything that shows a figure (pages, ``/metrics``, alert rules, the Grafana dashboard, the Prometheus rules) reads it from
here. Pure: ``storage.figures`` knows where the counts lie.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from schemas.attempt import Purpose
from schemas.failure import FailureReason

WAIT_BOUNDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
"""Upper bounds in seconds of the classes that waits are counted in; what waited longer is counted in one more."""


class Dimension(StrEnum):
    """What counts are kept apart by. Bounded: tenants are made by operators, the others stand in files and settings."""

    TENANT = "tenant"
    TASK = "task"
    PROMPT_VERSION = "prompt_version"
    MODEL = "model"


SUBMITTED = ("submitted",)
ANSWERED = ("answered_by_model", "answered_by_cache", "answered_by_rules", "answered_by_person")
LANDED = (*ANSWERED, "sent_to_review", "failed", "turned_down", "cancelled")
"""``failed`` by the machine; ``turned_down`` by a person. A reviewed job is counted when it is sent and when it is decided."""
ATTEMPTS = ("attempts_accepted", "attempts_rejected", "attempts_failed", "attempts_unknown")
PURPOSES = tuple(f"for_{purpose}" for purpose in Purpose)
"""Settled attempts by why they were made."""
REASONS = tuple(f"reason_{reason}" for reason in FailureReason)
"""Settled attempts that were not accepted, by the reason of their failure."""
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
SPEND = ("spend_usd", "unpriced")
"""US dollars of attempts with a known price; attempts that used tokens and have none."""
WAITED = (*(f"waited_{bound}" for bound in WAIT_BOUNDS), "waited_longer")
"""Jobs by how long they waited from submission to their first claim; counted when they land for the first time."""
WAITS = (*WAITED, "waited_seconds")

COUNTS = (*SUBMITTED, *LANDED, *ATTEMPTS, *PURPOSES, *REASONS, *TOKENS, *SPEND, *WAITS)
"""All that is counted, as columns of the table ``tallies``."""


class Unit(StrEnum):
    """What a figure's number means."""

    SHARE = "share"  # 0 to 1
    SECONDS = "seconds"
    USD_PER_HOUR = "usd_per_hour"
    PER_HOUR = "per_hour"
    JOBS = "jobs"
    PROCESSES = "processes"


class Kind(StrEnum):
    """How a figure comes about."""

    SHARE = "share"  # `over` divided by `of`, both summed over a window
    HOURLY = "hourly"  # `over` summed over a window, per hour
    WAIT_P95 = "wait_p95"  # the 95th percentile of the classes of waits
    NOW = "now"  # read at the moment, without a window


class Behind(StrEnum):
    """Where the jobs behind a figure are found (``storage.job_lists``, ``storage.jobs_now``)."""

    SUBMITTED = "submitted"
    LANDED = "landed"
    ATTEMPTS = "attempts"
    WAITING = "waiting"
    REVIEWS = "reviews"
    NOWHERE = "nowhere"  # it is not about jobs


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        name: in alert rules, links and metrics.
        title: for people.
        about: one sentence: what is divided by what.
        by: what it can be kept apart by.
        over, of: columns of :data:`COUNTS`.
        behind: where its jobs are found; ``narrowed`` are the filters that show those of ``over``.
    """

    name: str
    title: str
    about: str
    kind: Kind
    unit: Unit
    by: tuple[Dimension, ...]
    over: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    behind: Behind = Behind.NOWHERE
    narrowed: tuple[tuple[str, str], ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The counts that it is made of."""
        return WAITED if self.kind is Kind.WAIT_P95 else (*self.over, *self.of)

    def value(self, counts: Mapping[str, float]) -> float | None:
        """The figure from counts, for a window of one hour where it is hourly; None where there is nothing to divide by."""
        match self.kind:
            case Kind.SHARE:
                whole = total(counts, self.of)
                return total(counts, self.over) / whole if whole else None
            case Kind.HOURLY:
                return total(counts, self.over)
            case Kind.WAIT_P95:
                return quantile([counts.get(column, 0) for column in WAITED], 0.95)
            case Kind.NOW:
                return None

    def basis(self, counts: Mapping[str, float]) -> float:
        """How many cases the figure rests on."""
        return total(counts, self.of or self.columns)


_ALL = tuple(Dimension)
_OF_JOBS = (Dimension.TENANT, Dimension.TASK)
_CONCLUDED = ("answered_by_model", "answered_by_cache", "answered_by_rules", "sent_to_review", "failed")
_REPLIED = ("attempts_accepted", "attempts_rejected")
_SETTLED = ATTEMPTS

_SHARES = (
    Figure(
        "fallback_rate", "Fallback rate",
        "Jobs that rules answered, that went to a person or failed, of all that a machine concluded.",
        Kind.SHARE, Unit.SHARE, _ALL, ("answered_by_rules", "sent_to_review", "failed"), _CONCLUDED,
        Behind.LANDED, (("outcome", "fallback"),),
    ),
    Figure(
        "failure_rate", "Failure rate", "Jobs that failed, of all that a machine concluded.",
        Kind.SHARE, Unit.SHARE, _ALL, ("failed",), _CONCLUDED, Behind.LANDED, (("outcome", "failed"),),
    ),
    Figure(
        "schema_failure_rate", "Schema-failure rate", "Replies that broke the output contract, of all whole replies.",
        Kind.SHARE, Unit.SHARE, _ALL, ("reason_schema_violation",), _REPLIED,
        Behind.ATTEMPTS, (("reason", "schema_violation"),),
    ),
    Figure(
        "ungrounded_rate", "Ungrounded rate", "Replies that quoted what does not stand in the source, of all whole replies.",
        Kind.SHARE, Unit.SHARE, _ALL, ("reason_ungrounded",), _REPLIED, Behind.ATTEMPTS, (("reason", "ungrounded"),),
    ),
    Figure(
        "repair_rate", "Repair rate", "Calls that told the model what was wrong with its answer, of all calls.",
        Kind.SHARE, Unit.SHARE, _ALL, ("for_repair",), _SETTLED, Behind.ATTEMPTS, (("purpose", "repair"),),
    ),
    Figure(
        "escalation_rate", "Escalation rate", "Calls made because a smaller model had no acceptable answer, of all calls.",
        Kind.SHARE, Unit.SHARE, _ALL, ("for_escalation",), _SETTLED, Behind.ATTEMPTS, (("purpose", "escalation"),),
    ),
    Figure(
        "call_failure_rate", "Call-failure rate", "Calls that brought no whole reply, or were lost, of all calls.",
        Kind.SHARE, Unit.SHARE, _ALL, ("attempts_failed", "attempts_unknown"), _SETTLED,
        Behind.ATTEMPTS, (("outcome", "no_reply"),),
    ),
)  # fmt: skip
_HOURLY = (
    Figure(
        "submitted_per_hour", "Submitted", "Jobs submitted per hour.",
        Kind.HOURLY, Unit.PER_HOUR, _OF_JOBS, SUBMITTED, behind=Behind.SUBMITTED,
    ),
    Figure(
        "answered_per_hour", "Answered", "Jobs answered per hour, by whomever.",
        Kind.HOURLY, Unit.PER_HOUR, _ALL, ANSWERED, behind=Behind.LANDED, narrowed=(("outcome", "answered"),),
    ),
    Figure(
        "spend_per_hour", "Spend", "US dollars per hour, of calls with a known price.",
        Kind.HOURLY, Unit.USD_PER_HOUR, _ALL, ("spend_usd",), behind=Behind.ATTEMPTS,
    ),
    Figure(
        "tokens_per_hour", "Tokens", "Tokens in and out per hour, as the provider counted them.",
        Kind.HOURLY, Unit.PER_HOUR, _ALL, TOKENS, behind=Behind.ATTEMPTS,
    ),
)  # fmt: skip
_NOW = (
    Figure(
        "oldest_waiting_seconds", "Oldest waiting", "Seconds since the oldest job that could run was submitted, or was due.",
        Kind.NOW, Unit.SECONDS, _OF_JOBS, behind=Behind.WAITING,
    ),
    Figure(
        "reviews_waiting", "Review backlog", "Jobs that wait for a person.",
        Kind.NOW, Unit.JOBS, _OF_JOBS, behind=Behind.REVIEWS,
    ),
    Figure(
        "oldest_review_seconds", "Oldest review", "Seconds that a job has been waiting for a person.",
        Kind.NOW, Unit.SECONDS, _OF_JOBS, behind=Behind.REVIEWS,
    ),
    Figure(
        "live_workers", "Live workers", "Worker processes seen within the last 30 seconds.",
        Kind.NOW, Unit.PROCESSES, (), behind=Behind.NOWHERE,
    ),
)  # fmt: skip
WAIT_P95 = Figure(
    "wait_p95_seconds", "Wait p95", "95th percentile of the seconds from submission to the first claim, of jobs that landed.",
    Kind.WAIT_P95, Unit.SECONDS, _OF_JOBS, behind=Behind.LANDED,
)  # fmt: skip

FIGURES: dict[str, Figure] = {figure.name: figure for figure in (*_SHARES, *_HOURLY, WAIT_P95, *_NOW)}
"""All figures by name."""
RATES = _SHARES
"""The shares, in the order in which they are shown."""


def total(counts: Mapping[str, float], columns: Sequence[str]) -> float:
    """The sum of some counts."""
    return sum(counts.get(column, 0) for column in columns)


def quantile(classes: Sequence[float], share: float) -> float | None:
    """Where in classes of waits this share is reached: within a class it is taken to rise evenly.

    Args:
        classes: jobs by :data:`WAIT_BOUNDS` and one more.

    Returns:
        Seconds; the last bound where it lies beyond it; None without any job.
    """
    goal = share * sum(classes)
    if not goal:
        return None
    below, lower = 0.0, 0.0
    for count, upper in zip(classes, WAIT_BOUNDS, strict=False):
        if count and below + count >= goal:
            return lower + (upper - lower) * (goal - below) / count
        below, lower = below + count, float(upper)
    return float(WAIT_BOUNDS[-1])
