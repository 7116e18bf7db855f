"""A producer's schema once understood: a tree of records, lists and scalars, and the words for its constraints."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import jsonschema_rs

SCALAR_TYPES: Final = ("string", "number", "integer", "boolean")

FORMATS: Final[Mapping[str, str]] = {
    "date": "a date as YYYY-MM-DD",
    "date-time": "a date and time as YYYY-MM-DDThh:mm:ssZ (RFC 3339, with an offset)",
    "time": "a time as hh:mm:ssZ (RFC 3339, with an offset)",
    "duration": "an ISO 8601 duration such as P3DT4H",
    "email": "an e-mail address",
    "hostname": "a host name",
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
    "uri": "an absolute URI such as https://example.com/",
    "uuid": "a UUID",
}
"""The formats that are checked (those that both the provider's grammars and jsonschema-rs know), and their words."""

_PHRASES: Final[Mapping[str, str]] = {
    "pattern": "text matching the pattern {}",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters long",
    "maxLength": "at most {} characters long",
    "minItems": "a list of at least {} items",
    "maxItems": "a list of at most {} items",
    "uniqueItems": "a list in which no item stands twice",
}

SHOWN_CHARS: Final = 80
"""What a message repeats of a wrong value: enough to recognise it, too little to flood a repair turn."""

SHOWN_OPTIONS: Final = 20


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value with its quote.

    Attributes:
        bounds: the constraints by JSON Schema keyword, ``format`` and ``enum`` among them.
        validator: checks them; None where there are none.
    """

    type: str
    description: str | None
    bounds: Mapping[str, Any]
    validator: jsonschema_rs.Draft202012Validator | None


@dataclass(frozen=True, slots=True)
class Record:
    """An object: its fields in the producer's order."""

    fields: Mapping[str, "Node"]
    required: frozenset[str]
    description: str | None


@dataclass(frozen=True, slots=True)
class Rows:
    """A list of scalars or of records; ``bounds`` and ``validator`` as in :class:`Scalar`."""

    items: "Scalar | Record"
    description: str | None
    bounds: Mapping[str, Any]
    validator: jsonschema_rs.Draft202012Validator | None


Node = Scalar | Record | Rows


def phrase(keyword: str, bound: Any) -> str:
    """What a constraint asks for, to stand behind "must be" in a violation and in brackets in a description."""
    if keyword == "enum":
        return f"one of {_options(bound)}" if len(bound) > 1 else f"exactly {shown(bound[0])}"
    if keyword == "format":
        return FORMATS[bound]
    return _PHRASES[keyword].format(clipped(str(bound), 200))


def phrases(bounds: Mapping[str, Any], *, leave_out: frozenset[str] = frozenset()) -> list[str]:
    """All constraints in words, in a fixed order."""
    return [phrase(keyword, bounds[keyword]) for keyword in sorted(bounds) if keyword not in leave_out]


def shown(value: object) -> str:
    """A wrong value as a message repeats it: as JSON, cut."""
    try:
        text = json.dumps(_cut(value), ensure_ascii=False, default=lambda _: "...")
    except (ValueError, RecursionError, TypeError):
        text = f"something of the type {type(value).__name__}"
    return clipped(text, SHOWN_CHARS)


def clipped(text: str, limit: int) -> str:
    """The text on one line without unprintable characters, cut to ``limit`` characters."""
    line = re.sub(r"\s+", " ", text[: limit + 1]).encode("utf-8", "replace").decode()
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    return line if len(text) <= limit else line[: limit - 3].rstrip() + "..."


def _cut(value: object) -> object:
    """So that a huge value is not written out whole only to be cut afterwards."""
    if isinstance(value, str):
        return value[: SHOWN_CHARS + 1]
    if isinstance(value, list):
        return value[:10]
    if isinstance(value, dict):
        return dict(islice(((str(key)[:SHOWN_CHARS], child) for key, child in value.items()), 10))
    return value


def _options(values: tuple[Any, ...]) -> str:
    listed = ", ".join(shown(value) for value in values[:SHOWN_OPTIONS])
    more = len(values) - SHOWN_OPTIONS
    return f"{listed} and {more} more" if more > 0 else listed
