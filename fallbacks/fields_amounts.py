"""Amounts of money with their places and currencies, and the choice of total, tax and net by their labels.

An amount is a number with two decimals or a currency beside it; percentages, dates, times and longer codes are none.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from fallbacks.layout import Layout, Place, cells

MAX_AMOUNTS = 1_000
"""Of more, the first and last halves of this are looked at: bills carry their sums at the top or at the end."""

_SYMBOLS = {
    "€": "EUR", "£": "GBP", "₹": "INR", "₽": "RUB", "₩": "KRW", "₪": "ILS", "₺": "TRY", "₴": "UAH", "฿": "THB",
    "₫": "VND", "₱": "PHP", "₦": "NGN", "zł": "PLN", "kč": "CZK", "rm": "MYR", "rs": "INR", "rs.": "INR", "r$": "BRL",
    "us$": "USD", "hk$": "HKD", "s$": "SGD", "a$": "AUD", "au$": "AUD", "c$": "CAD", "ca$": "CAD", "nz$": "NZD",
    "$": "USD", "¥": "JPY", "円": "JPY", "元": "CNY",
}  # fmt: skip
"""A bare ``$`` is read as US dollars and ``¥`` as yen unless a code elsewhere in the document says otherwise."""

_CODES = (
    "USD|EUR|GBP|JPY|CNY|RMB|INR|CHF|CAD|AUD|NZD|SGD|HKD|MYR|THB|IDR|PHP|VND|KRW|TWD|SEK|NOK|DKK|PLN|CZK|HUF|RON|BGN|"
    "TRY|RUB|UAH|ILS|AED|SAR|EGP|ZAR|NGN|KES|BRL|MXN|ARS|CLP|COP|PEN|ISK"
)
_SHARED = {"$": ("CAD", "AUD", "NZD", "SGD", "HKD", "MXN", "ARS", "CLP", "COP", "TWD"), "¥": ("CNY", "RMB")}
_CURRENCY = (
    rf"(?:(?<![A-Za-z])(?:{_CODES})(?![A-Za-z])|(?:US|HK|AU|CA|NZ|[SACR])?\$|[€£₹₽₩₪₺₴฿₫₱₦¥円元]|zł|Kč"
    r"|(?<![A-Za-z])(?:RM(?![A-Za-z])|Rs(?![A-Za-z])\.?))"
)
_NUMBER = r"\d{1,3}(?:(?P<sep>[., '’\u00a0\u202f])\d{3})(?:(?P=sep)\d{3})*(?:[.,]\d{1,2})?|\d+(?:[.,]\d{1,4})?"
_AMOUNT = re.compile(
    rf"(?:(?P<before>{_CURRENCY})\s{{0,12}}|(?<![\w.,/]))(?P<sign>[-−])?(?P<number>{_NUMBER})(?![\d%/]|[.,:]\d|\s?%|-\d)"
    rf"(?:\s?(?P<after>{_CURRENCY}))?(?![^\W_])",
    re.IGNORECASE,
)
_CURRENCY_WORD = re.compile(_CURRENCY)

_NOT_TOTAL = re.compile(
    r"sub\W{0,2}tot|include[sd]|accepted|loading|zwischensumme|sous\W?total|excl|exclu|exkl|netto|\bnet\b(?!\s+(?:total|amount\s+due))|untaxed|before\s+tax"
    r"|without|tax\s+total|total\s+(?:tax|gst|vat)\b|summary|qty|quantity|item|count|saving|discount|disc\b|change|\bcash\b"
    r"|tender|paid|bezahlt|payé|round\w*\s*adj|adjust|rabat|\bTVA\b(?!.*ttc)|\bHT\b|\bIVA\b|deposit|points?\b|supplies|balance\s+b",
    re.IGNORECASE,
)
_TAX = re.compile(
    r"\b(?:sales\s+)?tax\b|\bvat\b|\bgst\b|\bhst\b|mwst|ust\b|umsatzsteuer|mehrwertsteuer|\btva\b|\biva\b|\bbtw\b|podatek|\bmoms\b"
    r"|service\s+tax|增值税|税额|消費税|ضريبة|ндс",
    re.IGNORECASE,
)
_NOT_TAX = re.compile(
    r"incl|inkl|excl|exkl|\bex\.?\b|summary|invoice|reg|\bno\b|\bnr\b|\bid\b|number|before|without|total\s+(?:amount|due)|"
    r"grand|ttc|\bht\b|supplies|grundlage|netto|base",
    re.IGNORECASE,
)
_STRONG_TOTAL = re.compile(
    r"grand\s*total|^\W*due\b|total\s+(?:amount\s+)?due|amount\s+(?:due|payable)|balance\s+due|total\s+(?:\w+\s+)?\W?(?:payable|to\s+pay)|total\s+a[tf]ter|to\s+pay"
    r"|net+\s*total|round\w*\s*d?\s*total|total\s+(?:\w+\s+)?(?:after\s+)?round\w*|invoice\s+total|total\s+for\s+this"
    r"|zu\s+zahlen|zahlbetrag|rechnungsbetrag|gesamtbetrag|endbetrag|gesamtsumme|endsumme|bruttobetrag"
    r"|somme\s+à\s+payer|montant\s+à\s+payer|net\s+à\s+payer|total\s+ttc|total\s+à\s+payer|montant\s+ttc"
    r"|te\s+betalen|factuur\s*totaal|totaal\s*bedrag|total\s+a\s+pagar|importe\s+total|total\s+factura"
    r"|totale\s+(?:da\s+pagare|fattura|documento)|do\s+zapłaty|należność|suma\s+brutto|价税合计|應付|应付|المبلغ\s+المستحق|к\s+оплате",
    re.IGNORECASE,
)
_TOTAL = re.compile(
    r"total|totaal|gesamt|\bsumme\b|totale|razem|\bsuma\b|ogółem|合计|合計|总计|總計|総額|المجموع|الإجمالي|итого|totalt",
    re.IGNORECASE,
)
_NET = re.compile(
    r"sub\W{0,2}total|subtotaal|zwischensumme|sous\W?total|nettobetrag|netto|total\s+ht|excl\w*|untaxed|before\s+tax|imponibile"
    r"|base\s+imponible|zonder\s+btw|wartość\s+netto",
    re.IGNORECASE,
)
_EARLIER = re.compile(
    r"previous|\bprior\b|opening|brought\s+forward|vorherig|saldovortrag|précédent|anterior|precedente|poprzedni",
    re.IGNORECASE,
)
"""What was due before this document is not what it is about."""
_AMOUNT_WORD = re.compile(
    r"\bamount\b|\bamt\b|betrag|montant|importe|importo|kwota|bedrag|\bprice\b|preis|\bprix\b", re.IGNORECASE
)
_TAX_SUMMARY = re.compile(r"(?:gst|tax|vat|sst)\s+(?:summary|analysis)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Amount:
    """``place`` covers the number and the currency beside it; ``currency`` is an ISO 4217 code where it is known."""

    value: Decimal
    place: Place
    currency: str | None
    currency_place: Place | None


def find_amounts(layout: Layout) -> list[Amount]:
    """All amounts in the order of the text; currencies that several countries write alike are settled document-wide."""
    codes = {word.upper() for line in layout.lines for word in re.findall(rf"\b(?:{_CODES})\b", line.text)}
    found = [amount for line in layout.lines for amount in _in_line(line.start, line.text)]
    if len(found) > MAX_AMOUNTS:
        found = [*found[: MAX_AMOUNTS // 2], *found[-MAX_AMOUNTS // 2 :]]
    return [_settled(layout, amount, codes) for amount in found]


def choose_total(layout: Layout, amounts: list[Amount]) -> Amount | None:
    """The last amount labelled as what is to be paid, else as a total; zero or a credit only if there is no other.

    Without any such label: the only amount, where the text holds one, with a currency, and no second.
    """
    sums = _before_tax_summary(layout, [amount for amount in amounts if amount.value > 0])
    return _best(layout, sums, _total_rank) or _best(layout, amounts, _total_rank) or _only(amounts)


def _only(amounts: list[Amount]) -> Amount | None:
    if len({amount.value for amount in amounts}) != 1 or amounts[0].currency is None:
        return None
    return amounts[0]


def choose_tax(layout: Layout, amounts: list[Amount]) -> Amount | None:
    """The last amount labelled as tax that is neither "including" nor "excluding" it."""
    return _best(layout, _before_tax_summary(layout, amounts), _tax_rank)


def choose_net(layout: Layout, amounts: list[Amount]) -> Amount | None:
    """The last amount labelled as net or subtotal."""
    return _best(layout, amounts, lambda label: 1 if _NET.search(label) else 0)


def choose_currency(amounts: list[Amount], total: Amount | None) -> tuple[str, Place] | None:
    """The total's currency, else the most frequent one, and an amount in it: a bare symbol proves nothing."""
    if total is not None and total.currency:
        return total.currency, total.place
    known = [(amount.currency, amount.place) for amount in amounts if amount.currency]
    if not known:
        return None
    most = max(Counter(code for code, _ in known).items(), key=lambda item: item[1])[0]
    return next((code, place) for code, place in known if code == most)


