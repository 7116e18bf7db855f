"""The lines and columns of a document, and which label a value stands beside or under.

Bounds: of a text longer than :data:`HEAD_CHARS` + :data:`TAIL_CHARS` only that much of its beginning and end is read,
and a line longer than :data:`MAX_LINE_CHARS` is read in pieces of that length: patterns never meet an endless line.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

HEAD_CHARS = 60_000
TAIL_CHARS = 20_000
MAX_LINE_CHARS = 500
MAX_LABEL_CHARS = 100
MAX_QUOTED_LABEL = 200

_GAP = re.compile(r"\t+| {2,}|\s*\|\s*")
_WIDE_GAP = re.compile(r"\s{3,}")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True)
class Place:
    """Code points ``start`` to ``end`` (excluded) of the document."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line, or a piece of a very long one; ``text`` begins at ``start`` in the document."""

    start: int
    text: str


class Layout:
    """A document as lines. Immutable once made."""

    def __init__(self, text: str) -> None:
        """``text``: the document, of any length."""
        self.text = text
        self.lines = list(_lines(text))
        self._starts = [line.start for line in self.lines]

    def index_at(self, offset: int) -> int:
        """Which line holds this offset."""
        return max(0, bisect_right(self._starts, offset) - 1)

    def label_before(self, place: Place) -> str:
        """What stands left of a value on its line, wide gaps narrowed to two spaces; empty without letters."""
        line = self.lines[self.index_at(place.start)]
        before = _WIDE_GAP.sub("  ", line.text[: place.start - line.start])[-MAX_LABEL_CHARS:]
        return before if _LETTER.search(before) else ""

    def label_above(self, place: Place) -> str:
        """The column's heading: what stands over a value on the nearest line above that has text there.

        Where nothing stands left of the value either, a short line above is its label whatever its columns.
        """
        index = self.index_at(place.start)
        line = self.lines[index]
        left, right = place.start - line.start, place.end - line.start
        for above in reversed(self.lines[max(0, index - 2) : index]):
            for begin, end in cells(above.text):
                if begin < right and left < end and _LETTER.search(above.text[begin:end]):
                    return above.text[begin:end][-MAX_LABEL_CHARS:]
            if not line.text[:left].strip() and 0 < len(above.text.strip()) <= 40:
                return above.text.strip() if _LETTER.search(above.text) else ""
        return ""

    def quote(self, place: Place) -> Place:
        """The verbatim words for a value, with its label where that is near on the line: so they stand there once."""
        line = self.lines[self.index_at(place.start)]
        at = place.start - line.start
        before = line.text[:at]
        begin = len(before) - len(before.lstrip())
        if not _LETTER.search(before) or at - begin > MAX_QUOTED_LABEL:
            begin = at
        return Place(line.start + begin, place.end)


def cells(line: str) -> Iterator[tuple[int, int]]:
    """The columns of a line: parts between tabs, bars or at least two spaces, as offsets in the line."""
    start = 0
    for gap in _GAP.finditer(line):
        if gap.start() > start:
            yield start, gap.start()
        start = gap.end()
    if start < len(line):
        yield start, len(line)


def _lines(text: str) -> Iterator[Line]:
    if len(text) <= HEAD_CHARS + TAIL_CHARS:
        yield from _lines_between(text, 0, len(text))
    else:
        yield from _lines_between(text, 0, HEAD_CHARS)
        yield from _lines_between(text, len(text) - TAIL_CHARS, len(text))


def _lines_between(text: str, start: int, end: int) -> Iterator[Line]:
    for line in text[start:end].splitlines(keepends=True):
        content = line.rstrip()
        for piece in range(0, len(content), MAX_LINE_CHARS):
            part = content[piece : piece + MAX_LINE_CHARS]
            if part.strip():
                yield Line(start + piece, part)
        start += len(line)
