"""What was sent, as the answer that it means."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas.answer import Violation
from web.forms.boxes import MARK, ROOT, fill, option_text, sent
from web.forms.fields import Choice, Constant, Field, Group, Quoted, Rows, Text

MOST_ROWS: Final = 500
"""Of one list; no contract takes more."""
_NOTHING: Final = object()
_NUMBER: Final = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,4})?")

Sent = Mapping[str, Sequence[str]]
"""All texts by the name of their field."""


@dataclass(frozen=True)
class Reading:
    """An answer as it was typed.

    Attributes:
        value: what could not be understood stands in it as it was typed, so that it is shown again.
        errors: what could not be understood. The contract is not checked here.
    """

    value: dict[str, Any]
    errors: list[Violation]


def read(form: Group, data: Sent, *, keep_blank_rows: bool = False) -> Reading:
    """The answer.

    Args:
        keep_blank_rows: while somebody is still filling them in; otherwise a row with nothing in it is dropped.
    """
    reader = _Reader(data, keep_blank_rows=keep_blank_rows)
    value = reader.group(form, ROOT, "")
    return Reading(value, reader.errors)


def as_sent(form: Group, value: Any) -> dict[str, Any]:
    """What comes back of a value that was shown in the form and sent unchanged: two answers that a person could not tell
    apart in the form are equal after this."""
    return read(form, sent(fill(form, value))).value


class _Reader:
    def __init__(self, data: Sent, *, keep_blank_rows: bool) -> None:
        self._data = data
        self._keep_blank_rows = keep_blank_rows
        self.errors: list[Violation] = []

    def group(self, form: Group, name: str, path: str) -> dict[str, Any]:
        read = {child.name: self._field(child, f"{name}.{child.name}", _at(path, child.name)) for child in form.fields}
        return {key: value for key, value in read.items() if value is not _NOTHING}

    def _field(self, form: Field, name: str, path: str) -> Any:
        match form:
            case Constant():
                return form.value
            case Group():
                found = self.group(form, name, path)
                return None if form.is_nullable and _is_blank(form, found) else found
            case Quoted():
                return self._quoted(form, name, path)
            case Rows():
                return self._rows(form, name, path)
            case Choice():
                return self._choice(form, name)
            case Text():
                return self._text(form, name, path)

    def _quoted(self, form: Quoted, name: str, path: str) -> Any:
        value = self._field(form.value, f"{name}.value", f"{path}.value")
        quote = self._field(form.quote, f"{name}.quote", f"{path}.quote")
        if value in (_NOTHING, None) and quote is _NOTHING:
            return None
        if value in (_NOTHING, None):
            self.errors.append(Violation(path=f"{path}.value", message="is missing; or clear the quote too"))
        if quote is _NOTHING:
            self.errors.append(
                Violation(path=f"{path}.quote", message="is missing: give the words of the source that say so")
            )
        return {
            "value": None if value is _NOTHING else value,
            "quote": "" if quote is _NOTHING else quote,
        }

    def _rows(self, form: Rows, name: str, path: str) -> list[Any]:
        rows: list[Any] = []
        for mark in list(dict.fromkeys(self._data.get(name + MARK, ())))[:MOST_ROWS]:
            if not mark.isdecimal():
                continue
            row = self._field(form.item, f"{name}.{mark}", _at(path, str(len(rows))))
            if self._keep_blank_rows or not _is_blank(form.item, row):
                rows.append(None if row is _NOTHING else row)
        return rows

    def _choice(self, form: Choice, name: str) -> Any:
        texts = set(self._data.get(name, ()))
        chosen = [option for option in form.options if option_text(option) in texts]
        if form.many:
            return chosen
        if chosen:
            return chosen[0]
        return None if form.is_nullable else _NOTHING

    def _text(self, form: Text, name: str, path: str) -> Any:
        text = _last(self._data.get(name, ())).replace("\r\n", "\n").replace("\r", "\n")
        text = text.strip()
        if not text:
            return None if form.is_nullable else _NOTHING
        match form.kind:
            case "number" | "integer":
                return self._number(form, text, path)
            case "json":
                return self._json(text, path)
            case "line" | "long" | "date":
                return text

    def _number(self, form: Text, text: str, path: str) -> Any:
        number = _as_number(text)
        if number is not None and (form.kind == "number" or isinstance(number, int)):
            return number
        if isinstance(number, float) and number.is_integer():
            return int(number)
        wanted = "a whole number such as 12" if form.kind == "integer" else "a number such as 1234.5, without currency"
        self.errors.append(Violation(path=path, message=f"must be {wanted}"))
        return text

    def _json(self, text: str, path: str) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            self.errors.append(Violation(path=path, message=f"is not JSON: {error}"))
            return text


def _is_blank(form: Field, value: Any) -> bool:
    """Whether a person has put nothing in."""
    match form:
        case Constant():
            return True
        case Group() if isinstance(value, dict):
            return all(_is_blank(child, value.get(child.name, _NOTHING)) for child in form.fields)
    return value is _NOTHING or value is None or value in ([], "")


def _as_number(text: str) -> int | float | None:
    """As JSON writes numbers, and with a plus, a leading point or leading zeros, as people do. None: it is none."""
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    if not math.isfinite(number):
        return None
    return int(text) if text.lstrip("+-").isdecimal() else number


def _last(texts: Sequence[str]) -> str:
    return texts[-1] if texts else ""


def _at(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
