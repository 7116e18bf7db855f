"""pursue() is ended by another thread: nothing further is tried, and every call that was made is settled.

Each wait here would outlast a test by far: that an outcome comes at all is the proof that the abort ended it.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from orchestration.abort import Abort
from orchestration.pipeline import Outcome, pursue
from orchestration.provider import AnthropicProvider
from schemas.answer import Answer
from schemas.attempt import AttemptOutcome
from schemas.failure import Failure
from schemas.failure import FailureReason as Reason
from stack.scripted import ScriptedProvider, plays
from stack.scripted.plays import Play
from tests.house import eventually
from tests.unit.orchestration.parts import MemoryLedger, classification, settings, soon

CANCELLED = Failure(reason=Reason.CANCELLED, detail="The job was cancelled.")
A_LONG_TIME = 600.0


@dataclass
class SignallingLedger(MemoryLedger):
    """Does something as soon as an attempt was settled."""

    when_settled: Callable[[], object] = field(default=lambda: None)

    def settle(self, number: int, outcome: AttemptOutcome, **how: Any) -> None:
        super().settle(number, outcome, **how)
        self.when_settled()


class Stage:
    """A scripted provider, and a pursuit in a thread of its own."""

    def __init__(self, server: ScriptedProvider, pool: ThreadPoolExecutor) -> None:
        self.server = server
        self.settings = settings(
            server.url,
            call_seconds=A_LONG_TIME,
            transport_wait_seconds=A_LONG_TIME,
            transport_wait_max_seconds=A_LONG_TIME,
        )
        self.provider = AnthropicProvider(self.settings)
        self.ledger = SignallingLedger()
        self.abort = Abort()
        self._pool = pool

    def pursue(self, *shown: Play) -> "Future[Outcome]":
        if shown:
            self.server.play(*shown)
        return self._pool.submit(
            pursue,
            classification(),
            self.provider,
            self.ledger,
            settings=self.settings,
            deadline=soon(10 * A_LONG_TIME),
            abort=self.abort,
        )


@pytest.fixture
def stage() -> Iterator[Stage]:
    with ScriptedProvider() as server, ThreadPoolExecutor(1) as pool:
        made = Stage(server, pool)
        yield made
        made.provider.close()


def test_in_a_call(stage: Stage) -> None:
    """The call is settled as failed with the abort's reason, which is the outcome too."""
    pursuit = stage.pursue(plays.hang())
    eventually(stage.server.calls, "the call is under way")
    stage.abort.set(CANCELLED)
    assert pursuit.result(timeout=60) == Outcome(CANCELLED, 1, 0, 0)
    assert stage.ledger.outcomes() == ["failed"]
    assert stage.ledger.entries[0].failure == CANCELLED


def test_in_the_wait_between_two_tries(stage: Stage) -> None:
    """The wait ends at once and the second try is not made; the first is settled with its own cause."""
    failed = threading.Event()
    stage.ledger.when_settled = failed.set
    pursuit = stage.pursue(plays.status(529))
    assert failed.wait(60)
    assert not pursuit.done()
    stage.abort.set(CANCELLED)
    assert pursuit.result(timeout=60) == Outcome(CANCELLED, 1, 0, 0)
    assert [entry.failure.reason for entry in stage.ledger.entries if entry.failure] == [Reason.OVERLOADED]
    assert len(stage.server.invoice()) == 1


def test_before_the_first_call(stage: Stage) -> None:
    """Nothing is recorded and nothing is sent."""
    stage.abort.set(CANCELLED)
    assert stage.pursue().result(timeout=60) == Outcome(CANCELLED, 0, 0, 0)
    assert stage.ledger.entries == []
    assert stage.server.invoice() == []


@pytest.mark.parametrize("play", [plays.wrong_schema(), plays.ungrounded(), plays.truncated(), plays.refusal()])
def test_between_a_wrong_answer_and_the_next_call(stage: Stage, play: Play) -> None:
    """Neither a repair nor a larger cap nor an escalation follows, and the outcome is the abort's reason."""
    stage.ledger.when_settled = partial(stage.abort.set, CANCELLED)
    outcome = stage.pursue(play).result(timeout=60)
    assert outcome == Outcome(CANCELLED, 1, 0, 0)
    assert stage.ledger.outcomes() == ["rejected"]
    assert len(stage.server.invoice()) == 1


def test_after_a_good_answer(stage: Stage) -> None:
    """An answer that had come whole and holds is handed over: what it is worth then is the caller's to decide."""
    stage.ledger.when_settled = partial(stage.abort.set, CANCELLED)
    outcome = stage.pursue().result(timeout=60)
    assert isinstance(outcome.result, Answer)
    assert stage.ledger.outcomes() == ["accepted"]


@pytest.mark.parametrize("reason", [Reason.UNREACHABLE, Reason.TRUNCATED])
def test_whatever_reason_is_given_ends_it(stage: Stage, reason: Reason) -> None:
    """Also one that is worth another try, or another tier, when a provider says it."""
    given = Failure(reason=reason, detail="The worker stops.")
    stage.ledger.when_settled = partial(stage.abort.set, given)
    assert stage.pursue(plays.status(503)).result(timeout=60) == Outcome(given, 1, 0, 0)
    assert len(stage.server.invoice()) == 1
