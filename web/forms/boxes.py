"""A form with values in it, as a page shows it: each box has a name to be sent under, a text, and what is wrong with it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from schemas.answer import Violation
from web.forms.fields import Choice, Constant, Field, Group, Quoted, Rows, Text

ROOT = "answer"
"""Names of fields begin so: ``answer.key_points.0.quote``."""
MARK = ":rows"
"""Behind the name of a list: one per row, so that a row whose boxes are all blank is known of."""
RADIOS = 7
"""More options than these are easier to find in a menu (one) or a scrolling list (several)."""
LINE = 90
"""Characters of a line of a long box."""


@dataclass
class Option:
    """One of a choice."""

    text: str
    label: str
    is_chosen: bool


@dataclass
class Box:
    """One field with its value.

    Attributes:
        kind: which template shows it.
        path: dotted, below the answer: ``key_points.0.quote``.
        text: what stands in it.
        errors: sentences.
        children: of a group, a quoted value or a row of a list.
        rows: lines that it is high.
        of: of a quote, the label of the value that it carries.
    """

    kind: str
    path: str
    label: str
    about: str | None = None
    is_required: bool = False
    is_quote: bool = False
    text: str = ""
    hint: str | None = None
    max_length: int | None = None
    rows: int = 1
    options: list[Option] = field(default_factory=list)
    children: list["Box"] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    most: int | None = None
    is_differing: bool = False
    of: str | None = None

    @property
    def name(self) -> str:
        """Under which it is sent."""
        return f"{ROOT}.{self.path}" if self.path else ROOT

    @property
    def id(self) -> str:
        """For labels; any name of a field becomes one without white space."""
        return "f-" + re.sub(r"[^A-Za-z0-9_-]", lambda match: f"_{ord(match[0]):x}_", self.path)

    @property
    def is_full(self) -> bool:
        """No row can be added."""
        return self.most is not None and len(self.children) >= self.most

    def walk(self) -> Iterator["Box"]:
        """It and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


def fill(form: Field, value: Any, errors: Sequence[Violation] = (), differing: Sequence[str] = ()) -> Box:
    """The form with a value in it, however wrong that is.

    Args:
        errors: each goes to the box of its path, or to the nearest one around it.
        differing: paths in which the suggestions differ.
    """
    root = _box(form, value, "", form.label)
    boxes = {box.path: box for box in root.walk()}
    for violation in errors:
        _nearest(boxes, violation.path).errors.append(violation.message)
    for path in differing:
        _nearest(boxes, path.removesuffix(".quote")).is_differing = True
    return root


def first_error(root: Box) -> Box | None:
    """Where somebody has to look first."""
    return next((box for box in root.walk() if box.errors and box.path), None)


def sent(root: Box) -> dict[str, list[str]]:
    """What a browser would send for this form as it stands."""
    found: dict[str, list[str]] = {}
    for box in root.walk():
        if box.kind == "rows":
            found[box.name + MARK] = [str(index) for index in range(len(box.children))]
        elif box.options:
            found[box.name] = [option.text for option in box.options if option.is_chosen]
        elif box.kind in ("line", "long", "date", "number", "json"):
            found[box.name] = [box.text]
    return found


def option_text(option: Any) -> str:
    """The option as it is sent; ``=`` and JSON where it is no text, so that 1 and "1" stay apart."""
    return option if isinstance(option, str) and not option.startswith("=") else f"={json.dumps(option)}"


def _box(form: Field, value: Any, path: str, label: str) -> Box:
    common: dict[str, Any] = {"path": path, "label": label, "about": form.about, "is_required": form.is_required}
    match form:
        case Constant():
            return Box(kind="constant", **common)
        case Group():
            inside = value if isinstance(value, Mapping) else {}
            children = [
                _box(child, inside.get(child.name), _at(path, child.name), child.label) for child in form.fields
            ]
            return Box(kind="group", children=[child for child in children if child.kind != "constant"], **common)
        case Quoted():
            return _quoted(form, value, common)
        case Rows():
            rows = value if isinstance(value, list) else []
            children = [
                _box(form.item, row, _at(path, str(at)), f"{_one_of(label)} {at + 1}") for at, row in enumerate(rows)
            ]
            return Box(kind="rows", children=children, most=form.most, **common)
        case Choice():
            return _choice(form, value, common)
        case Text():
            return _text(form, value, common)


def _one_of(label: str) -> str:
    """Names of lists are plurals, mostly with an s."""
    return label[:-1] if label.endswith("s") and not label.endswith("ss") else label


def _quoted(form: Quoted, value: Any, common: dict[str, Any]) -> Box:
    inside = value if isinstance(value, Mapping) else {"value": value}
    path = common["path"]
    first = _box(form.value, inside.get("value"), _at(path, "value"), common["label"])
    quote = _box(form.quote, inside.get("quote"), _at(path, "quote"), form.quote.label)
    quote.of = common["label"]
    first.is_required, first.about = form.is_required, form.about
    return Box(kind="quoted", children=[first, quote], **common)


def _choice(form: Choice, value: Any, common: dict[str, Any]) -> Box:
    chosen = value if form.many and isinstance(value, list) else [value]
    texts = [option_text(one) for one in chosen if one is not None]
    options = [
        Option(option_text(option), label, option_text(option) in texts)
        for option, label in zip(form.options, form.labels, strict=True)
    ]
    box = Box(kind="", options=options, **common)
    is_long = len(options) > RADIOS
    if form.many and not form.single:
        box.kind = "checks"
    elif form.is_required and not is_long:
        box.kind = "radios"
    else:
        box.kind = "select"
        blank = Option("", "choose" if form.is_required else "not found", not any(one.is_chosen for one in options))
        box.options = [blank, *options]
    unknown = [text for text in texts if text not in {option.text for option in options}]
    if unknown:
        box.hint = f"suggested was {', '.join(map(repr, unknown))}, which is no choice here"
    return box


def _text(form: Text, value: Any, common: dict[str, Any]) -> Box:
    text = _as_text(form, value)
    kind = "number" if form.kind == "integer" else form.kind
    if kind == "date" and text and not _is_date(text):
        kind = "line"  # a browser shows a date field with anything else in it as empty
    if kind in ("line", "number", "date") and ("\n" in text or len(text) > LINE):
        kind = "long"
    lines = sum(1 + len(line) // LINE for line in text.split("\n"))
    return Box(
        kind=kind, text=text, hint=form.hint, max_length=form.max_length, is_quote=form.is_quote,
        rows=max(1, min(lines, 12)), **common,
    )  # fmt: skip


def _as_text(form: Text, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str) and form.kind != "json":
        return value.replace("\r\n", "\n").replace("\r", "\n")
    return json.dumps(value, ensure_ascii=False, indent=2 if form.kind == "json" else None)


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _nearest(boxes: Mapping[str, Box], path: str) -> Box:
    """The box of a path; of a value with its quote, the value."""
    while path not in boxes and path:
        path = path.rpartition(".")[0]
    box = boxes[path]
    return box.children[0] if box.kind == "quoted" else box


def _at(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
