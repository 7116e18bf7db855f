"""A job: one asking of a task."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from schemas.answer import AnsweredBy
from schemas.base import Contract
from schemas.failure import Failure


class JobState(StrEnum):
    """Where a job is. The last four are final but for ``in_review``, which a person ends."""

    QUEUED = "queued"  # waits in Postgres
    PUBLISHED = "published"  # its id is on the broker
    RUNNING = "running"  # a worker holds its lease
    IN_REVIEW = "in_review"  # waits for a person
    ANSWERED = "answered"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL_STATES = frozenset({JobState.ANSWERED, JobState.FAILED, JobState.CANCELLED})
"""States that a job never leaves by itself."""

LANDED_STATES = FINAL_STATES | {JobState.IN_REVIEW}
"""States in which no machine works on the job any more."""


class FallbackPolicy(StrEnum):
    """Who stands in when there is no acceptable model answer."""

    RULES_THEN_PERSON = "rules-then-person"
    RULES = "rules"
    PERSON = "person"
    FAIL = "fail"


class OnOutage(StrEnum):
    """What becomes of a job when the provider stays away."""

    FALLBACK = "fallback"  # after some patience, whoever its fallback policy names
    WAIT = "wait"  # it waits, until its deadline if it has one
    RULES = "rules"  # the rules at once, however weak
    PERSON = "person"  # a person at once


class Priority(StrEnum):
    """A job's class. A higher one goes first; a lower one keeps a small share, so that no class starves."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def rank(self) -> int:
        """As it is stored and sorted: 1, 0, -1."""
        return {Priority.HIGH: 1, Priority.NORMAL: 0, Priority.LOW: -1}[self]


class JobOptions(Contract):
    """What a producer may choose per job.

    Attributes:
        fallback: who stands in for the model.
        deadline: after this moment no model is asked any more; the stand-in answers. A span counts from the moment when the
            job is there, on the database's clock.
        prompt_version: this version of the prompt instead of the active one.
        priority: the job's class.
        on_outage: what becomes of it when the provider stays away.
    """

    fallback: FallbackPolicy = FallbackPolicy.RULES_THEN_PERSON
    deadline: datetime | timedelta | None = None
    prompt_version: str | None = None
    priority: Priority = Priority.NORMAL
    on_outage: OnOutage = OnOutage.FALLBACK


class JobView(Contract):
    """A job as the outside sees it: CLI ``--json``, results, HTTP, the Celery result.

    Attributes:
        line: the job's line in the submitted JSONL, from 1.
        reference: the producer's own ``id`` of the document, where the line held one.
        answer: the task's output; ``schemas/published/<task>.json`` describes it.
        failure: why the model did not answer; stands beside an answer of rules or a person too.
    """

    job_id: UUID
    batch_id: UUID | None = None
    line: int | None = None
    reference: str | None = None
    task: str
    state: JobState
    answered_by: AnsweredBy | None = None
    answer: dict[str, Any] | None = None
    failure: Failure | None = None
