"""What a producer may choose, as the API takes it: in the body of a job, and as query parameters of a batch."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import Field, PlainValidator, TypeAdapter, ValidationError, WithJsonSchema

from schemas.base import Contract
from schemas.job import FallbackPolicy, JobOptions, OnOutage, Priority

FURTHEST = timedelta(days=3660)
"""A deadline further away is a mistake, and far beyond it stands what no database can hold."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)")
_SPAN = re.compile(r"P(\d{1,4}W)?(\d{1,4}D)?(T(?=\d)(\d{1,6}H)?(\d{1,6}M)?(\d{1,8}S)?)?(?<!P)")
DEADLINE_PATTERN = f"^({_MOMENT.pattern}|{_SPAN.pattern})$"
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_SPANS = TypeAdapter(timedelta)


def _deadline(given: Any) -> datetime | timedelta | None:
    if given is None:
        return None
    if not isinstance(given, str) or not (_MOMENT.fullmatch(given) or _SPAN.fullmatch(given)):
        raise ValueError("should be a moment such as 2027-01-01T18:00:00Z, or a span from now on such as PT30M or P2D")
    try:
        if given.startswith("P"):
            span = _SPANS.validate_python(given)
            if span > FURTHEST:
                raise ValueError("should be at most ten years away")
            return span
        moment = datetime.fromisoformat(given)
    except ValidationError:
        raise ValueError("is no span of time") from None
    if not _EARLIEST <= moment <= _LATEST:
        raise ValueError("should be of this century or the next")
    return moment


Deadline = Annotated[
    datetime | timedelta | None,
    PlainValidator(_deadline),
    WithJsonSchema({"anyOf": [{"type": "string", "examples": ["PT30M", "2027-01-01T18:00:00Z"]}, {"type": "null"}]}),
    Field(description="After it no model is asked any more. A moment with its zone, or a span from now on (ISO 8601)."),
]


class Options(Contract):
    """What may be chosen for a job; all of it may be left out."""

    fallback: FallbackPolicy = Field(
        FallbackPolicy.RULES_THEN_PERSON, description="Who stands in when there is no acceptable model answer."
    )
    deadline: Deadline = None
    prompt_version: str | None = Field(None, description="This version of the prompt instead of the active one.")
    priority: Priority = Field(Priority.NORMAL, description="Higher ones go first; a lower one keeps a small share.")
    on_outage: OnOutage = Field(OnOutage.FALLBACK, description="What becomes of it when the provider stays away.")

    def chosen(self) -> JobOptions:
        """As the use cases take them."""
        return JobOptions(**dict(self))
