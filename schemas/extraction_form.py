"""A tree as JSON Schema of what a person fills in: a value and its quote for each field, or nothing."""

from typing import Any, Final

from schemas.extraction_tree import Node, Record, Rows, Scalar, phrases

_SHOWN: Final = frozenset({"format", "enum"})
"""Bounds that a form shows by what it lets one choose or type; the others are said in words."""


def form_schema(root: Record) -> dict[str, Any]:
    """The JSON Schema of ``fields`` for a form: a field that the schema does not require may be null."""
    return _node(root, is_required=True)


def _node(node: Node, *, is_required: bool) -> dict[str, Any]:
    match node:
        case Scalar():
            leaf = {"type": "object", "properties": {"value": _value(node), "quote": {"type": "string"}}}
            about = _about(node)
            described = {**leaf, **_described(about)}
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
    return {"type": node.type, **{key: bound for key, bound in node.bounds.items() if key in _SHOWN}}


def _about(node: Scalar) -> str | None:
    words = phrases(node.bounds, leave_out=_SHOWN)
    parts = [node.description, f"({'; '.join(words)})" if words else None]
    return " ".join(filter(None, parts)) or None


def _described(about: str | None) -> dict[str, str]:
    return {"description": about} if about else {}
