"""What a form is made of, read from the JSON Schema of an answer.

Understood are objects, lists, texts, numbers, whole numbers, booleans, enumerations, constants, dates, "X or null", local
references, and the pair ``{"value": ..., "quote": ...}``. Whatever else a schema holds becomes a field for JSON, so that
every task has a form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["line", "long", "date", "number", "integer", "json"]

QUOTES = frozenset({"quote", "evidence"})
"""Fields of these names hold words of the source (docs/glossary.md); they can be picked there."""
LONG_FROM = 300
"""Characters from which a text gets several lines; a text without a bound does too, unless it is a value with a quote."""
MOST_REFERENCES = 20
"""Followed one after the other; a longer chain is a circle."""


class NoForm(ValueError):
    """A schema of which no form can be made."""


@dataclass(frozen=True, kw_only=True)
class _Named:
    """Anything in a form.

    Attributes:
        name: its key in the object around it; ``""`` for the whole and for the items of a list.
        label: as a person reads it.
        is_required: it must not be left blank.
    """

    name: str
    label: str
    about: str | None = None
    is_required: bool = False


@dataclass(frozen=True, kw_only=True)
class Constant(_Named):
    """Always the same; not shown."""

    value: Any


@dataclass(frozen=True, kw_only=True)
class Text(_Named):
    """One value that is typed.

    Attributes:
        is_nullable: left blank it is null; otherwise it is left out.
        hint: what the value looks like, in words.
    """

    kind: Kind
    is_nullable: bool = False
    is_quote: bool = False
    max_length: int | None = None
    hint: str | None = None


@dataclass(frozen=True, kw_only=True)
class Choice(_Named):
    """One or several of some values.

    Attributes:
        many: the value is a list of those chosen.
        single: of that list, exactly one.
    """

    options: tuple[Any, ...]
    labels: tuple[str, ...]
    is_nullable: bool = False
    many: bool = False
    single: bool = False


@dataclass(frozen=True, kw_only=True)
class Quoted(_Named):
    """A value with the words of the source that carry it; null where both are blank."""

    value: Text | Choice
    quote: Text


@dataclass(frozen=True, kw_only=True)
class Group(_Named):
    """An object."""

    fields: "tuple[Field, ...]"
    is_nullable: bool = False


@dataclass(frozen=True, kw_only=True)
class Rows(_Named):
    """A list to which rows can be added."""

    item: "Field"
    most: int | None = None


Field = Constant | Text | Choice | Quoted | Group | Rows


def form_of(schema: Mapping[str, Any]) -> Group:
    """The form of an answer.

    Args:
        schema: JSON Schema of an object, closed or not; ``$defs`` at its root.

    Raises:
        NoForm: it is no schema of an object.
    """
    root = _Reader(schema.get("$defs", {})).field(schema, name="", is_required=True)
    if not isinstance(root, Group):
        raise NoForm("the schema of an answer must be that of an object with properties")
    return root


class _Reader:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions

    def field(self, schema: Any, *, name: str, is_required: bool, is_value: bool = False) -> Field:
        """``is_value``: it stands beside a quote."""
        schema, is_nullable = self._plain(schema)
        common: dict[str, Any] = {
            "name": name,
            "label": _label(name, schema),
            "about": schema.get("description"),
            "is_required": is_required and not is_nullable,
        }
        found: Field
        match schema:
            case {"const": value}:
                found = Constant(value=value, **common)
            case {"enum": options}:
                found = _choice(options, common, is_nullable=is_nullable)
            case {"type": "boolean"}:
                found = _choice((True, False), common, is_nullable=is_nullable)
            case {"type": "integer" | "number" as kind}:
                found = Text(kind=kind, is_nullable=is_nullable, hint=_range(schema), **common)
            case {"type": "string"}:
                found = _text(schema, common, is_nullable=is_nullable, is_value=is_value)
            case {"type": "object", "properties": dict(properties)} if properties:
                found = self._object(schema, common, is_nullable=is_nullable)
            case {"type": "array", "items": dict()}:
                found = self._array(schema, common)
            case _:
                found = Text(kind="json", is_nullable=is_nullable, hint="JSON", **common)
        return found

    def _plain(self, schema: Any) -> tuple[dict[str, Any], bool]:
        """Without references, and without the "or null"; what stands beside them is kept."""
        is_nullable = False
        schema = dict(schema) if isinstance(schema, dict) else {}
        for _ in range(MOST_REFERENCES):
            beside = {key: schema[key] for key in ("title", "description") if key in schema}
            if "$ref" in schema:
                found = self._definitions.get(str(schema["$ref"]).removeprefix("#/$defs/"), {})
                schema = {**found, **beside}
            elif len(others := _not_null(schema.get("anyOf"))) == 1:
                is_nullable, schema = True, {**others[0], **beside}
            elif isinstance(schema.get("type"), list):
                kinds = [kind for kind in schema["type"] if kind != "null"]
                is_nullable = is_nullable or len(kinds) < len(schema["type"])
                schema = {**schema, "type": kinds[0] if len(kinds) == 1 else None}
            else:
                return schema, is_nullable
        return {}, is_nullable

    def _object(self, schema: dict[str, Any], common: dict[str, Any], *, is_nullable: bool) -> Field:
        properties, required = schema["properties"], schema.get("required", ())
        if set(properties) == {"value", "quote"}:
            value = self.field(properties["value"], name="value", is_required=False, is_value=True)
            if isinstance(value, Text | Choice):
                quote = Text(name="quote", label="Quote", kind="long", is_quote=True, max_length=2000)
                about = common["about"] or value.about
                return Quoted(value=value, quote=quote, **{**common, "about": about})
        fields = tuple(self.field(child, name=name, is_required=name in required) for name, child in properties.items())
        return Group(fields=fields, is_nullable=is_nullable, **common)

    def _array(self, schema: dict[str, Any], common: dict[str, Any]) -> Field:
        items, _ = self._plain(schema["items"])
        most = schema.get("maxItems")
        if "enum" in items:
            is_single = most == 1
            return _choice(items["enum"], common, is_nullable=False, many=True, single=is_single)
        return Rows(item=self.field(schema["items"], name="", is_required=True), most=most, **common)


def _choice(
    options: Sequence[Any], common: dict[str, Any], *, is_nullable: bool, many: bool = False, single: bool = False
) -> Choice:
    others = tuple(option for option in options if option is not None)
    labels = tuple(option if isinstance(option, str) else _shown(option) for option in others)
    is_nullable = is_nullable or None in options
    return Choice(options=others, labels=labels, is_nullable=is_nullable, many=many, single=single, **common)


def _shown(option: Any) -> str:
    return {True: "Yes", False: "No"}[option] if isinstance(option, bool) else str(option)


def _text(schema: Mapping[str, Any], common: dict[str, Any], *, is_nullable: bool, is_value: bool) -> Text:
    longest = schema.get("maxLength")
    is_quote = common["name"] in QUOTES
    kind: Kind = "line"
    if schema.get("format") == "date":
        kind = "date"
    elif is_quote or (not is_value and "format" not in schema and (longest is None or longest >= LONG_FROM)):
        kind = "long"
    hint = None if kind == "date" else schema.get("format")
    return Text(kind=kind, is_nullable=is_nullable, is_quote=is_quote, max_length=longest, hint=hint, **common)


def _range(schema: Mapping[str, Any]) -> str | None:
    words = {
        "minimum": "at least",
        "maximum": "at most",
        "exclusiveMinimum": "more than",
        "exclusiveMaximum": "less than",
    }
    return ", ".join(f"{words[key]} {schema[key]}" for key in words if key in schema) or None


def _not_null(variants: object) -> list[Any]:
    """The X of "X or null"; nothing where it is something else."""
    if not isinstance(variants, list) or {"type": "null"} not in variants:
        return []
    return [variant for variant in variants if variant != {"type": "null"}]


def _label(name: str, schema: Mapping[str, Any]) -> str:
    """The name as words. Titles that were made from the name by a library say no more."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:] if words else str(schema.get("title", ""))
