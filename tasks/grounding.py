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
    start = source.find(quote)
    if start >= 0 and quote:
        return Span(start, start + len(quote))
    wanted = _strip_marks(_reduced(quote)[0])
    if not wanted:
        return None
    haystack, origins = _reduced_source(source)
    at = haystack.find(wanted)
    if at < 0:
        return None
    return Span(origins[at], origins[at + len(wanted) - 1] + 1)


def _strip_marks(text: str) -> str:
    """Drop what writers put around a quote: quotation marks and leading or closing dots of omission."""
    text = text.strip().strip("\"'").strip()
    for mark in _ELLIPSES:
        text = text.removeprefix(mark).removesuffix(mark).strip()
    return text


@lru_cache(maxsize=8)
def _reduced_source(source: str) -> tuple[str, list[int]]:
    """The source reduced once for all quotes of an answer. Few entries: a source may be large."""
    return _reduced(source)


def _reduced(text: str) -> tuple[str, list[int]]:
    """The text as a reader sees it, and for each of its characters the offset it came from."""
    characters: list[str] = []
    origins: list[int] = []
    spaced = True  # leading white space is dropped
    # Compatibility forms are unified per base character with its combining marks, so that offsets survive.
    for start, cluster in _clusters(text):
        for char in unicodedata.normalize("NFKC", cluster).casefold().translate(_PLAIN):
            if char.isspace():
                if not spaced:
                    characters.append(" ")
                    origins.append(start)
                spaced = True
            elif unicodedata.category(char) != "Cf":
                characters.append(char)
                origins.append(start)
                spaced = False
    return "".join(characters), origins


def _clusters(text: str) -> list[tuple[int, str]]:
    """Base characters with the combining marks that follow them, and where each starts."""
    if text.isascii():
        return list(enumerate(text))
    clusters: list[tuple[int, str]] = []
    start = 0
    for index in range(1, len(text) + 1):
        if index == len(text) or not unicodedata.combining(text[index]):
            clusters.append((start, text[start:index]))
            start = index
    return clusters
