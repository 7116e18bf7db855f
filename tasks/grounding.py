"""Does a quote really stand in the source?

A quote is accepted when it is a substring after both sides are reduced to what a reader sees: Unicode compatibility
forms unified (NFKC), case ignored, typographic quotation marks and dashes made plain, soft hyphens and zero-width
characters dropped, any run of white space one space. Words are never dropped and nothing is matched fuzzily: a changed
digit is a wrong quote. The found place is given in offsets of the *original* source, so that it can be highlighted.
"""

import unicodedata
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


class Span(NamedTuple):
    """A piece of the source, in characters, end excluded."""

    start: int
    end: int


def locate(quote: str, source: str) -> Span | None:
    """Where a quote stands in the source, or None.

    Exact substrings are found first; then the tolerant comparison that the module describes.
    """
    if not any(map(str.isalnum, quote)):
        return None  # blanks and punctuation stand everywhere and prove nothing
    start = _find(quote, source)
    if start >= 0:
        return Span(start, start + len(quote))
    wanted = _strip_marks(_reduced(quote)[0])
    haystack, places = _reduced_source(source)
    at = _find(wanted, haystack)
    if at < 0:
        return None
    return Span(places[at].start, places[at + len(wanted) - 1].end)


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
def _reduced_source(source: str) -> tuple[str, list[Span]]:
    """The source reduced once for all quotes of an answer. Few entries: a source may be large."""
    return _reduced(source)


def _reduced(text: str) -> tuple[str, list[Span]]:
    """The text as a reader sees it, and for each of its characters the place it came from."""
    characters: list[str] = []
    places: list[Span] = []
    spaced = True  # leading white space is dropped
    # Compatibility forms are unified per base character with its combining marks, so that offsets survive.
    for start, cluster in _clusters(text):
        place = Span(start, start + len(cluster))
        plain = unicodedata.normalize("NFKC", cluster.translate(_PLAIN)).casefold().translate(_PLAIN)
        for char in plain:
            if char.isspace():
                if not spaced:
                    characters.append(" ")
                    places.append(place)
                spaced = True
            elif unicodedata.category(char) != "Cf":
                characters.append(char)
                places.append(place)
                spaced = False
    return "".join(characters), places


def _clusters(text: str) -> list[tuple[int, str]]:
    """Base characters with what composes onto them, and where each starts.

    Marks are told by their category (those of Indic scripts have no combining class); Hangul vowels and finals are
    letters, and compose all the same.
    """
    if text.isascii():
        return list(enumerate(text))
    clusters: list[tuple[int, str]] = []
    start = 0
    for index in range(1, len(text) + 1):
        if index == len(text) or not _composes(text[index]):
            clusters.append((start, text[start:index]))
            start = index
    return clusters


def _composes(char: str) -> bool:
    return unicodedata.category(char).startswith("M") or "\u1160" <= char <= "\u11ff"
