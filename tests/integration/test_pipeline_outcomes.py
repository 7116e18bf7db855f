"""pursue() over real HTTP: for each thing a provider can do, the right calls are made and the job ends as it should."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from orchestration.pipeline import Outcome, pursue
from orchestration.provider import AnthropicProvider
from schemas.answer import Answer, AnsweredBy
from schemas.failure import Failure
from schemas.failure import FailureReason as Reason
from stack.scripted import ScriptedProvider, plays
from stack.scripted.plays import Play
from tests.unit.orchestration.parts import MODELS, TICKET, MemoryLedger, classification, settings, soon

RETRIED = {"transport_tries": 2, "transport_wait_seconds": 0.5, "transport_wait_max_seconds": 2}


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture(scope="module")
def provider(server: ScriptedProvider) -> Iterator[AnthropicProvider]:
    made = AnthropicProvider(settings(server.url))
    yield made
    made.close()


class Stage:
    """A scripted provider, a ledger and notes of the waits."""

    def __init__(self, server: ScriptedProvider, provider: AnthropicProvider) -> None:
        server.reset()
        self.server = server
        self.provider = provider
        self.ledger = MemoryLedger()
        self.waits: list[float] = []

    def pursue(self, *shown: Play, deadline: float | None = None, **changes: Any) -> Outcome:
        if shown:
            self.server.play(*shown)
        return pursue(
            classification(),
            self.provider,
            self.ledger,
            settings=settings(self.server.url, **{**RETRIED, **changes}),
            deadline=deadline or soon(),
            sleep=self.waits.append,
        )


@pytest.fixture
def stage(server: ScriptedProvider, provider: AnthropicProvider) -> Iterator[Stage]:
    yield Stage(server, provider)
    server.reset()


def test_a_good_answer_takes_one_call(stage: Stage) -> None:
    """The answer is the output's JSON, marked as the model's, after exactly one attempt."""
    outcome = stage.pursue()
    assert isinstance(outcome.result, Answer)
    assert outcome.result.answered_by is AnsweredBy.MODEL
    assert outcome.result.output["labels"] == ["shipping"]
    assert outcome.result.output["evidence"] in TICKET
    assert outcome[1:] == (1, 0, 0)
    assert (stage.ledger.purposes(), stage.ledger.outcomes()) == (["first"], ["accepted"])


@pytest.mark.parametrize(
    ("shown", "purposes", "outcomes"),
    [
        ([plays.answer(thinking=True)], ["first"], ["accepted"]),
        ([plays.answer(stop_reason="stopped_for_tea")], ["first"], ["accepted"]),
        ([plays.prose(), plays.answer()], ["first", "repair"], ["rejected", "accepted"]),
        ([plays.wrong_schema(), plays.answer()], ["first", "repair"], ["rejected", "accepted"]),
        ([plays.ungrounded(), plays.answer()], ["first", "repair"], ["rejected", "accepted"]),
        ([plays.half_json(), plays.answer()], ["first", "repair"], ["rejected", "accepted"]),
        ([plays.half_json("pause_turn"), plays.answer()], ["first", "repair"], ["rejected", "accepted"]),
        ([plays.half_json("tool_use"), plays.answer()], ["first", "repair"], ["rejected", "accepted"]),
        ([plays.empty(), plays.answer()], ["first", "repair"], ["rejected", "accepted"]),
        ([plays.truncated(), plays.answer()], ["first", "larger"], ["rejected", "accepted"]),
        ([plays.status(529), plays.answer()], ["first", "retry"], ["failed", "accepted"]),
        ([plays.status(429), plays.answer()], ["first", "retry"], ["failed", "accepted"]),
        ([plays.drop("mid_stream"), plays.answer()], ["first", "retry"], ["failed", "accepted"]),
        ([plays.no_message_stop(), plays.answer()], ["first", "retry"], ["failed", "accepted"]),
        (
            [plays.truncated(), plays.ungrounded(), plays.status(500), plays.answer()],
            ["first", "larger", "repair", "retry"],
            ["rejected", "rejected", "failed", "accepted"],
        ),
        (
            [plays.wrong_schema(), plays.wrong_schema(), plays.answer()],
            ["first", "repair", "escalation"],
            ["rejected", "rejected", "accepted"],
        ),
        (
            [plays.truncated(), plays.truncated(), plays.answer()],
            ["first", "larger", "escalation"],
            ["rejected", "rejected", "accepted"],
        ),
        (
            [plays.ungrounded(), plays.ungrounded(), plays.ungrounded(), plays.answer()],
            ["first", "repair", "escalation", "repair"],
            ["rejected", "rejected", "rejected", "accepted"],
        ),
    ],
)
def test_what_can_be_put_right_ends_in_an_answer(
    stage: Stage, shown: list[Play], purposes: list[str], outcomes: list[str]
) -> None:
    """The calls made on the way, and how each was settled."""
    outcome = stage.pursue(*shown)
    assert isinstance(outcome.result, Answer)
    assert (stage.ledger.purposes(), stage.ledger.outcomes()) == (purposes, outcomes)
    assert outcome.attempts == len(purposes)
    assert outcome.repairs == purposes.count("repair")
    assert outcome.escalations == purposes.count("escalation")


THREE_TIERS = ["first", "repair", "escalation", "repair", "escalation", "repair"]


@pytest.mark.parametrize(
    ("play", "reason", "purposes"),
    [
        (plays.wrong_schema(), Reason.SCHEMA_VIOLATION, THREE_TIERS),
        (plays.prose(), Reason.SCHEMA_VIOLATION, THREE_TIERS),
        (plays.empty(), Reason.SCHEMA_VIOLATION, THREE_TIERS),
        (plays.ungrounded(), Reason.UNGROUNDED, THREE_TIERS),
        (plays.truncated(), Reason.TRUNCATED, ["first", "larger", "escalation", "larger", "escalation", "larger"]),
        (plays.refusal(), Reason.REFUSED, ["first"]),
        (plays.refusal("I cannot help with that.", None), Reason.REFUSED, ["first"]),
        (plays.not_applicable(), Reason.NOT_APPLICABLE, ["first"]),
        (plays.half_json("model_context_window_exceeded"), Reason.CONTEXT_TOO_LONG, ["first"]),
        (plays.prompt_too_long(), Reason.CONTEXT_TOO_LONG, ["first"]),
        (plays.status(400), Reason.BAD_REQUEST, ["first"]),
        (plays.status(401), Reason.MISCONFIGURED, ["first"]),
        (plays.status(408), Reason.TIMEOUT, ["first"]),
        (plays.status(429, error_code="contract_spend_limit_reached"), Reason.BUDGET_EXHAUSTED, ["first"]),
        (plays.status(429), Reason.RATE_LIMITED, ["first", "retry"]),
        (plays.status(529), Reason.OVERLOADED, ["first", "retry"]),
        (plays.stream_error(), Reason.OVERLOADED, ["first", "retry"]),
        (plays.drop("before_headers"), Reason.UNREACHABLE, ["first", "retry"]),
        (plays.html(), Reason.UNREACHABLE, ["first", "retry"]),
    ],
)
def test_what_cannot_be_put_right_ends_in_its_cause(
    stage: Stage, play: Play, reason: Reason, purposes: list[str]
) -> None:
    """A provider that only ever does this: no more calls than can help, each settled, the document not in the detail."""
    outcome = stage.pursue(play)
    assert isinstance(outcome.result, Failure)
    assert outcome.result.reason is reason
    assert stage.ledger.purposes() == purposes
    assert "open" not in stage.ledger.outcomes()
    assert stage.ledger.entries[-1].failure == outcome.result
    assert not any(word in outcome.result.detail for word in ("parcel", "arrived", "xylophones"))


def test_a_refusal_names_its_category(stage: Stage) -> None:
    """The provider's category stands in the failure and in the reply's record."""
    outcome = stage.pursue(plays.refusal(category="bio"))
    assert isinstance(outcome.result, Failure)
    assert "bio" in outcome.result.detail
    reply = stage.ledger.entries[0].reply
    assert reply
    assert reply.stop_detail == "bio"


def test_a_repair_tells_the_model_its_exact_errors(stage: Stage) -> None:
    """The conversation goes on: its own reply, then each violation with its path."""
    stage.pursue(plays.ungrounded(), plays.answer())
    first, repair = stage.server.calls()
    assert repair["messages"][:1] == first["messages"]
    assert "xylophones" in repair["messages"][1]["content"]
    assert "evidence: does not stand in the document" in repair["messages"][2]["content"]


def test_an_empty_reply_leaves_no_empty_turn(stage: Stage) -> None:
    """The provider refuses empty turns: the errors are added to the question instead."""
    stage.pursue(plays.empty(), plays.answer())
    repair = stage.server.calls()[1]
    assert [turn["role"] for turn in repair["messages"]] == ["user"]
    assert "the reply is empty" in repair["messages"][0]["content"]


def test_an_escalation_is_a_fresh_question_to_another_model(stage: Stage) -> None:
    """The next tier sees the first question and nothing of the other model's answers."""
    stage.pursue(plays.wrong_schema(), plays.wrong_schema(), plays.answer())
    first, _, escalation = stage.server.calls()
    assert escalation["messages"] == first["messages"]
    assert (first["model"], escalation["model"]) == (MODELS["small"], MODELS["standard"])


