"""Classify: a text and labels in, the label or labels that fit out, with a verbatim piece of evidence."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas.answer import NotApplicable
from schemas.base import Contract
from schemas.text import DocumentText, Line

MAX_LABELS = 200
"""More labels than this no longer fit a provider's compiled grammar or a reader's head."""


class Label(Contract):
    """One label a text may get.

    Attributes:
        name: what the answer says, unique within the request.
        description: when the label fits, in a sentence.
        examples: texts that carry the label.
        keywords: words or phrases that point to it; the rule-based stand-in looks for them as whole words, ignoring case.
    """

    name: Line = Field(min_length=1, max_length=100)
    description: Line | None = Field(default=None, min_length=1, max_length=500)
    examples: list[Line] = Field(default_factory=list, max_length=20)
    keywords: list[Line] = Field(default_factory=list, max_length=100)


class ClassifyRequest(Contract):
    """What a producer asks.

    Attributes:
        text: the document, 1 to 1,000,000 characters.
        labels: 2 to 200 labels; a plain string is a label with that name.
        multi: several labels may fit; otherwise exactly one is given.
    """

    text: DocumentText
    labels: list[Label] = Field(min_length=2, max_length=MAX_LABELS)
    multi: bool = False

    @field_validator("labels", mode="before", json_schema_input_type=list[Label | str])
    @classmethod
    def _names_are_labels(cls, labels: object) -> object:
        if isinstance(labels, list):
            return [{"name": label} if isinstance(label, str) else label for label in labels]
        return labels

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        seen: set[str] = set()
        for label in self.labels:
            if label.name in seen:
                raise ValueError(f"the label {label.name!r} stands twice; give each label once")
            seen.add(label.name)
        return self

    @property
    def label_names(self) -> list[str]:
        """The names, in the order given."""
        return [label.name for label in self.labels]


class Classification(Contract):
    """The labels of an applicable document.

    Attributes:
        labels: one label, or at least one where the request said ``multi``.
        evidence: the words of the source that decided, verbatim.
        confidence: 0 to 1 where it was measured; null means "not scored", never "sure".
    """

    outcome: Literal["classification"] = "classification"
    labels: list[str] = Field(min_length=1, max_length=MAX_LABELS)
    evidence: str = Field(min_length=1, max_length=2000, description="copied verbatim from the document")
    confidence: float | None = Field(default=None, ge=0, le=1)


ClassifyOutput = Classification | NotApplicable
