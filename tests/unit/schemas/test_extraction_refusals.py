# ruff: noqa: E501 - the table of refusals reads best with one case a line
"""What is outside the subset is refused with its path and advice, and nothing else ever comes out of the compiler."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from schemas.extraction import SchemaRefused, compile_schema

SUITE = Path(__file__).parents[2] / "data" / "json_schema_suite" / "schemas.jsonl"
GROUPS = [json.loads(line) for line in SUITE.read_text(encoding="utf-8").splitlines()]


def holding(child: Any, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": child}, **more}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = holding(schema)
    return schema


def bottomless(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return holding(schema)


STRING = {"type": "string"}
FAN = {
    f"D{level}": {"type": "object", "properties": {f"p{i}": {"$ref": f"#/$defs/D{level + 1}"} for i in range(30)}}
    for level in range(4)
}
LONG = {"type": "string", "enum": ["x" * 290 + str(number) for number in range(200)]}

REFUSED: list[tuple[Any, str, str]] = [
    (7, "", "must be the name of a known schema or a JSON Schema object; got 7"),
    ("invoices", "", '"invoices" is not a known schema; use one of contact, invoice, receipt'),
    ({}, "type", 'is missing; the root must be "type": "object" with properties'),
    (STRING, "type", 'must be "object" at the root'),
    ({"$ref": "#/$defs/A", "$defs": {"A": STRING}}, "type", 'must be "object" at the root'),
    ({"type": "object"}, "properties", "must be an object with at least one field"),
    ({"type": "object", "properties": {}}, "properties", "must be an object with at least one field"),
    ({"type": "object", "properties": []}, "properties", "must be an object with at least one field"),
    (holding(True), "properties.a", 'must be a schema object such as {"type": "string"}, not true'),
    (holding({}), "properties.a.type", 'is missing; add e.g. "type": "string"'),
    (holding({"enum": ["x"]}), "properties.a.type", "is missing"),
    (holding({"type": "any"}), "properties.a.type", 'must be one of object, array, string, number, integer, boolean; "any" is not'),
    (holding({"type": ["string", "number"]}), "properties.a.type", "must name one type"),
    (holding({"type": ["null"]}), "properties.a.type", "must name one type"),
    (holding({"type": [["string"]]}), "properties.a.type", "must be one of"),
    (holding({"oneOf": [STRING]}), "properties.a.oneOf", "is not supported; use one object with the fields of all variants"),
    (holding({"allOf": [STRING]}), "properties.a.allOf", "is not supported; write the combined fields out"),
    (holding({"not": STRING}), "properties.a.not", "is not supported"),
    (holding({**STRING, "if": STRING}), "properties.a.if", "is not supported; say the condition in the description"),
    (holding({"anyOf": [STRING, {"type": "number"}]}), "properties.a.anyOf", "is not supported in general"),
    (holding({"anyOf": [{"type": "null"}]}), "properties.a.anyOf", "is not supported in general"),
    (holding({"anyOf": [{"anyOf": [STRING]}]}), "properties.a.anyOf", "is not supported in general"),
    (holding({"anyOf": [STRING, {"type": "null"}], "maxLength": 3}), "properties.a.maxLength", "beside anyOf is not supported"),
    (holding({"anyOf": [{"type": "text"}, {"type": "null"}]}), "properties.a.anyOf.0.type", "must be one of"),
    (holding({"type": "object", "patternProperties": {}}), "properties.a.patternProperties", "is not supported; name each field"),
    (holding(STRING, additionalProperties=STRING), "additionalProperties", "with a schema is not supported"),
    (holding(STRING, minProperties=1), "minProperties", "is not supported; remove it"),
    (holding({"type": "array", "prefixItems": []}), "properties.a.prefixItems", "is not supported; use an object with one named field"),
    (holding({"type": "array", "items": [STRING]}), "properties.a.items", "with a list (a tuple) is not supported"),
    (holding({"type": "array"}), "properties.a.items", "is missing; say what the list holds"),
    (holding({"type": "array", "items": False}), "properties.a.items", "must be a schema object"),
    (bottomless(2), "properties.a.items", "is an array in an array"),
    (bottomless(300), "properties.a.items", "is an array in an array"),
    (bottomless(5000), "", "is nested too deeply"),
    (nested(6), "properties.a.properties.a.properties.a.properties.a.properties.a", "is nested more than 5 levels deep"),
    (holding({"$ref": "https://example.com/x"}), "properties.a.$ref", 'to "https://example.com/x" is not supported'),
    (holding({"$ref": "#/properties/a"}), "properties.a.$ref", "is not supported; only #/$defs/Name"),
    (holding({"$ref": "#"}), "properties.a.$ref", "is recursive"),
    (holding({"$ref": 3}), "properties.a.$ref", "must be a string"),
    (holding({"$ref": "#/$defs/B"}, **{"$defs": {"A": STRING}}), "properties.a.$ref", "points to #/$defs/B, which is not there"),
    (holding({"$ref": "#/$defs/B"}, **{"$defs": 1}), "properties.a.$ref", "points to #/$defs/B, which is not there"),
    (holding({"$ref": "#/$defs/A", "minLength": 1}, **{"$defs": {"A": STRING}}), "properties.a.minLength", "beside $ref is not supported"),
    (holding({"$ref": "#/$defs/A"}, **{"$defs": {"A": holding({"$ref": "#/$defs/A"})}}), "$defs.A.properties.a.$ref", "is recursive ($defs/A leads back to itself)"),
    (holding({"$ref": "#/$defs/A"}, **{"$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}}), "$defs.B.$ref", "is recursive"),
    (holding({"$ref": "#/$defs/A"}, **{"$defs": {"A": {"type": "strin"}}}), "$defs.A.type", "must be one of"),
    ({"$ref": "#/$defs/D0", "$defs": {**FAN, "D4": STRING}}, "$defs.D4", "is one field too many: more than 100"),
    ({"type": "object", "properties": {f"f{i}": STRING for i in range(101)}}, "properties.f100", "is one field too many"),
    ({"type": "object", "properties": {f"f{i}": {"$ref": "#/$defs/L"} for i in range(100)}, "$defs": {"L": LONG}}, "", "is too large once its definitions are written out"),
    (holding({**STRING, "description": "x" * 70_000}), "", "at most 65,536 are supported"),
    ({"type": "object", "properties": {"": STRING}}, "properties.", "is a field name of 0 characters; use 1 to 64"),
    ({"type": "object", "properties": {"x" * 65: STRING}}, "properties." + "x" * 61 + "...", "is a field name of 65 characters"),
    ({"type": "object", "properties": {"a.b": STRING}}, "properties.a.b", "is not a usable field name"),
    ({"type": "object", "properties": {"a[]": STRING}}, "properties.a[]", "is not a usable field name"),
    ({"type": "object", "properties": {" a": STRING}}, "properties. a", "is not a usable field name"),
    ({"type": "object", "properties": {"a\x00": STRING}}, "properties.a\ufffd", "holds a NUL character"),
    (holding({**STRING, "description": "\ud800"}), "properties.a.description", "holds half of a surrogate pair"),
    (holding({**STRING, "description": 1}), "properties.a.description", "must be a string"),
    (holding({**STRING, "format": "iban"}), "properties.a.format", '"iban" is not supported; use one of date,'),
    (holding({"type": "integer", "format": "int32"}), "properties.a.format", "does not belong to the type integer"),
    (holding({"type": "integer", "minLength": 1}), "properties.a.minLength", "does not belong to the type integer"),
    (holding({**STRING, "nullable": True}), "properties.a.nullable", 'use {"type": [X, "null"]}'),
    (holding({**STRING, "$id": "x"}), "properties.a.$id", "is only supported at the root"),
    (holding({**STRING, "$anchor": "x"}), "properties.a.$anchor", "refer to definitions as #/$defs/Name"),
    (holding({**STRING, "enum": []}), "properties.a.enum", "has 0 values; 1 to 200 are supported"),
    (holding({**STRING, "enum": [str(i) for i in range(201)]}), "properties.a.enum", "has 201 values"),
    (holding({**STRING, "enum": ["a", 1]}), "properties.a.enum", "holds 1, which is not of the type string"),
    (holding({**STRING, "enum": ["a", None]}), "properties.a.enum", "holds null"),
    (holding({**STRING, "enum": "a"}), "properties.a.enum", "must be a list of values"),
    (holding({**STRING, "const": {"b": 1}}), "properties.a.const", "which is not of the type string"),
    (holding({**STRING, "const": "a", "enum": ["a"]}), "properties.a.const", "beside enum is not supported"),
    (holding({**STRING, "enum": ["ab"], "maxLength": 1}), "properties.a.enum", "has no value that meets the other constraints"),
    (holding({**STRING, "pattern": "("}), "properties.a.pattern", "is not a regular expression"),
    (holding({**STRING, "pattern": "(?=a)"}), "properties.a.pattern", "look-around"),
    (holding({**STRING, "pattern": r"(a)\1"}), "properties.a.pattern", "back references"),
    (holding({**STRING, "pattern": "((a{1000}){1000}){1000}"}), "properties.a.pattern", "repetitions in the thousands"),
    (holding({**STRING, "pattern": "a" * 1001}), "properties.a.pattern", "at most 1000 characters"),
    (holding({**STRING, "minLength": -1}), "properties.a.minLength", "must be a whole number of 0 or more, not -1"),
    (holding({**STRING, "minLength": 3, "maxLength": 2}), "properties.a.minLength", "is above maxLength"),
    (holding({"type": "number", "minimum": "0"}), "properties.a.minimum", 'must be a number, not "0"'),
    (holding({"type": "number", "exclusiveMinimum": True}), "properties.a.exclusiveMinimum", "must be a number, not true"),
    (holding({"type": "number", "multipleOf": 0}), "properties.a.multipleOf", "must be a number above 0, not 0"),
    (holding({"type": "number", "minimum": float("nan")}), "", "is not JSON"),
    (holding({"type": "array", "items": STRING, "uniqueItems": 1}), "properties.a.uniqueItems", "must be true or false"),
    (holding(STRING, required=["b"]), "required", 'names "b", which is not in properties'),
    (holding(STRING, required=True), "required", "must be a list of field names"),
    (holding(STRING, required=[["a"]]), "required", "must be a list of field names"),
    ({"type": "object", "properties": {"a": {1, 2}}}, "", "is not JSON"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "path", "message"), REFUSED, ids=[f"{path}: {message}"[:70] for _, path, message in REFUSED]
)
def test_unsupported_schemas_are_refused_with_path_and_advice(schema: Any, path: str, message: str) -> None:
    """The refusal names the exact place in the producer's schema and what to do, in one short sentence."""
    with pytest.raises(SchemaRefused) as refusal:
        compile_schema(schema)
    assert refusal.value.path == path
    assert message in refusal.value.message
    assert str(refusal.value).startswith(f"schema: {path}".rstrip())
    assert str(refusal.value).endswith("(see docs/extraction-schemas.md)")
    assert len(str(refusal.value)) < 600


