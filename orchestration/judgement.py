"""Is a reply an answer? Pure: a task, its request and a reply in, a verdict out."""

import re
from typing import Any, NamedTuple

from schemas.answer import Answer, AnsweredBy, NotApplicable, Violation
from schemas.attempt import Reply
from schemas.failure import Failure, FailureReason
from schemas.text import storable
from tasks.spec import AnyTask

_WORD = re.compile("[a-z][a-z_]{0,60}")


class Verdict(NamedTuple):
    """What a reply is worth.

    Attributes:
        result: the answer, or why there is none.
        violations: what the model can be told to put right; empty where telling it would not help.
    """

    result: Answer | Failure
    violations: list[Violation]


def judge(task: AnyTask, request: Any, reply: Reply) -> Verdict:
    """Branch on why the model stopped, then hold what it said to the task's contract."""
    match reply.stop_reason:
        case "refusal":
            return _hopeless(FailureReason.REFUSED, _refusal_sentence(reply))
        case "max_tokens":
            return _hopeless(FailureReason.TRUNCATED, "The answer hit the token cap before it was whole.")
        case "model_context_window_exceeded":
            return _hopeless(FailureReason.CONTEXT_TOO_LONG, "Prompt and answer together do not fit the model.")
        case _:
            # Also for reasons yet to be invented, and those that belong to tools, of which none are offered: an answer
            # that keeps the whole contract is whole, whatever stopped the model; any other is told what is missing.
            return _read(task, request, reply)


def _read(task: AnyTask, request: Any, reply: Reply) -> Verdict:
    if not reply.text.strip():
        return _violated(task, request, [Violation(path="", message="the reply is empty; send the JSON")])
    try:
        output = task.read_reply(request, reply.text)
    except RecursionError:  # a looping model opens brackets without end
        return _violated(task, request, [Violation(path="", message="the reply is nested too deeply")])
    if isinstance(output, list):
        return _violated(task, request, output)
    if isinstance(output, NotApplicable):
        # The model's reason may paraphrase the document: it is stored with the job, and must never be logged.
        return _hopeless(FailureReason.NOT_APPLICABLE, output.reason)
    answer = output.model_dump(mode="json")
    unstorable = _unstorable(answer, "") if "\\u" in reply.text or "\x00" in reply.text else []
    if unstorable:
        return _violated(task, request, unstorable)
    return Verdict(Answer(answered_by=AnsweredBy.MODEL, output=answer), [])


def _unstorable(value: Any, path: str) -> list[Violation]:
    """NUL characters and half surrogate pairs, which JSON can spell and PostgreSQL cannot hold."""
    if isinstance(value, dict):
        return [found for key, part in value.items() for found in _unstorable(part, f"{path}.{key}".strip("."))]
    if isinstance(value, list):
        return [found for at, part in enumerate(value) for found in _unstorable(part, f"{path}.{at}")]
    if isinstance(value, str):
        try:
            storable(value)
        except ValueError as error:
            return [Violation(path=path, message=str(error))]
    return []


def _hopeless(reason: FailureReason, detail: str) -> Verdict:
    return Verdict(Failure(reason=reason, detail=detail), [])


def _refusal_sentence(reply: Reply) -> str:
    category = reply.stop_detail if reply.stop_detail and _WORD.fullmatch(reply.stop_detail) else None
    return f"The model declined to answer ({category})." if category else "The model declined to answer."


def _violated(task: AnyTask, request: Any, violations: list[Violation]) -> Verdict:
    """The failure names where it is wrong, never how: a message may quote the model, and the model the document."""
    ungrounded = all(violation.ungrounded for violation in violations)
    known = _field_names(task.reply_schema(request)) | set(task.output.model_fields)
    places = list(dict.fromkeys(_place(violation.path, known) for violation in violations))
    more = f" and {len(places) - 5} more places" if len(places) > 5 else ""
    where = ", ".join(places[:5]) + more
    if ungrounded:
        failure = Failure(reason=FailureReason.UNGROUNDED, detail=f"Not in the document: {where}.")
    else:
        failure = Failure(reason=FailureReason.SCHEMA_VIOLATION, detail=f"The answer breaks its contract at: {where}.")
    return Verdict(failure, violations)


def _place(path: str, known: set[str]) -> str:
    """A path with only names of the contract in it: a model can invent a field and name it after what it read."""
    if not path:
        return "the whole reply"
    return ".".join(part if part in known or part.isdecimal() else "?" for part in path.split("."))


def _field_names(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(_field_names, schema))
    if not isinstance(schema, dict):
        return set()
    properties = schema.get("properties")
    own = set(properties) if isinstance(properties, dict) else set()
    return own.union(*map(_field_names, schema.values()))
