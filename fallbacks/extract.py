"""The rule-based stand-in for fields: each leaf is looked for by what its format, name and description say it is.

What is found stands in the text, with the label beside it where there is one. What no rule speaks for is left out:
booleans, lists of records, and names and descriptions that only reading would find. Fields of a customer (``buyer``,
``bill_to`` ...) are only taken beside their own label, since the patterns alone cannot tell two parties apart.
"""

from typing import Any

from fallbacks.field_kinds import kind_of, label_names
from fallbacks.field_values import Document, Value, values_of
from fallbacks.words import is_quotable
from schemas.extract import Extraction, ExtractRequest
from schemas.extraction import CompiledSchema, Leaf

MAX_ROWS = 50
"""A list of values holds at most so many."""

MAX_QUOTE_CHARS = 2_000


def extract(request: ExtractRequest) -> Extraction | None:
    """The fields, or None where nothing was found or a required leaf is missing.

    Every quote is a substring of ``request.text``; ``fields`` has no violation of the schema.
    """
    compiled = request.compiled
    document = Document(request.text)
    fields = compiled.blank()
    for leaf in compiled.leaves:
        _fill(fields, leaf, document)
    fields = _without_violations(compiled, fields)
    if not compiled.quotes(fields) or compiled.violations(fields):
        return None
    return Extraction(fields=fields, not_found=compiled.not_found(fields))


def _fill(fields: dict[str, Any], leaf: Leaf, document: Document) -> None:
    many = leaf.path.endswith("[]")
    *parents, name = leaf.path.removesuffix("[]").split(".")
    if any(parent.endswith("[]") for parent in parents) or name.endswith("[]"):
        return
    values = values_of(document, leaf, kind_of(leaf), label_names(leaf))
    found = [wrapped for value in values if (wrapped := _wrapped(document, value)) is not None]
    if not found:
        return
    target = fields
    for parent in parents:
        target = target[parent]
    target[name] = _distinct(found) if many else found[0]


def _wrapped(document: Document, value: Value) -> dict[str, Any] | None:
    """The leaf with its quote; None where the words prove nothing, or the bounds of what is read cut through them."""
    place = document.layout.quote(value.place)
    quote = document.text[place.start : place.end]
    if len(quote) > MAX_QUOTE_CHARS or not is_quotable(document.text, place.start, place.end):
        return None
    return {"value": value.value, "quote": quote}


def _distinct(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    first: dict[str, dict[str, Any]] = {}
    for leaf in found:
        first.setdefault(repr(leaf["value"]), leaf)
    return list(first.values())[:MAX_ROWS]


def _without_violations(compiled: CompiledSchema, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields without the leaves that break the schema, e.g. a pattern or a maximum."""
    blank = compiled.blank()
    for violation in compiled.violations(fields):
        target, empty = fields, blank
        for key in violation.path.split("."):
            if not isinstance(target.get(key), dict) or "quote" in target[key]:
                if key in target:
                    target[key] = empty[key]
                break
            target, empty = target[key], empty[key]
    return fields
