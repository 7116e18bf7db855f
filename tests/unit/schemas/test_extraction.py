# ruff: noqa: E501 - the table of violations reads best with one case a line
"""The extract task's schemas: what compiles, what the model is told, and how an answer is held to it."""

import importlib
import json
from pathlib import Path
from typing import Any

import anthropic
import jsonschema_rs
import pytest

from schemas.extract import ExtractRequest
from schemas.extraction import KNOWN_SCHEMAS, CompiledSchema, Leaf, compile_schema
from schemas.extraction_wire import MAX_UNIONS

ORDER: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "total": {"type": ["number", "null"], "minimum": 0, "description": "amount to pay,\n with tax"},
        "status": {"enum": ["open", "paid"], "type": "string"},
        "paid": {"type": "boolean"},
        "buyer": {
            "anyOf": [{"$ref": "#/$defs/Party"}, {"type": "null"}],
            "description": "who pays",
            "default": None,
        },
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 8}, "uniqueItems": True},
        "lines": {
            "type": "array",
            "minItems": 2,
            "items": {
                "type": "object",
                "properties": {"sku": {"type": "string", "pattern": "^[A-Z]+$"}, "count": {"type": "integer"}},
                "required": ["sku"],
            },
        },
    },
    "required": ["total"],
    "additionalProperties": True,
    "$defs": {
        "Party": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "since": {"type": "string", "format": "date"}},
            "required": ["name"],
        }
    },
}


def leaf(value: Any, quote: str = "quoted") -> dict[str, Any]:
    return {"value": value, "quote": quote}


def told(schema: CompiledSchema, fields: Any) -> list[str]:
    return [str(violation) for violation in schema.violations(fields)]


@pytest.fixture
def order() -> CompiledSchema:
    return compile_schema(ORDER)


@pytest.fixture
def answer() -> dict[str, Any]:
    return {
        "total": leaf(19.99, "19,99 EUR"),
        "status": leaf("paid"),
        "paid": None,
        "buyer": {"name": leaf("Ada"), "since": leaf("2024-02-29")},
        "tags": [leaf("a"), leaf("b")],
        "lines": [{"sku": leaf("AB"), "count": leaf(2)}, {"sku": leaf("C"), "count": None}],
    }


def test_leaves_carry_what_the_rules_need(order: CompiledSchema) -> None:
    """Leaves stand in the producer's order with path, name, type, format, enum, description and requirement."""
    assert order.leaves == (
        Leaf("total", "total", "number", description="amount to pay,\n with tax", required=True),
        Leaf("status", "status", "string", enum=("open", "paid")),
        Leaf("paid", "paid", "boolean"),
        Leaf("buyer.name", "name", "string", required=True),
        Leaf("buyer.since", "since", "string", format="date"),
        Leaf("tags[]", "tags", "string"),
        Leaf("lines[].sku", "sku", "string", required=True),
        Leaf("lines[].count", "count", "integer"),
    )


def test_a_right_answer_has_no_violations(order: CompiledSchema, answer: dict[str, Any]) -> None:
    """Nullable types, references, lists of both kinds and integral numbers pass as JSON Schema says."""
    assert order.violations(answer) == []
    answer["lines"][0]["count"] = leaf(2.0)
    assert order.violations(answer) == []


def test_values_quotes_and_gaps_are_read_off(order: CompiledSchema, answer: dict[str, Any]) -> None:
    """plain() gives the values, quotes() every quote with its path, not_found() the null leaves and empty lists."""
    answer["tags"] = []
    assert order.plain(answer) == {
        "total": 19.99,
        "status": "paid",
        "paid": None,
        "buyer": {"name": "Ada", "since": "2024-02-29"},
        "tags": [],
        "lines": [{"sku": "AB", "count": 2}, {"sku": "C", "count": None}],
    }
    assert order.not_found(answer) == ["paid", "tags", "lines.1.count"]
    assert order.quotes(answer)[0] == ("total", "19,99 EUR")
    assert [path for path, _ in order.quotes(answer)][-2:] == ["lines.0.count", "lines.1.sku"]


def test_blank_lacks_only_what_is_required(order: CompiledSchema) -> None:
    """With nothing found, the required root field is missed; the fields required inside an absent object are not."""
    assert order.blank() == {
        "total": None,
        "status": None,
        "paid": None,
        "buyer": {"name": None, "since": None},
        "tags": [],
        "lines": [],
    }
    assert told(order, order.blank()) == ["total: required, but was not found"]
    assert order.not_found({}) == ["total", "status", "paid", "buyer.name", "buyer.since", "tags", "lines"]


