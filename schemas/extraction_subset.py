"""Read a producer's JSON Schema into a tree, or refuse it with the path of what is not supported.

The subset is documented in ``docs/extraction-schemas.md``; a change here is a change there.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from schemas.extraction_bounds import NUMBER_KEYWORDS, rows_bounds, scalar_bounds, validator_of
from schemas.extraction_refusal import MAX_NAME_CHARS, SchemaRefused, at, name_of
from schemas.extraction_tree import SCALAR_TYPES, Node, Record, Rows, Scalar, clipped, shown

MAX_DEPTH: Final = 5
"""Names in a leaf's path, at most; deeper documents extract poorly and their grammars grow."""

MAX_LEAVES: Final = 100

_ANNOTATIONS: Final = frozenset(
    {"title", "description", "$comment", "default", "examples", "deprecated", "readOnly", "writeOnly"}
)
_ROOT_ONLY: Final = frozenset({"$schema", "$id", "$defs", "definitions"})
_KEYWORDS: Final[Mapping[str, frozenset[str]]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems", "uniqueItems"}),
    "string": frozenset({"enum", "const", "format", "minLength", "maxLength", "pattern"}),
    "number": frozenset({"enum", "const", *NUMBER_KEYWORDS}),
    "integer": frozenset({"enum", "const", *NUMBER_KEYWORDS}),
    "boolean": frozenset({"enum", "const"}),
}
_NOT_OBJECT: Final = 'must be "object" at the root; put the value into an object with a named field'
_ADVICE: Final[Mapping[str, str]] = {
    "oneOf": "use one object with the fields of all variants (each may be left unfound)",
    "allOf": "write the combined fields out in one object",
    "anyOf": 'only {"anyOf": [X, {"type": "null"}]} is; otherwise use one object with the fields of all variants',
    "not": "say in the description what is not meant",
    "if": "say the condition in the description",
    "patternProperties": "name each field in properties, or use an array of objects with a name and a value",
    "prefixItems": "use an object with one named field per position",
    "nullable": 'remove it (every field may be unfound), or use {"type": [X, "null"]}',
    "example": "use examples",
    "$anchor": "refer to definitions as #/$defs/Name",
    "$dynamicRef": "use $ref to #/$defs/Name",
    "$recursiveRef": "use $ref to #/$defs/Name",
}


def read_schema(schema: Mapping[str, Any]) -> Record:
    """Understand a schema.

    Args:
        schema: parsed JSON, every string storable.
    Raises:
        SchemaRefused: it is outside the subset.
    """
    if not {"type", "$ref", "anyOf"} & schema.keys():
        raise SchemaRefused("type", 'is missing; the root must be "type": "object" with properties')
    if schema.get("type") in ("array", *SCALAR_TYPES):
        raise SchemaRefused("type", _NOT_OBJECT)
    root = _Reader(schema).node(schema, "", depth=0)
    if not isinstance(root, Record):
        raise SchemaRefused("type", _NOT_OBJECT)
    return root


