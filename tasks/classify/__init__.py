"""Classify: give a text the label or labels that fit, with verbatim evidence."""

from typing import Any

from fallbacks.classify import classify
from schemas.answer import Violation
from schemas.classify import Classification, ClassifyRequest
from tasks.grounding import locate
from tasks.spec import TaskSpec, narrowed, object_schema


def _wire_schema(request: ClassifyRequest) -> dict[str, Any]:
    label = {"type": "string", "enum": request.label_names}
    chosen = {"labels": {"type": "array", "items": label, "minItems": 1}} if request.multi else {"label": label}
    return object_schema(
        outcome={"type": "string", "const": "classification"},
        **chosen,
        evidence={"type": "string", "description": "words copied verbatim from the document"},
    )


def _form_schema(request: ClassifyRequest) -> dict[str, Any]:
    most = {} if request.multi else {"maxItems": 1}
    labels = {"type": "array", "items": {"enum": request.label_names}, "minItems": 1, **most}
    return narrowed(Classification, leave_out="confidence", labels=labels)


def _from_wire(request: ClassifyRequest, answer: dict[str, Any]) -> dict[str, Any]:
    """A single label is asked for as a scalar, which no model gets wrong; the answer always lists labels."""
    if request.multi or "label" not in answer:
        return answer
    return {**{key: value for key, value in answer.items() if key != "label"}, "labels": [answer["label"]]}


def _violations(request: ClassifyRequest, output: Classification) -> list[Violation]:
    violations = [
        Violation(path=f"labels.{index}", message=f"is {label!r}; use one of {request.label_names}")
        for index, label in enumerate(output.labels)
        if label not in request.label_names
    ]
    if len(set(output.labels)) != len(output.labels):
        violations.append(Violation(path="labels", message="name the same label twice"))
    if not request.multi and len(output.labels) != 1:
        violations.append(Violation(path="labels", message=f"has {len(output.labels)} labels; give exactly one"))
    if locate(output.evidence, request.text) is None:
        violations.append(Violation(path="evidence", message="does not stand in the document", ungrounded=True))
    return violations


task = TaskSpec(
    name="classify",
    about="Choose the label or labels that fit a text, with a verbatim quote as evidence.",
    request=ClassifyRequest,
    output=Classification,
    wire_schema=_wire_schema,
    from_wire=_from_wire,
    violations=_violations,
    form_schema=_form_schema,
    rule=classify,
    dangerous_error="A confident label for a text that none of the labels fits.",
)