WRONG: list[tuple[str, Any, str]] = [
    ("total", leaf("19,99"), 'total: must be a number such as 1234.5, without currency or thousands separators; got "19,99"'),
    ("total", leaf(True), "total: must be a number such as 1234.5, without currency or thousands separators; got true"),
    ("total", leaf(-1), "total: must be at least 0; got -1"),
    ("total", leaf(float("nan")), "total: must be a finite number of a usual size"),
    ("total", leaf(10**400), "total: must be a finite number of a usual size"),
    ("total", None, "total: required, but was not found"),
    ("total", 19.99, 'total: must be {"value": ..., "quote": "words copied from the document"}, or null where it was not found; got 19.99'),
    ("total", [leaf(1), leaf(2)], "total: has 2 entries, but is a single field; give the one that fits"),
    ("total", leaf(1, " "), "total: its quote is empty; copy the words of the document, or give null for the field"),
    ("total", {"value": 1, "quote": None}, "total: its quote must be a string copied from the document; got null"),
    ("total", leaf(1, "x" * 2001), "total: its quote has 2001 characters; at most 2000 are allowed"),
    ("total", leaf(1, "a\x00"), "total: its quote holds a NUL character at position 1; remove it (it is not text)"),
    ("status", leaf("closed"), 'status: must be one of "open", "paid"; got "closed"'),
    ("paid", leaf("yes"), 'paid: must be true or false; got "yes"'),
    ("buyer", [], "buyer: must be an object with the fields name, since; got []"),
    ("buyer", {"name": leaf("A"), "since": leaf("2024-02-30")}, 'buyer.since: must be a date as YYYY-MM-DD; got "2024-02-30"'),
    ("buyer", {"since": leaf("2024-02-29")}, "buyer.name: required, but was not found"),
    ("buyer", {"name": leaf("")}, "buyer.name: is an empty text; give null for the field where it was not found"),
    ("tags", [leaf("a"), leaf("a")], "tags: must be a list in which no item stands twice; got 2"),
    ("tags", [leaf("a"), leaf("123456789")], 'tags.1: must be at most 8 characters long; got "123456789"'),
    ("tags", [None], "tags.0: nothing of this item was found; leave the item out of the list"),
    ("tags", leaf("a"), 'tags: must be a list, empty where nothing was found; got {"value": "a", "quote": "quoted"}'),
    ("lines", [{"sku": leaf("A")}], "lines: must be a list of at least 2 items; got 1"),
    ("lines", [{"sku": leaf("A")}, {"sku": leaf("b")}], 'lines.1.sku: must be text matching the pattern ^[A-Z]+$; got "b"'),
    ("lines", [{"sku": leaf("A")}, {"count": leaf(1)}], "lines.1.sku: required, but was not found"),
    ("lines", [{"sku": leaf("A")}, {"sku": None}], "lines.1: nothing of this item was found; leave the item out of the list"),
    ("lines", [{"sku": leaf("A")}, {"sku": leaf("B"), "count": leaf(1.5)}], "lines.1.count: must be a whole number such as 12; got 1.5"),
    ("other", leaf(1), "other: is not in the schema; leave it out (the fields here are total, status, paid, buyer, tags, lines)"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given", "sentence"), WRONG, ids=[sentence[:40] for _, _, sentence in WRONG])
def test_each_violation_says_where_what_and_what_was_expected(
    order: CompiledSchema, answer: dict[str, Any], name: str, given: Any, sentence: str
) -> None:
    """One wrong field gives one sentence that a model can act on, at the field's dotted path."""
    assert told(order, {**answer, name: given}) == [sentence]


def test_messages_stay_small(order: CompiledSchema) -> None:
    """A huge or deep wrong value is cut in the message, and a flood of violations ends at fifty."""
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    for huge in ("x" * 1_000_000, ["x" * 100_000] * 1000, {"k" * 100_000: 1}, deep, {"value": deep, "quote": deep}):
        found = order.violations({"total": huge, "buyer": huge, "tags": [huge] * 1000, "z" * 10_000: 1})
        assert 3 <= len(found) <= 50
        assert all(len(str(violation)) < 700 for violation in found)


@pytest.mark.parametrize("fields", [None, 1, "x", [], [{}], {"total": {"value": {}, "quote": {}}}, {"lines": {"a": 1}}])
def test_the_walks_never_fail(order: CompiledSchema, fields: Any) -> None:
    """Whatever stands in the place of the fields is judged or passed over, never an exception."""
    assert order.violations(fields)
    order.not_found(fields)
    order.quotes(fields)
    order.plain(fields)
    order.read(fields)


def test_read_gives_the_one_shape(order: CompiledSchema, answer: dict[str, Any]) -> None:
    """Absent fields, leaves without a value and leaves in lists of one become the documented shape; the rest stays."""
    written = {
        "total": [leaf(1)],
        "status": [],
        "paid": {"value": None, "quote": ""},
        "lines": [{"sku": [leaf("A")]}],
        "extra": 1,
    }
    assert order.read(written) == {
        **order.blank(),
        "total": leaf(1),
        "lines": [{"sku": leaf("A"), "count": None}],
        "extra": 1,
    }
    assert order.read(answer) == answer
    assert order.read(order.blank()) == order.blank() == order.read(None)


def test_wire_is_what_the_provider_takes_unchanged(order: CompiledSchema, answer: dict[str, Any]) -> None:
    """The SDK's transformation finds nothing to move or drop, and a right answer validates against it."""
    wire = order.wire()
    assert anthropic.transform_schema(order.wire()) == wire
    assert jsonschema_rs.is_valid(wire, answer)
    assert "$ref" not in json.dumps(wire)
    assert wire["required"] == list(ORDER["properties"])
    assert wire["properties"]["total"] == {
        "anyOf": [
            {
                "type": "object",
                "properties": {"value": {"type": "number"}, "quote": {"type": "string"}},
                "required": ["value", "quote"],
                "additionalProperties": False,
            },
            {"type": "null"},
        ],
        "description": "amount to pay,\n with tax (at least 0)",
    }
    assert wire["properties"]["buyer"]["description"] == "who pays"


def test_wire_of_many_fields_needs_no_unions() -> None:
    """Above the provider's limit of union types every leaf is a list of at most one, and read() takes it out again."""
    names = [f"f{index}" for index in range(MAX_UNIONS + 1)]
    wide = compile_schema({"type": "object", "properties": {name: {"type": "string"} for name in names}})
    wire = wide.wire()
    assert "anyOf" not in json.dumps(wire)
    assert anthropic.transform_schema(wide.wire()) == wire
    written = {name: [leaf("x")] if name == "f3" else [] for name in names}
    assert jsonschema_rs.is_valid(wire, written)
    assert wide.read(written) == {**wide.blank(), "f3": leaf("x")}

    narrow = compile_schema({"type": "object", "properties": {name: {"type": "string"} for name in names[1:]}})
    assert json.dumps(narrow.wire()).count("anyOf") == MAX_UNIONS


def test_outline_is_one_line_a_field(order: CompiledSchema) -> None:
    """Each leaf has a line with type, constraints and description; described or constrained groups have one above."""
    assert order.outline().splitlines() == [
        "- total (number; at least 0; required): amount to pay, with tax",
        '- status (string; one of "open", "paid")',
        "- paid (boolean)",
        "- buyer (group): who pays",
        "- buyer.name (string; required)",
        "- buyer.since (string; a date as YYYY-MM-DD)",
        "- tags[] (list of string; at most 8 characters long; a list in which no item stands twice)",
        "- lines (list; a list of at least 2 items)",
        "- lines[].sku (string; text matching the pattern ^[A-Z]+$; required)",
        "- lines[].count (integer)",
    ]


def test_a_pattern_cannot_run_away() -> None:
    """A pattern that explodes in a backtracking engine is matched in linear time."""
    evil = compile_schema({"type": "object", "properties": {"x": {"type": "string", "pattern": "^(a+)+$"}}})
    assert told(evil, {"x": leaf("a" * 50_000 + "!")})[0].startswith(
        "x: must be text matching the pattern ^(a+)+$; got"
    )


def test_equal_schemas_are_compiled_once() -> None:
    """The cache goes by content; another order of fields is another schema (it is the answer's) with one digest."""
    again = json.loads(json.dumps(ORDER))
    assert compile_schema(again) is compile_schema(ORDER)
    turned = {**ORDER, "properties": dict(reversed(ORDER["properties"].items()))}
    assert compile_schema(turned).digest == compile_schema(ORDER).digest
    assert list(compile_schema(turned).blank()) == list(reversed(compile_schema(ORDER).blank()))


def test_a_compiled_schema_cannot_be_changed(order: CompiledSchema) -> None:
    """What callers get are copies: changing the source, the wire or a known schema changes nothing for others."""
    order.source["properties"].clear()
    order.wire()["properties"].clear()
    KNOWN_SCHEMAS["invoice"].clear()
    assert order.source == ORDER
    assert order.wire()["properties"]
    assert KNOWN_SCHEMAS["invoice"]["properties"]


def test_known_schemas_are_the_files() -> None:
    """Every file in schemas/known is a known schema that compiles, requires nothing and describes every field."""
    package = importlib.import_module("schemas").__file__
    assert package is not None
    files = {file.stem for file in (Path(package).parent / "known").iterdir()}
    assert set(KNOWN_SCHEMAS) == files >= {"invoice", "contact", "receipt"}
    for name in KNOWN_SCHEMAS:
        schema = compile_schema(name)
        assert schema.violations(schema.blank()) == []
        assert all(leaf.description for leaf in schema.leaves)
        assert len(schema.leaves) <= MAX_UNIONS, "the shape with nulls is the one that small models write best"


def test_a_request_names_or_holds_its_schema() -> None:
    """The extract request accepts both and compiles them; a refused schema is an error that names the path."""
    assert ExtractRequest.model_validate({"text": "x", "schema": "invoice"}).compiled is compile_schema("invoice")
    assert ExtractRequest.model_validate({"text": "x", "schema": ORDER}).compiled is compile_schema(ORDER)
    with pytest.raises(ValueError, match=r"schema: properties\.a\.oneOf is not supported"):
        ExtractRequest.model_validate({"text": "x", "schema": {"type": "object", "properties": {"a": {"oneOf": []}}}})
