"""TaskSpec: everything the rest of the house needs to know of a task."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Generic, TypeVar

from pydantic import ValidationError
from pydantic.json_schema import models_json_schema

from schemas.answer import NotApplicable, Violation
from schemas.base import Contract
from tasks.prompt import Prompt, load_prompts

Request = TypeVar("Request", bound=Contract)
Output = TypeVar("Output", bound=Contract)

REPLY = "answer"
"""The model answers ``{"answer": <the output>}``: providers want an object at the root, and the arms stand below it."""


class RequestRefused(ValueError):
    """A request that breaks the task's input contract; the message is one plain sentence with the field's path.

    Attributes:
        fields: each path, as ``labels.0``, with what is wrong there.
    """

    def __init__(self, sentences: list[str], fields: list[tuple[str, str]]) -> None:
        self.fields = fields
        super().__init__("; ".join(sentences))


def _all_fields(request: Any) -> dict[str, object]:
    return {name: getattr(request, name) for name in type(request).model_fields}


def _as_is(_request: Any, answer: dict[str, Any]) -> dict[str, Any]:
    return answer


@dataclass(frozen=True)
class TaskSpec(Generic[Request, Output]):
    """A task, declared once; Celery names, HTTP documentation, CLI choices and metric labels come from here.

    Attributes:
        name: the task's name, equal to its folder.
        about: what it does, one line.
        request: the input contract.
        output: the contract of an answer to an applicable document; ``NotApplicable`` is added for every task.
        wire_schema: request -> JSON Schema of that answer as the model is asked for it.
        violations: request, output -> what the contract's types cannot see (quotes, label names).
        rule: the rule-based stand-in; it returns None where it cannot answer honestly.
        from_wire: request, the model's answer as JSON -> output JSON, for fields that code computes.
        prompt_variables: request -> the variables of the prompt's templates.
        form_schema: request -> JSON Schema of an answer as a person fills it in: the output contract, narrowed to what this
            request allows, without what is computed or measured. Left out: the output contract as it stands.
        dangerous_error: the mistake that hurts a user most; evaluations weigh it.
    """

    name: str
    about: str
    request: type[Request]
    output: type[Output]
    wire_schema: Callable[[Request], dict[str, Any]]
    violations: Callable[[Request, Output], list[Violation]]
    dangerous_error: str
    rule: Callable[[Request], Output | None] | None = None
    from_wire: Callable[[Request, dict[str, Any]], dict[str, Any]] = _as_is
    prompt_variables: Callable[[Request], dict[str, object]] = _all_fields
    form_schema: Callable[[Request], dict[str, Any]] | None = None

    @property
    def celery_name(self) -> str:
        """The name of the Celery task, e.g. ``assay.classify``."""
        return f"assay.{self.name}"

    @property
    def prompts(self) -> dict[str, Prompt]:
        """The prompt's versions, oldest first."""
        return load_prompts(self.name)

    @property
    def active_prompt(self) -> Prompt:
        """The version that new jobs use: the newest."""
        return list(self.prompts.values())[-1]

    def read_request(self, data: object) -> Request:
        """Hold a producer's input to the contract.

        Raises:
            RequestRefused: it does not fit; the sentence names each field.
        """
        try:
            return self.request.model_validate(data)
        except ValidationError as error:
            sentences = plain_errors(error)
            if any(e["type"] == "extra_forbidden" and len(e["loc"]) == 1 for e in error.errors(include_input=False)):
                names = (info.alias or name for name, info in self.request.model_fields.items())
                sentences.append(f"the fields of {self.name} are: {', '.join(names)}")
            raise RequestRefused(sentences, field_errors(error)) from None

    def reply_schema(self, request: Request) -> dict[str, Any]:
        """The JSON Schema of the model's whole reply: the answer or the ``not_applicable`` arm."""
        return {
            "type": "object",
            "properties": {REPLY: {"anyOf": [self.wire_schema(request), _not_applicable_schema()]}},
            "required": [REPLY],
            "additionalProperties": False,
        }

    def person_schema(self, request: Request) -> dict[str, Any]:
        """The JSON Schema from which the desk makes the form of an answer to this request."""
        return self.form_schema(request) if self.form_schema else self.output.model_json_schema()

    def read_reply(self, request: Request, text: str) -> Output | NotApplicable | list[Violation]:
        """The model's reply as a checked output, or everything that is wrong with it."""
        try:
            reply = json.loads(text)
        except ValueError as error:
            return [Violation(path="", message=f"the reply is not JSON: {error}")]
        if not isinstance(reply, dict) or set(reply) != {REPLY} or not isinstance(reply[REPLY], dict):
            return [Violation(path="", message=f'reply with one object of the form {{"{REPLY}": {{...}}}}')]
        answer = reply[REPLY]
        if answer.get("outcome") != "not_applicable":
            answer = self.from_wire(request, answer)
        return self.check(request, answer)

    def check(self, request: Request, output: object) -> Output | NotApplicable | list[Violation]:
        """Hold an output to the contract, whoever gave it: model, rules or person."""
        arm: type[Contract] = self.output
        if isinstance(output, dict) and output.get("outcome") == "not_applicable":
            arm = NotApplicable
        try:
            value = arm.model_validate(output)
        except ValidationError as error:
            return [Violation(path=_path(e["loc"]), message=_message(e)) for e in error.errors(include_url=False)]
        if isinstance(value, NotApplicable):
            return value
        assert isinstance(value, self.output)
        return self.violations(request, value) or value

    def published_schema(self) -> dict[str, Any]:
        """The task's contract as JSON Schema: ``schemas/published/<task>.json``."""
        arms: list[type[Contract]] = [self.request, self.output, NotApplicable]
        references, definitions = models_json_schema([(arm, "validation") for arm in arms], by_alias=True)
        asked, *answered = (references[arm, "validation"] for arm in arms)
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.name,
            "description": self.about,
            "type": "object",
            "properties": {"request": asked, "answer": {"anyOf": answered}},
            **definitions,
        }

    def golden(self) -> list[dict[str, Any]]:
        """The golden examples, ``{"request": ..., "output": ...}`` each."""
        source = (resources.files("tasks") / self.name / "golden.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in source.splitlines() if line.strip()]


AnyTask = TaskSpec[Any, Any]


_SENTENCES = {
    "extra_forbidden": "there is no such field",
    "missing": "is missing",
    "string_unicode": "holds half of a surrogate pair; send whole Unicode characters",
}


def plain_errors(error: ValidationError) -> list[str]:
    """Pydantic's errors as sentences without the input in them: it may be a document."""
    return [f"{path}: {message}" if path else message for path, message in field_errors(error)]


def field_errors(error: ValidationError) -> list[tuple[str, str]]:
    """Pydantic's errors as the path of a field and a sentence each, without the input in them: it may be a document."""
    return [(_path(e["loc"]), _message(e)) for e in error.errors(include_url=False, include_input=False)]


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


def _message(error: Any) -> str:
    if error["type"] in _SENTENCES:
        return _SENTENCES[error["type"]]
    message: str = error["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


@lru_cache
def _not_applicable_schema() -> dict[str, Any]:
    return object_schema(
        outcome={"type": "string", "const": "not_applicable"},
        reason={"type": "string", "description": "why the document is not of the kind this task is about"},
    )


def narrowed(output: type[Contract], *, leave_out: str, **properties: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of an output with these properties in place of its own, and without one that no person gives."""
    schema = output.model_json_schema()
    kept = {name: of for name, of in schema["properties"].items() if name != leave_out}
    return {**schema, "properties": {**kept, **properties}}


def object_schema(**properties: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema of an object that has exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
