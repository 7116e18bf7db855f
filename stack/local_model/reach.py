"""What the grammar must do for a model of this size, besides forcing its answers into the schema.

It cannot copy: asked for a verbatim quote it writes words of its own. So a quote can only be a sentence or a line of the
document; which one, the model chooses. And it cannot stop: a list or a string that has begun goes on to the token cap. So
both have an end. Real models get the schema as it is.
"""

import re
from typing import Any

DOCUMENT = re.compile(r"<document-([0-9a-f]{16})>\n(.*?)\n</document-\1>", re.DOTALL)
QUOTES = frozenset({"quote", "evidence"})
MOST_PIECES = 60
PIECE_CHARS = 240
"""Grammars grow with their alternatives; the rest of a long document is not offered."""
MOST_ITEMS = 3
MOST_CHARS = 400
_BOUNDED = frozenset({"enum", "const", "format", "pattern", "maxLength"})


def within_reach(schema: dict[str, Any], messages: list[dict[str, str]]) -> dict[str, Any]:
    """The schema with every quote limited to pieces of the document (where one stands in a fence), and every list and
    free string limited in length."""
    found = DOCUMENT.search("\n".join(message["content"] for message in messages))
    limited: dict[str, Any] = _limited(schema, [] if found is None else _pieces(found[2]))
    return limited


def _pieces(text: str) -> list[str]:
    pieces = (piece.strip()[:PIECE_CHARS] for piece in re.split(r"(?<=[.!?])\s+|\s*\n\s*", text))
    return list(dict.fromkeys(piece for piece in pieces if piece))[:MOST_PIECES]


def _limited(schema: Any, pieces: list[str]) -> Any:
    if isinstance(schema, list):
        return [_limited(item, pieces) for item in schema]
    if not isinstance(schema, dict):
        return schema
    limited = {k: _properties(v, pieces) if k == "properties" else _limited(v, pieces) for k, v in schema.items()}
    return _ends(schema) | limited


def _ends(schema: dict[str, Any]) -> dict[str, int]:
    """Where a list or a string ends that has no end of its own."""
    if schema.get("type") == "array":
        return {"maxItems": MOST_ITEMS}
    if schema.get("type") == "string" and not _BOUNDED & set(schema):
        return {"maxLength": MOST_CHARS}
    return {}


def _properties(properties: Any, pieces: list[str]) -> Any:
    return {
        name: {"type": "string", "enum": pieces}
        if pieces and name in QUOTES and isinstance(value, dict) and value.get("type") == "string"
        else _limited(value, pieces)
        for name, value in properties.items()
    }
