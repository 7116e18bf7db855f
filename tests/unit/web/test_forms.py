"""Forms from JSON Schema: every answer that a task allows can be shown, sent and read back; what cannot be read is said."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.review_answers import checked_output
from schemas.answer import Violation
from tasks import catalogue, find_task
from tests.desk_world import INVOICE_MODEL, INVOICE_RULES, ask
from web.forms.boxes import Box, fill, first_error, sent
from web.forms.fields import Choice, Constant, Field, Group, NoForm, Quoted, Rows, Text, form_of
from web.forms.reading import Reading, as_sent, read

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "kind": {"const": "order"},
        "name": {"type": "string", "maxLength": 40, "description": "of the buyer"},
        "remark": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "count": {"type": "integer"},
        "price": {"type": ["number", "null"]},
        "gift": {"type": "boolean"},
        "colour": {"enum": ["red", "green"]},
        "size": {"anyOf": [{"enum": [1, "1", 2]}, {"type": "null"}]},
        "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}},
        "only": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 1},
        "day": {"type": "string", "format": "date"},
        "address": {"$ref": "#/$defs/Address"},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/Part"}, "maxItems": 3},
        "notes": {"type": "array", "items": {"type": "string"}},
        "other": {"type": "object", "additionalProperties": True},
    },
    "required": ["name", "count", "parts"],
    "$defs": {
        "Address": {"type": "object", "properties": {"street": {"type": "string"}, "town": {"type": "string"}}},
        "Part": {"type": "object", "properties": {"label": {"type": "string"}, "amount": {"type": "number"}}},
    },
}
VALUE: dict[str, Any] = {
    "kind": "order", "name": "Ann", "remark": "two\nlines", "count": 2, "price": 1.5, "gift": False, "colour": "green",
    "size": "1", "tags": ["a", "c"], "only": ["b"], "day": "2026-02-28", "address": {"street": "S", "town": "T"},
    "parts": [{"label": "x", "amount": 1}, {"label": "y", "amount": 2.5}], "notes": ["n"], "other": {"a": [1, None]},
}  # fmt: skip


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(sorted(SCHEMA["properties"])), inner),
)
NAMES = [*sent(fill(form_of(SCHEMA), VALUE)), "answer", "answer.parts.9.label"]
SENT = st.dictionaries(st.sampled_from(NAMES), st.lists(st.text(), max_size=3))


def field(schema: dict[str, Any]) -> Field:
    """The field of one property."""
    (found,) = form_of({"type": "object", "properties": {"it": schema}}).fields
    return found


def typed(schema: dict[str, Any], text: str) -> Reading:
    """What is read where somebody typed this into the one field."""
    return read(form_of({"type": "object", "properties": {"it": schema}}), {"answer.it": [text]})


def boxes(root: Box) -> dict[str, Box]:
    """By path."""
    return {box.path: box for box in root.walk()}


def test_a_schema_becomes_fields() -> None:
    """Each kind of schema has its kind of field; what no form knows is typed as JSON."""
    fields = {one.name: type(one) for one in form_of(SCHEMA).fields}
    assert fields == {
        "kind": Constant, "name": Text, "remark": Text, "count": Text, "price": Text, "gift": Choice, "colour": Choice,
        "size": Choice, "tags": Choice, "only": Choice, "day": Text, "address": Group, "parts": Rows, "notes": Rows,
        "other": Text,
    }  # fmt: skip
    assert isinstance(field({"type": "object", "properties": {"value": {"type": "string"}, "quote": {}}}), Quoted)
    unions: list[dict[str, Any]] = [{"type": "string"}, {"type": "number"}]
    oddities: list[dict[str, Any]] = [{}, {"type": "object"}, {"anyOf": unions}, {"not": {}}]
    for strange in oddities:
        found = field(strange)
        assert isinstance(found, Text)
        assert found.kind == "json"


def test_circular_schemas_end_somewhere() -> None:
    """A definition that is itself becomes a field for JSON instead of a form without end."""
    circle = {"$defs": {"A": {"$ref": "#/$defs/A"}}, "type": "object", "properties": {"it": {"$ref": "#/$defs/A"}}}
    (found,) = form_of(circle).fields
    assert isinstance(found, Text)
    assert found.kind == "json"
    with pytest.raises(NoForm):
        form_of({"type": "array", "items": {"type": "string"}})


def test_what_is_shown_comes_back_the_same() -> None:
    """Every kind of value survives being shown and sent, constants included."""
    assert as_sent(form_of(SCHEMA), VALUE) == VALUE


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_every_golden_answer_fits_its_form(name: str) -> None:
    """For each task: shown, sent unchanged and held to the contract, a good answer is the same answer."""
    task = find_task(name)
    answers = [one for one in task.golden() if one["output"]["outcome"] != "not_applicable"]
    assert answers
    for one in answers:
        form = form_of(task.person_schema(task.read_request(one["request"])))
        back = checked_output(task, one["request"], as_sent(form, one["output"]))
        assert {**back, "confidence": None} == {**one["output"], "confidence": None}


@given(ANYTHING)
def test_any_suggestion_can_be_shown(value: Any) -> None:
    """However wrong a suggestion is, it is shown, and what is read of it is stable: shown and sent again it is the same."""
    form = form_of(SCHEMA)
    once = as_sent(form, value)
    assert as_sent(form, once) == once


@given(SENT)
def test_anything_may_be_sent(data: dict[str, list[str]]) -> None:
    """Whatever a browser or a program sends, it is read or named as an error at its field."""
    form = form_of(SCHEMA)
    reading = read(form, data)
    box = fill(form, reading.value, reading.errors)
    assert sum(len(one.errors) for one in box.walk()) == len(reading.errors)
    json.dumps(reading.value)


def test_blanks_are_left_out_or_null() -> None:
    """A blank nullable field is null, another one is left out for the contract to name; rows with nothing in them are dropped
    when the answer is read, and kept while it is edited."""
    blank = {name: [""] for name in sent(fill(form_of(SCHEMA), VALUE))} | {"answer.parts:rows": ["0", "1"]}
    expected: dict[str, Any] = {
        "kind": "order", "remark": None, "price": None, "size": None, "tags": [], "only": [], "address": {}, "notes": [],
    }  # fmt: skip
    assert read(form_of(SCHEMA), blank).value == {**expected, "parts": []}
    assert read(form_of(SCHEMA), blank, keep_blank_rows=True).value["parts"] == [{}, {}]


def test_rows_are_numbered_anew() -> None:
    """Errors of a row name the place it has in what is shown again, whatever it was called when it was sent."""
    data = {
        "answer.parts:rows": ["0", "3", "7", "x"],
        "answer.parts.3.label": ["kept"],
        "answer.parts.7.amount": ["many"],
    }
    reading = read(form_of(SCHEMA), data)
    assert reading.value["parts"] == [{"label": "kept"}, {"amount": "many"}]
    assert [one.path for one in reading.errors] == ["parts.1.amount"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        ("+12", 12),
        (" 012 ", 12),
        ("-1.50", -1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-0", 0),
        ("9" * 30, int("9" * 30)),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, number: float) -> None:
    """With a sign, leading zeros or a leading point too; whole ones stay whole, at any size."""
    reading = typed({"type": "number"}, text)
    assert (reading.value, reading.errors) == ({"it": number}, [])
    assert type(reading.value["it"]) is type(number)


@pytest.mark.parametrize(
    "text", ["twelve", "1,234.50", "1.234,50", "12 €", "NaN", "Infinity", "1e999", "0x1F", "--1", "1_000", "٣"]
)
def test_what_is_no_number_stays_as_typed(text: str) -> None:
    """A guess at a separator could be wrong by a factor of a thousand: the field says what it wants and keeps the text."""
    reading = typed({"type": "number"}, text)
    assert reading.value == {"it": text}
    assert [one.path for one in reading.errors] == ["it"]
    assert "such as 1234.5" in reading.errors[0].message
    assert (
        boxes(fill(form_of({"type": "object", "properties": {"it": {"type": "number"}}}), reading.value))["it"].text
        == text
    )


def test_whole_numbers_are_whole() -> None:
    """12.0 is 12; 12.5 is refused at its field."""
    assert typed({"type": "integer"}, "12.0").value == {"it": 12}
    assert typed({"type": "integer"}, "12.5").errors[0].message.startswith("must be a whole number")


def test_a_choice_takes_only_what_is_offered() -> None:
    """What was not offered is not read; 1 and "1" are two options."""
    schema = {"enum": [1, "1", "=1"]}
    assert [typed(schema, text).value["it"] for text in ("1", "=1", '="=1"')] == ["1", 1, "=1"]
    assert typed({"enum": ["a"]}, "b").value == {}


def test_a_suggested_label_that_is_no_choice_is_said() -> None:
    """It cannot be shown as chosen, and is not lost silently."""
    form = form_of(SCHEMA)
    box = boxes(fill(form, {"only": ["zebra"]}))["only"]
    assert [option.text for option in box.options if option.is_chosen] == [""]
    assert box.hint is not None
    assert "'zebra'" in box.hint


def test_dates_that_are_none_stay_visible() -> None:
    """A browser shows a date field with anything else in it as empty: such a value gets a line of text."""
    form = form_of(SCHEMA)
    assert boxes(fill(form, {"day": "2026-02-28"}))["day"].kind == "date"
    for text in ("28 Feb", "2026-02-30", "20260228"):
        box = boxes(fill(form, {"day": text}))["day"]
        assert (box.kind, box.text) == ("line", text)


def test_a_value_and_its_quote_come_together() -> None:
    """Both blank: not found. One alone is an error at the other one's field."""
    schema = {
        "anyOf": [
            {"type": "object", "properties": {"value": {"type": "number"}, "quote": {"type": "string"}}},
            {"type": "null"},
        ]
    }
    form = form_of({"type": "object", "properties": {"it": schema}})
    cases = {
        ("", ""): [],
        ("1", "one"): [],
        ("1", ""): ["it.quote"],
        ("", "one"): ["it.value"],
        ("x", "one"): ["it.value"],
    }
    for (value, quote), paths in cases.items():
        reading = read(form, {"answer.it.value": [value], "answer.it.quote": [quote]})
        assert [one.path for one in reading.errors] == paths
    assert read(form, {}).value == {"it": None}


