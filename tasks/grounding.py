"""Does a quote really stand in the source?

A quote is accepted when it is a substring after both sides are reduced to what a reader sees: Unicode compatibility
forms unified (NFKC), case ignored, typographic quotation marks and dashes made plain, soft hyphens and zero-width
characters dropped, any run of white space one space. Words are never dropped and nothing is matched fuzzily: a changed
digit is a wrong quote. The found place is given in offsets of the *original* source, so that it can be highlighted.
"""

import re
import unicodedata
from array import array
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4`", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    }
)
_ELLIPSES = ("...", "[...]")
_PLAIN_RUN = re.compile("[!-~]+(?: [!-~]+)*")
"""ASCII words with single spaces between: nothing in them composes, and letter stands for letter."""


class Span(NamedTuple):
    """A piece of the source, in characters, end excluded."""

    start: int
    end: int


class _Reduced(NamedTuple):
    """A text as a reader sees it, and where in the original each of its characters starts and ends."""

    text: str
    starts: "array[int]"
    ends: "array[int]"


def locate(quote: str, source: str) -> Span | None:
    """Where a quote stands in the source, or None.

    Exact substrings are found first; then the tolerant comparison that the module describes.
    """
    if not any(map(str.isalnum, quote)):
        return None  # blanks and punctuation stand everywhere and prove nothing
    start = _find(quote, source)
    if start >= 0:
        return Span(start, start + len(quote))
    wanted = _strip_marks(_reduced(quote).text)
    haystack = _reduced_source(source)
    at = _find(wanted, haystack.text)
    if at < 0:
        return None
    return Span(haystack.starts[at], haystack.ends[at + len(wanted) - 1])


def _find(wanted: str, source: str) -> int:
    """The first place that does not cut a number in two: "50" does not stand in "500". -1: there is none."""
    at = source.find(wanted) if wanted else -1
    while at >= 0:
        end = at + len(wanted)
        cut_before = wanted[0].isdigit() and at > 0 and source[at - 1].isdigit()
        cut_after = wanted[-1].isdigit() and end < len(source) and source[end].isdigit()
        if not (cut_before or cut_after):
            return at
        at = source.find(wanted, at + 1)
    return -1


def _strip_marks(text: str) -> str:
    """Drop what writers put around a quote: quotation marks and leading or closing dots of omission."""
    text = text.strip().strip("\"'").strip()
    for mark in _ELLIPSES:
        text = text.removeprefix(mark).removesuffix(mark).strip()
    return text


@lru_cache(maxsize=8)
def _reduced_source(source: str) -> _Reduced:
    """The source reduced once for all quotes of an answer. Few entries: a source may be large."""
    return _reduced(source)


def _reduced(text: str) -> _Reduced:
    """Reduce a text. Plain runs go in whole: letter by letter, a megabyte held up the whole process for two seconds."""
    reduced: list[str] = []
    starts, ends = array("q"), array("q")
    spaced = True  # leading white space is dropped
    for start, piece in _pieces(text):
        if len(piece) > 1 and piece.isascii():
            reduced.append(piece.translate(_PLAIN).lower())
            starts.extend(range(start, start + len(piece)))
            ends.extend(range(start + 1, start + len(piece) + 1))
            spaced = False
            continue
        for char in unicodedata.normalize("NFKC", piece.translate(_PLAIN)).casefold().translate(_PLAIN):
            if (char.isspace() and spaced) or unicodedata.category(char) == "Cf":
                continue
            spaced = char.isspace()
            reduced.append(" " if spaced else char)
            starts.append(start)
            ends.append(start + len(piece))
    return _Reduced("".join(reduced), starts, ends)


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Plain runs, and clusters of all else, and where each starts."""
    end = 0
    for run in _PLAIN_RUN.finditer(text):
        yield from _clusters(text, end, run.start())
        end = run.end() - (run.end() < len(text) and _composes(text[run.end()]))
        if end > run.start():
            yield run.start(), text[run.start() : end]
    yield from _clusters(text, end, len(text))


def _clusters(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    """Base characters with what composes onto them: unified together, so that offsets survive.

    Marks are told by their category (those of Indic scripts have no combining class); Hangul vowels and finals are
    letters, and compose all the same.
    """
    for index in range(start + 1, end + 1):
        if index == end or not _composes(text[index]):
            yield start, text[start:index]
            start = index


def _composes(char: str) -> bool:
    return unicodedata.category(char).startswith("M") or "\u1160" <= char <= "\u11ff"
