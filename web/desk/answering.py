"""A person's answer between the form and the contract: what is shown first, what buttons of the form do to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.review_answers import checked_output
from jobs.review_refusals import DecisionRefused
from schemas.answer import Violation
from tasks import find_task
from web.forms.boxes import Box, fill, first_error
from web.forms.fields import Group, form_of
from web.forms.paths import at, put, without
from web.forms.reading import Sent, as_sent, read

EDITING = frozenset({"add", "remove", "use", "take", "check"})
"""Buttons that change the form and decide nothing."""


@dataclass(frozen=True)
class Draft:
    """The form as it stands.

    Attributes:
        reason: why the task does not apply, as typed.
        note: a remark, as typed.
        errors: what is wrong.
        is_checked: it was looked at and meets the contract.
    """

    form: Group
    value: dict[str, Any]
    reason: str = ""
    note: str = ""
    errors: list[Violation] = field(default_factory=list)
    is_checked: bool = False

    def shown(self, differing: list[str]) -> Box:
        """With its errors, but for those of the reason, which stands outside."""
        return fill(self.form, self.value, [one for one in self.errors if one.path != "reason"], differing)

    @property
    def reason_error(self) -> str | None:
        """What is wrong with the reason."""
        return next((one.message for one in self.errors if one.path == "reason"), None)


def fresh(task: str, request: dict[str, Any], suggestion: dict[str, Any] | None) -> Draft:
    """The form with a suggestion in it; a suggestion that the task does not apply stands as the reason."""
    form = _form(task, request)
    if suggestion is not None and suggestion.get("outcome") == "not_applicable":
        return Draft(form, as_sent(form, None), reason=str(suggestion.get("reason") or ""))
    return Draft(form, suggestion or {})


def sent_draft(task: str, request: dict[str, Any], sent: Sent, *, is_editing: bool) -> Draft:
    """The form as it was sent."""
    form = _form(task, request)
    reading = read(form, sent, keep_blank_rows=is_editing)
    reason, note = ((sent.get(name) or [""])[-1] for name in ("reason", "note"))
    return Draft(form, reading.value, reason, note, reading.errors)


def edited(
    draft: Draft, task: str, request: dict[str, Any], action: str, where: str, known: Mapping[str, Any]
) -> Draft:
    """The form after one of its own buttons.

    Args:
        where: what the button is for: a list or its row, a suggestion, a suggestion and a path.
        known: the suggestions by name.
    """
    match action:
        case "add":
            rows = at(draft.value, where)
            value = put(draft.value, where, [*(rows if isinstance(rows, list) else []), None])
        case "remove":
            value = without(draft.value, where)
        case "use":
            value = as_sent(draft.form, known.get(where))
        case "take":
            by, _, path = where.partition(":")
            value = put(draft.value, path, at(known.get(by), path))
        case _:
            return checked(draft, task, request)
    return Draft(draft.form, value, draft.reason, draft.note)


def checked(draft: Draft, task: str, request: dict[str, Any]) -> Draft:
    """The form, held to the contract."""
    errors = draft.errors
    if not errors:
        try:
            checked_output(find_task(task), request, draft.value)
        except DecisionRefused as refused:
            errors = refused.errors
    return Draft(draft.form, draft.value, draft.reason, draft.note, errors, is_checked=not errors)


def is_as_suggested(draft: Draft, suggestion: dict[str, Any] | None) -> bool:
    """Whether this says what was suggested; then the suggestion is accepted as it is, with what the form does not show."""
    if suggestion is None or suggestion.get("outcome") == "not_applicable":
        return False
    return draft.value == as_sent(draft.form, suggestion)


def focus_of(box: Box, draft: Draft) -> str | None:
    """The id of what has to be looked at first; None where nothing is wrong."""
    wrong = first_error(box)
    if wrong is not None:
        return wrong.id
    return "reason" if draft.reason_error else "errors" if draft.errors else None


def _form(task: str, request: dict[str, Any]) -> Group:
    spec = find_task(task)
    return form_of(spec.person_schema(spec.read_request(request)))
