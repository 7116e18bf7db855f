"""Walks over the ``fields`` of an answer beside the tree of its schema.

Only :func:`violations` judges. The other walks are total: what does not have the right shape is passed over, because a
half-right answer is still shown to people and to the repair turn.
"""

import math
from collections.abc import Iterator
from typing import Any, Final

from schemas.answer import Violation
from schemas.extraction_bounds import is_of_type
from schemas.extraction_tree import Node, Record, Rows, Scalar, clipped, phrase, shown
from schemas.text import not_blank, storable

MAX_QUOTE_CHARS: Final = 2000

_SHAPE: Final = '{"value": ..., "quote": "words copied from the document"}'
_KINDS: Final = {
    "string": "a string",
    "number": "a number such as 1234.5, without currency or thousands separators",
    "integer": "a whole number such as 12",
    "boolean": "true or false",
}


def blank(node: Node) -> Any:
    """The fields with everything not found."""
    match node:
        case Scalar():
            return None
        case Rows():
            return []
        case Record():
            return {name: blank(child) for name, child in node.fields.items()}


def canonical(node: Node, given: Any) -> Any:
    """The one shape, from what a model wrote under the wire schema or a person left out.

    Absent and null become "not found"; a leaf without a value (``{"value": null, ...}``) too; a leaf in a list of at
    most one is taken out of it. Everything else stays as it is, for :func:`violations` to name.
    """
    match node:
        case Scalar():
            given = _unlisted(given)
            return None if _is_valueless(given) else given
        case Rows():
            return _canonical_rows(node, given)
        case Record():
            return _canonical_record(node, given)


