"""What a job ends with, and who gave it."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from schemas.base import Contract


class AnsweredBy(StrEnum):
    """Who gave the answer."""

    MODEL = "model"
    CACHE = "cache"
    RULES = "rules"
    PERSON = "person"


class NotApplicable(Contract):
    """The arm that every task's output has: the text is not the kind of document that the task is about."""

    outcome: Literal["not_applicable"] = "not_applicable"
    reason: str = Field(min_length=1, max_length=500)


class Answer(Contract):
    """A validated answer.

    Attributes:
        answered_by: who gave it.
        output: the JSON of the task's output contract (``schemas/published/<task>.json``).
        reviewer: the person's name where a person gave it.
    """

    answered_by: AnsweredBy
    output: dict[str, Any]
    reviewer: str | None = None


class Violation(Contract):
    """One way in which an output breaks its contract; the model and people are told ``path: message``.

    Attributes:
        path: where, as a dotted path (``key_points.0.quote``); empty for the whole.
        message: what is wrong and what was expected.
        ungrounded: the value is well-formed, but does not stand in the source.
    """

    path: str
    message: str
    ungrounded: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message
