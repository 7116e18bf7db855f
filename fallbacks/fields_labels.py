"""Values that stand beside a label made of a field's own name (``Order ID: 123`` for ``order_id``), and named parties.

The label must begin its line, column or sentence part, and a mark (``:``, ``=``, ``#``) or a column gap must follow it,
unless the value is a code: then a digit in it is mark enough.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from fallbacks.fields_codes import Code
from fallbacks.layout import Layout, Place, cells

MAX_VALUE_CHARS = 200

_NUMBER_WORDS = frozenset({"id", "number", "no", "nr", "num", "code", "ref", "reference"})
_NUMBER_FORMS = r"(?:id|numbers?|nummer|numer[oi]?|numéro|no|nr|num|code|ref(?:erence)?|n[°ºo]|№|#)"
_MARK = re.compile(r"\s?\.?\s?[:=#：]{1,2}\s*|\s[-–—]\s")
_NO_MARK = re.compile(r"\s?\.?[:=#：]?\s*")
_CODE = re.compile(r"(?=[^\s|]*\d)[^\W_][\w./#-]*")
_NEXT_LABEL = re.compile(r"\s[^\W\d_][\w-]{0,20}\s?[:：]\s")
_LEGAL_FORM = re.compile(
    r"(?<![\w.])(?:GmbH(?:\s*&\s*Co\.?\s*KG)?|gGmbH|AG|KG|OHG|e\.\s?K\.|e\.\s?V\.|UG|SE|Ltd\.?|Limited|LLP|PLC|plc|Inc\.?|"
    r"Corp\.?|Corporation|LLC|L\.L\.C\.|Co\.,?\s*Ltd\.?|Pty\.?|S\.?A\.?S\.?|SARL|S\.A\.R\.L\.|Sarl|SASU|EURL|S\.A\.|"
    r"S\.?L\.?U?\.|S\.r\.l\.|Srl|S\.p\.A\.|SpA|B\.V\.|BV|N\.V\.|NV|Sp\.\s*z\s*o\.\s*o\.|sp\.\s*j\.|spółka\s+akcyjna|A/S|ApS|AB|"
    r"Oy|Oyj|ASA|AS|Sdn\.?\s*Bhd\.?|Bhd\.?|SDN\.?\s*BHD\.?|BHD\.?|Pvt\.?\s*Ltd\.?|Private\s+Limited|K\.K\.|"
    r"SDN\.?\s*BND|LTD\.?|LIMITED|INC\.?|CORP\.?|GMBH|ENTERPRISE|Enterprise|TRADING|Trading)(?![\w])|(?:有限公司|株式会社)"
)
_ISSUER_LABEL = re.compile(
    r"^\s*(?:sold\s+by|seller|vendor|supplier|issued\s+by|from|verkäufer|lieferant|vendeur|fournisseur"
    r"|vendedor|proveedor|emisor|venditore|fornitore|verkoper|leverancier|sprzedawca)(?!\w)",
    re.IGNORECASE,
)
_BUYER_LABEL = re.compile(
    r"address|adres|bill\s*(?:ed)?\s*to|ship\s*to|sold\s+to|\battn\b|customer|client|buyer|nabywca|kunde|klant|deliver|liefer|invoice\s+to",
    re.IGNORECASE,
)
_ISSUER_LINES = 15
_REGISTRATION = re.compile(
    r"\s*\(?(?:co\.?\s*)?(?:reg\.?|no\.?)?\s*:?\s*\(?[\dA-Z]*\d{4,}[\w-]*(?:\s*[-–]?\s*[A-Z])?\)?\s*$", re.IGNORECASE
)


def find_labelled(layout: Layout, names: Sequence[Sequence[str]], *, code: bool) -> Iterator[Code]:
    """What stands beside these labels, the first name first, in the order of the text.

    Args:
        names: labels as lists of words, e.g. ``[["order", "id"], ["order"]]``.
        code: only a code with a digit is a value, e.g. for a reference.
    """
    for words in names:
        label = _label(words)
        if label is not None:
            yield from beside(layout, label, code=code)


def beside(layout: Layout, label: re.Pattern[str], *, code: bool = False) -> Iterator[Code]:
    """What stands behind a label in its column, or in the next column where the label fills its own."""
    for line in layout.lines:
        columns = list(cells(line.text))
        for (begin, end), following in zip_longest(columns, columns[1:]):
            for match in label.finditer(line.text[begin:end]):
                place = _value_place(line.text, begin + match.end(), end, following, code=code)
                if place is not None:
                    value = line.text[place.start : place.end]
                    yield Code(value, Place(line.start + place.start, line.start + place.end))


def _value_place(line: str, at: int, end: int, following: tuple[int, int] | None, *, code: bool) -> Place | None:
    """Where the value stands on the line, given that its label ends at ``at``."""
    mark = _MARK.match(line, at, end) or (_NO_MARK.match(line, at, end) if code else None)
    start = mark.end() if mark else at
    if not line[start:end].strip(" .:="):
        if following is None:
            return None
        start, end = following
        start += len(line[start:end]) - len(line[start:end].lstrip(" :=#"))
    elif mark is None:
        return None
    if code:
        found = _CODE.match(line, start, end)
        return Place(found.start(), found.end()) if found else None
    beyond = _NEXT_LABEL.search(line, start, end)
    value = line[start : min(beyond.start() if beyond else end, start + MAX_VALUE_CHARS)].rstrip(" ,;")
    return Place(start, start + len(value)) if any(char.isalnum() for char in value) else None


def find_issuer(layout: Layout) -> Code | None:
    """The seller's name: beside a label, else the first name with a legal form (GmbH, Ltd, S.A. ...) near the top.

    A name beside or under "bill to", an address heading and the like is the customer's and is passed over.
    """
    for found in beside(layout, _ISSUER_LABEL):
        if any(char.isalpha() for char in found.value) and "@" not in found.value:
            return found
    for index, line in enumerate(layout.lines[:_ISSUER_LINES]):
        for begin, end in cells(line.text):
            form = _LEGAL_FORM.search(line.text[begin:end])
            around = line.text[:end] + " ".join(above.text for above in layout.lines[max(0, index - 2) : index])
            if form is None or form.start() == 0 or _BUYER_LABEL.search(around):
                continue
            name = _name(line.text[begin:end])
            start = line.start + begin + line.text[begin:end].index(name)
            return Code(name, Place(start, start + len(name)))
    return None


def _name(cell: str) -> str:
    """The name without a registration number behind it or an address behind a dash."""
    name = re.split(r"\s[-–|]\s", cell.strip())[0]
    without = _REGISTRATION.sub("", name)
    return (without if _LEGAL_FORM.search(without) else name).strip(" ,;:")


def _label(words: Sequence[str]) -> re.Pattern[str] | None:
    """A pattern for the label: its words in order, number words in any usual form."""
    parts = [_NUMBER_FORMS if word in _NUMBER_WORDS else re.escape(word) for word in words]
    if not parts or all(word in _NUMBER_WORDS for word in words):
        return None
    return re.compile(r"(?<![^\W_])" + r"[\s._-]{0,3}".join(parts) + r"(?![^\W\d_])", re.IGNORECASE)
