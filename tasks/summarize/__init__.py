"""Summarize: shorten a text and back every key point with a verbatim quote."""

from typing import Any

from fallbacks.summarize import summarize
from schemas.answer import Violation
from schemas.summarize import SummarizeRequest, Summary
from tasks.grounding import locate
from tasks.spec import TaskSpec, object_schema

WORD_TOLERANCE = 1.25
"""Models count words badly; a summary this many times over the asked length is still accepted."""


def _wire_schema(_request: SummarizeRequest) -> dict[str, Any]:
    point = object_schema(
        point={"type": "string"},
        quote={"type": "string", "description": "words copied verbatim from the document"},
    )
    return object_schema(
        outcome={"type": "string", "const": "summary"},
        summary={"type": "string"},
        key_points={"type": "array", "items": point, "minItems": 1},
    )


def _violations(request: SummarizeRequest, output: Summary) -> list[Violation]:
    violations = [
        Violation(path=f"key_points.{index}.quote", message="does not stand in the document", ungrounded=True)
        for index, point in enumerate(output.key_points)
        if locate(point.quote, request.text) is None
    ]
    words = len(output.summary.split())
    if request.max_words is not None and words > request.max_words * WORD_TOLERANCE:
        violations.append(Violation(path="summary", message=f"has {words} words; use at most {request.max_words}"))
    return violations


task = TaskSpec(
    name="summarize",
    about="Summarize a text; each key point carries a verbatim quote from it.",
    request=SummarizeRequest,
    output=Summary,
    wire_schema=_wire_schema,
    violations=_violations,
    rule=summarize,
    dangerous_error="A summary that states what the document does not say.",
)
