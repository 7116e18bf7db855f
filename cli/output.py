"""How results are shown: tables for people, JSON for programs, and nothing that could steer a terminal."""

import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_WIDTH = 160
"""Columns where there is no terminal to ask."""


def console() -> "Console":
    """Standard output for people."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def print_json(value: object, *, indent: int | None = 2) -> None:
    """JSON on standard output."""
    write(as_json(value, indent=indent) + "\n")


def as_json(value: object, *, indent: int | None = None) -> str:
    """JSON text, readable where UTF-8 can hold it."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=_plain)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent, default=_plain)
    return text


def write(text: str) -> None:
    """Text as it is, at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def print_line(text: str = "") -> None:
    """A line for people."""
    write(printable(text) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: int = 0) -> None:
    """A table.

    Args:
        right: this many of the last columns hold figures and are aligned to the right.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        figures = index >= len(columns) - right
        table.add_column(column, justify="right" if figures else "left", overflow="fold", no_wrap=figures)
    for row in rows:
        table.add_row(*(Text(printable(shown(cell))) for cell in row))
    console().print(table)


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Names and values, one line each; absent values are left out."""
    present = [(name, shown(value)) for name, value in fields if value is not None and value != ""]
    width = max((len(name) for name, _ in present), default=0)
    for name, value in present:
        print_line(f"{name:<{width}}  {value}")


def shown(value: object) -> str:
    """A value as people read it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def printable(text: str) -> str:
    """A document or an answer may hold control characters; on a terminal they would be obeyed."""
    return "".join(character if _is_harmless(character) else _as_escape(character) for character in text)


def _is_harmless(character: str) -> bool:
    code = ord(character)
    return character in "\n\t" or not (code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000)


def _as_escape(character: str) -> str:
    return "" if character == "\r" else f"\\x{ord(character):02x}"


def _plain(value: object) -> Any:
    """What JSON has no type for."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, UUID | Decimal | Path):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no JSON form")
