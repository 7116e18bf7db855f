"""Schemas of the extract task: known by name or sent by the producer, compiled once and refused early.

What a schema may hold is documented in ``docs/extraction-schemas.md``. The answer's ``fields`` mirrors the schema, but
every leaf is ``{"value": <scalar>, "quote": "<verbatim words>"}``, or null where it was not found; an empty list is a
list of which nothing was found.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from itertools import islice
from typing import Any, Final

from schemas import extraction_fields as walks
from schemas.answer import Violation
from schemas.extraction_form import form_schema
from schemas.extraction_refusal import SchemaRefused, at
from schemas.extraction_subset import read_schema
from schemas.extraction_tree import Node, Record, Rows, Scalar, shown
from schemas.extraction_wire import outline_lines, wire_schema
from schemas.text import storable

__all__ = ["KNOWN_SCHEMAS", "CompiledSchema", "Leaf", "SchemaRefused", "compile_schema"]

MAX_SCHEMA_BYTES: Final = 65_536
MAX_WIRE_CHARS: Final = 262_144
"""Of the schema with its definitions written out: a definition can be large once and referred to a hundred times."""

MAX_VIOLATIONS: Final = 50
"""A repair turn cannot use more, and a list of a thousand wrong rows would be longer than the document."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One scalar of a schema.

    Attributes:
        path: dotted, ``[]`` behind a list: ``line_items[].amount``, ``tags[]``.
        name: the last name of the path: ``amount``, ``tags``.
        type: string, number, integer or boolean.
        required: not to be left unfound; inside an optional object or a row only once something of it was found.
    """

    path: str
    name: str
    type: str
    format: str | None = None
    enum: tuple[Any, ...] | None = None
    description: str | None = None
    required: bool = False


@dataclass(frozen=True, eq=False)
class CompiledSchema:
    """A schema of the subset, ready to check answers. Made by :func:`compile_schema`; immutable and shared.

    Attributes:
        leaves: the scalars, in the schema's order.
        digest: SHA-256 (hex) of the schema with sorted keys: two schemas that differ in order only share it.
    """

    leaves: tuple[Leaf, ...]
    digest: str
    _text: str = field(repr=False)
    _root: Record = field(repr=False)

    @property
    def source(self) -> dict[str, Any]:
        """The schema as it was sent, a fresh copy."""
        schema: dict[str, Any] = json.loads(self._text)
        return schema

    def wire(self) -> dict[str, Any]:
        """JSON Schema of ``fields`` for a provider's constrained output; pass what it wrote through :meth:`read`."""
        return wire_schema(self._root, len(self.leaves))

    def form(self) -> dict[str, Any]:
        """JSON Schema of ``fields`` as a person fills them in."""
        return form_schema(self._root)

    def outline(self) -> str:
        """The fields for a prompt or a person, one line each: ``- total (number): amount to pay, with tax``."""
        return "\n".join(outline_lines(self._root))

    def blank(self) -> dict[str, Any]:
        """The fields with everything not found."""
        fields: dict[str, Any] = walks.blank(self._root)
        return fields

    def read(self, written: Any) -> Any:
        """The fields in the one shape, from what was written under :meth:`wire`, or by a person who left fields out.

        Absent fields become null or empty; what is wrong stays as it is, for :meth:`violations` to name.
        """
        return walks.canonical(self._root, written)

    def violations(self, fields: Any) -> list[Violation]:
        """Where any JSON value breaks the schema as its ``fields``, at most 50; an absent field counts as null."""
        return list(islice(walks.violations(self._root, fields), MAX_VIOLATIONS))

    def not_found(self, fields: Any) -> list[str]:
        """The dotted paths of the leaves that are null and of the lists that are empty."""
        return [path for path, leaf in walks.leaves(self._root, fields) if leaf is None]

    def quotes(self, fields: Any) -> list[tuple[str, str]]:
        """The dotted path of every found leaf, and its quote."""
        found = ((path, leaf["quote"]) for path, leaf in walks.leaves(self._root, fields) if leaf is not None)
        return [(path, quote) for path, quote in found if isinstance(quote, str)]

    def plain(self, fields: Any) -> dict[str, Any]:
        """The values alone, shaped like the schema; null and empty lists where nothing was found."""
        values: dict[str, Any] = walks.plain(self._root, fields)
        return values


