"""A person's answer: what a decision makes of it, held to the contract of the task like a model's."""

from collections.abc import Iterator
from typing import Any, Final

from jobs.review_refusals import DecisionRefused
from schemas.answer import Violation
from schemas.review import Decision
from schemas.text import storable
from tasks.spec import AnyTask

MAX_NOTE: Final = 4000
"""Characters of a note that are kept: a remark, not a document."""


def chosen_output(
    task: AnyTask,
    decision: Decision,
    suggestion: dict[str, Any] | None,
    output: dict[str, Any] | None,
    reason: str | None,
) -> dict[str, Any] | None:
    """What a decision would make the answer, not yet held to the contract; None: that none can be given.

    Raises:
        DecisionRefused: something that belongs to the decision is missing.
    """
    match decision:
        case Decision.ACCEPT:
            if suggestion is None:
                raise DecisionRefused(["there is no suggestion to accept; give an answer with `edit`"])
            return suggestion
        case Decision.EDIT:
            if output is None:
                raise DecisionRefused([f"give the answer, as JSON of schemas/published/{task.name}.json"])
            return output
        case Decision.NOT_APPLICABLE:
            if not reason or not reason.strip():
                said = Violation(path="reason", message="say why the task does not apply, with a reason")
                raise DecisionRefused([said])
            return {"outcome": "not_applicable", "reason": reason}
        case Decision.REJECT:
            return None


def checked_output(task: AnyTask, request_data: dict[str, Any], output: dict[str, Any]) -> dict[str, Any]:
    """A person's answer under the model's contract; computed fields may be left out.

    Raises:
        DecisionRefused: it breaks the contract; each error names its field.
    """
    unstorable = list(_unstorable(output, ""))
    if unstorable:
        raise DecisionRefused(unstorable)
    request = task.read_request(request_data)
    if output.get("outcome") != "not_applicable":
        output = task.from_wire(request, output)
    checked = task.check(request, output)
    if isinstance(checked, list):
        raise DecisionRefused(checked)
    answer: dict[str, Any] = checked.model_dump(mode="json")
    return answer


def kept_remark(note: str | None) -> str | None:
    """A note that PostgreSQL can hold; an empty one is none."""
    cleaned = (note or "").replace("\x00", "").encode("utf-8", "replace").decode().strip()
    return cleaned[:MAX_NOTE] or None


def _unstorable(value: Any, path: str) -> Iterator[Violation]:
    """NUL characters and half surrogate pairs, which JSON can spell and PostgreSQL cannot hold: refused to a model too."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _unstorable(name, path)
            yield from _unstorable(part, f"{path}.{name}".strip("."))
    elif isinstance(value, list):
        for at, part in enumerate(value):
            yield from _unstorable(part, f"{path}.{at}".strip("."))
    elif isinstance(value, str):
        try:
            storable(value)
        except ValueError as error:
            yield Violation(path=path, message=str(error))