class _Reader:
    """One reading of one schema; counts leaves, so that definitions that fan out are refused before they are built."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema
        self._leaves = 0

    def node(
        self, schema: Any, path: str, depth: int, following: tuple[str, ...] = (), *, in_rows: bool = False
    ) -> Node:
        """Read one subschema.

        Args:
            schema: any JSON value that stands where a schema should.
            path: where it stands.
            depth: how many names lead to it.
            following: the definitions inside which it stands; meeting one of them again is recursion.
            in_rows: it describes the items of an array.
        """
        schema, path, following = self._resolved(schema, path, following)
        kind = _type(schema, path)
        self._known_keywords(schema, path, kind)
        description = _description(schema, path)
        if kind == "object":
            return self._record(schema, path, depth, following, description)
        if kind == "array" and in_rows:
            raise SchemaRefused(
                path, "is an array in an array, which is not supported; use an array of objects that hold an array"
            )
        if kind == "array":
            return self._rows(schema, path, depth, following, description)
        return self._scalar(schema, path, kind, description)

    def _resolved(
        self, schema: Any, path: str, following: tuple[str, ...]
    ) -> tuple[dict[str, Any], str, tuple[str, ...]]:
        """Follow ``$ref`` and unwrap "X or null" until a subschema with a type stands there."""
        outer: dict[str, Any] = {}
        while True:
            schema = {**_object(schema, path), **outer}
            if "$ref" in schema:
                self._alone(schema, path, "$ref")
                name = _definition_name(schema["$ref"], at(path, "$ref"))
                if name in following:
                    raise SchemaRefused(
                        at(path, "$ref"),
                        f"is recursive ({clipped(name, 80)} leads back to itself), which is not supported; "
                        "write out as many levels as the documents have",
                    )
                outer = _carried(schema)
                path, schema = self._definition(name, at(path, "$ref"))
                following = (*following, name)
            elif "anyOf" in schema:
                self._alone(schema, path, "anyOf")
                outer = _carried(schema)
                schema, path = _not_null(schema["anyOf"], at(path, "anyOf"))
            else:
                return schema, path, following

    def _alone(self, schema: Mapping[str, Any], path: str, keyword: str) -> None:
        allowed = _ANNOTATIONS | (_ROOT_ONLY if not path else frozenset())
        for beside in schema:
            if beside != keyword and beside not in allowed:
                raise SchemaRefused(
                    at(path, beside), f"beside {keyword} is not supported; move it into the schema meant by {keyword}"
                )

    def _definition(self, name: str, path: str) -> tuple[str, Any]:
        section, _, key = name.partition("/")
        definitions = self._root.get(section)
        if not isinstance(definitions, dict) or key not in definitions:
            raise SchemaRefused(
                path, f"points to {clipped('#/' + name, 80)}, which is not there; add it or correct the name"
            )
        return f"{section}.{name_of(key)}", definitions[key]

    def _known_keywords(self, schema: Mapping[str, Any], path: str, kind: str) -> None:
        allowed = _KEYWORDS[kind] | _ANNOTATIONS | (_ROOT_ONLY if not path else frozenset())
        for keyword in schema:
            if keyword == "type" or keyword in allowed:
                continue
            where = at(path, keyword)
            if keyword in _ROOT_ONLY:
                raise SchemaRefused(where, "is only supported at the root; move it there")
            if any(keyword in others for others in _KEYWORDS.values()):
                raise SchemaRefused(where, f"does not belong to the type {kind}; remove it or correct the type")
            raise SchemaRefused(where, f"is not supported; {_ADVICE.get(keyword, 'remove it')}")

    def _record(
        self, schema: dict[str, Any], path: str, depth: int, following: tuple[str, ...], description: str | None
    ) -> Record:
        if not isinstance(schema.get("additionalProperties", False), bool):
            raise SchemaRefused(
                at(path, "additionalProperties"),
                "with a schema is not supported; name each field in properties, "
                "or use an array of objects with a name and a value",
            )
        properties = schema.get("properties")
        if not isinstance(properties, dict) or not properties:
            raise SchemaRefused(
                at(path, "properties"), "must be an object with at least one field; name the fields to find"
            )
        if depth == MAX_DEPTH:
            raise SchemaRefused(path, f"is nested more than {MAX_DEPTH} levels deep; flatten the schema")
        fields = {}
        for name, child in properties.items():
            where = at(at(path, "properties"), name)
            _check_name(name, where)
            fields[name] = self.node(child, where, depth + 1, following)
        return Record(fields, _required(schema, fields, path), description)

    def _rows(
        self, schema: dict[str, Any], path: str, depth: int, following: tuple[str, ...], description: str | None
    ) -> Rows:
        where = at(path, "items")
        if "items" not in schema:
            raise SchemaRefused(where, 'is missing; say what the list holds, e.g. {"type": "string"}')
        if isinstance(schema["items"], list):
            raise SchemaRefused(
                where, "with a list (a tuple) is not supported; use an object with one named field per position"
            )
        items = self.node(schema["items"], where, depth, following, in_rows=True)
        assert not isinstance(items, Rows)  # refused above, before descending
        bounds = rows_bounds(schema, path)
        return Rows(items, description, bounds, validator_of(bounds, path))

    def _scalar(self, schema: dict[str, Any], path: str, kind: str, description: str | None) -> Scalar:
        self._leaves += 1
        if self._leaves > MAX_LEAVES:
            raise SchemaRefused(
                path, f"is one field too many: more than {MAX_LEAVES}; split the schema into several jobs"
            )
        bounds = scalar_bounds(schema, path, kind)
        validator = validator_of(bounds, path)
        allowed = bounds.get("enum")
        if allowed is not None and validator is not None and not any(validator.is_valid(value) for value in allowed):
            raise SchemaRefused(at(path, "enum"), "has no value that meets the other constraints; correct one of them")
        return Scalar(kind, description, bounds, validator)


def _object(schema: Any, path: str) -> dict[str, Any]:
    if not isinstance(schema, dict):
        raise SchemaRefused(path, f'must be a schema object such as {{"type": "string"}}, not {shown(schema)}')
    return schema


def _carried(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What a reference or a nullable says about the field itself goes before what the definition says."""
    return {key: schema[key] for key in ("title", "description") if key in schema}