class _KnownSchemas(Mapping[str, dict[str, Any]]):
    """The JSON Schemas in ``schemas/known``, by file name; read when first needed. Adding a file is all it takes."""

    def __getitem__(self, name: str) -> dict[str, Any]:
        schema: dict[str, Any] = json.loads(_known_texts()[name])
        return schema

    def __iter__(self) -> Iterator[str]:
        return iter(_known_texts())

    def __len__(self) -> int:
        return len(_known_texts())


KNOWN_SCHEMAS: Final[Mapping[str, dict[str, Any]]] = _KnownSchemas()
"""Name -> JSON Schema; every look-up is a fresh copy."""


def compile_schema(schema: str | Mapping[str, Any]) -> CompiledSchema:
    """Compile a schema; equal ones (with their fields in the same order) once per process.

    Args:
        schema: the name of a known schema, or a JSON Schema of the subset. The order of its properties is kept: it is
            the order in which the model answers.
    Raises:
        SchemaRefused: for everything else, whatever the value.
    """
    if isinstance(schema, str):
        if schema not in KNOWN_SCHEMAS:
            known = ", ".join(KNOWN_SCHEMAS)
            raise SchemaRefused(
                "", f"{shown(schema)} is not a known schema; use one of {known}, or send a JSON Schema object"
            )
        return _compiled(_known_texts()[schema])
    if not isinstance(schema, Mapping):
        raise SchemaRefused("", f"must be the name of a known schema or a JSON Schema object; got {shown(schema)}")
    return _compiled(_text(schema))


def _text(schema: Mapping[str, Any]) -> str:
    """The schema as compact JSON, its order kept."""
    try:
        text = json.dumps(dict(schema), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except RecursionError:
        raise SchemaRefused("", "is nested too deeply; flatten it") from None
    except (TypeError, ValueError):
        raise SchemaRefused(
            "", "is not JSON (only objects, lists, strings, finite numbers, booleans and null are)"
        ) from None
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_SCHEMA_BYTES:
        raise SchemaRefused("", f"has {size:,} bytes; at most {MAX_SCHEMA_BYTES:,} are supported")
    return text


@lru_cache(maxsize=256)
def _compiled(text: str) -> CompiledSchema:
    schema = json.loads(text)
    _check_strings(schema)
    root = read_schema(schema)
    leaves = tuple(_leaves(root, ""))
    if len(json.dumps(wire_schema(root, len(leaves)))) > MAX_WIRE_CHARS:
        raise SchemaRefused(
            "", "is too large once its definitions are written out; shorten enumerations or descriptions"
        )
    canonical = json.dumps(schema, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return CompiledSchema(leaves, hashlib.sha256(canonical.encode()).hexdigest(), text, root)


def _check_strings(schema: Any) -> None:
    """Refuse what could be neither stored nor sent. Not recursive: the schema may be as deep as JSON allows."""
    pending: list[tuple[str, Any]] = [("", schema)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, str):
            try:
                storable(value)
            except ValueError as error:
                raise SchemaRefused(path, str(error)) from None
        elif isinstance(value, dict):
            for name, child in value.items():
                pending += [(at(path, name), name), (at(path, name), child)]
        elif isinstance(value, list):
            pending += [(at(path, str(index)), child) for index, child in enumerate(value)]


def _leaves(node: Node, path: str, name: str = "", *, required: bool = False) -> Iterator[Leaf]:
    match node:
        case Scalar():
            enum, form = node.bounds.get("enum"), node.bounds.get("format")
            yield Leaf(path, name, node.type, form, enum, node.description, required)
        case Rows():
            yield from _leaves(node.items, f"{path}[]", name, required=required)
        case Record():
            for child_name, child in node.fields.items():
                child_path = f"{path}.{child_name}" if path else child_name
                yield from _leaves(child, child_path, child_name, required=child_name in node.required)


@lru_cache(maxsize=1)
def _known_texts() -> dict[str, str]:
    folder = resources.files("schemas") / "known"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    return {file.name.removesuffix(".json"): file.read_text(encoding="utf-8") for file in files}
