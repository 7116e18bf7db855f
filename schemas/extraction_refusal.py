"""How a schema outside the subset is refused: with the path of what is not supported and what to do instead."""

from typing import Final

from schemas.extraction_tree import clipped

MAX_NAME_CHARS: Final = 64
"""Longest field name."""

DOCUMENT: Final = "docs/extraction-schemas.md"


class SchemaRefused(ValueError):
    """The schema is outside the documented subset.

    Attributes:
        path: where, as a dotted path into the schema (``properties.lines.items.oneOf``); empty for the whole.
        message: what is wrong there and what to do.
    """

    def __init__(self, path: str, message: str) -> None:
        self.path = path
        self.message = message
        super().__init__(path, message)

    def __str__(self) -> str:
        return f"schema: {self.path + ' ' if self.path else ''}{self.message} (see {DOCUMENT})"


def at(path: str, key: str) -> str:
    """The path of a key below a path."""
    return f"{path}.{name_of(key)}" if path else name_of(key)


def name_of(key: str) -> str:
    """A key as a path shows it."""
    return clipped(key, MAX_NAME_CHARS)
