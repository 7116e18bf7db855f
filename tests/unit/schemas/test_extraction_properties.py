"""Properties over generated schemas: inside the subset all parts agree, outside nothing but a refusal happens."""

import json
from typing import Any

import anthropic
import jsonschema_rs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.extraction import CompiledSchema, SchemaRefused, compile_schema
from schemas.extraction_bounds import NUMBER_KEYWORDS
from schemas.extraction_subset import _ANNOTATIONS, _KEYWORDS, _ROOT_ONLY
from schemas.extraction_tree import FORMATS

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_ -]{0,8}[A-Za-z0-9]", fullmatch=True)
VISIBLE = st.characters(exclude_categories=("C", "Z"))
TEXTS = st.text(VISIBLE, min_size=1, max_size=12)
SAMPLES = {
    "date": "2024-02-29", "date-time": "2024-02-29T10:00:00Z", "time": "10:00:00Z", "duration": "P3DT4H",
    "email": "ada@example.com", "hostname": "example.com", "ipv4": "127.0.0.1", "ipv6": "::1",
    "uri": "https://example.com/a", "uuid": "2eb8aa08-aa98-11ea-b4aa-73b441d16380",
}  # fmt: skip
BOUNDED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

Pair = tuple[dict[str, Any], Any]
"""A schema of the subset and fields that answer it rightly."""


def wrapped(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"value": values, "quote": TEXTS})


@st.composite
def scalars(draw: st.DrawFn) -> tuple[dict[str, Any], st.SearchStrategy[Any]]:
    """A scalar schema and the values that it accepts."""
    kind = draw(st.sampled_from(["text", "enum", "format", "pattern", "integer", "number", "boolean"]))
    if kind == "text":
        low = draw(st.integers(0, 3))
        values = st.text(VISIBLE, min_size=max(low, 1), max_size=low + 5)
        return {"type": "string", "minLength": low, "maxLength": low + 5}, values
    if kind == "enum":
        options = draw(st.lists(TEXTS, min_size=1, max_size=5))
        return {"type": ["string", "null"], "enum": [*options, None]}, st.sampled_from(options)
    if kind == "format":
        name = draw(st.sampled_from(sorted(FORMATS)))
        return {"type": "string", "format": name}, st.just(SAMPLES[name])
    if kind == "pattern":
        return {"type": "string", "pattern": "^[A-Z]{2}[0-9]+$"}, st.from_regex(r"[A-Z]{2}[0-9]+", fullmatch=True)
    if kind == "boolean":
        return {"type": "boolean"}, st.booleans()
    low = draw(st.integers(-(10**12), 10**12))
    numbers: st.SearchStrategy[Any] = st.integers(low, low + 100)
    if kind == "number":
        numbers |= st.floats(low, low + 100)
    return {"type": kind, "minimum": low, "maximum": low + 100}, numbers


@st.composite
def nodes(draw: st.DrawFn, depth: int) -> Pair:
    """A schema and its answer: a leaf, a list of leaves, a list of records, a record."""
    kind = draw(st.sampled_from(["leaf", "leaf", "leaves", "rows", "record"] if depth < 4 else ["leaf", "leaves"]))
    if kind == "record":
        return draw(records(depth + 1))
    if kind == "rows":
        schema, row = draw(records(depth + 1, always_found=True))
        return {"type": "array", "items": schema, "maxItems": 3}, [row] * draw(st.integers(0, 3))
    schema, values = draw(scalars())
    if draw(st.booleans()):
        schema = {**schema, "description": draw(TEXTS), "title": "Ignored", "examples": ["x"]}
    if kind == "leaves":
        return {"type": "array", "items": schema}, draw(st.lists(wrapped(values), max_size=3))
    return schema, draw(st.none() | wrapped(values))


@st.composite
def records(draw: st.DrawFn, depth: int = 0, *, always_found: bool = False) -> Pair:
    """A record schema and its answer; what is required is found."""
    children = draw(st.dictionaries(NAMES, nodes(depth), min_size=1, max_size=3))
    if always_found:
        schema, values = draw(scalars())
        children["sure"] = (schema, draw(wrapped(values)))
    found = [name for name, (_, answer) in children.items() if stands(answer)]
    required = draw(st.lists(st.sampled_from(found), unique=True)) if found else []
    properties = {name: schema for name, (schema, _) in children.items()}
    answer = {name: answer for name, (_, answer) in children.items()}
    return {"type": "object", "properties": properties, "required": required}, answer


def stands(answer: Any) -> bool:
    """Whether a generated answer holds anything found."""
    if isinstance(answer, dict) and set(answer) != {"value", "quote"}:
        return any(stands(child) for child in answer.values())
    return bool(answer)