def currency_word(layout: Layout) -> tuple[str, Place] | None:
    """The only currency named anywhere, e.g. in a column's heading; nothing where several are."""
    found = [
        (code, Place(line.start + match.start(), line.start + match.end()))
        for line in layout.lines
        for match in _CURRENCY_WORD.finditer(line.text)
        if (code := iso_code(match.group())) is not None
    ]
    return found[0] if len({code for code, _ in found}) == 1 else None


def iso_code(written: str) -> str | None:
    """The ISO 4217 code of a symbol, abbreviation or code."""
    if re.fullmatch(_CODES, written.upper()):
        return "CNY" if written.upper() == "RMB" else written.upper()
    return _SYMBOLS.get(written.casefold())


def number_in(written: str) -> Decimal | None:
    """The number that a string holds, in whatever notation: ``1.234,56``, ``1 234.56``, ``1'234.56``."""
    from price_parser.parser import parse_number

    value = parse_number(re.sub(r"(?<=\d)['’\u202f](?=\d)", " ", written).replace("−", "-"))
    return value if isinstance(value, Decimal) and value.is_finite() else None


def _in_line(start: int, text: str) -> Iterator[Amount]:
    for match in _AMOUNT.finditer(text):
        written = match["number"]
        if not (match["before"] or match["after"] or re.search(r"[.,]\d\d$", written)) or len(written) > 20:
            continue
        value = number_in(written)
        if value is None:
            continue
        side = "before" if match["before"] else "after"
        currency_place = Place(start + match.start(side), start + match.end(side)) if match[side] else None
        begin = (
            match.start("before")
            if match["before"]
            else match.start("sign")
            if match["sign"]
            else match.start("number")
        )
        yield Amount(
            value=-value if match["sign"] else value,
            place=Place(start + begin, start + match.end("after" if match["after"] else "number")),
            currency=iso_code(match[side]) if match[side] else None,
            currency_place=currency_place,
        )


