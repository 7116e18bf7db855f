"""Do two answers say the same? Paths of what differs, and what counts for agreement."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.agreement import compare, differences, normalised

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.sampled_from("abc"), parts, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("one", "other", "paths"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a"]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, ["a.b.1"]),
        ({"a": [1]}, {"a": [1, 2, 3]}, ["a.1", "a.2"]),
        ({"a": {"b": 1, "c": 2}}, {"d": 1}, ["a", "d"]),
        ({"a": None}, {"a": 0}, ["a"]),
        ({"a": True}, {"a": 1}, ["a"]),
        ({"a": {"b": 1}}, {"a": [1]}, ["a"]),
        (None, {"a": 1}, [""]),
    ],
)
def test_differences_are_named_by_their_paths(one: Any, other: Any, paths: list[str]) -> None:
    """Leaves that differ, and what stands on one side only, in the order of the answers."""
    assert differences(one, other) == paths


@given(JSON, JSON)
def test_no_difference_is_equality(one: Any, other: Any) -> None:
    """Nothing differs from itself, and where nothing is named the two are the same JSON; both sides name the same paths."""
    assert differences(one, one) == []
    assert sorted(differences(one, other)) == sorted(differences(other, one))
    if not differences(one, other):
        assert one == other


def test_grounds_do_not_count() -> None:
    """Who finds the same label or amount by other words, in other case or order, agrees."""
    model = {"outcome": "classification", "labels": ["billing", "other"], "evidence": "the invoice", "confidence": 0.7}
    person = {"outcome": "classification", "labels": ["other", "Billing "], "evidence": "refund", "confidence": None}
    assert compare(model, person).agrees


def test_an_extraction_is_compared_by_its_values() -> None:
    """A leaf is its value: another quote agrees, another value differs, and the path names the producer's field."""
    model = {"outcome": "extraction", "not_found": [], "fields": {
        "total": {"value": 12.5, "quote": "12.50"}, "lines": [{"name": {"value": "Tea", "quote": "Tea"}}], "due": None,
    }}  # fmt: skip
    person = {"outcome": "extraction", "not_found": [], "fields": {
        "total": {"value": 12.5, "quote": "EUR 12.50"}, "lines": [{"name": {"value": "Teas", "quote": "Tea"}}], "due": None,
    }}  # fmt: skip
    found = compare(model, person)
    assert (found.agrees, found.differing) == (False, ["fields.lines.0.name"])
    assert (found.fields, found.equal) == (4, 3)


def test_a_producers_field_may_be_called_quote() -> None:
    """Below ``fields`` the names are the producer's: none is taken for grounds."""
    assert not compare(
        {"fields": {"quote": {"value": "a", "quote": "a"}}}, {"fields": {"quote": {"value": "b", "quote": "b"}}}
    ).agrees
    assert normalised({"fields": {"evidence": {"value": "a", "quote": "a"}}}) == {"fields": {"evidence": "a"}}


def test_no_answer_agrees_with_no_answer_alone() -> None:
    """Who holds that none can be given differs in the whole, and no field counts as equal."""
    found = compare({"outcome": "summary", "summary": "a"}, None)
    assert (found.agrees, found.differing, found.equal) == (False, [""], 0)
    assert found.fields > 0


@given(
    st.dictionaries(st.sampled_from("abc"), JSON, max_size=3), st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)
)
def test_figures_add_up(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Equal fields are all of them exactly where the two agree, and never more than there are."""
    found = compare(one, other)
    assert 0 <= found.equal <= found.fields
    assert found.agrees == (found.equal == found.fields)
