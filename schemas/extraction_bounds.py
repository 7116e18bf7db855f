"""The constraints of a schema's scalars and lists: read, or refused, and compiled into validators."""

from collections.abc import Mapping
from typing import Any, Final

import jsonschema_rs

from schemas.extraction_refusal import SchemaRefused, at
from schemas.extraction_tree import FORMATS, shown

MAX_ENUM: Final = 200
MAX_PATTERN_CHARS: Final = 1000

NUMBER_KEYWORDS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_PAIRS: Final = (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems"))

# The linear engine: no pattern can run away on a hostile document. Its size is bounded because a schema carries up to
# a hundred of them; 1 MB holds [\w ]{1,60} but not nested repetitions in the thousands.
_PATTERNS: Final = jsonschema_rs.RegexOptions(size_limit=1_000_000, dfa_size_limit=1_000_000)


def rows_bounds(schema: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The constraints of an array."""
    bounds: dict[str, Any] = {k: _count(schema[k], at(path, k)) for k in ("minItems", "maxItems") if k in schema}
    if not isinstance(schema.get("uniqueItems", False), bool):
        raise SchemaRefused(at(path, "uniqueItems"), "must be true or false")
    if schema.get("uniqueItems"):
        bounds["uniqueItems"] = True
    _check_pairs(bounds, path)
    return bounds


def scalar_bounds(schema: Mapping[str, Any], path: str, kind: str) -> dict[str, Any]:
    """The constraints of a scalar, ``const`` as an ``enum`` of one."""
    bounds: dict[str, Any] = {}
    for keyword, given in schema.items():
        where = at(path, keyword)
        if keyword in NUMBER_KEYWORDS:
            bounds[keyword] = _number(given, where, positive=keyword == "multipleOf")
        elif keyword in ("minLength", "maxLength"):
            bounds[keyword] = _count(given, where)
        elif keyword == "pattern":
            if not isinstance(given, str) or len(given) > MAX_PATTERN_CHARS:
                raise SchemaRefused(where, f"must be a regular expression of at most {MAX_PATTERN_CHARS} characters")
            bounds[keyword] = given
        elif keyword == "format":
            if not isinstance(given, str) or given not in FORMATS:
                raise SchemaRefused(
                    where, f"{shown(given)} is not supported; use one of {', '.join(FORMATS)}, or pattern"
                )
            bounds[keyword] = given
    if "const" in schema and "enum" in schema:
        raise SchemaRefused(at(path, "const"), "beside enum is not supported; keep one of them")
    if "const" in schema:
        bounds["enum"] = _values([schema["const"]], at(path, "const"), kind, nullable=False)
    elif "enum" in schema:
        nullable = isinstance(schema["type"], list)
        bounds["enum"] = _values(schema["enum"], at(path, "enum"), kind, nullable=nullable)
    _check_pairs(bounds, path)
    return bounds


def _values(given: Any, path: str, kind: str, *, nullable: bool) -> tuple[Any, ...]:
    if not isinstance(given, list):
        raise SchemaRefused(path, "must be a list of values")
    values = [value for value in given if not (nullable and value is None)]
    if not values or len(values) > MAX_ENUM:
        raise SchemaRefused(path, f"has {len(values)} values; 1 to {MAX_ENUM} are supported")
    for value in values:
        if not is_of_type(value, kind):
            raise SchemaRefused(path, f"holds {shown(value)}, which is not of the type {kind}")
    return tuple(dict.fromkeys(values))


def is_of_type(value: Any, kind: str) -> bool:
    """Whether a JSON value is of a scalar type; 3.0 is an integer, true is not a number."""
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return not isinstance(value, bool) and (
                isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            )
        case _:
            return not isinstance(value, bool) and isinstance(value, int | float)


def _number(given: Any, path: str, *, positive: bool) -> int | float:
    if isinstance(given, bool) or not isinstance(given, int | float) or (positive and given <= 0):
        raise SchemaRefused(path, f"must be a number{' above 0' if positive else ''}, not {shown(given)}")
    return given


def _count(given: Any, path: str) -> int:
    if isinstance(given, bool) or not isinstance(given, int | float) or given < 0 or given != int(given):
        raise SchemaRefused(path, f"must be a whole number of 0 or more, not {shown(given)}")
    return int(given)


def _check_pairs(bounds: Mapping[str, Any], path: str) -> None:
    for low, high in _PAIRS:
        if low in bounds and high in bounds and bounds[low] > bounds[high]:
            raise SchemaRefused(at(path, low), f"is above {high}, so that no value could be right; correct one of them")


def validator_of(bounds: Mapping[str, Any], path: str) -> jsonschema_rs.Draft202012Validator | None:
    """The constraints compiled; None where there are none.

    Raises:
        SchemaRefused: the pattern is not a regular expression of the linear engine.
    """
    if not bounds:
        return None
    schema = {keyword: list(bound) if keyword == "enum" else bound for keyword, bound in bounds.items()}
    try:
        return jsonschema_rs.Draft202012Validator(
            schema, validate_formats=True, pattern_options=_PATTERNS, offline=True
        )
    except ValueError:
        where = at(path, "pattern") if "pattern" in bounds else path
        raise SchemaRefused(
            where,
            "is not a regular expression that can be checked in linear time; correct it "
            "(look-around, back references and repetitions in the thousands are not supported)",
        ) from None
