"""Numbers, times and amounts as operators read them. None is a dash: there is nothing to say."""

from collections.abc import Callable
from datetime import datetime

from schemas.figures import Unit

NOTHING = "–"


def number(value: float | None) -> str:
    """A count."""
    if value is None:
        return NOTHING
    if abs(value) < 10_000:
        return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:,.1f}"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:,.3g} {letter}" if abs(value) < 1000 * size else f"{value / size:,.0f} {letter}"
    return f"{value:,.0f}"


def share(value: float | None) -> str:
    """A part of a whole, from 0 to 1."""
    if value is None:
        return NOTHING
    percent = value * 100
    return f"{percent:.0f} %" if percent == 0 or percent >= 10 else f"{percent:.1f} %"


def seconds(value: float | None) -> str:
    """A length of time."""
    if value is None:
        return NOTHING
    if value < 10:
        return f"{value:.1f} s"
    for size, word in ((172800, "d"), (7200, "h"), (120, "min")):
        if value >= size:
            return f"{value / {'d': 86400, 'h': 3600, 'min': 60}[word]:.0f} {word}"
    return f"{value:.0f} s"


def usd(value: float | None) -> str:
    """An amount."""
    if value is None:
        return NOTHING
    if value == 0:
        return "$0"
    return f"${value:,.2f}" if value >= 1 else f"${value:.4g}"


def figure(value: float | None, unit: Unit) -> str:
    """A figure of ``schemas.figures``."""
    match unit:
        case Unit.SHARE:
            return share(value)
        case Unit.SECONDS:
            return seconds(value)
        case Unit.USD_PER_HOUR:
            return f"{usd(value)} an hour" if value is not None else NOTHING
        case Unit.PER_HOUR:
            return f"{number(value)} an hour" if value is not None else NOTHING
        case Unit.JOBS | Unit.PROCESSES:
            return number(value)


def moment(at: datetime | None) -> str:
    """A time, in UTC."""
    return NOTHING if at is None else at.strftime("%Y-%m-%d %H:%M:%S")


def clock(at: datetime | None, grain: int) -> str:
    """A time of a picture or its table: as much of it as tells its points apart."""
    if at is None:
        return NOTHING
    return at.strftime("%d %b %H:%M") if grain >= 600 else at.strftime("%H:%M")


def megabytes(value: int | None) -> str:
    """An amount of memory."""
    return NOTHING if value is None else f"{value / 1e6:,.0f} MB"


Shows = Callable[[float], str]
"""How numbers of one kind are written."""
