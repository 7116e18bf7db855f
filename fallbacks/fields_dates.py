"""Dates of a document with their places, as ISO dates, and the choice of the one that a field means.

Day before month, unless the document itself shows the other order (a second number above 12) or pays in US dollars.
Two-digit years are 1969 to 2068, as in POSIX. Nothing here asks what day it is: a date without a year is not found.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from fallbacks.layout import Layout, Place

MAX_DATES = 1_000
"""Later ones are not looked at."""

_MONTH_NAMES = (
    "jan januar january janvier januari enero gennaio styczeń stycznia janeiro jänner ene",
    "feb februar february février fevrier fév februari febrero febbraio luty lutego fevereiro",
    "mar märz maerz mär march mars maart mrt marzo marzec marca março",
    "apr april avril avr abril aprile kwiecień kwietnia abr",
    "may mai mei mayo maggio maj maja maio",
    "jun juni june juin junio giugno czerwiec czerwca junho",
    "jul juli july juillet juil julio luglio lipiec lipca julho",
    "aug august août aout augustus agosto sierpień sierpnia ago",
    "sep sept september septembre septiembre settembre wrzesień września setembro set",
    "oct okt oktober october octobre octubre ottobre październik października outubro ott",
    "nov november novembre noviembre listopad listopada novembro",
    "dec dez dezember december décembre decembre déc diciembre dicembre grudzień grudnia dezembro dic",
)
_MONTHS = {name: number for number, names in enumerate(_MONTH_NAMES, start=1) for name in names.split()}

_PATTERNS = (
    re.compile(r"(?<![\w./-])(?P<y>\d{4})(?P<s>[-/.])(?P<m>\d{1,2})(?P=s)(?P<d>\d{1,2})(?!\d|[-/.]\d)"),
    re.compile(r"(?P<y>\d{4})\s?年\s?(?P<m>\d{1,2})\s?月\s?(?P<d>\d{1,2})\s?日"),
    re.compile(
        r"(?<![\w./-])(?P<a>\d{1,2})\s?(?P<s>[-/.])\s?(?P<b>\d{1,2})\s?(?P=s)\s?(?P<y>\d{4}|\d{2})(?!\d|[-/.]\d)"
    ),
    re.compile(
        r"(?<![\w./-])(?P<d>\d{1,2})(?:st|nd|rd|th|er|\.|º)?[\s-]?(?:of\s|de\s)?(?P<word>[^\W\d_]{3,12})\.?,?"
        r"[\s-]?(?:de\s)?(?P<y>\d{4}|(?<=-)\d{2})(?!\w)"
    ),
    re.compile(r"(?<!\w)(?P<word>[^\W\d_]{3,12})\.?\s(?P<d>\d{1,2})(?:st|nd|rd|th)?\s?,?\s(?P<y>\d{4})(?!\w)"),
)
_COMPACT = re.compile(r"(?<!\w)(?P<y>20\d{2})(?P<m>\d{2})(?P<d>\d{2})(?!\w)")
_DATE_LABEL = re.compile(
    r"date|datum|datę|fecha|\bdata\b|\bdatę\b|wystawienia|日期|تاريخ|дата|\bdu\b|\bvom\b|\bdated\b", re.IGNORECASE
)
_UNKNOWN_MONTHS_TRIED = 3
"""Each costs milliseconds, the first one that loads a language's names many of them."""

_FURTHER_LANGUAGES = ["ru", "uk", "cs", "sk", "tr", "hu", "bg", "el", "lt", "lv", "hr", "vi"]
_WHOLE_DATES = {"REQUIRE_PARTS": ["day", "month", "year"], "PARSERS": ["absolute-time"]}

