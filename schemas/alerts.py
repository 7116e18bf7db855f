"""Alert rules: a figure, a threshold and a window; and what is told when one fires. Pure."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from schemas.base import Contract
from schemas.figures import FIGURES, Dimension, Figure, Kind

MOST_JOBS_NAMED = 20
"""Jobs that an alert names; the others are behind its link."""


class Comparison(StrEnum):
    """How a figure is held against its threshold."""

    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="

    def holds(self, value: float, threshold: float) -> bool:
        """Whether the figure is beyond the threshold."""
        match self:
            case Comparison.ABOVE:
                return value > threshold
            case Comparison.AT_LEAST:
                return value >= threshold
            case Comparison.BELOW:
                return value < threshold
            case Comparison.AT_MOST:
                return value <= threshold


class AlertRule(Contract):
    """When to tell operators.

    Attributes:
        name: unique; as in Prometheus: letters, digits and underscores.
        figure: a name of ``schemas.figures.FIGURES``.
        comparison, threshold: the figure's unit is that of ``FIGURES``: a share is from 0 to 1.
        window_seconds: over how long it is summed, in whole minutes; for figures of the moment it is not used.
        per: each combination of these is judged by itself.
        minimum: fewer cases than this in the window (calls, jobs) say nothing.
        summary: one sentence for people; made from the others where it is not given.
    """

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")
    figure: str
    comparison: Comparison
    threshold: float = Field(allow_inf_nan=False)
    window_seconds: float = Field(default=300, ge=60, le=7200)
    per: tuple[Dimension, ...] = ()
    minimum: float = Field(default=0, ge=0)
    summary: str | None = Field(default=None, max_length=500)

    @model_validator(mode="after")
    def _fits_its_figure(self) -> Self:
        figure = FIGURES.get(self.figure)
        if figure is None:
            raise ValueError(f"figure: {self.figure!r} is none; choose one of: {', '.join(FIGURES)}")
        foreign = [one for one in self.per if one not in figure.by]
        if foreign:
            known = ", ".join(figure.by) or "nothing"
            raise ValueError(f"per: {self.figure} is kept apart by {known}, not by {', '.join(foreign)}")
        if len(set(self.per)) != len(self.per):
            raise ValueError("per: each dimension once")
        return self

    @property
    def of(self) -> Figure:
        """The figure that it is about."""
        return FIGURES[self.figure]

    @property
    def sentence(self) -> str:
        """What it watches."""
        if self.summary:
            return self.summary
        each = f" by {', '.join(one.replace('_', ' ') for one in self.per)}" if self.per else ""
        window = "" if self.of.kind is Kind.NOW else f" over {self.window_seconds / 60:g} min"
        return f"{self.of.title}{each} is {self.comparison} {self.threshold:g}{window}."


DEFAULT_RULES: tuple[AlertRule, ...] = (
    AlertRule(
        name="SchemaFailures", figure="schema_failure_rate", comparison=Comparison.ABOVE, threshold=0.2,
        window_seconds=300, per=(Dimension.TASK, Dimension.PROMPT_VERSION), minimum=10,
        summary="More than a fifth of the replies to one prompt version break the output contract.",
    ),
    AlertRule(
        name="Fallbacks", figure="fallback_rate", comparison=Comparison.ABOVE, threshold=0.3,
        window_seconds=600, per=(Dimension.TASK, Dimension.PROMPT_VERSION), minimum=20,
        summary="More than three in ten jobs of one prompt version are not answered by the model.",
    ),
    AlertRule(
        name="CallsFail", figure="call_failure_rate", comparison=Comparison.ABOVE, threshold=0.5,
        window_seconds=300, per=(Dimension.MODEL,), minimum=10,
        summary="More than half of the calls to one model bring no whole reply.",
    ),
    AlertRule(
        name="JobsFail", figure="failure_rate", comparison=Comparison.ABOVE, threshold=0.05,
        window_seconds=600, per=(Dimension.TASK,), minimum=20,
        summary="More than one in twenty jobs of a task fail.",
    ),
    AlertRule(
        name="JobsWait", figure="oldest_waiting_seconds", comparison=Comparison.ABOVE, threshold=1800,
        per=(Dimension.TENANT, Dimension.TASK),
        summary="A job that could run has been waiting for more than half an hour.",
    ),
    AlertRule(
        name="ReviewsWait", figure="oldest_review_seconds", comparison=Comparison.ABOVE, threshold=86400,
        per=(Dimension.TASK,),
        summary="A job has been waiting for a person for more than a day.",
    ),
)  # fmt: skip
"""Where the settings name no rules."""


class AlertRulesRefused(ValueError):
    """The rules do not parse; the message says where and why, in one sentence."""


def read_rules(text: str | None) -> tuple[AlertRule, ...]:
    """The rules that a setting names.

    Args:
        text: a JSON array of rules, or the path of a file with one; None is :data:`DEFAULT_RULES`, ``[]`` is none.

    Raises:
        AlertRulesRefused: it is neither, or a rule does not fit its figure.
    """
    if text is None:
        return DEFAULT_RULES
    try:
        given = text if text.lstrip().startswith("[") else Path(text).read_text(encoding="utf-8")
        rules = tuple(TypeAdapter(list[AlertRule]).validate_json(given))
    except OSError as error:
        raise AlertRulesRefused(f"the file {text} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        wrong = [f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors(include_input=False)]
        raise AlertRulesRefused("; ".join(wrong)) from None
    names = [rule.name for rule in rules]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise AlertRulesRefused(f"two rules have the name {', '.join(twice)}")
    return rules


class Alert(Contract):
    """A rule that fires, or has fired, for one set of labels.

    Attributes:
        value: of the figure, when it was last seen beyond its threshold.
        basis: how many cases it rested on; 0 for figures of the moment.
        jobs: ids of jobs behind it, at most :data:`MOST_JOBS_NAMED`.
        resolved_at: None while it fires.
    """

    id: UUID
    rule: str
    figure: str
    labels: dict[str, Annotated[str, Field(max_length=300)]]
    comparison: Comparison
    threshold: float
    window_seconds: float
    value: float
    basis: float
    jobs: tuple[UUID, ...]
    fired_at: datetime
    seen_at: datetime
    resolved_at: datetime | None = None
