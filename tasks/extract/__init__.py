"""Extract: the fields of a schema from a text, each with the words that carry it."""

from typing import Any

from fallbacks.extract import extract
from schemas.answer import Violation
from schemas.extract import Extraction, ExtractRequest
from tasks.grounding import locate
from tasks.spec import TaskSpec, narrowed, object_schema


def _wire_schema(request: ExtractRequest) -> dict[str, Any]:
    return object_schema(
        outcome={"type": "string", "const": "extraction"},
        fields=request.compiled.wire(),
    )


def _form_schema(request: ExtractRequest) -> dict[str, Any]:
    return narrowed(Extraction, leave_out="not_found", fields=request.compiled.form())


def _from_wire(request: ExtractRequest, answer: dict[str, Any]) -> dict[str, Any]:
    """What was not found is read off the nulls, not asked of the model."""
    fields = answer.get("fields")
    if not isinstance(fields, dict):
        return {**answer, "not_found": []}
    found = request.compiled.read(fields)
    if request.compiled.violations(found):
        return {**answer, "fields": found, "not_found": []}
    return {**answer, "fields": found, "not_found": request.compiled.not_found(found)}


def _violations(request: ExtractRequest, output: Extraction) -> list[Violation]:
    violations = [v.model_copy(update={"path": f"fields.{v.path}"}) for v in request.compiled.violations(output.fields)]
    if violations:
        return violations
    if sorted(output.not_found) != sorted(request.compiled.not_found(output.fields)):
        violations.append(Violation(path="not_found", message="must list exactly the fields that are null or empty"))
    for path, quote in request.compiled.quotes(output.fields):
        if locate(quote, request.text) is None:
            violations.append(
                Violation(path=f"fields.{path}.quote", message="does not stand in the document", ungrounded=True)
            )
    return violations


def _prompt_variables(request: ExtractRequest) -> dict[str, object]:
    return {"text": request.text, "fields_schema": request.compiled.outline()}


task = TaskSpec(
    name="extract",
    about="Extract the fields of a schema from a text, each with a verbatim quote, and say what was not found.",
    request=ExtractRequest,
    output=Extraction,
    wire_schema=_wire_schema,
    from_wire=_from_wire,
    violations=_violations,
    form_schema=_form_schema,
    prompt_variables=_prompt_variables,
    rule=extract,
    dangerous_error="A value that the document does not hold, such as a wrong amount or account number.",
)
