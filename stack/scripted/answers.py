"""Answers made up from a JSON Schema and the document in the prompt: valid, and grounded in its first words."""

import re
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic_core import from_json

_DOCUMENT = re.compile(r"<document-([0-9a-f]{16})>\n(.*?)\n</document-\1>", re.DOTALL)
_OPENING = re.compile(r"\s*((?:\S+\s+){0,5}\S+)")
_BY_FORMAT = {"date": "2026-01-31", "date-time": "2026-01-31T12:00:00Z", "time": "12:00:00", "email": "a@example.org"}
_BY_TYPE: dict[str, Any] = {"integer": 1, "number": 1.0, "boolean": True, "null": None}
QUOTE_FIELDS = frozenset({"quote", "evidence"})
NOWHERE = "xylophones murmur beneath quartz"
"""Words that no document of ours holds."""

_UNSUPPORTED = frozenset(
    {
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern",
        "maxItems", "uniqueItems", "prefixItems", "oneOf", "not", "if", "then", "else", "patternProperties",
        "minProperties", "maxProperties", "propertyNames", "dependentRequired", "contains",
    }
)  # fmt: skip
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})


class SchemaRefused(ValueError):
    """The schema is outside the provider's subset; the message is the provider's kind of sentence."""


class Source(NamedTuple):
    """What an answer may quote."""

    words: str


def source_of(messages: list[dict[str, Any]]) -> Source:
    """The opening words of the first fenced document in the user turns; of the first turn where nothing is fenced."""
    texts = [text_of(message["content"]) for message in messages if message["role"] == "user"]
    document = next((found.group(2) for text in texts if (found := _DOCUMENT.search(text))), texts[0])
    opening = _OPENING.match(document)
    return Source(opening.group(1) if opening else document)


def text_of(content: str | list[dict[str, Any]]) -> str:
    """The text of a turn, whether it was sent as a string or as blocks."""
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content)


def fill(schema: dict[str, Any], source: Source, *, quote: str | None = None) -> Any:
    """A value that the schema accepts: first arms, first enum values, one item per list.

    Args:
        quote: what to put where a quote is asked for; by default the source's words, so that the answer is grounded.
    """
    return _filled(schema, schema.get("$defs", {}), source.words, quote or source.words, "")


def _filled(schema: dict[str, Any], defs: dict[str, Any], words: str, quote: str, name: str) -> Any:
    match schema:
        case {"$ref": reference}:
            value = _filled(defs[reference.rsplit("/", 1)[1]], defs, words, quote, name)
        case {"const": value} | {"enum": [value, *_]}:
            pass
        case {"anyOf": [*_, {"type": "null"}], "description": str(description)} if "pattern" in description:
            value = None  # the form is only told in words, so the one value that surely fits is none
        case {"anyOf": [arm, *_]}:
            value = _filled(arm, defs, words, quote, name)
        case {"type": "object"}:
            fields = schema.get("properties", {})
            value = {key: _filled(field, defs, words, quote, key) for key, field in fields.items()}
        case {"type": "array"}:
            value = [_filled(schema["items"], defs, words, quote, name)] if "items" in schema else []
        case {"type": "string"}:
            value = quote if name in QUOTE_FIELDS else _BY_FORMAT.get(schema.get("format", ""), words)
        case _:
            value = _BY_TYPE[str(schema.get("type"))]
    return value


def check_schema(schema: object) -> None:
    """Refuse what the provider's structured output refuses.

    Raises:
        SchemaRefused: names the first keyword that is not supported.
    """
    if not isinstance(schema, dict):
        raise SchemaRefused("output_config.format.schema: Input should be a valid dictionary")
    _check(schema, "", frozenset(schema.get("$defs", {})))
    _check_recursion(schema)


def _check(schema: dict[str, Any], path: str, names: frozenset[str]) -> None:
    unsupported = sorted(_UNSUPPORTED & schema.keys())
    if unsupported:
        raise _refusal(path, f"property '{unsupported[0]}' is not supported")
    if not {"type", "enum", "const", "anyOf", "allOf", "$ref"} & schema.keys():
        raise _refusal(path, "a type, enum, const, anyOf, allOf or $ref is required")
    if not isinstance(schema.get("type", ""), str):
        raise _refusal(path, "'type' must be a string")
    if schema.get("minItems", 0) > 1:
        raise _refusal(path, "'minItems' may be 0 or 1")
    if "format" in schema and schema["format"] not in _FORMATS:
        raise _refusal(path, f"format '{schema['format']}' is not supported")
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        raise _refusal(path, "'additionalProperties' must be explicitly set to false")
    if "$ref" in schema and schema["$ref"].rsplit("/", 1)[1] not in names:
        raise _refusal(path, f"$ref '{schema['$ref']}' leads nowhere")
    for where, child in _children(schema):
        _check(child, f"{path}.{where}" if path else where, names)


def _children(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    children = [*schema.get("properties", {}).items(), *schema.get("$defs", {}).items()]
    for word in ("anyOf", "allOf"):
        children += [(f"{word}[{index}]", arm) for index, arm in enumerate(schema.get(word, []))]
    if "items" in schema:
        children.append(("items", schema["items"]))
    return children


def _check_recursion(schema: dict[str, Any]) -> None:
    defs = schema.get("$defs", {})
    uses = {name: _references(definition) for name, definition in defs.items()}
    for name, used in uses.items():
        reached, open_names = set[str](), set(used)
        while open_names:
            one = open_names.pop()
            if one == name:
                raise _refusal(name, "recursive schemas are not supported")
            if one not in reached:
                reached.add(one)
                open_names |= uses.get(one, set())


def _references(schema: dict[str, Any]) -> set[str]:
    found = {schema["$ref"].rsplit("/", 1)[1]} if "$ref" in schema else set()
    return found.union(*(_references(child) for _, child in _children(schema)))


def _refusal(path: str, what: str) -> SchemaRefused:
    return SchemaRefused(f"output_config.format.schema: {path or 'root'}: {what}")


@lru_cache(maxsize=256)
def checked(encoded: bytes) -> str | None:
    """The refusal of an encoded schema, or None; remembered, since a benchmark sends the same one each time."""
    try:
        check_schema(from_json(encoded))
    except SchemaRefused as refusal:
        return str(refusal)
    return None
