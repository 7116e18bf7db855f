"""A tree as JSON Schema for the model provider, and as lines for a prompt."""

from collections.abc import Iterator
from typing import Any, Final

from schemas.extraction_tree import Node, Record, Rows, Scalar, phrases

MAX_UNIONS: Final = 14
"""The provider refuses more than 16 union-typed properties (HTTP 400); two are left for what encloses ours."""

_GRAMMAR: Final = frozenset({"enum"})
"""Constraints that every provider's grammar enforces and that need no words beside the schema."""


def wire_schema(root: Record, leaf_count: int) -> dict[str, Any]:
    """The JSON Schema of ``fields`` in the provider's subset: closed objects, all properties required, no ``$ref``.

    An unfound leaf is null. Where that would need more unions than the provider takes, every leaf is instead a list
    that is empty or holds one entry; :func:`schemas.extraction_fields.canonical` turns those into the one shape.
    """
    return _record(root, dense=leaf_count > MAX_UNIONS)


def outline_lines(root: Record) -> Iterator[str]:
    """One line per leaf, and one per described group above its leaves."""
    yield from _lines(root, "")


def _node(node: Node, *, dense: bool) -> dict[str, Any]:
    match node:
        case Scalar():
            return _leaf(node, dense=dense)
        case Rows():
            items = node.items
            inner = _found(items) if isinstance(items, Scalar) else _record(items, dense=dense)
            words = list(phrases(node.bounds))
            if isinstance(items, Scalar):
                words = [*([items.description] if items.description else []), *_leaf_words(items), *words]
            return {"type": "array", "items": inner, **_described(node.description, words)}
        case Record():
            return _record(node, dense=dense)


def _record(record: Record, *, dense: bool) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: _node(child, dense=dense) for name, child in record.fields.items()},
        "required": list(record.fields),
        "additionalProperties": False,
        **_described(record.description, []),
    }


def _leaf(scalar: Scalar, *, dense: bool) -> dict[str, Any]:
    words = _leaf_words(scalar)
    if dense:
        one = [*words, "one entry, or none where the document does not say it"]
        return {"type": "array", "items": _found(scalar), **_described(scalar.description, one)}
    return {"anyOf": [_found(scalar), {"type": "null"}], **_described(scalar.description, words)}


def _found(scalar: Scalar) -> dict[str, Any]:
    """A leaf that was found: the value, and the words of the document that carry it."""
    value: dict[str, Any] = {"type": scalar.type}
    if "enum" in scalar.bounds:
        value = {"enum": list(scalar.bounds["enum"])}  # the provider takes no type beside it
    elif "format" in scalar.bounds:
        value["format"] = scalar.bounds["format"]
    return {
        "type": "object",
        "properties": {"value": value, "quote": {"type": "string"}},
        "required": ["value", "quote"],
        "additionalProperties": False,
    }


def _leaf_words(scalar: Scalar) -> list[str]:
    return phrases(scalar.bounds, leave_out=_GRAMMAR)


def _described(description: str | None, words: list[str]) -> dict[str, str]:
    text = " ".join(part for part in (description, f"({'; '.join(words)})" if words else None) if part)
    return {"description": text} if text else {}


def _lines(record: Record, prefix: str) -> Iterator[str]:
    for name, node in record.fields.items():
        path, required = f"{prefix}{name}", name in record.required
        if isinstance(node, Rows):
            items = node.items
            if isinstance(items, Scalar):
                words = [f"list of {items.type}", *phrases(items.bounds), *phrases(node.bounds)]
                yield _line(f"{path}[]", words, node.description or items.description, required=required)
                continue
            if node.description or node.bounds or required:
                yield _line(path, ["list", *phrases(node.bounds)], node.description, required=required)
            yield from _lines(items, f"{path}[].")
        elif isinstance(node, Record):
            if node.description or required:
                yield _line(path, ["group"], node.description, required=required)
            yield from _lines(node, f"{path}.")
        else:
            yield _line(path, [node.type, *phrases(node.bounds)], node.description, required=required)


def _line(path: str, words: list[str], description: str | None, *, required: bool) -> str:
    kind = "; ".join([*words, *(["required"] if required else [])])
    return f"- {path} ({kind})" + (f": {' '.join(description.split())}" if description else "")
