"""A reply is an answer, or a failure whose sentence gives nothing of the document away."""

import json
from typing import Any

import pytest

from orchestration.judgement import Verdict, judge
from schemas.answer import Answer
from schemas.failure import Failure
from schemas.failure import FailureReason as Reason
from tasks import find_task
from tests.unit.orchestration.parts import TICKET, classification, reply

GOOD = {"outcome": "classification", "label": "shipping", "evidence": "never arrived"}


def judged(answer: object, stop_reason: str | None = "end_turn", **changes: Any) -> Verdict:
    prepared = classification()
    text = answer if isinstance(answer, str) else json.dumps({"answer": answer})
    return judge(prepared.task, prepared.request, reply(text, stop_reason, **changes))


def test_a_reply_that_keeps_the_contract_is_the_answer() -> None:
    """Its output is the task's output contract, not the wire's form."""
    result = judged(GOOD).result
    assert isinstance(result, Answer)
    assert result.output == {
        "outcome": "classification",
        "labels": ["shipping"],
        "evidence": "never arrived",
        "confidence": None,
    }


@pytest.mark.parametrize(
    "stop_reason", ["end_turn", "stop_sequence", "pause_turn", "tool_use", "not_yet_invented", None]
)
def test_whole_answers_count_whatever_stopped_the_model(stop_reason: str | None) -> None:
    """An unknown stop reason neither crashes nor throws a valid answer away."""
    assert isinstance(judged(GOOD, stop_reason).result, Answer)


@pytest.mark.parametrize(
    ("stop_reason", "reason"),
    [
        ("refusal", Reason.REFUSED),
        ("max_tokens", Reason.TRUNCATED),
        ("model_context_window_exceeded", Reason.CONTEXT_TOO_LONG),
    ],
)
def test_some_stops_decide_before_the_text_is_read(stop_reason: str, reason: Reason) -> None:
    """Even beside a text that would parse; and there is nothing to tell the model."""
    verdict = judged(GOOD, stop_reason)
    assert isinstance(verdict.result, Failure)
    assert (verdict.result.reason, verdict.violations) == (reason, [])


@pytest.mark.parametrize(
    ("answer", "reason", "detail"),
    [
        ({**GOOD, "evidence": "my secret plan"}, Reason.UNGROUNDED, "Not in the document: evidence."),
        ({**GOOD, "label": "my secret plan"}, Reason.SCHEMA_VIOLATION, "The answer breaks its contract at: labels.0."),
        ({**GOOD, "my secret plan": 1}, Reason.SCHEMA_VIOLATION, "The answer breaks its contract at: ?."),
        ("my secret plan", Reason.SCHEMA_VIOLATION, "The answer breaks its contract at: the whole reply."),
        ("", Reason.SCHEMA_VIOLATION, "The answer breaks its contract at: the whole reply."),
    ],
)
def test_a_failure_names_the_place_and_not_the_words(answer: object, reason: Reason, detail: str) -> None:
    """The model's words may be the document's: neither values nor invented field names reach the sentence."""
    verdict = judged(answer)
    assert isinstance(verdict.result, Failure)
    assert (verdict.result.reason, verdict.result.detail) == (reason, detail)
    assert verdict.violations


@pytest.mark.parametrize("bad", ["\\u0000", "\\ud800"])
def test_what_cannot_be_stored_is_no_answer(bad: str) -> None:
    """JSON can spell characters that PostgreSQL refuses; the model is told where they stand."""
    task = find_task("summarize")
    points = [{"point": "p", "quote": "never arrived"}]
    text = json.dumps({"answer": {"outcome": "summary", "summary": "a BAD one", "key_points": points}})
    verdict = judge(task, task.read_request({"text": TICKET}), reply(text.replace("BAD", bad)))
    assert isinstance(verdict.result, Failure)
    assert verdict.result.detail == "The answer breaks its contract at: summary."
    assert len(verdict.violations) == 1


def test_brackets_without_end_are_a_violation() -> None:
    """A looping model does not bring the worker down."""
    verdict = judged("[" * 200_000)
    assert isinstance(verdict.result, Failure)
    assert verdict.result.reason is Reason.SCHEMA_VIOLATION


def test_the_wrong_kind_of_document_is_a_failure_with_the_models_reason() -> None:
    """A person reads it; telling the model would not help."""
    verdict = judged({"outcome": "not_applicable", "reason": "a poem"})
    assert verdict == (Failure(reason=Reason.NOT_APPLICABLE, detail="a poem"), [])
