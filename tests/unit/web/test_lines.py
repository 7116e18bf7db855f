"""Lines out of pieces that were cut anywhere."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from web.lines import lines_of

LONGEST = 8


@given(st.lists(st.text(alphabet="ab\r", max_size=LONGEST), max_size=20), st.lists(st.integers(0, 60)))
def test_wherever_it_is_cut_the_lines_are_the_same(lines: list[str], cuts: list[int]) -> None:
    """Each line once and in order; only a last one that is empty is none."""
    whole = "\n".join(lines).encode()
    places = sorted({0, len(whole), *(min(cut, len(whole)) for cut in cuts)})
    pieces = [whole[start:end] for start, end in pairwise(places)]
    wanted = whole.split(b"\n")
    assert list(lines_of(pieces, LONGEST)) == (wanted if wanted[-1] else wanted[:-1])


def test_a_line_beyond_the_limit_comes_cut_and_its_rest_is_not_held() -> None:
    """One byte more than the limit, by which it is known; the lines around it are whole."""
    pieces = [b"one\nxxxxx", *[b"x" * 5] * 1000, b"\ntwo"]
    assert list(lines_of(pieces, LONGEST)) == [b"one", b"x" * (LONGEST + 1), b"two"]


def test_no_piece_is_no_line() -> None:
    """Nor is an empty one."""
    assert list(lines_of([], LONGEST)) == list(lines_of([b""], LONGEST)) == []
