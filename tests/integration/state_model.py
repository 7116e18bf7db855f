"""The life of a job in plain Python: what each deed must do, and laws that hold whatever was done.

The model knows no clock. Leases, waits and deadlines here are long, and tests move them into the past when they want time
to have passed; so what must happen does not depend on how fast a test runs.
"""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from jobs.reconcile import SUSPECT_LOSSES
from schemas.job import FINAL_STATES
from schemas.job import JobState as S

EDGES = {
    (S.QUEUED, S.PUBLISHED), (S.PUBLISHED, S.RUNNING),
    (S.RUNNING, S.ANSWERED), (S.RUNNING, S.IN_REVIEW), (S.RUNNING, S.FAILED), (S.RUNNING, S.QUEUED),
    (S.IN_REVIEW, S.ANSWERED), (S.IN_REVIEW, S.FAILED),
    *((state, S.CANCELLED) for state in (S.QUEUED, S.PUBLISHED, S.RUNNING, S.IN_REVIEW)),
    (S.PUBLISHED, S.QUEUED),  # its message was lost, not taken by the broker, or given back unread
    (S.QUEUED, S.RUNNING),  # its message was late: it had been taken for lost
    (S.FAILED, S.QUEUED),  # the producer asks for a failed job again
}  # fmt: skip
"""Steps that a job may take; no other is ever seen."""


@dataclass
class Attempt:
    """A recorded call. ``old``: opened so long ago that nobody can settle it any more."""

    fence: int
    outcome: str = "open"
    old: bool = False


@dataclass
class Review:
    """A person's turn. ``over``: the lease of whoever claimed it has run out."""

    suggested: bool
    fence: int = 0
    reviewer: str | None = None
    over: bool = False
    decision: str | None = None

    def free_for(self, reviewer: str) -> bool:
        """Whether this person may claim it."""
        return self.decision is None and (self.reviewer in {None, reviewer} or self.over)

    def take(self, reviewer: str) -> None:
        """Claimed, anew or again."""
        self.reviewer, self.fence, self.over = reviewer, self.fence + 1, False

    def held_by(self, reviewer: str, fence: int) -> bool:
        """Whether this person's claim still holds."""
        return self.decision is None and not self.over and (self.reviewer, self.fence) == (reviewer, fence)


