"""Paths into an answer: what buttons of the form change."""

from web.forms.paths import at, put, without


def test_a_path_finds_what_stands_there() -> None:
    """In objects and lists; nothing where the path leads nowhere."""
    value = {"a": [{"b": 1}], "c": "text"}
    assert (at(value, "a.0.b"), at(value, ""), at(value, "a.1.b"), at(value, "c.0"), at(value, "a.x")) == (
        1, value, None, None, None,
    )  # fmt: skip


def test_putting_leaves_the_original_alone() -> None:
    """Objects on the way are made; a list takes a new item at its end only."""
    value = {"a": [{"b": 1}]}
    assert put(value, "a.0.b", 2) == {"a": [{"b": 2}]}
    assert put(value, "a.7.b", 3) == {"a": [{"b": 1}, {"b": 3}]}
    assert put(value, "x.y", 4) == {"a": [{"b": 1}], "x": {"y": 4}}
    assert put("text", "x", 5) == {"x": 5}
    assert value == {"a": [{"b": 1}]}


def test_a_row_can_be_taken_out() -> None:
    """That row alone; where there is none, nothing happens."""
    value = {"a": [1, 2, 3]}
    assert without(value, "a.1") == {"a": [1, 3]}
    assert without(value, "a.9") == without(value, "b.0") == without(value, "a") == without(value, "") == value
