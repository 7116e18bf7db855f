"""A model of this size cannot copy: asked for a verbatim quote it writes words of its own. So the grammar that forces its
answers into the schema lets a quote only be a sentence or a line of the document; which one, the model chooses.
"""

import re
from typing import Any

DOCUMENT = re.compile(r"<document-([0-9a-f]{16})>\n(.*?)\n</document-\1>", re.DOTALL)
QUOTES = frozenset({"quote", "evidence"})
MOST_PIECES = 60
PIECE_CHARS = 240
"""Grammars grow with their alternatives; the rest of a long document is not offered."""


def only_copies(schema: dict[str, Any], messages: list[dict[str, str]]) -> dict[str, Any]:
    """The schema with every quote limited to pieces of the document; unchanged where there is none."""
    found = DOCUMENT.search("\n".join(message["content"] for message in messages))
    pieces = [] if found is None else _pieces(found[2])
    limited: dict[str, Any] = _limited(schema, pieces) if pieces else schema
    return limited


def _pieces(text: str) -> list[str]:
    pieces = (piece.strip()[:PIECE_CHARS] for piece in re.split(r"(?<=[.!?])\s+|\s*\n\s*", text))
    return list(dict.fromkeys(piece for piece in pieces if piece))[:MOST_PIECES]


def _limited(schema: Any, pieces: list[str]) -> Any:
    if isinstance(schema, list):
        return [_limited(item, pieces) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _properties(value, pieces) if key == "properties" else _limited(value, pieces)
        for key, value in schema.items()
    }


def _properties(properties: Any, pieces: list[str]) -> Any:
    return {
        name: {"type": "string", "enum": pieces}
        if name in QUOTES and isinstance(value, dict) and value.get("type") == "string"
        else _limited(value, pieces)
        for name, value in properties.items()
    }