def test_a_truncated_answer_gets_twice_the_room(stage: Stage) -> None:
    """The cap doubles once, and the next tier starts with the larger one."""
    stage.pursue(plays.truncated(), plays.truncated(), plays.answer())
    assert [sent["max_tokens"] for sent in stage.server.calls()] == [512, 1024, 1024]


@pytest.mark.parametrize("form", ["seconds", "ms"])
def test_the_wait_asked_for_is_waited(stage: Stage, form: plays.DateForm) -> None:
    """retry-after decides the wait; a little is added so that slots do not return together."""
    stage.pursue(plays.status(429, retry_after=1.5, form=form), plays.answer())
    assert stage.ledger.purposes() == ["first", "retry"]
    assert len(stage.waits) == 1
    assert 1.5 <= stage.waits[0] <= 1.65


def test_without_a_word_the_wait_doubles(stage: Stage) -> None:
    """Backoff from settings, capped."""
    stage.pursue(plays.status(529), transport_tries=5)
    assert stage.waits == [pytest.approx(wait, rel=0.11) for wait in (0.5, 1, 2, 2)]


@pytest.mark.parametrize("wait", [2.5, 3600])
def test_a_longer_wait_is_handed_up(stage: Stage, wait: float) -> None:
    """A worker does not sleep longer than allowed: the caller gets the failure and the wait, and puts the job back."""
    outcome = stage.pursue(plays.status(429, retry_after=wait))
    assert isinstance(outcome.result, Failure)
    assert (outcome.result.reason, outcome.result.retry_after) == (Reason.RATE_LIMITED, wait)
    assert (stage.ledger.purposes(), stage.waits) == (["first"], [])


