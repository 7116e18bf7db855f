"""Where the quotes of the suggestions stand in the source."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tasks.grounding import locate
from web.forms.fields import QUOTES

MOST_QUOTES = 500
"""Looked for in one source."""


@dataclass(frozen=True)
class Quote:
    """Words that somebody says stand in the source.

    Attributes:
        path: of the field that they carry: ``key_points.0``, ``fields.total``; ``evidence`` itself.
        by: whose: ``model``, ``rules``.
    """

    path: str
    text: str
    by: str


@dataclass(frozen=True)
class Piece:
    """A stretch of the source.

    Attributes:
        quotes: those that cover it; none of the ordinary text.
        starts: those of them that begin here.
    """

    text: str
    quotes: tuple[Quote, ...] = ()
    starts: tuple[Quote, ...] = ()

    @property
    def names(self) -> str:
        """Whose evidence it is, for people."""
        return ", ".join(dict.fromkeys(f"{quote.path} ({quote.by})" for quote in self.quotes))

    @property
    def by(self) -> str:
        """``model``, ``rules`` or ``both``."""
        sides = {quote.by for quote in self.quotes}
        return sides.pop() if len(sides) == 1 else "both"


@dataclass(frozen=True)
class Marked:
    """A source with its evidence.

    Attributes:
        missing: quotes that do not stand in it.
    """

    pieces: list[Piece]
    missing: list[Quote]


def quotes_of(answer: Any, by: str, path: str = "") -> Iterator[Quote]:
    """All quotes of an answer, however wrong its shape."""
    if isinstance(answer, dict):
        for key, value in answer.items():
            if key in QUOTES and isinstance(value, str):
                yield Quote(path or key, value, by)
            else:
                yield from quotes_of(value, by, f"{path}.{key}" if path else str(key))
    elif isinstance(answer, list):
        for index, value in enumerate(answer):
            yield from quotes_of(value, by, f"{path}.{index}" if path else str(index))


def mark(source: str, quotes: Sequence[Quote]) -> Marked:
    """The source, cut where quotes begin and end; they may overlap."""
    spans = []
    missing = []
    for quote in quotes[:MOST_QUOTES]:
        span = locate(quote.text, source)
        if span is None:
            missing.append(quote)
        else:
            spans.append((span.start, span.end, quote))
    cuts = sorted({0, len(source), *(start for start, _, _ in spans), *(end for _, end, _ in spans)})
    pieces = []
    for start, end in pairwise(cuts):
        covering = tuple(quote for at, until, quote in spans if at < end and until > start)
        starting = tuple(quote for at, _, quote in spans if at == start)
        pieces.append(Piece(source[start:end], covering, starting))
    return Marked(pieces, missing)


def is_tabular(source: str) -> bool:
    """Whether the source sets columns with spaces, so that letters have to be of one width."""
    return sum("   " in line.strip() or "\t" in line.strip() for line in source.splitlines()[:400]) > 3