ACCEPTED: list[Any] = [
    nested(5),
    holding({"$ref": "#/definitions/a~1b%20c", "title": "x"}, definitions={"a/b c": STRING}),
    {"$ref": "#/$defs/A", "$defs": {"A": holding(STRING)}, "$id": "https://example.com/a", "$schema": "x"},
    holding(
        {"anyOf": [{"type": "null", "title": "none"}, {"$ref": "#/$defs/A"}]}, **{"$defs": {"A": {"anyOf": [STRING]}}}
    ),
    holding({"type": ["null", "string"], "enum": ["a", None]}),
    holding({"type": "integer", "const": 3, "examples": [3], "default": 1, "deprecated": True, "readOnly": True}),
    holding({"type": "number", "minimum": -(10**400), "maximum": 10**400, "multipleOf": 0.01}),
    holding({"type": "array", "items": STRING, "minItems": 2.0, "maxItems": 10**30}),
    {"type": "object", "properties": {f"f{i}": STRING for i in range(100)}},
    {
        "type": "object",
        "properties": {"Straße 1": STRING, "value": STRING, "quote": STRING},
        "additionalProperties": False,
    },
]


@pytest.mark.parametrize("schema", ACCEPTED, ids=range(len(ACCEPTED)))
def test_the_whole_subset_compiles(schema: Any) -> None:
    """Every documented construct, up to the stated limits, is accepted, and a blank answer to it is well-formed."""
    compiled = compile_schema(schema)
    assert compiled.violations(compiled.blank()) == []


