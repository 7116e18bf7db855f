"""Figures from counts: shares, quantiles, and the words in which they are told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.figures import COUNTS, FIGURES, WAIT_BOUNDS, WAITED, Behind, Dimension, Kind, quantile
from schemas.job_lists import OF_CALLS, OF_LANDINGS, Filters, Outcome
from web.operators import shown


def test_a_share_of_nothing_is_nothing() -> None:
    """Without a case there is no rate, which is not a rate of zero."""
    rate = FIGURES["fallback_rate"]
    assert rate.value({}) is None
    assert rate.value({"answered_by_model": 3}) == 0
    assert rate.value({"answered_by_model": 3, "answered_by_rules": 1}) == 0.25


def test_the_quantile_lies_where_the_share_is_reached() -> None:
    """Within a class waits are taken to rise evenly; beyond the last bound it is that bound."""
    assert quantile([100, *[0] * len(WAIT_BOUNDS)], 0.95) == pytest.approx(0.95)
    assert quantile([50, 50, *[0] * (len(WAIT_BOUNDS) - 1)], 0.95) == pytest.approx(1.9)
    assert quantile([0] * len(WAIT_BOUNDS) + [7], 0.95) == WAIT_BOUNDS[-1]
    assert quantile([0] * len(WAITED), 0.95) is None


@given(st.lists(st.floats(min_value=0, max_value=86400), min_size=1, max_size=200))
def test_the_quantile_is_within_its_class(waits: list[float]) -> None:
    """The estimate lies in the class that holds the true 95th percentile, whatever the waits."""
    classes = [0.0] * len(WAITED)
    for wait in waits:
        classes[next((i for i, bound in enumerate(WAIT_BOUNDS) if wait <= bound), len(WAIT_BOUNDS))] += 1
    true = sorted(waits)[-(-len(waits) * 95 // 100) - 1]
    index = next(i for i, bound in enumerate(WAIT_BOUNDS) if true <= bound)
    found = quantile(classes, 0.95)
    assert found is not None
    assert (WAIT_BOUNDS[index - 1] if index else 0) - 1e-9 <= found <= WAIT_BOUNDS[index] + 1e-9


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_made_of_what_is_counted(name: str) -> None:
    """Its columns exist, and the filters that lead to its jobs are filters of lists."""
    figure = FIGURES[name]
    assert set(figure.columns) <= set(COUNTS)
    assert (figure.kind is Kind.NOW) == (not figure.columns)
    narrowed = dict(figure.narrowed)
    Filters.model_validate(narrowed)
    if "outcome" in narrowed:
        known = OF_LANDINGS if figure.behind is Behind.LANDED else OF_CALLS
        assert Outcome(narrowed["outcome"]) in known


def test_a_fallback_is_the_same_in_the_figure_and_in_the_list() -> None:
    """What the rate counts is what its link shows."""
    assert set(OF_LANDINGS[Outcome.FALLBACK]) == set(FIGURES["fallback_rate"].over)
    assert {f"attempts_{one}" for one in OF_CALLS[Outcome.NO_REPLY]} == set(FIGURES["call_failure_rate"].over)


def test_labels_are_bounded_dimensions() -> None:
    """No figure is kept apart by anything but the four bounded dimensions."""
    assert {one for figure in FIGURES.values() for one in figure.by} <= set(Dimension)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0"), (12, "12"), (9999, "9,999"), (12_345, "12.3 k"), (1_234_567, "1.23 M"), (2.5, "2.5")],
)
def test_numbers_are_short(value: float | None, text: str) -> None:
    """Large counts are rounded to what a person takes in."""
    assert shown.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.42, "0.4 s"), (75, "75 s"), (600, "10 min"), (7200, "2 h"), (200_000, "2 d"), (None, "–")]
)
def test_times_have_one_unit(value: float | None, text: str) -> None:
    """As people say them."""
    assert shown.seconds(value) == text