def test_errors_stand_at_their_field() -> None:
    """An error goes to its own box, to the value of a quoted leaf, or to the nearest box around it; none is lost."""
    task = find_task("extract")
    form = form_of(task.person_schema(task.read_request(ask("extract"))))
    errors = [
        Violation(path="fields.total", message="must be at least 0"),
        Violation(path="fields.total.quote", message="does not stand in the document"),
        Violation(path="fields.lines.0.nowhere", message="is not in the schema"),
        Violation(path="", message="as a whole"),
    ]
    root = fill(form, INVOICE_RULES, errors)
    found = {path: box.errors for path, box in boxes(root).items() if box.errors}
    assert found == {
        "": ["as a whole"],
        "fields.total.value": ["must be at least 0"],
        "fields.total.quote": ["does not stand in the document"],
        "fields.lines.0": ["is not in the schema"],
    }
    first = first_error(root)
    assert first is not None
    assert first.path == "fields.total.value"


def test_every_box_has_a_name_and_an_id_of_its_own() -> None:
    """Also where names of fields hold spaces, quotes and other letters: ids have no white space and are never the same."""
    names = ["a b", "a_b", "a-b", 'a"b', "ä", "a<b", "日"]
    form = form_of({"type": "object", "properties": {name: {"type": "string"} for name in names}})
    root = fill(form, {})
    ids = [box.id for box in root.walk()]
    assert len(set(ids)) == len(ids)
    assert all(one.isascii() and not any(char in ' "<>' for char in one) for one in ids)
    assert read(form, {f"answer.{name}": [name] for name in names}).value == {name: name for name in names}


def test_a_blank_form_of_an_extraction_finds_nothing() -> None:
    """Sent blank it is the answer in which every field is not found, which the contract then judges."""
    task = find_task("extract")
    form = form_of(task.person_schema(task.read_request(ask("extract"))))
    value = as_sent(form, None)
    assert value["fields"]["total"] is None
    assert value["fields"]["lines"] == []


def test_fields_that_differ_are_marked_at_their_value() -> None:
    """A differing quote marks the value that it carries: one mark per field."""
    task = find_task("extract")
    form = form_of(task.person_schema(task.read_request(ask("extract"))))
    root = fill(form, INVOICE_MODEL, differing=["fields.total.quote", "fields.issuer.vat_id"])
    assert [box.path for box in root.walk() if box.is_differing] == ["fields.total.value", "fields.issuer.vat_id.value"]