DUE = re.compile(
    r"\bdue\b|pay(?:able)?\s+(?:by|before|until)|fällig|zahlbar|zahlungsziel|échéance|echeance|limite\s+de\s+paiement"
    r"|vencimiento|scadenza|vencimento|verval|uiterlijk|termin\s+płatności|płatne\s+do|到期|الاستحقاق",
    re.IGNORECASE,
)
ISSUED = re.compile(
    r"invoice\s*date|issue|bill(?:ing)?\s+date|receipt\s+date|rechnungsdatum|ausgestellt|date\s+de\s+(?:la\s+)?facture"
    r"|date\s+d.émission|factuur\s*datum|fecha\s+de\s+(?:emisión|factura|expedición)|data\s+(?:fattura|wystawienia|emissione)"
    r"|facture\b.{0,40}\bdu|rechnung\b.{0,40}\bvom|开票日期",
    re.IGNORECASE,
)
_OTHER_ROLE = re.compile(
    r"order|bestell|commande|pedido|ordine|zamówien|deliver|liefer|livraison|entrega|consegna|dostaw|ship|print|birth|geb"
    r"|expir|valid|period|from|until|check|due|start|end\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class FoundDate:
    """``value`` is what ``place`` says."""

    value: date
    place: Place
    compact: bool = False


def find_dates(layout: Layout, *, month_first: bool | None = None) -> list[FoundDate]:
    """All whole dates, in the order of the text. ``month_first`` settles 03/04/2024; None lets the document decide."""
    if month_first is None:
        month_first = _is_month_first(layout)
    found = sorted(_matches(layout, month_first), key=lambda one: (one.place.start, -one.place.end))
    kept: list[FoundDate] = []
    for one in found:
        if not kept or one.place.start >= kept[-1].place.end:
            kept.append(one)
    return kept[:MAX_DATES]


def choose_date(layout: Layout, found: list[FoundDate], wanted: re.Pattern[str] | None) -> FoundDate | None:
    """The date whose label fits ``wanted``; with None, the document's own date.

    The document's own date is the one labelled as issued, else as a date, else the first without the label of another
    role (order, delivery, due ...). Eight bare digits are a date only beside a label.
    """
    ranked = [(_rank(layout, one, wanted), one) for one in found]
    best = max((rank for rank, _ in ranked), default=0)
    return next((one for rank, one in ranked if rank == best), None) if best > 0 else None


def _rank(layout: Layout, one: FoundDate, wanted: re.Pattern[str] | None) -> int:
    return _own_rank(layout, one) if wanted is None else _role_rank(layout, one, wanted)


def _role_rank(layout: Layout, one: FoundDate, wanted: re.Pattern[str]) -> int:
    """A label close by on the line, a column's heading, a label further left: 3, 2, 1."""
    label = layout.label_before(one.place)
    if wanted.search(label[-40:]):
        return 3
    if wanted.search(layout.label_above(one.place)):
        return 2
    return 1 if wanted.search(label) else 0


def _own_rank(layout: Layout, one: FoundDate) -> int:
    label = layout.label_before(one.place)[-40:] or layout.label_above(one.place)
    if ISSUED.search(label):
        return 4
    if _DATE_LABEL.search(label) and not _OTHER_ROLE.search(label):
        return 3
    if one.compact:
        return 0
    return 1 if _OTHER_ROLE.search(label) else 2


def _is_month_first(layout: Layout) -> bool:
    firsts = [(int(m["a"]), int(m["b"])) for line in layout.lines for m in _PATTERNS[2].finditer(line.text)]
    if any(a > 12 for a, _ in firsts):
        return False
    if any(b > 12 for _, b in firsts):
        return True
    return any(
        re.search(r"\bUSD\b|(?<![A-Z])\$\s?\d|\b[A-Z]{2} \d{5}(?:-\d{4})?\b", line.text) for line in layout.lines
    )


def _matches(layout: Layout, month_first: bool) -> Iterator[FoundDate]:
    tries = _UNKNOWN_MONTHS_TRIED
    for line in layout.lines:
        for pattern in (*_PATTERNS, _COMPACT):
            for match in pattern.finditer(line.text):
                parts = match.groupdict()
                if "word" in parts and parts["word"].casefold() not in _MONTHS:
                    if tries == 0 or parts["word"].isascii():
                        continue
                    tries -= 1
                value = _date(match, month_first)
                if value is not None:
                    place = Place(line.start + match.start(), line.start + match.end())
                    yield FoundDate(value, place, compact=pattern is _COMPACT)


def _date(match: re.Match[str], month_first: bool) -> date | None:
    parts = match.groupdict()
    year = int(parts["y"])
    if len(parts["y"]) == 2:
        year += 2000 if year <= 68 else 1900
    if "word" in parts:
        month = _MONTHS.get(parts["word"].casefold())
        if month is None:
            return _in_another_language(match.group())
        return _valid(year, month, int(parts["d"]))
    if "a" in parts:
        first, second = int(parts["a"]), int(parts["b"])
        month, day = (first, second) if month_first else (second, first)
        return _valid(year, month, day)
    return _valid(year, int(parts["m"]), int(parts["d"]))


def _valid(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day) if 1900 <= year <= 2100 else None
    except ValueError:
        return None


def _in_another_language(written: str) -> date | None:
    """A day, a month's name and a year, all three written, in one of the further languages."""
    import dateparser

    parsed = dateparser.parse(written, languages=_FURTHER_LANGUAGES, settings=_WHOLE_DATES)
    return parsed.date() if parsed is not None else None


def role(words: list[str]) -> re.Pattern[str]:
    """A label with all of a field's words but "date" in order, e.g. for ``delivery_date``."""
    own = [re.escape(word) for word in words if word not in {"date", "datum", "day", "fecha"}]
    return re.compile(r"\W{0,3}".join(own) if own else r"(?!)", re.IGNORECASE)