def as_written(schema: CompiledSchema, answer: Any) -> Any:
    """The answer as the provider writes it: leaves in lists of one where the wire schema has no unions."""
    return answer if "anyOf" in json.dumps(schema.wire()) else _listed(schema.source, answer)


def _listed(node: dict[str, Any], answer: Any) -> Any:
    if node["type"] == "object":
        return {name: _listed(child, answer[name]) for name, child in node["properties"].items()}
    if node["type"] == "array":
        return [_listed(node["items"], item) for item in answer] if node["items"]["type"] == "object" else answer
    return [answer] if answer is not None else []


@BOUNDED
@given(records())
def test_inside_the_subset_everything_agrees(pair: Pair) -> None:
    """A right answer has no violations, fits the wire schema (which the SDK leaves alone) and reads back as itself;
    a blank one lacks only what is required."""
    source, answer = pair
    schema = compile_schema(source)
    assert schema.violations(answer) == []
    assert schema.read(answer) == answer
    assert all(violation.message == "required, but was not found" for violation in schema.violations(schema.blank()))
    assert not schema.quotes(schema.blank())
    assert len(schema.outline().splitlines()) >= len(schema.leaves)

    wire = schema.wire()
    assert anthropic.transform_schema(schema.wire()) == wire
    written = as_written(schema, answer)
    assert jsonschema_rs.is_valid(wire, written)
    assert schema.read(written) == answer


@BOUNDED
@given(records())
def test_the_values_alone_meet_the_producers_own_schema(pair: Pair) -> None:
    """plain() without its gaps validates against the very schema that the producer sent."""
    source, answer = pair
    plain = compile_schema(source).plain(answer)
    assert jsonschema_rs.is_valid(source, _without_gaps(plain))


def _without_gaps(value: Any) -> Any:
    if isinstance(value, dict):
        inner = {name: _without_gaps(child) for name, child in value.items()}
        return {name: child for name, child in inner.items() if child not in (None, [], {})}
    return [_without_gaps(item) for item in value] if isinstance(value, list) else value


WORDS = sorted(
    {"$ref", "type", "oneOf", "anyOf", "not", *NUMBER_KEYWORDS, *_ANNOTATIONS, *_ROOT_ONLY}.union(*_KEYWORDS.values())
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([*_KEYWORDS, "null", "#/$defs/a", "#/definitions/b", "#", "date", "a", "(", "x" * 2000]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from([*WORDS, "a", "b"]) | st.text(max_size=4), inner, max_size=5),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JSON, st.sampled_from([None, "properties", "leaf", "items", "$defs"]))
def test_no_json_value_gets_more_than_a_refusal_out_of_the_compiler(value: Any, where: str | None) -> None:
    """Any JSON, as a whole or in any place of a schema, compiles or is refused."""
    schema = {
        None: value,
        "properties": {"type": "object", "properties": value},
        "leaf": {
            "type": "object",
            "properties": {"a": {"type": "string", **value} if isinstance(value, dict) else value},
        },
        "items": {"type": "object", "properties": {"a": {"type": "array", "items": value}}},
        "$defs": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": value},
    }[where]
    try:
        compiled = compile_schema(schema)
    except SchemaRefused as refusal:
        assert str(refusal)  # noqa: PT017 - being refused is one of the two right ends
    else:
        assert compiled.violations(compiled.blank()) is not None


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=40) | st.from_regex(r"[\\(){}\[\]*+?|^$a-z0-9,:=<!.-]{1,20}", fullmatch=True), st.text(max_size=30)
)
def test_no_pattern_gets_more_than_a_refusal(pattern: str, text: str) -> None:
    """Every pattern compiles or is refused, and a compiled one judges every text."""
    try:
        compiled = compile_schema({"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}})
    except SchemaRefused as refusal:
        assert refusal.path == "properties.a.pattern"  # noqa: PT017 - being refused is one of the two right ends
    else:
        compiled.violations({"a": {"value": text, "quote": text}})


@BOUNDED
@given(JSON)
def test_no_answer_makes_the_walks_fail(value: Any) -> None:
    """Any JSON in the place of the fields, or of one of them, is judged without an exception."""
    schema = compile_schema("invoice")
    amount, issuer = [{"amount": value}], {"value": value, "quote": value}
    for fields in (value, {"total": value, "line_items": value}, {"line_items": amount, "issuer": issuer}):
        schema.violations(fields)
        schema.not_found(fields)
        schema.quotes(fields)
        schema.plain(fields)
        schema.violations(schema.read(fields))