@pytest.mark.parametrize("group", GROUPS, ids=[group["id"] for group in GROUPS])
def test_schemas_of_the_official_suite_compile_or_are_refused(group: dict[str, Any]) -> None:
    """As a whole, as a field, as list items, with and without a type: compiled or refused, never another exception."""
    schema = group["schema"]
    typed = [{"type": kind, **schema} for kind in ("object", "array", "string")] if isinstance(schema, dict) else []
    for form in (schema, *typed):
        for whole in (
            form,
            holding(form),
            holding({"type": "array", "items": form}),
            {**holding(STRING), "$defs": form},
        ):
            try:
                compile_schema(whole)
            except SchemaRefused as refusal:
                assert len(str(refusal)) < 600  # noqa: PT017 - being refused is one of the two right ends


def test_accepted_constraints_are_checked_as_the_suite_says() -> None:
    """Where a schema of the suite fits a leaf, the verdict on each scalar is the suite's (blank strings, which we
    never take for a found value, and format tests, which are optional there and binding here, apart)."""
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number"}
    compared = 0
    for group in GROUPS:
        if not isinstance(group["schema"], dict) or group["id"].startswith("draft2020-12/format#"):
            continue
        bare = {keyword: bound for keyword, bound in group["schema"].items() if keyword != "$schema"}
        for test in group["tests"]:
            value = test["data"]
            if type(value) not in kinds or (
                isinstance(value, str) and unicodedata.category((value.strip() or " ")[0])[0] in "CZ"
            ):
                continue
            try:
                compiled = compile_schema(holding({"type": kinds[type(value)], **bare}))
            except SchemaRefused:
                continue
            wrong = compiled.violations({"a": {"value": value, "quote": "q"}})
            assert (not wrong) == test["valid"], (group["id"], value, wrong)
            compared += 1
    assert compared > 150
