"""The calls that follow the first: bounded, never malformed, and to a model that was not asked yet."""

import pytest

from orchestration.conversation import ECHOED_CHARS, MAX_TOKENS, escalated, larger, repaired
from orchestration.pipeline import Prepared, prepare
from schemas.answer import Violation
from schemas.attempt import Purpose
from schemas.failure import Failure
from schemas.failure import FailureReason as Reason
from tasks import find_task
from tests.unit.orchestration.parts import MODELS, TICKET, call, classification, reply


def test_the_cap_doubles_up_to_its_bound() -> None:
    """At the bound there is no larger call."""
    assert [larger(call(max_tokens=cap)) and larger(call(max_tokens=cap)).max_tokens for cap in (512, 40_000)] == [  # type: ignore[union-attr]
        1024,
        MAX_TOKENS,
    ]
    assert larger(call(max_tokens=MAX_TOKENS)) is None


def test_a_repair_turn_is_bounded() -> None:
    """A long reply with a thousand errors does not make a prompt that no model takes."""
    violations = [Violation(path=f"labels.{n}", message="x" * 5000) for n in range(1000)]
    made = repaired(call(), reply("y" * 1_000_000), violations)
    assert made.purpose is Purpose.REPAIR
    assert [turn["role"] for turn in made.messages] == ["user", "assistant", "user"]
    assert len(made.messages[1]["content"]) == ECHOED_CHARS
    assert len(made.messages[2]["content"]) < 10_000
    assert "and 980 more" in made.messages[2]["content"]


@pytest.mark.parametrize("text", ["", "  \n"])
def test_no_turn_is_ever_empty(text: str) -> None:
    """An empty reply is not put into the conversation, and the original call is left as it was."""
    original = call()
    made = repaired(original, reply(text), [Violation(path="", message="the reply is empty")])
    assert [turn["role"] for turn in made.messages] == ["user"]
    assert made.messages[0]["content"].startswith(TICKET)
    assert original.messages[0]["content"] == TICKET


def test_tiers_of_one_model_are_one() -> None:
    """A tier whose model was already asked is passed over; above the last there is nothing."""
    first = call()
    alike = {"small": "a", "standard": "a", "deep": "b"}
    second = escalated(first, alike, {"a"}, max_tokens=512)
    assert second
    assert (second.tier.value, second.model, second.purpose) == ("deep", "b", Purpose.ESCALATION)
    assert escalated(first, alike, {"a", "b"}, max_tokens=512) is None


def test_the_first_call_stands_in_full() -> None:
    """Prompt version and digest, model by tier, rendered turns, schema: all that the audit needs."""
    prepared = classification()
    prompt = find_task("classify").active_prompt
    first = prepared.call
    assert (first.prompt_version, first.prompt_digest) == (prompt.version, prompt.digest)
    assert (first.tier, first.model) == (prompt.head.tier, MODELS[prompt.head.tier])
    assert TICKET in first.messages[0]["content"]
    assert first.output_schema == prepared.task.reply_schema(prepared.request)


def test_an_unknown_prompt_version_is_misconfigured() -> None:
    """A job that names a version that is gone fails with its name."""
    task = find_task("classify")
    request = task.read_request({"text": TICKET, "labels": ["a", "b"]})
    failure = prepare(task, request, MODELS, prompt_version="v99")
    assert isinstance(failure, Failure)
    assert failure.reason is Reason.MISCONFIGURED
    assert "classify/v99" in failure.detail


@pytest.mark.parametrize(("size", "fits"), [(700_000, True), (900_000, False)])
def test_a_text_that_surely_does_not_fit_is_not_sent(size: int, fits: bool) -> None:
    """The estimate is a lower bound: in doubt the provider counts."""
    task = find_task("classify")
    request = task.read_request({"text": "x" * size, "labels": ["a", "b"]})
    prepared = prepare(task, request, MODELS)
    assert isinstance(prepared, Prepared) is fits
    if isinstance(prepared, Failure):
        assert prepared.reason is Reason.CONTEXT_TOO_LONG
