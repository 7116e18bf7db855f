"""The way of a job, told from looks at where it stands."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.watching import Passed, Standing, path
from schemas.answer import AnsweredBy
from schemas.job import FINAL_STATES, JobState

S = JobState


def told(standing: Standing, last: str | None = None) -> list[str]:
    """The path as ids."""
    return [str(passed) for passed in path(standing, Passed.parse(last) if last else None)]


@pytest.mark.parametrize(
    ("standing", "way"),
    [
        (Standing(S.QUEUED, 0), ["0-queued"]),
        (Standing(S.QUEUED, 3), ["0-queued"]),
        (Standing(S.PUBLISHED, 0), ["0-queued", "0-published"]),
        (Standing(S.RUNNING, 1, frozenset({1})), ["0-queued", "0-published", "1-running"]),
        (
            Standing(S.ANSWERED, 1, frozenset({1}), answered_by=AnsweredBy.MODEL),
            ["0-queued", "0-published", "1-running", "1-answered"],
        ),
        (
            Standing(S.ANSWERED, 1, frozenset({1}), answered_by=AnsweredBy.PERSON),
            ["0-queued", "0-published", "1-running", "1-in_review", "1-answered"],
        ),
        (
            Standing(S.FAILED, 2, frozenset({1, 2}), was_reviewed=True),
            ["0-queued", "0-published", "1-running", "1-queued", "1-published", "2-running", "2-in_review", "2-failed"],
        ),
        (Standing(S.QUEUED, 1, frozenset({1})), ["0-queued", "0-published", "1-running", "1-queued"]),
        (Standing(S.CANCELLED, 1), ["0-queued", "0-cancelled"]),
        (Standing(S.CANCELLED, 2, frozenset({1})), ["0-queued", "0-published", "1-running", "1-cancelled"]),
        (Standing(S.CANCELLED, 3, frozenset({1})), ["0-queued", "0-published", "1-running", "1-queued", "1-cancelled"]),
        (
            Standing(S.CANCELLED, 2, frozenset(), was_reviewed=True),
            ["0-queued", "0-published", "1-running", "1-in_review", "1-cancelled"],
        ),
        (Standing(S.PUBLISHED, 0, native=True), ["0-published"]),
        (Standing(S.QUEUED, 1, native=True), ["0-published"]),
        (Standing(S.RUNNING, 1, native=True), ["0-published", "1-running"]),
    ],
)
def test_the_whole_way(standing: Standing, way: list[str]) -> None:
    """Where a job stands tells all states that it has surely passed, and none that it may not have passed."""
    assert told(standing) == way


@pytest.mark.parametrize(
    ("standing", "last", "rest"),
    [
        (
            Standing(S.ANSWERED, 2, frozenset({1, 2})),
            "1-running",
            ["1-queued", "1-published", "2-running", "2-answered"],
        ),
        (Standing(S.ANSWERED, 2, frozenset({1, 2})), "2-answered", []),
        (Standing(S.QUEUED, 1, frozenset({1})), "1-failed", ["1-queued"]),
        (Standing(S.RUNNING, 1), "9-running", ["0-queued", "0-published", "1-running"]),
    ],
)
def test_the_rest_of_the_way(standing: Standing, last: str, rest: list[str]) -> None:
    """Only what lies behind the state told last follows; an id that nobody gave counts as none."""
    assert told(standing, last) == rest


def test_a_run_that_was_seen_stays_one() -> None:
    """A run that ended before its first call left no trace; whoever was told of it is told what came after."""
    assert told(Standing(S.QUEUED, 1), "1-running") == ["1-queued"]
    assert told(Standing(S.CANCELLED, 2), "1-running") == ["1-cancelled"]


@pytest.mark.parametrize(
    "text", ["", "1", "running", "1-", "-1-running", "1-walking", "1-running ", "١-running", "9" * 10 + "-queued"]
)
def test_what_is_no_id(text: str) -> None:
    """Anything but a number and a state counts as no id."""
    assert Passed.parse(text) is None


@dataclass
class Life:
    """A job's life by the rules of the statements that change it, with what a watcher must be told of it."""

    state: JobState = S.QUEUED
    fence: int = 0
    runs: set[int] = field(default_factory=set)
    answered_by: AnsweredBy | None = None
    was_reviewed: bool = False
    way: list[str] = field(default_factory=lambda: ["0-queued"])
    run: int = 0

    def standing(self) -> Standing:
        return Standing(self.state, self.fence, frozenset(self.runs), False, self.answered_by, self.was_reviewed)

    def moves(self) -> list[str]:
        """What may happen next."""
        match self.state:
            case S.QUEUED:
                return ["publish", "cancel"]
            case S.PUBLISHED:
                return ["claim", "no room", "ring again", "cancel"]
            case S.RUNNING:
                return ["answer", "fail", "to review", "put back", "give back", "cancel"]
            case S.IN_REVIEW:
                return ["decide", "reject", "cancel"]
            case _:
                return []

    def make(self, move: str) -> None:
        match move:
            case "publish":
                self._to(S.PUBLISHED)
            case "claim":
                self.fence += 1
                self.run = self.fence
                self.runs.add(self.fence)
                self._to(S.RUNNING)
            case "no room":  # claimed and put back in one transaction: nobody sees it running
                self.fence += 1
                self.state = S.QUEUED
            case "ring again":
                self.state = S.QUEUED
            case "give back":
                self.fence += 1
                self._to(S.QUEUED)
            case "put back" | "fail" | "to review":
                self._to({"put back": S.QUEUED, "fail": S.FAILED, "to review": S.IN_REVIEW}[move])
            case "answer":
                self.answered_by = AnsweredBy.MODEL
                self._to(S.ANSWERED)
            case "decide":
                self.answered_by, self.was_reviewed = AnsweredBy.PERSON, True
                self._to(S.ANSWERED)
            case "reject":
                self.was_reviewed = True
                self._to(S.FAILED)
            case "cancel":
                self.was_reviewed = self.state is S.IN_REVIEW
                self.fence += 1
                self._to(S.CANCELLED)
            case _:
                raise AssertionError(move)

    def _to(self, state: JobState) -> None:
        self.state = state
        passed = f"{self.run}-{state}"
        if passed not in self.way:  # waiting goes on, and is told once
            self.way.append(passed)


@given(data=st.data())
def test_every_state_once_and_in_order_whenever_one_looks(data: st.DataObject) -> None:
    """Of any life, a watcher that looks at any moments, and keeps nothing but its last id between them, is told each state once
    and in order, up to the last; and one that looks only at the end is told the same."""
    life, told_so_far = Life(), list[str]()

    def look() -> None:
        told_so_far.extend(told(life.standing(), told_so_far[-1] if told_so_far else None))

    for _ in range(data.draw(st.integers(0, 25))):
        if data.draw(st.booleans()):
            look()
        moves = life.moves()
        if not moves:
            break
        life.make(data.draw(st.sampled_from(moves)))
    look()
    late = told(life.standing())
    if life.state in {S.QUEUED, S.PUBLISHED, S.CANCELLED}:
        # Of the wait that is under way, or was when it was cancelled, only what is so now is certain.
        assert set(late) <= set(told_so_far) <= set(life.way)
    else:
        assert told_so_far == late == life.way
    assert len(set(told_so_far)) == len(told_so_far)
    assert told_so_far == sorted(told_so_far, key=lambda text: Passed.parse(text).order)  # type: ignore[union-attr]
    if life.state in FINAL_STATES:
        assert told_so_far[-1] == life.way[-1]
