"""Answers side by side, leaf by leaf."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_NOT_SHOWN = frozenset({"not_found", "confidence", "outcome"})
"""Computed, measured, or said by the rest."""
MOST_LINES = 300


@dataclass(frozen=True)
class Said:
    """What one answer says at a path."""

    value: Any
    quote: str | None = None


@dataclass(frozen=True)
class Line:
    """One leaf of the answers.

    Attributes:
        cells: as many as answers; None where one says nothing at all.
    """

    path: str
    cells: tuple[Said | None, ...]
    differs: bool


def lines(answers: Sequence[dict[str, Any] | None], differing: Sequence[str]) -> list[Line]:
    """The answers as the lines of a table, in the order of the first.

    Args:
        differing: paths that differ; lines below one of them, or around it, are marked.
    """
    said = [dict(leaves(answer)) for answer in answers]
    paths = list(dict.fromkeys(path for one in said for path in one))
    return [
        Line(path, tuple(one.get(path) for one in said), any(_touches(path, other) for other in differing))
        for path in paths[:MOST_LINES]
    ]


def leaves(answer: Any, path: str = "") -> Iterator[tuple[str, Said]]:
    """Every leaf of an answer with its path; a value with its quote is one, and so is a list of plain values."""
    match answer:
        case {"value": value, "quote": quote} if len(answer) == 2:
            yield path, Said(value, str(quote))
        case dict() if answer:
            for key, value in answer.items():
                if path or key not in _NOT_SHOWN or (key == "outcome" and value == "not_applicable"):
                    yield from leaves(value, f"{path}.{key}" if path else str(key))
        case list() if any(isinstance(one, dict | list) for one in answer):
            for index, value in enumerate(answer):
                yield from leaves(value, f"{path}.{index}")
        case _:
            if path:
                yield path, Said(answer)


def _touches(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}.") or other.startswith(f"{path}.")