def _settled(layout: Layout, amount: Amount, codes: set[str]) -> Amount:
    if amount.currency_place is None:
        return amount
    written = layout.text[amount.currency_place.start : amount.currency_place.end]
    named = [code for code in _SHARED.get(written, ()) if code in codes]
    return replace(amount, currency=iso_code(named[0])) if len(named) == 1 else amount


def _best(layout: Layout, amounts: list[Amount], rank_of: Callable[[str], int]) -> Amount | None:
    """The last of the best-ranked; a label on the amount's own line counts more than a heading above it."""
    best, best_rank = None, 0
    for amount in amounts:
        beside = _nearest_cell(layout.label_before(amount.place))
        rank = 2 * rank_of(beside) if beside else 2 * rank_of(layout.label_above(amount.place)) - 1
        if rank >= best_rank and rank > 0:
            best, best_rank = amount, rank
    return best


def _nearest_cell(label: str) -> str:
    """The last column with words in it, currencies aside: ``TOTAL SAVING  0.00  TOTAL`` is about a total. A lone "due" is
    the end of what stands before it: ``Previous Balance   due``."""
    tail = ""
    for begin, end in reversed(list(cells(label))):
        cell = label[begin:end]
        if not re.search(r"[^\W\d_]", _CURRENCY_WORD.sub("", cell)):
            continue
        if not tail and cell.strip().casefold() == "due":
            tail = cell
            continue
        return f"{cell} {tail}".rstrip()
    return tail


def _before_tax_summary(layout: Layout, amounts: list[Amount]) -> list[Amount]:
    """Amounts of the closing table of tax rates repeat parts of the bill under headings of their own: left out."""
    for line in layout.lines:
        if _TAX_SUMMARY.search(line.text) and amounts and line.start > amounts[0].place.start:
            return [amount for amount in amounts if amount.place.start < line.start]
    return amounts


def _total_rank(label: str) -> int:
    if _EARLIER.search(label):
        return 0
    if _STRONG_TOTAL.search(label) and not re.search(r"excl|\bex\b|\bHT\b|qty|saving|change", label, re.IGNORECASE):
        return 3
    if _NOT_TOTAL.search(label):
        return 0
    if _TOTAL.search(label):
        return 2
    return 1 if _AMOUNT_WORD.search(label) else 0


def _tax_rank(label: str) -> int:
    return 1 if _TAX.search(label) and not _NOT_TAX.search(label) else 0