@dataclass
class Job:
    """What must be true of one job. Each deed returns whether it must take effect; without effect it changes nothing.

    Attributes:
        lease_over: it runs, and its lease has run out.
        waiting: it is not due yet.
        overdue: its deadline has passed.
        rung_long_ago: it is published, and its message must be taken for lost.
    """

    tenant: str
    batch: UUID | None = None
    has_deadline: bool = False
    state: S = S.QUEUED
    fence: int = 0
    tries: int = 0
    waits: int = 0
    losses: int = 0
    rings: int = 0
    answered_by: str | None = None
    lease_over: bool = False
    waiting: bool = False
    overdue: bool = False
    rung_long_ago: bool = False
    attempts: dict[int, Attempt] = field(default_factory=dict)
    review: Review | None = None

    def holds(self, fence: int) -> bool:
        """Whether a claim with this fence still holds."""
        return self.state is S.RUNNING and self.fence == fence

    @property
    def is_due(self) -> bool:
        """A dispatcher may publish it."""
        return self.state is S.QUEUED and not self.waiting

    @property
    def is_at_rest(self) -> bool:
        """It has its final state, and no call is open."""
        return self.state in FINAL_STATES and not self.open_calls

    @property
    def open_calls(self) -> int:
        """Calls of it that are not settled."""
        return sum(attempt.outcome == "open" for attempt in self.attempts.values())

    @property
    def last_number(self) -> int:
        """Number of its last attempt; 0 before the first."""
        return max(self.attempts, default=0)

    @property
    def may_be_claimed(self) -> bool:
        """A message for it finds it due; also one that had been taken for lost."""
        return self.state in {S.QUEUED, S.PUBLISHED} and not self.waiting

    def claim(self) -> bool:
        """A message for it comes to a worker."""
        if not self.may_be_claimed:
            return False
        self._become(S.RUNNING, new_fence=True)
        return True

    def renew(self, fence: int) -> bool:
        """A heartbeat, or a process that adopts the claim."""
        if self.holds(fence):
            self.lease_over = False
        return self.holds(fence)

    def answer(self, fence: int, by: str) -> bool:
        """A model's answer counts until the deadline, a stand-in's afterwards too."""
        if not self.holds(fence) or (by == "model" and self.overdue):
            return False
        self._become(S.ANSWERED)
        self.answered_by = by
        return True

    def hand_to_person(self, fence: int, *, suggested: bool) -> bool:
        """The only way by which a decided review opens again, after a retry."""
        if not self.holds(fence):
            return False
        self._become(S.IN_REVIEW)
        self.review = Review(suggested, fence=0 if self.review is None else self.review.fence + 1)
        return True

    def fail(self, fence: int) -> bool:
        """It ends without an answer."""
        if not self.holds(fence):
            return False
        self._become(S.FAILED)
        return True

    def put_back(self, fence: int, *, seconds: float, tries: int, waits: int) -> bool:
        """It waits, but not beyond its deadline; its call may still be settled under this fence."""
        if not self.holds(fence):
            return False
        self._become(S.QUEUED)
        self.waiting = seconds > 0 and not self.overdue
        self.tries += tries
        self.waits += waits
        return True

    def lose_holder(self, fence: int, *, tries: int = 0, losses: int = 0) -> bool:
        """It is taken from its holder, whose open calls become unknown."""
        if not self.holds(fence):
            return False
        self._become(S.QUEUED, new_fence=True)
        self.tries += tries
        self.losses += losses
        for attempt in self.attempts.values():
            if attempt.outcome == "open":
                attempt.outcome = "unknown"
        return True

    def recover(self) -> bool:
        """Its lease has run out: a loss, which uses no try; of a suspect it uses one."""
        suspect = self.losses >= SUSPECT_LOSSES
        return self.lease_over and self.lose_holder(self.fence, tries=int(suspect), losses=int(not suspect))

    def ring_again(self) -> bool:
        """Its message is lost."""
        if self.state is not S.PUBLISHED or not self.rung_long_ago:
            return False
        self._become(S.QUEUED)
        self.rings += 1
        return True

    def publish(self) -> None:
        """A dispatcher has taken it."""
        self._become(S.PUBLISHED)

    def return_unstarted(self) -> bool:
        """A stopping worker had received it."""
        if self.state is not S.PUBLISHED:
            return False
        self._become(S.QUEUED)
        return True

    def cancel(self) -> bool:
        """The producer does not want it any more."""
        if self.state in FINAL_STATES:
            return False
        self._become(S.CANCELLED, new_fence=True)
        if self.review is not None and self.review.decision is None:
            self.review.decision = "withdrawn"
        return True

    def retry(self) -> bool:
        """The producer asks for it again."""
        if self.state is not S.FAILED:
            return False
        self._become(S.QUEUED)
        self.waiting = False
        self.tries = self.waits = self.losses = self.rings = 0
        return True

    def open_attempt(self, fence: int, number: int) -> bool:
        """Recording the same intent again is one intent."""
        there = self.attempts.get(number)
        if not self.holds(fence) or (there is not None and (there.fence, there.outcome) != (fence, "open")):
            return False
        self.attempts.setdefault(number, Attempt(fence))
        return True

    def settle(self, fence: int, number: int, outcome: str) -> None:
        """Once, by who opened it, whether the job is still his or not."""
        attempt = self.attempts.get(number)
        if attempt is not None and (attempt.fence, attempt.outcome) == (fence, "open"):
            attempt.outcome = outcome

    def settle_orphans(self) -> None:
        """Open calls that nobody can settle any more become unknown."""
        for attempt in self.attempts.values():
            if attempt.outcome == "open" and attempt.old and not self.holds(attempt.fence):
                attempt.outcome = "unknown"

    def decide(self, reviewer: str, fence: int, decision: str) -> bool:
        """A person's decision ends it."""
        if self.review is None or not self.review.held_by(reviewer, fence):
            return False
        self.review.decision = decision
        self._become(S.FAILED if decision == "reject" else S.ANSWERED)
        self.answered_by = None if decision == "reject" else "person"
        return True

    @property
    def ageing(self) -> list[str]:
        """For what time may make a difference now (``state_world.AGEING``)."""
        may = {
            "lease": self.state is S.RUNNING,
            "message": self.state is S.PUBLISHED,
            "wait": self.waiting,
            "review": self.state is S.IN_REVIEW,
            "calls": self.open_calls > 0,
            "deadline": self.has_deadline and self.state not in FINAL_STATES,
        }
        return [what for what, makes in may.items() if makes]

    def age(self, what: str) -> None:
        """Time passes for one thing (``state_world.AGEING``)."""
        match what:
            case "lease":
                self.lease_over = self.state is S.RUNNING
            case "message":
                self.rung_long_ago = self.state is S.PUBLISHED
            case "wait":
                self.waiting = False
            case "deadline":
                self.overdue = self.has_deadline
            case "calls":
                for attempt in self.attempts.values():
                    attempt.old = attempt.old or attempt.outcome == "open"
            case "review" if self.review is not None and self.review.decision is None:
                self.review.over = self.review.reviewer is not None

    def as_stored(self) -> dict[str, Any]:
        """What its row says (``state_world.Seen``)."""
        return {
            "state": self.state.value, "fence": self.fence, "tries": self.tries, "waits": self.waits,
            "losses": self.losses, "rings": self.rings, "answered_by": self.answered_by, "waiting": self.waiting,
            "lease": None if self.state is not S.RUNNING else "over" if self.lease_over else "held",
        }  # fmt: skip

    def _become(self, state: S, *, new_fence: bool = False) -> None:
        self.state = state
        self.fence += int(new_fence)
        self.lease_over = False
        self.rung_long_ago = False


@dataclass
class Duty:
    """Who may dispatch, or sweep. ``over``: its holder's turn is overdue."""

    holder: UUID | None = None
    over: bool = False

    def take(self, holder: UUID) -> bool:
        """Take a turn."""
        if self.holder not in {None, holder} and not self.over:
            return False
        self.holder, self.over = holder, False
        return True
