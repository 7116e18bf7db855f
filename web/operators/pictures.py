"""Pictures of counts over time, drawn on the server: stacked bars and a line, as SVG's own units. Colours are the stylesheet's.

Each picture has a table beside it that says the same; the picture itself is left out of what a screen reader reads.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.figures import total
from storage.figures import Counts

WIDTH, HALF, HEIGHT = 720.0, 400.0, 180.0
"""Of a picture, and of one of two beside each other: texts in both are of one size."""
_LEFT, _BOTTOM, _TOP = 46.0, 20.0, 8.0
_HALF_LETTER = 2.9
"""Of a tick: one that stands in the middle of its text is cut off where half of it does not fit."""
MOST_ROWS = 24


@dataclass(frozen=True)
class Series:
    """One colour of a picture.

    Attributes:
        key: its class in the stylesheet.
        listing: the address of its jobs within a time.
    """

    key: str
    title: str
    columns: tuple[str, ...]
    link: Callable[[datetime, datetime], str] | None = None


@dataclass(frozen=True)
class Block:
    """A rectangle."""

    key: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Bar:
    """What is stacked at one time, and where it leads."""

    label: str
    href: str | None
    blocks: list[Block]
    x: float
    width: float


@dataclass(frozen=True)
class Mark:
    """A tick: a text and where it stands."""

    at: float
    text: str


@dataclass(frozen=True)
class Picture:
    """All that a template draws."""

    bars: list[Bar]
    line: str
    rows: list[Mark]
    times: list[Mark]
    width: float
    left: float = _LEFT
    height: float = HEIGHT
    floor: float = HEIGHT - _BOTTOM


@dataclass(frozen=True)
class Row:
    """A row of the table: a time, and per series a number and where it leads."""

    time: str
    cells: list[tuple[str, str | None]]


def picture(
    points: Sequence[Counts],
    stacked: Sequence[Series],
    *,
    grain: int,
    line: Series | None = None,
    width: float = WIDTH,
    show: Callable[[float], str],
    clock: Callable[[datetime | None, int], str],
) -> Picture:
    """Bars of each point, stacked, and a line over them.

    Args:
        points: without gaps, ``grain`` seconds apart.
        show: a number of the axis as text.
    """
    heights = [sum(total(point.counts, one.columns) for one in stacked) for point in points]
    over = [total(point.counts, line.columns) if line else 0.0 for point in points]
    top = _round_up(max([*heights, *over, 0.0]))
    step = (width - _LEFT) / max(len(points), 1)
    floor = HEIGHT - _BOTTOM
    scale = (floor - _TOP) / top

    def bar(index: int, point: Counts) -> Bar:
        x, y, blocks = _LEFT + index * step, floor, []
        for one in stacked:
            height = total(point.counts, one.columns) * scale
            if height:
                y -= height
                blocks.append(Block(one.key, round(x, 1), round(y, 1), round(max(step - 1, 1), 1), round(height, 1)))
        parts = [f"{show(total(point.counts, one.columns))} {one.title.lower()}" for one in stacked
                 if total(point.counts, one.columns)]  # fmt: skip
        first = next((one.link for one in stacked if one.link), None)
        href = first(*_span(point, grain)) if first and parts else None
        label = f"{clock(point.at, grain)}: {', '.join(parts) or 'nothing'}"
        return Bar(label, href, blocks, round(x, 1), round(step, 1))

    return Picture(
        bars=[bar(index, point) for index, point in enumerate(points)],
        line=" ".join(
            f"{_LEFT + (index + 0.5) * step:.1f},{floor - value * scale:.1f}" for index, value in enumerate(over)
        )
        if line
        else "",
        rows=[Mark(floor - part * (floor - _TOP), show(part * top)) for part in (0, 0.5, 1)],
        times=[
            Mark(at, text)
            for at, text in (
                (round(_LEFT + (index + 0.5) * step, 1), clock(point.at, grain))
                for index, point in enumerate(points)
                if index % max(1, round(len(points) * 100 / width)) == 0
            )
            if at + len(text) * _HALF_LETTER <= width
        ],
        width=width,
    )


def table(
    points: Sequence[Counts],
    series: Sequence[Series],
    *,
    grain: int,
    show: Callable[[float], str],
    clock: Callable[[datetime | None, int], str],
) -> list[Row]:
    """The same numbers in at most :data:`MOST_ROWS` rows, the newest first."""
    each = -(-len(points) // MOST_ROWS)
    groups = [points[first : first + each] for first in range(0, len(points), each)]
    rows = []
    for group in reversed(groups):
        begin, end = group[0].at, _span(group[-1], grain)[1]
        assert begin is not None
        cells = []
        for one in series:
            value = sum(total(point.counts, one.columns) for point in group)
            cells.append((show(value), one.link(begin, end) if one.link and value else None))
        rows.append(Row(clock(begin, grain), cells))
    return rows


def _span(point: Counts, grain: int) -> tuple[datetime, datetime]:
    assert point.at is not None
    return point.at, point.at + timedelta(seconds=grain)


def _round_up(value: float) -> float:
    """To 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value:
        power /= 10
    return next(power * times for times in (1, 2, 5, 10) if power * times >= value)
