"""Which JSON Schema a person's answer to one request has: the task's output contract, narrowed to what this request allows.

What is computed (``not_found``) or measured (``confidence``) is not asked of a person.
"""

from collections.abc import Mapping
from typing import Any

from schemas.base import Contract
from schemas.classify import ClassifyRequest
from schemas.extract import ExtractRequest
from schemas.extraction_subset import read_schema
from schemas.extraction_tree import Node, Record, Rows, Scalar, phrases
from tasks.spec import AnyTask
from web.forms.fields import Group, form_of

_SAID_OTHERWISE = frozenset({"format", "enum"})
"""Bounds that a form shows by what it lets one choose or type; the others are said in words."""


def form_for(task: AnyTask, request: Contract) -> Group:
    """The form of an answer to this request."""
    return form_of(answer_schema(task, request))


def answer_schema(task: AnyTask, request: Contract) -> dict[str, Any]:
    """JSON Schema of an answer to this request, as a person gives it."""
    schema: dict[str, Any] = task.output.model_json_schema()
    match request:
        case ClassifyRequest():
            labels: dict[str, Any] = {"type": "array", "items": {"enum": request.label_names}, "minItems": 1}
            if not request.multi:
                labels["maxItems"] = 1
            return _narrowed(schema, {"labels": labels}, leave_out="confidence")
        case ExtractRequest():
            fields = _node(read_schema(request.compiled.source), is_required=True)
            return _narrowed(schema, {"fields": fields}, leave_out="not_found")
        case _:
            return schema


def _narrowed(schema: dict[str, Any], by: Mapping[str, Any], *, leave_out: str) -> dict[str, Any]:
    properties = {**schema["properties"], **by}
    del properties[leave_out]
    return {**schema, "properties": properties}


def _node(node: Node, *, is_required: bool) -> dict[str, Any]:
    match node:
        case Scalar():
            leaf = {"type": "object", "properties": {"value": _value(node), "quote": {"type": "string"}}}
            about = _about(node)
            described = {**leaf, **({"description": about} if about else {})}
            return described if is_required else {"anyOf": [described, {"type": "null"}], **_described(about)}
        case Rows():
            about = " ".join(filter(None, (node.description, *phrases(node.bounds)))) or None
            return {"type": "array", "items": _node(node.items, is_required=True), **node.bounds, **_described(about)}
        case Record():
            properties = {name: _node(child, is_required=name in node.required) for name, child in node.fields.items()}
            return {
                "type": "object",
                "properties": properties,
                "required": sorted(node.required),
                **_described(node.description),
            }


def _value(node: Scalar) -> dict[str, Any]:
    return {"type": node.type, **{key: bound for key, bound in node.bounds.items() if key in _SAID_OTHERWISE}}


def _about(node: Scalar) -> str | None:
    words = phrases(node.bounds, leave_out=_SAID_OTHERWISE)
    parts = [node.description, f"({'; '.join(words)})" if words else None]
    return " ".join(filter(None, parts)) or None


def _described(about: str | None) -> dict[str, str]:
    return {"description": about} if about else {}
