"""Summarize: a text in, a summary and its key points out, each point with a verbatim quote."""

from typing import Literal

from pydantic import Field

from schemas.answer import NotApplicable
from schemas.base import Contract
from schemas.text import DocumentText, Line


class SummarizeRequest(Contract):
    """What a producer asks.

    Attributes:
        text: the document, 1 to 1,000,000 characters.
        max_words: upper bound for the summary, 10 to 1,000 words; the task chooses where it is absent.
        audience: for whom it is written, e.g. ``a support engineer``.
    """

    text: DocumentText
    max_words: int | None = Field(default=None, ge=10, le=1000)
    audience: Line | None = Field(default=None, min_length=1, max_length=200)


class KeyPoint(Contract):
    """One point and the words of the source that carry it."""

    point: str = Field(min_length=1, max_length=1000)
    quote: str = Field(min_length=1, max_length=2000, description="copied verbatim from the document")


class Summary(Contract):
    """The summary of an applicable document."""

    outcome: Literal["summary"] = "summary"
    summary: str = Field(min_length=1, max_length=20_000)
    key_points: list[KeyPoint] = Field(min_length=1, max_length=20)


SummarizeOutput = Summary | NotApplicable
