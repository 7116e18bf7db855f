"""A person's turn: what may be decided, at which stage, and which part of a queue is meant."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from schemas.base import Contract

UNDO_SECONDS: Final = 60.0
"""How long a decision at the desk can be taken back. Until then nobody has seen it outside the desk."""
SKIP_SECONDS: Final = 1800.0
"""How long a review that somebody skipped is not the next one for this person again."""


class Decision(StrEnum):
    """What a person may decide."""

    ACCEPT = "accept"  # the suggestion as it is
    EDIT = "edit"  # an answer of their own
    NOT_APPLICABLE = "not_applicable"  # not this task: that is the answer
    REJECT = "reject"  # no answer can be given: the job fails


class Stage(StrEnum):
    """How far the second review of an accepted answer is."""

    SECOND = "second"  # a second person answers without seeing the model's answer
    THIRD = "third"  # the two differ: a third person sees both and judges
    SETTLED = "settled"


class Verdict(StrEnum):
    """Whom the third person holds to be right."""

    MODEL = "model"
    SECOND = "second"
    BOTH = "both"  # two ways to say the same, or to read the document
    NEITHER = "neither"


class QueueFilter(Contract):
    """A part of the queue; what is None does not limit.

    Attributes:
        task: of this task.
        reason: here for this reason (``schemas.failure.FailureReason``).
        older_than: waiting for longer than this.
        due_before: with a deadline before this moment.
    """

    task: str | None = None
    reason: str | None = None
    older_than: timedelta | None = None
    due_before: datetime | None = None


EVERYTHING: Final = QueueFilter()
