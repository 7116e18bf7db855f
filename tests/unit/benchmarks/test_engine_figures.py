"""The arithmetic of the engine's measurements."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.engine.figures import (
    busiest,
    busiest_from,
    heap_bytes,
    index_bytes,
    pace,
    regained,
    slope,
    thinned,
    trailing,
    within,
)

EVERY_SECOND = [float(second) for second in range(300)]


def test_the_busiest_window_is_found_wherever_it_lies() -> None:
    """Three calls within two seconds, however the others are spread; a window ends before its end."""
    assert busiest([0, 10, 20.0, 20.5, 21.9, 40], 2) == 3
    assert busiest_from([0, 10, 20.0, 20.5, 21.9, 40], 2) == 20
    assert busiest([0, 2], 2) == 1
    assert busiest([], 2) == 0


def test_moments_of_a_window_are_counted() -> None:
    """From its begin on, before its end; and the last so many seconds, with the present."""
    assert within(EVERY_SECOND, 10, 20) == 10
    assert trailing(EVERY_SECOND, 100, 60) == 60
    assert trailing(EVERY_SECOND, 5, 60) == 6


def test_a_pace_does_not_depend_on_the_edges_of_a_window() -> None:
    """One a second is sixty a minute, whether ten or eleven fall into the window."""
    assert pace(EVERY_SECOND[:10]) == pace(EVERY_SECOND[:11]) == 60
    assert pace([3.0]) == 0


def test_a_pace_is_regained_when_it_lasts() -> None:
    """Some calls right after the outage do not count while the minute from there on is slow."""
    stumbling = [0.0, 1.0, 2.0, 30.0]
    steady = [40.0 + second for second in range(100)]
    assert regained([*stumbling, *steady], 0, 57) == 40.0
    assert regained([at + 500 for at in EVERY_SECOND], 500, 57) == 0


def test_a_pace_that_was_not_seen_for_long_enough_is_not_regained() -> None:
    """Thirty good seconds do not make a good minute, and a slow one never does."""
    assert regained(EVERY_SECOND[:30], 0, 57) is None
    assert regained([second * 2 for second in EVERY_SECOND], 0, 57) is None


@given(st.floats(-100, 100), st.floats(-1000, 1000))
def test_a_line_has_its_slope(rise: float, start: float) -> None:
    """Least squares over points of a line give the line."""
    xs = [0.0, 1.0, 5.0, 7.5]
    assert slope(xs, [start + rise * x for x in xs]) == pytest.approx(rise, abs=1e-6)


def test_noise_around_a_level_has_no_slope() -> None:
    """A saw-tooth that ends where it began."""
    assert slope([0, 1, 2, 3, 4], [5, 9, 5, 9, 5]) == pytest.approx(0)
    with pytest.raises(ValueError, match="two different x"):
        slope([1, 1], [1, 2])


@given(st.integers(0, 2000), st.integers(2, 500))
def test_thinned_points_keep_both_ends_and_their_order(count: int, most: int) -> None:
    """Never more than asked for."""
    points = thinned(list(range(count)), most)
    assert len(points) == min(count, most)
    assert points == sorted(set(points))
    if count:
        assert (points[0], points[-1]) == (0, count - 1)


def test_rows_and_entries_take_what_postgresql_gives_them() -> None:
    """A row of 93 bytes takes 96 and a line pointer; a uuid as a key takes 28 bytes of pages that are nine tenths full."""
    assert heap_bytes(1000, 93, 1.0) == pytest.approx(1000 * 100 * 8192 / 8168)
    assert heap_bytes(1000, 93, 0.8) == pytest.approx(1000 * 100 * 8192 / 8168 / 0.8)
    assert index_bytes(900, 16) == pytest.approx(28_000)
    assert index_bytes(900, 18) == pytest.approx(36_000)
