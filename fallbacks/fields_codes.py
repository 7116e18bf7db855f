"""Codes and contacts with their places: IBAN, VAT numbers, invoice numbers, e-mail addresses, phones, web addresses.

What has a check digit must pass it (``python-stdnum``); phones must be valid numbers (``phonenumbers``) or stand beside
a telephone label in the shape of one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fallbacks.layout import Layout, Line, Place

MAX_FOUND = 50
"""Of each kind, at most; the rest of the document is not searched."""

_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,5}[^\W\d_]{2,24}(?![\w-])")
_URL = re.compile(r"(?:https?://|(?<![\w@.])www\.)[^\s<>\"'()\[\]{}|]{3,300}", re.IGNORECASE)
_IBAN = re.compile(r"(?<![A-Z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,36}(?![A-Z0-9])")
_EU_VAT = re.compile(
    r"(?<![A-Z0-9])(?:AT|BE|BG|CY|CZ|DE|DK|EE|EL|ES|FI|FR|HR|HU|IE|IT|LT|LU|LV|MT|NL|PL|PT|RO|SE|SI|SK)"
    r"[ ]?[A-Z0-9](?:[ .-]?[A-Z0-9]){7,12}(?![A-Z0-9])"
)
_LABELLED_VAT = re.compile(
    r"\b(?:VAT|USt\W?-?\s?Id(?:ent)?|UID|TVA|BTW|NIP|P\.?\s?IVA|partita\s+iva|NIF|CIF|GSTIN|GST|TIN|ABN|EIN|Tax)"
    r"(?:[\s/.-]*(?:TIN|ID|Reg(?:istration)?|No|Nr|Number|nummer|intracom\w*|n°))*[\s.:#]{0,80}"
    r"(?P<code>[A-Z]{0,3}\s?\d(?:[ .-]?[A-Z0-9]){6,15})(?![A-Z0-9])",
    re.IGNORECASE,
)
_BUYER = re.compile(
    r"\b(?:your|uw|ihre|votre|su|tuo|customer|client|buyer|nabywca|käufer|kunde|klant|acheteur)\b", re.IGNORECASE
)
_CODE = r"(?P<code>(?=[^\s]*\d)[A-Z0-9#][\w#./-]*[\w])"
_NUMBER_WORD = r"(?:numbers?|nummer|numer|no|nos|nr|num|n[°ºo]|№|#|号码?|番号|id)"
_INVOICE_WORD = r"(?:invoice|inv|rechnungs?|facture|factuur|fattura|factura|fatura|faktura|receipt|发票|請求書)"
_INVOICE = re.compile(
    rf"(?<!\w){_INVOICE_WORD}[\s_-]*{_NUMBER_WORD}(?![^\W\d])[\s.:#°-]{{0,12}}(?:[A-Z]{{1,3}}\s(?=\w*\d))?{_CODE}",
    re.IGNORECASE,
)
_INVOICE_ALONE = re.compile(rf"(?<!\w){_INVOICE_WORD}(?!\w)\s{{0,3}}[:#]?\s{{0,3}}{_CODE}", re.IGNORECASE)
_INVOICE_HEADING = re.compile(
    rf"(?<!\w){_INVOICE_WORD}(?:[\s_-]*{_NUMBER_WORD}(?!\w))?[\s.:#]*$|^\W*{_INVOICE_WORD}\W*$", re.IGNORECASE
)
_CODE_ONLY = re.compile(rf"(?<!\S){_CODE}(?!\S)", re.IGNORECASE)
_PHONE_LABEL = re.compile(
    r"\b(?:tel(?:e(?:phone|fon|foon|fono))?|t[ée]l(?:[ée]phone)?|phone|mobile?|mob|cell|handy|hotline|call)\b[^\d+(\n]{0,12}"
    r"(?P<code>\+?[\d(][\d\s()./-]{5,20}\d)(?![\d:])",
    re.IGNORECASE,
)
_PHONE_SHAPE = re.compile(r"(?<![\w.,/-])(?:\+|\(\d|\d)(?:[ ()./-]{0,2}\d){6,14}(?![\d:]|[.,]\d)")
_MIN_DIGITS, _MAX_DIGITS = 7, 15
_REGIONS = (None, "US", "GB")


@dataclass(frozen=True, slots=True)
class Code:
    """``value`` is as written, or compact for an IBAN."""

    value: str
    place: Place


def find_emails(layout: Layout) -> list[Code]:
    """Addresses that ``email-validator`` accepts; no name server is asked."""
    from email_validator import EmailNotValidError, validate_email

    found = []
    for code in _plain(layout, _EMAIL):
        try:
            validate_email(code.value, check_deliverability=False)
        except EmailNotValidError:
            continue
        found.append(code)
    return found


def find_urls(layout: Layout) -> list[Code]:
    """Addresses that begin ``http://``, ``https://`` or ``www.``, without closing punctuation."""
    found = []
    for code in _plain(layout, _URL):
        value = code.value.rstrip(".,;:!?*_")
        found.append(Code(value, Place(code.place.start, code.place.start + len(value))))
    return found


