"""Postal addresses: beside a label, US addresses (``usaddress``), or a block of lines that ends with a postcode."""

import re
from collections.abc import Iterator

from fallbacks.fields_codes import Code
from fallbacks.fields_labels import beside
from fallbacks.layout import Layout, Line, Place

MAX_BLOCK_LINES = 5

_LABEL = re.compile(
    r"^\s*(?:address|addr|anschrift|adresse|adres|dirección|direccion|indirizzo|endereço|地址|العنوان)(?!\w)",
    re.IGNORECASE,
)
_US = re.compile(r"(?<!\w)\d{1,6} [A-Z0-9][\w.#,' -]{5,100}?[ ,]+[A-Z]{2},?\s+\d{5}(?:-\d{4})?(?!\w)")
_US_PARTS = {"AddressNumber", "StreetName", "PlaceName", "StateName", "ZipCode"}
_POSTCODE = re.compile(
    r"(?<![\w.,/-])(?:[A-Z]-)?(?:\d{5}(?:-\d{4})?|\d{4}\s?[A-Z]{2}|\d{2}-\d{3}|[A-Z]{1,2}\d[A-Z\d]?\s\d[A-Z]{2}|\d{4}|\d{3}\s\d{2}|\d{6})"
    r"[,.]?\s+[^\W\d_]{2}"
    r"|[A-Z]{2},?\s\d{5}(?:-\d{4})?\s*$"
)
_STREET = re.compile(
    r"stra(?:ß|ss)e|str\.|weg\b|platz|allee|\brue\b|avenue|\bave\b|boulevard|\bblvd\b|\bstreet\b|\bst\b|\broad\b|\brd\b|\blane\b|\bdrive\b"
    r"|\bdr\b|calle|\bvia\b|piazza|straat|laan|plein|\bul\.|aleja|\bjalan\b|\bjln\b|\blot\b|\bno\.?\s?\d|taman|\btmn\b|floor|building"
    r"|plaza|\bsuite\b|\bplot\b|\bblock\b|\bunit\b|\d+[a-z]?\s*,|^\d+\s\w|\w\s\d{1,4}[a-z]?$",
    re.IGNORECASE,
)
_NO_ADDRESS = re.compile(
    r"\b(?:tel|fax|phone|gst|vat|reg|invoice|date|email|e-mail|www|http|iban|roc|company\s+no|co\.?\s*no)\b|@|\(\d{4,}|\d[.,]\d\d(?!\d)",
    re.IGNORECASE,
)


def find_addresses(layout: Layout) -> Iterator[Code]:
    """Addresses on one line each, the surest kind first; an address over several lines is joined by spaces."""
    yield from (found for found in beside(layout, _LABEL) if any(char.isdigit() for char in found.value))
    yield from _american(layout)
    yield from _blocks(layout)


def _american(layout: Layout) -> Iterator[Code]:
    import usaddress

    for line in layout.lines:
        for match in _US.finditer(line.text):
            try:
                parts, _ = usaddress.tag(match.group())
            except usaddress.RepeatedLabelError:
                continue
            if parts.keys() >= _US_PARTS:
                yield _code(line, match.start(), match.end())


def _blocks(layout: Layout) -> Iterator[Code]:
    """Up to five lines, each like a street or place, the last with a postcode."""
    for index, line in enumerate(layout.lines):
        if not _POSTCODE.search(line.text) or _NO_ADDRESS.search(line.text) or "  " in line.text.strip():
            continue
        first = index
        while first > max(0, index - MAX_BLOCK_LINES + 1) and _is_part(layout.lines[first - 1].text):
            first -= 1
        block = layout.lines[first : index + 1]
        if any(_STREET.search(part.text) for part in block):
            yield _joined(layout, block)


def _is_part(text: str) -> bool:
    if _NO_ADDRESS.search(text) or len(text) > 80 or "  " in text.strip():
        return False
    return _STREET.search(text) is not None or text.rstrip().endswith(",")


def _joined(layout: Layout, block: list[Line]) -> Code:
    start = block[0].start + len(block[0].text) - len(block[0].text.lstrip())
    end = block[-1].start + len(block[-1].text.rstrip())
    return Code(" ".join(layout.text[start:end].split()), Place(start, end))


def _code(line: Line, start: int, end: int) -> Code:
    return Code(" ".join(line.text[start:end].split()), Place(line.start + start, line.start + end))
