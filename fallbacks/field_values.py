"""The values of one leaf in one document, each kind by its own rule, in the type that the schema asks for."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from fallbacks import fields_amounts, fields_dates
from fallbacks.field_kinds import Kind, is_identifier
from fallbacks.fields_addresses import find_addresses
from fallbacks.fields_codes import (
    Code,
    find_emails,
    find_ibans,
    find_invoice_number,
    find_phones,
    find_urls,
    find_vat_numbers,
)
from fallbacks.fields_labels import find_issuer, find_labelled
from fallbacks.keywords import find
from fallbacks.layout import Layout, Place
from schemas.extraction import Leaf

_FINDERS: dict[Kind, Callable[[Layout], Iterable[Code]]] = {
    Kind.EMAIL: find_emails,
    Kind.URL: find_urls,
    Kind.IBAN: find_ibans,
    Kind.VAT_NUMBER: find_vat_numbers,
    Kind.ADDRESS: find_addresses,
}


@dataclass(frozen=True, slots=True)
class Value:
    """A JSON value and where it stands."""

    value: str | int | float
    place: Place


class Document:
    """A text and what was found in it, each kind once however many leaves ask for it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.layout = Layout(text)

    @cached_property
    def amounts(self) -> list[fields_amounts.Amount]:
        """Amounts of money."""
        return fields_amounts.find_amounts(self.layout)

    @cached_property
    def total(self) -> fields_amounts.Amount | None:
        """What is to be paid."""
        return fields_amounts.choose_total(self.layout, self.amounts)

    @cached_property
    def dates(self) -> list[fields_dates.FoundDate]:
        """Whole dates."""
        return fields_dates.find_dates(self.layout)

    @cached_property
    def phones(self) -> list[Code]:
        """Telephone numbers."""
        return find_phones(self.layout)


def values_of(document: Document, leaf: Leaf, kind: Kind, labels: list[list[str]]) -> Iterator[Value]:
    """The values that fit the leaf's type, best first.

    ``labels``: see :func:`fallbacks.fields_labels.find_labelled`.
    """
    match kind:
        case Kind.TOTAL | Kind.TAX | Kind.NET:
            yield from _amount(document, leaf, kind)
        case Kind.CURRENCY:
            yield from _currency(document)
        case Kind.DATE | Kind.DUE_DATE | Kind.OTHER_DATE:
            yield from _dates(document, leaf, kind, labels)
        case Kind.CHOICE:
            yield from _choice(document, leaf, labels)
        case Kind.ISSUER:
            yield from _issuer(document, labels)
        case Kind.LABELLED:
            yield from _labelled(document, leaf, labels)
        case Kind.NONE:
            return
        case _:
            for code in _codes(document, kind):
                if leaf.format != "uri" or "://" in code.value:
                    yield Value(code.value, code.place)


def _codes(document: Document, kind: Kind) -> Iterable[Code]:
    """What is found the same way whatever the leaf."""
    layout = document.layout
    if kind is Kind.PHONE:
        return document.phones
    if kind is Kind.INVOICE_NUMBER:
        return filter(None, [find_invoice_number(layout)])
    return _FINDERS[kind](layout)


def _issuer(document: Document, labels: list[list[str]]) -> Iterator[Value]:
    """The name beside the field's own label, else by the rules for sellers."""
    labelled = find_labelled(document.layout, labels, code=False)
    for code in (*labelled, *filter(None, [find_issuer(document.layout)])):
        if any(char.isalpha() for char in code.value):
            yield Value(code.value, code.place)


def _amount(document: Document, leaf: Leaf, kind: Kind) -> Iterator[Value]:
    if kind is Kind.TOTAL:
        found = document.total
    elif kind is Kind.TAX:
        found = fields_amounts.choose_tax(document.layout, document.amounts)
    else:
        found = fields_amounts.choose_net(document.layout, document.amounts)
    number = _number(leaf, found.value) if found else None
    if found and number is not None:
        yield Value(number, found.place)


def _number(leaf: Leaf, value: Decimal) -> int | float | None:
    """The JSON number; None where a whole number is asked for and this is none."""
    if value == value.to_integral_value() and (leaf.type == "integer" or value.as_tuple().exponent == 0):
        return int(value)
    return float(value) if leaf.type == "number" else None


def _currency(document: Document) -> Iterator[Value]:
    found = fields_amounts.choose_currency(document.amounts, document.total) or fields_amounts.currency_word(
        document.layout
    )
    if found:
        yield Value(*found)


def _dates(document: Document, leaf: Leaf, kind: Kind, labels: list[list[str]]) -> Iterator[Value]:
    """ISO where the schema says so, otherwise as written. A list of dates holds them all."""
    layout = document.layout
    if kind is Kind.DUE_DATE:
        chosen = fields_dates.choose_date(layout, document.dates, fields_dates.DUE)
    elif kind is Kind.DATE:
        chosen = fields_dates.choose_date(layout, document.dates, None)
    else:
        chosen = fields_dates.choose_date(layout, document.dates, fields_dates.role(labels[0]))
    for one in document.dates if leaf.path.endswith("[]") else filter(None, [chosen]):
        written = document.text[one.place.start : one.place.end]
        yield Value(one.value.isoformat() if leaf.format == "date" else written, one.place)


def _choice(document: Document, leaf: Leaf, labels: list[list[str]]) -> Iterator[Value]:
    """The value of the enumeration that stands beside the leaf's label, else the only one in the whole text."""
    options: tuple[Any, ...] = tuple(option for option in leaf.enum or () if isinstance(option, str))
    for code in find_labelled(document.layout, labels, code=False):
        for hit in find(code.value, options):
            yield Value(options[hit.phrase], Place(code.place.start + hit.start, code.place.start + hit.end))
    hits = find(document.text, options)
    if len(hits) == 1:
        yield Value(options[hits[0].phrase], Place(hits[0].start, hits[0].end))


def _labelled(document: Document, leaf: Leaf, labels: list[list[str]]) -> Iterator[Value]:
    for code in find_labelled(document.layout, labels, code=is_identifier(leaf) and leaf.type == "string"):
        if leaf.type == "string":
            if leaf.format is None:
                yield Value(code.value, code.place)
            continue
        value = fields_amounts.number_in(code.value) if code.value[:1].isdigit() or code.value[:1] in "-−+€$£" else None
        number = _number(leaf, value) if value is not None else None
        if number is not None:
            yield Value(number, code.place)