def leaves(node: Node, given: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Every leaf with its path: the wrapped value, or None where it was not found (an empty list as a whole)."""
    match node:
        case Scalar():
            if given is None or _is_leaf(given):
                yield path, given
        case Rows():
            if not given:
                yield path, None
            for index, item in enumerate(given if isinstance(given, list) else []):
                yield from leaves(node.items, item, _at(path, index))
        case Record():
            if given is None or isinstance(given, dict):
                for name, child in node.fields.items():
                    yield from leaves(child, (given or {}).get(name), _at(path, name))


def plain(node: Node, given: Any) -> Any:
    """The values without their quotes."""
    match node:
        case Scalar():
            return given["value"] if _is_leaf(given) else None
        case Rows():
            return [plain(node.items, item) for item in given] if isinstance(given, list) else []
        case Record():
            found = given if isinstance(given, dict) else {}
            return {name: plain(child, found.get(name)) for name, child in node.fields.items()}


def violations(root: Record, given: Any) -> Iterator[Violation]:
    """Everything in which the fields break their schema, in the schema's order."""
    yield from _record(root, given, "", present=True)


def _node(node: Node, given: Any, path: str) -> Iterator[Violation]:
    match node:
        case Scalar():
            yield from _leaf(node, given, path)
        case Rows():
            yield from _rows(node, given, path)
        case Record():
            yield from _record(node, given, path, present=_is_found(node, given))


def _record(record: Record, given: Any, path: str, *, present: bool) -> Iterator[Violation]:
    """``present``: something of it was found (or it is the whole, or a row), so that its required fields are due."""
    if given is None:
        given = {}
    if not isinstance(given, dict):
        names = ", ".join(record.fields)
        yield Violation(
            path=path, message=f"must be an object with the fields {clipped(names, 400)}; got {shown(given)}"
        )
        return
    for name, child in record.fields.items():
        if present and name in record.required and not _is_found(child, given.get(name)):
            yield Violation(path=_at(path, name), message="required, but was not found")
        else:
            yield from _node(child, given.get(name), _at(path, name))
    for name in given:
        if name not in record.fields:
            names = ", ".join(record.fields)
            yield Violation(
                path=_at(path, clipped(str(name), 64)),
                message=f"is not in the schema; leave it out (the fields here are {clipped(names, 400)})",
            )


def _rows(rows: Rows, given: Any, path: str) -> Iterator[Violation]:
    if given is None:
        return
    if not isinstance(given, list):
        yield Violation(path=path, message=f"must be a list, empty where nothing was found; got {shown(given)}")
        return
    sound = True
    for index, item in enumerate(given):
        for violation in _row(rows.items, item, _at(path, index)):
            sound = False
            yield violation
    if given and sound:
        values = plain(rows, given)
        yield from _broken_bounds(rows, values, path, f"got {len(values)}")


def _row(items: Scalar | Record, item: Any, path: str) -> Iterator[Violation]:
    if item is None or (isinstance(items, Record) and isinstance(item, dict) and not _is_found(items, item)):
        yield Violation(path=path, message="nothing of this item was found; leave the item out of the list")
    elif isinstance(items, Record):
        yield from _record(items, item, path, present=True)
    else:
        yield from _leaf(items, item, path)


def _leaf(scalar: Scalar, given: Any, path: str) -> Iterator[Violation]:
    if given is None:
        return
    if isinstance(given, list) and len(given) > 1 and all(_is_leaf(one) for one in given):
        yield Violation(path=path, message=f"has {len(given)} entries, but is a single field; give the one that fits")
        return
    if not _is_leaf(given) or len(given) != 2:
        yield Violation(path=path, message=f"must be {_SHAPE}, or null where it was not found; got {shown(given)}")
        return
    yield from _broken_quote(given["quote"], path)
    value = given["value"]
    problem = _wrong_kind(scalar, value)
    if problem:
        yield Violation(path=path, message=problem)
    else:
        yield from _broken_bounds(scalar, value, path, f"got {shown(value)}")


def _broken_quote(quote: Any, path: str) -> Iterator[Violation]:
    if not isinstance(quote, str):
        yield Violation(path=path, message=f"its quote must be a string copied from the document; got {shown(quote)}")
    elif _is_blank(quote):
        yield Violation(
            path=path, message="its quote is empty; copy the words of the document, or give null for the field"
        )
    elif len(quote) > MAX_QUOTE_CHARS:
        yield Violation(
            path=path, message=f"its quote has {len(quote)} characters; at most {MAX_QUOTE_CHARS} are allowed"
        )
    elif unstorable := _unstorable(quote):
        yield Violation(path=path, message=f"its quote {unstorable}")


def _wrong_kind(scalar: Scalar, value: Any) -> str | None:
    """What is wrong with a value before its constraints are looked at."""
    if not is_of_type(value, scalar.type):
        return f"must be {_KINDS[scalar.type]}; got {shown(value)}"
    if not isinstance(value, str) and not _is_finite(value):
        return "must be a finite number of a usual size"
    if isinstance(value, str):
        if _is_blank(value) and value not in scalar.bounds.get("enum", ()):
            return "is an empty text; give null for the field where it was not found"
        return _unstorable(value)
    return None


def _broken_bounds(node: Scalar | Rows, value: Any, path: str, got: str) -> Iterator[Violation]:
    if node.validator is None:
        return
    for error in node.validator.iter_errors(value):
        keyword = error.kind.name
        keyword = "enum" if keyword == "const" else keyword
        yield Violation(path=path, message=f"must be {phrase(keyword, node.bounds[keyword])}; {got}")


def _unstorable(text: str) -> str | None:
    try:
        storable(text)
    except ValueError as error:
        return str(error)
    return None


def _unlisted(given: Any) -> Any:
    """A leaf as the wire schema for many leaves has it: in a list of one, or of none."""
    if isinstance(given, list) and len(given) <= 1:
        return given[0] if given else None
    return given


def _canonical_rows(rows: Rows, given: Any) -> Any:
    if given is None:
        return []
    if not isinstance(given, list) or isinstance(rows.items, Scalar):
        return given
    return [canonical(rows.items, row) if isinstance(row, dict) else row for row in given]


def _canonical_record(record: Record, given: Any) -> Any:
    if given is None:
        return blank(record)
    if not isinstance(given, dict):
        return given
    known = {name: canonical(child, given.get(name)) for name, child in record.fields.items()}
    return {**known, **{name: value for name, value in given.items() if name not in known}}


def _is_finite(value: float) -> bool:
    """An integer beyond every float is refused too: the constraint checks would pass it unseen."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _is_blank(text: str) -> bool:
    try:
        not_blank(text)
    except ValueError:
        return True
    return False


def _is_leaf(given: Any) -> bool:
    return isinstance(given, dict) and "value" in given and "quote" in given


def _is_valueless(given: Any) -> bool:
    return isinstance(given, dict) and "value" in given and given["value"] is None and set(given) <= {"value", "quote"}


def _is_found(node: Node, given: Any) -> bool:
    """Whether anything stands there, well-formed or not."""
    if isinstance(node, Record) and isinstance(given, dict):
        return any(_is_found(child, given.get(name)) for name, child in node.fields.items())
    return given is not None and given != []


def _at(path: str, key: str | int) -> str:
    return f"{path}.{key}" if path else str(key)
