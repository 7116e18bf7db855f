"""A request's fields from the command line. Every field of every task can be given with ``--field name=value``; the
options with names of their own are conveniences for fields of that name, and refused where a task has no such field."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.documents import read_json
from cli.errors import wrong_usage

if TYPE_CHECKING:
    from tasks.spec import AnyTask

DOCUMENT = "text"
"""The field that takes the document."""

OPTIONS = {
    "labels": "--label NAME, at least twice",
    "multi": "--multi",
    "schema": "--schema NAME|FILE",
    "max_words": "--max-words N",
    "audience": "--audience WHO",
}
"""The convenience option of a field."""


def read_fields(task: "AnyTask", conveniences: dict[str, Any], generic: list[str]) -> dict[str, Any]:
    """The fields given, held to what the task's contract says of each.

    Args:
        conveniences: field -> value as the convenience options gave it; None or empty where they did not.
        generic: ``name=value`` each.

    Raises:
        Stop: a field is unknown, given twice or wrong.
    """
    given: dict[str, Any] = {name: value for name, value in conveniences.items() if value not in (None, [], False)}
    known = field_names(task)
    for name in given:
        if name not in known:
            option = OPTIONS[name].split()[0].strip(",")
            raise wrong_usage(f"{option} is not for {task.name}, which has no field {name!r}; it has: {_list(known)}.")
    if "schema" in given:
        given["schema"] = _schema(str(given["schema"]))
    for text in generic:
        name, value = _named_value(task, text, known)
        if name in given:
            raise wrong_usage(f"The field {name!r} is given twice; give it once.")
        given[name] = value
    _check(task, given)
    return given


def check_complete(task: "AnyTask", fields: dict[str, Any]) -> None:
    """Refuse a single request that lacks a field, saying which option gives it.

    Raises:
        Stop: a required field is absent.
    """
    for name, field in task.request.model_fields.items():
        outside = field.alias or name
        if field.is_required() and outside not in fields and outside != DOCUMENT:
            option = OPTIONS.get(outside, f"--field {outside}=VALUE")
            raise wrong_usage(f"{task.name} needs {outside}: give {option}.")


def field_names(task: "AnyTask") -> list[str]:
    """The fields of a task's request besides the document, as they are called in JSON."""
    names = [field.alias or name for name, field in task.request.model_fields.items()]
    return [name for name in names if name != DOCUMENT]


def _named_value(task: "AnyTask", text: str, known: list[str]) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise wrong_usage(f"--field {text!r} has no value; write name=value.")
    if name not in known:
        raise wrong_usage(f"{task.name} has no field {name!r}; it has: {_list(known)}.")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def _schema(name: str) -> object:
    """A known schema's name, or the schema in a file."""
    from schemas.extraction import KNOWN_SCHEMAS

    if name in KNOWN_SCHEMAS:
        return name
    if not Path(name).exists():
        raise wrong_usage(
            f"{name!r} is neither a known schema ({_list(list(KNOWN_SCHEMAS))}) nor a file with a JSON Schema."
        )
    return read_json(name, "--schema")


def _check(task: "AnyTask", given: dict[str, Any]) -> None:
    """Refuse wrong values once, and not again for every line of a batch; absent fields may stand in the lines."""
    from pydantic import ValidationError

    from tasks.spec import plain_errors

    try:
        task.request.model_validate({**given, DOCUMENT: "x"})
    except ValidationError as error:
        reasons = [reason for reason in plain_errors(error) if _field_of(reason, given)]
        if reasons:
            raise wrong_usage("; ".join(reasons)) from None


def _field_of(reason: str, given: dict[str, Any]) -> bool:
    """Whether a reason is about a field that was given here; one without a path is about all of them together."""
    path, colon, _ = reason.partition(":")
    return not colon or " " in path or path.split(".")[0] in given


def _list(names: list[str]) -> str:
    return ", ".join(names) or "none"
