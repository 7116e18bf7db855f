"""What several runs come to."""

import pytest

from benchmarks.figures import paired_ratio, percentile, spread


def test_a_percentile_is_a_value_that_was_measured() -> None:
    """The 99th of a hundred values is the 99th smallest, and of few values the largest: nothing is interpolated."""
    hundred = [float(value) for value in range(100, 0, -1)]
    assert percentile(hundred, 0.99) == 99
    assert percentile(hundred, 0.5) == 50
    assert percentile([3.0, 1.0], 0.99) == 3
    assert percentile([3.0, 1.0], 0.0) == 1


def test_ratios_are_taken_between_neighbours() -> None:
    """Round by round, so that a machine that grew slower for everybody does not move them."""
    ratio = paired_ratio([100, 50, 10], [200, 100, 20])
    assert (ratio.least, ratio.median, ratio.most) == (0.5, 0.5, 0.5)


def test_rounds_that_do_not_pair_are_refused() -> None:
    """A missing round would silently pair the wrong neighbours."""
    with pytest.raises(ValueError, match="zip"):
        paired_ratio([1.0, 2.0], [1.0])


def test_nothing_measured_has_no_median() -> None:
    """An empty list is an error, not a zero that looks like a result."""
    with pytest.raises(ValueError, match="no values"):
        spread([])
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)
