"""The arithmetic of the measurements. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TypeVar

Point = TypeVar("Point")


def busiest(moments: Sequence[float], seconds: float) -> int:
    """The most of these moments that lie in any window of this length, its end excluded."""
    ordered = sorted(moments)
    return max((bisect_left(ordered, at + seconds) - number for number, at in enumerate(ordered)), default=0)


def busiest_from(moments: Sequence[float], seconds: float) -> float:
    """When that window begins; 0 for no moments."""
    ordered = sorted(moments)
    counts = {at: bisect_left(ordered, at + seconds) - number for number, at in reversed(list(enumerate(ordered)))}
    return max(counts, key=lambda at: (counts[at], -at), default=0.0)


def within(moments: Sequence[float], begin: float, end: float) -> int:
    """How many moments lie from ``begin`` on and before ``end``."""
    ordered = sorted(moments)
    return bisect_left(ordered, end) - bisect_left(ordered, begin)


def trailing(moments: Sequence[float], at: float, seconds: float) -> int:
    """How many moments lie in the window that ends at ``at``."""
    ordered = sorted(moments)
    return bisect_right(ordered, at) - bisect_right(ordered, at - seconds)


def pace(moments: Sequence[float]) -> float:
    """Events per minute by the distances between them, so that the edges of a window do not count; 0 for fewer than two."""
    ordered = sorted(moments)
    if len(ordered) < 2 or ordered[-1] == ordered[0]:
        return 0.0
    return (len(ordered) - 1) / (ordered[-1] - ordered[0]) * 60


def regained(moments: Sequence[float], since: float, per_minute: float, *, seconds: float = 60.0) -> float | None:
    """After how many seconds the pace was back for good: the first moment from which on, over the following ``seconds``,
    the pace is ``per_minute`` at least.

    Returns:
        None where it never was, or what was seen afterwards is shorter than that.
    """
    ordered = sorted(at for at in moments if at >= since)
    for number, at in enumerate(ordered):
        if ordered[-1] < at + seconds * 0.9:
            return None
        if pace(ordered[number : bisect_left(ordered, at + seconds)]) >= per_minute:
            return at - since
    return None


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """By how much y grows per unit of x: least squares.

    Raises:
        ValueError: fewer than two different x.
    """
    if len(set(xs)) < 2:
        raise ValueError("a slope needs two different x")
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    over = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return over / sum((x - mean_x) ** 2 for x in xs)


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """Evenly spread ones of the points, the first and the last among them, so that a plot stays small."""
    if len(points) <= most:
        return list(points)
    if most < 2:
        return list(points[:most])
    return [points[round(number * (len(points) - 1) / (most - 1))] for number in range(most)]


def heap_bytes(rows: float, row_bytes: float, fillfactor: float) -> float:
    """What rows take in PostgreSQL's pages.

    Args:
        row_bytes: of one row with its header (``pg_column_size`` of the whole row), aligned to 8 bytes there; each has a
            line pointer of 4 bytes, each page of 8,192 bytes a header of 24.
        fillfactor: from 0 to 1.
    """
    aligned = -(-row_bytes // 8) * 8
    return rows * (aligned + 4) / (fillfactor * (8192 - 24) / 8192)


def index_bytes(entries: float, key_bytes: float) -> float:
    """What entries of a b-tree take whose keys only grow: 8 bytes of header, the key aligned to 8, a line pointer of 4; pages
    are filled to nine tenths."""
    aligned = -(-key_bytes // 8) * 8
    return entries * (aligned + 12) / 0.9