def _definition_name(ref: Any, path: str) -> str:
    """``$defs/Name`` of a local reference."""
    if not isinstance(ref, str):
        raise SchemaRefused(path, "must be a string such as #/$defs/Name")
    section, _, key = ref.removeprefix("#/").partition("/")
    if ref == "#":
        raise SchemaRefused(path, "is recursive (# is the whole schema), which is not supported; write the levels out")
    if not ref.startswith("#/") or section not in ("$defs", "definitions") or not key or "/" in key:
        raise SchemaRefused(path, f"to {shown(ref)} is not supported; only #/$defs/Name and #/definitions/Name are")
    return f"{section}/{unquote(key).replace('~1', '/').replace('~0', '~')}"


def _not_null(variants: Any, path: str) -> tuple[Any, str]:
    """X of "X or null"."""
    if isinstance(variants, list):
        others = [(index, variant) for index, variant in enumerate(variants) if not _is_null(variant)]
        if len(others) == 1 and not (isinstance(others[0][1], dict) and "anyOf" in others[0][1]):
            return others[0][1], f"{path}.{others[0][0]}"
    raise SchemaRefused(path, f"is not supported in general; {_ADVICE['anyOf']}")


def _is_null(variant: Any) -> bool:
    return isinstance(variant, dict) and variant.get("type") == "null" and set(variant) <= _ANNOTATIONS | {"type"}


def _type(schema: Mapping[str, Any], path: str) -> str:
    for keyword in ("oneOf", "allOf", "not", "if", "$dynamicRef", "$recursiveRef", "patternProperties", "prefixItems"):
        if keyword in schema:
            raise SchemaRefused(at(path, keyword), f"is not supported; {_ADVICE[keyword]}")
    where = at(path, "type")
    if "type" not in schema:
        guess = "object" if "properties" in schema else "array" if "items" in schema else "string"
        raise SchemaRefused(where, f'is missing; add e.g. "type": "{guess}"')
    given = schema["type"]
    if isinstance(given, list):
        kinds = [kind for kind in given if kind != "null"]
        if len(kinds) != 1:
            raise SchemaRefused(where, f'must name one type, besides "null"; {shown(given)} does not')
        given = kinds[0]
    if not isinstance(given, str) or given not in _KEYWORDS:
        raise SchemaRefused(where, f"must be one of {', '.join(_KEYWORDS)}; {shown(given)} is not")
    return given


def _description(schema: Mapping[str, Any], path: str) -> str | None:
    """What the model is told about a field: its description, else its title."""
    for keyword in ("description", "title"):
        if not isinstance(schema.get(keyword, ""), str):
            raise SchemaRefused(at(path, keyword), "must be a string")
    return schema.get("description", "").strip() or schema.get("title", "").strip() or None


def _check_name(name: str, path: str) -> None:
    if not name or len(name) > MAX_NAME_CHARS:
        raise SchemaRefused(path, f"is a field name of {len(name)} characters; use 1 to {MAX_NAME_CHARS}")
    if any(c in ".[]" or not c.isprintable() for c in name) or name != name.strip():
        raise SchemaRefused(
            path,
            "is not a usable field name (paths such as lines.0.amount are built from it); use letters, digits, _ and -",
        )


def _required(schema: Mapping[str, Any], fields: Mapping[str, Node], path: str) -> frozenset[str]:
    where = at(path, "required")
    names = schema.get("required", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SchemaRefused(where, "must be a list of field names")
    for name in names:
        if name not in fields:
            raise SchemaRefused(
                where, f"names {shown(name)}, which is not in properties; add it there or remove it here"
            )
    return frozenset(names)