def find_ibans(layout: Layout) -> list[Code]:
    """Account numbers with a right check digit, compact; a match that runs into the next word is shortened."""
    from stdnum import iban

    found = []
    for code in _plain(layout, _IBAN):
        written = code.value
        while written and not iban.is_valid(written):
            written = written.rpartition(" ")[0]
        if written:
            found.append(Code(iban.compact(written), Place(code.place.start, code.place.start + len(written))))
    return found


def find_vat_numbers(layout: Layout) -> list[Code]:
    """European numbers with right check digits, and others beside a label; not those labelled as the customer's."""
    from stdnum.eu import vat

    found = []
    for line in layout.lines:
        for match in _EU_VAT.finditer(line.text):
            if vat.is_valid(match.group()) and not _BUYER.search(line.text[: match.start()][-40:]):
                found.append(_code(line, match, 0))
        for match in _LABELLED_VAT.finditer(line.text):
            eu = re.match("[A-Z]{2}", match["code"])
            if eu is None and not _BUYER.search(line.text[: match.start()][-40:]):
                found.append(_code(line, match, "code"))
    return sorted(found, key=lambda code: code.place.start)[:MAX_FOUND]


def find_invoice_number(layout: Layout) -> Code | None:
    """What stands beside or under "invoice number", else right behind "invoice", in several languages."""
    for pattern in (_INVOICE, _INVOICE_ALONE):
        for line in layout.lines:
            match = pattern.search(line.text)
            if match and not _looks_like_date(match["code"]):
                return _code(line, match, "code")
    for line in layout.lines:
        for match in _CODE_ONLY.finditer(line.text):
            code = _code(line, match, "code")
            beside, above = layout.label_before(code.place), layout.label_above(code.place)
            if not _looks_like_date(code.value) and any(
                _INVOICE_HEADING.search(x.strip()) for x in (beside, above) if x
            ):
                return code
    return None


def find_phones(layout: Layout) -> list[Code]:
    """Numbers beside a telephone label; without any, international ones, else valid US or British ones."""
    labelled = [_code(line, match, "code") for line in layout.lines for match in _PHONE_LABEL.finditer(line.text)]
    found = [code for code in labelled if _MIN_DIGITS <= sum(map(str.isdigit, code.value)) <= _MAX_DIGITS]
    if not found:
        shapes = [code for code in _plain(layout, _PHONE_SHAPE) if not _looks_like_date(code.value)]
        found = next(filter(None, ([c for c in shapes if _is_phone(c.value, region)] for region in _REGIONS)), [])
    return found[:MAX_FOUND]


def _is_phone(written: str, region: str | None) -> bool:
    """Whether it is a number in use there; region None asks for one with its country's code."""
    import phonenumbers

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(written, region))
    except phonenumbers.NumberParseException:
        return False


def _looks_like_date(written: str) -> bool:
    return re.fullmatch(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{2,4}", written) is not None


def _plain(layout: Layout, pattern: re.Pattern[str]) -> Iterator[Code]:
    left = MAX_FOUND
    for line in layout.lines:
        for match in pattern.finditer(line.text):
            yield _code(line, match, 0)
            left -= 1
            if left == 0:
                return


def _code(line: Line, match: re.Match[str], group: str | int) -> Code:
    return Code(match.group(group), Place(line.start + match.start(group), line.start + match.end(group)))
