"""A quote stands in the source when a reader would say so, and its place is given in the source's own offsets."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tasks.grounding import locate


@pytest.mark.parametrize(
    ("quote", "source", "found"),
    [
        ("b c", "a b c d", "b c"),
        ("HELLO", "say hello", "hello"),
        ("a b c", "x a\u00a0\n b\t c y", "a\u00a0\n b\t c"),
        ("a\nb", "a b", "a b"),
        ("'it's'", "he: \u2018it\u2019s\u2019", "\u2018it\u2019s\u2019"[1:-1]),
        ('"so"', "he said \u201eso\u201c", "so"),
        ("1-2", "pages 1\u20132", "1\u20132"),
        ("\u2026b c\u2026", "a b c d", "b c"),
        ("[...] b c", "a b c d", "b c"),
        ("find", "we \ufb01nd it", "\ufb01nd"),
        ("of fi", "half of \ufb01", "of \ufb01"),
        ("strasse", "die Straße", "Straße"),
        ("caf\u00e9 noir", "un cafe\u0301 noir!", "cafe\u0301 noir"),
        ("cafe\u0301 noir", "un caf\u00e9 noir!", "caf\u00e9 noir"),
        ("information", "the infor\u00admation", "infor\u00admation"),
        ("word", "a wo\u200brd", "wo\u200brd"),
        ("infor\u00admation", "the information", "information"),
        ("東京タワー", "私は東京タワーへ行く", "東京タワー"),
        ("ABC123", "code \uff21\uff22\uff23\uff11\uff12\uff13", "\uff21\uff22\uff23\uff11\uff12\uff13"),
        ("привет", "Он сказал ПРИВЕТ", "ПРИВЕТ"),
        ("caf\u00e9", "un cafe\u0301!", "cafe\u0301"),
        ("한글", "\u1112\u1161\u11ab\u1100\u1173\u11af ok", "\u1112\u1161\u11ab\u1100\u1173\u11af"),
        ("\u0995\u09cb", "x \u0995\u09c7\u09be y", "\u0995\u09c7\u09be"),
        ("don't", "I don\u00b4t know", "don\u00b4t"),
        ('5" pipe', "a 5\u2033 pipe", "5\u2033 pipe"),
        ("😀 ok", "so 😀  ok", "😀  ok"),
    ],
)
def test_what_a_reader_takes_for_the_same_is_found_in_place(quote: str, source: str, found: str) -> None:
    """Case, white space, typographic marks, ligatures, accents' spelling and invisible characters do not matter."""
    span = locate(quote, source)
    assert span is not None
    assert source[span.start : span.end] == found


@pytest.mark.parametrize(
    ("quote", "source"),
    [
        ("total 51", "total 50"),
        ("a c", "a b c"),
        ("b a", "a b"),
        ("a ... c", "a b c"),
        ("cafe", "un caf\u00e9"),
        ("not here", "somewhere else"),
        ("ab", "a b"),
        ("東京", "京東"),
    ],
)
def test_changed_words_are_not_a_quote(quote: str, source: str) -> None:
    """Nothing is matched fuzzily: a changed digit, a dropped or swapped word, a lost accent, a gap."""
    assert locate(quote, source) is None


@pytest.mark.parametrize(
    "quote", ["", " ", ".", "-", "\n\t", '""', "\u201c \u201d", "...", "\u2026", "\u00ad", "\u200b"]
)
def test_a_quote_without_anything_to_read_is_no_quote(quote: str) -> None:
    """Empty, blank, invisible, or only marks around nothing."""
    assert locate(quote, "Some source without any of these in it") is None


def test_an_exact_place_wins_over_a_tolerant_one() -> None:
    """A verbatim quote is highlighted where it stands verbatim, though a tolerant match stands before it."""
    span = locate("Total Due", "total due now; Total Due later")
    assert span is not None
    assert span.start == 15


@given(st.text(min_size=1), st.text(), st.text())
def test_every_verbatim_piece_is_found(quote: str, before: str, after: str) -> None:
    """Whatever the characters, a substring of the source is located, and the place reads the same."""
    assume(any(map(str.isalnum, quote)))
    assume(not (quote[0].isdigit() and before[-1:].isdigit()) and not (quote[-1].isdigit() and after[:1].isdigit()))
    source = before + quote + after
    span = locate(quote, source)
    assert span is not None
    assert source[span.start : span.end] == quote


@given(st.text(max_size=30), st.text(max_size=60))
def test_a_span_lies_within_the_source(quote: str, source: str) -> None:
    """Offsets are always those of the original, whatever was reduced on the way."""
    span = locate(quote, source)
    if span is not None:
        assert 0 <= span.start < span.end <= len(source)


@pytest.mark.parametrize(
    ("quote", "source"), [("total 50", "total 500"), ("50 EUR", "150 EUR"), ("Total  50", "total 500 ")]
)
def test_a_quote_does_not_cut_a_number_in_two(quote: str, source: str) -> None:
    """A quote that ends or begins inside a longer number is no quote of it: the amount is another one."""
    assert locate(quote, source) is None


def test_a_whole_number_is_found_behind_a_longer_one() -> None:
    """A number cut by its first place in the text is still found where it stands whole."""
    assert locate("50", "500 and 50") == (8, 10)