def test_no_wait_reaches_beyond_the_jobs_deadline(stage: Stage) -> None:
    """Waiting for a retry that could not be made any more is not begun."""
    outcome = stage.pursue(plays.status(503, retry_after=1.9), deadline=soon(1.5))
    assert isinstance(outcome.result, Failure)
    assert outcome.result.reason is Reason.OVERLOADED
    assert stage.waits == []


def test_a_drip_ends_with_the_jobs_deadline(stage: Stage) -> None:
    """A dripping provider costs the job's time and no more: one attempt, cause timeout, no retry within the run."""
    outcome = stage.pursue(plays.drip(0.02, 1), deadline=soon(0.5))
    assert isinstance(outcome.result, Failure)
    assert outcome.result.reason is Reason.TIMEOUT
    assert (stage.ledger.purposes(), stage.ledger.outcomes()) == (["first"], ["failed"])


def test_time_that_is_up_makes_no_call(stage: Stage) -> None:
    """The deadline is looked at before each call."""
    outcome = stage.pursue(deadline=time.monotonic())
    assert isinstance(outcome.result, Failure)
    assert (outcome.result.reason, outcome.attempts, stage.ledger.entries) == (Reason.TIMEOUT, 0, [])


@pytest.mark.parametrize("refuse_at", [0, 1])
def test_a_ledger_that_refuses_stops_the_pursuit(stage: Stage, refuse_at: int) -> None:
    """Cancelled before the first call or before a repair: no call is made without its record."""
    cancelled = Failure(reason=Reason.CANCELLED, detail="The job was cancelled.")
    stage.ledger = MemoryLedger(refusal=cancelled, refuse_at=refuse_at)
    outcome = stage.pursue(plays.wrong_schema())
    assert outcome.result == cancelled
    assert len(stage.server.invoice()) == outcome.attempts == refuse_at


def test_every_call_on_the_invoice_is_in_the_ledger(stage: Stage) -> None:
    """What the provider bills and what the ledger says are the same calls, by request id."""
    stage.pursue(plays.status(529), plays.truncated(), plays.ungrounded(), plays.answer())
    recorded = [(entry.reply or entry.broken) for entry in stage.ledger.entries]
    assert [one.request_id for one in recorded if one] == [one["request_id"] for one in stage.server.invoice()]
