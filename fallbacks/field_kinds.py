"""What a leaf of a schema asks for, read from its format, type, name and, failing those, its description."""

import re
from enum import StrEnum

from schemas.extraction import Leaf


class Kind(StrEnum):
    """What a leaf asks for.

    ``LABELLED`` is whatever stands beside its own name; ``NONE`` is what no rule can find.
    """

    TOTAL = "total"
    TAX = "tax"
    NET = "net"
    CURRENCY = "currency"
    DATE = "date"
    DUE_DATE = "due_date"
    OTHER_DATE = "other_date"
    EMAIL = "email"
    PHONE = "phone"
    URL = "url"
    IBAN = "iban"
    VAT_NUMBER = "vat_number"
    INVOICE_NUMBER = "invoice_number"
    ISSUER = "issuer"
    ADDRESS = "address"
    CHOICE = "choice"
    LABELLED = "labelled"
    NONE = "none"


_PARTS = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BUYERS = frozenset(
    {"buyer", "customer", "client", "recipient", "receiver", "bill", "billed", "ship", "shipping", "consignee", "kunde"}
)
_ISSUERS = frozenset(
    {"issuer", "seller", "vendor", "merchant", "supplier", "store", "shop", "company", "organization", "organisation"}
    | {"firm", "sender", "lieferant", "verkäufer", "fournisseur", "proveedor"}
)
_DATE_WORDS = frozenset({"date", "datum", "fecha", "day", "dated"})
_OWN_DATE = _DATE_WORDS | {
    "data",
    "issue",
    "issued",
    "invoice",
    "receipt",
    "document",
    "bill",
    "purchase",
    "transaction",
}
_IDENTIFIERS = frozenset({"id", "number", "no", "nr", "num", "code", "ref", "reference"})
_TAX_WORDS = frozenset({"vat", "tax", "gst", "tva", "ust", "nip", "tin"})
_INVOICE_WORDS = frozenset({"invoice", "facture", "rechnung", "factura", "fattura", "faktura"})
_DESCRIPTION_WORDS = 4


def words_of(name: str) -> list[str]:
    """``dueDate`` and ``due_date`` as words."""
    return _PARTS.findall(_CAMEL.sub(" ", name).casefold())


def is_identifier(leaf: Leaf) -> bool:
    """Whether the value is a code with a digit in it."""
    return bool(_IDENTIFIERS.intersection(words_of(leaf.name)))


def label_names(leaf: Leaf) -> list[list[str]]:
    """The labels to look for: the path's words, the name's words, and of an identifier the name without "id"."""
    path = words_of(leaf.path.replace("[]", "").replace(".", " "))
    name = words_of(leaf.name)
    shorter = [word for word in name if word not in _IDENTIFIERS]
    names = [path, name] if not _is_buyers(leaf) or path == name else [path]
    if is_identifier(leaf) and shorter and len(shorter) < len(name) and path == name:
        names.append(shorter)
    return [one for index, one in enumerate(names) if one and one not in names[:index]]


def kind_of(leaf: Leaf) -> Kind:
    """The kind, by the first rule that speaks."""
    if leaf.type == "boolean":
        return Kind.NONE
    name = set(words_of(leaf.name))
    context = set(words_of(leaf.path.replace("[]", "").replace(".", " ")))
    kind = _of_format(leaf, name) or _of_words(leaf, name, context)
    if kind is None and leaf.description and (leaf.type != "string" or leaf.format):
        kind = _of_words(leaf, set(words_of(leaf.description)[:_DESCRIPTION_WORDS]), context)
    if kind is None or (_is_buyers(leaf) and kind not in (Kind.CHOICE, Kind.NONE)):
        return Kind.LABELLED
    return kind


def _is_buyers(leaf: Leaf) -> bool:
    return bool(_BUYERS.intersection(words_of(leaf.path.replace("[]", "").replace(".", " "))))


def _of_format(leaf: Leaf, name: set[str]) -> Kind | None:
    if leaf.format == "date":
        return _date_kind(name)
    if leaf.enum is not None and "currency" not in name:
        return Kind.CHOICE
    return {"email": Kind.EMAIL, "uri": Kind.URL, "date-time": Kind.NONE, "time": Kind.NONE}.get(leaf.format or "")


def _of_words(leaf: Leaf, name: set[str], context: set[str]) -> Kind | None:
    if leaf.type in ("number", "integer"):
        return _amount_kind(name)
    for kind, triggers in _STRING_KINDS:
        if triggers & name:
            return kind
    if name & _DATE_WORDS:
        return _date_kind(name)
    return _party_kind(name, context)


def _party_kind(name: set[str], context: set[str]) -> Kind | None:
    """The kinds that name a party of a bill, or a number that one of them gave."""
    if _IDENTIFIERS & name:
        if _TAX_WORDS & context:
            return Kind.VAT_NUMBER
        return Kind.INVOICE_NUMBER if _INVOICE_WORDS & context else None
    if name & _ISSUERS or (name == {"name"} and context & _ISSUERS):
        return Kind.ISSUER
    return None


_STRING_KINDS = (
    (Kind.CURRENCY, frozenset({"currency", "währung", "devise"})),
    (Kind.EMAIL, frozenset({"email", "mail"})),
    (Kind.PHONE, frozenset({"phone", "telephone", "tel", "mobile", "telefon", "phones"})),
    (Kind.URL, frozenset({"url", "website", "web", "homepage", "urls"})),
    (Kind.IBAN, frozenset({"iban"})),
    (Kind.ADDRESS, frozenset({"address", "adresse", "anschrift", "dirección"})),
)


def _date_kind(name: set[str]) -> Kind:
    if {"due", "payment", "deadline", "fällig"} & name:
        return Kind.DUE_DATE
    return Kind.DATE if name <= _OWN_DATE else Kind.OTHER_DATE


def _amount_kind(name: set[str]) -> Kind | None:
    if name & {"subtotal", "sub", "net", "untaxed", "netto"}:
        return Kind.NET
    if name & {"rate", "percent", "percentage", "id", "number", "count", "quantity", "qty"}:
        return None
    if name & {"tax", "vat", "gst", "mwst", "tva", "btw", "iva"}:
        return Kind.TAX
    if name & {"total", "amount", "sum", "due", "balance", "gesamt", "betrag", "montant"}:
        return Kind.TOTAL
    return None
