"""The state machine that hypothesis plays: which deed comes next, and to which job."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from jobs.reconcile import SUSPECT_LOSSES
from jobs.review import Decision
from schemas.attempt import AttemptOutcome
from schemas.job import JobOptions, JobState, Priority
from schemas.settings import Settings
from storage import duties
from storage.leases import Claim
from storage.reviews import ClaimedReview
from tests.integration.state_deeds import PROCESSES, TAKES_ALL, Deeds
from tests.integration.state_ends import ENDS, SETTLED, TEXT
from tests.integration.state_model import Job
from tests.integration.state_world import TENANTS, World

Thing = TypeVar("Thing")

REVIEWERS = ["eve", "fay"]
SELDOM = [False, False, False, True]


class Life(RuleBasedStateMachine):
    """Deeds in any order; in the end all jobs must land.

    A deed is drawn among those that can have an effect now, and its object mostly so too: else most of a short life would pass
    with refusals. For that there is one rule; of many, hypothesis would switch off most in each life.
    """

    def __init__(self, world: World, settings: Settings) -> None:
        super().__init__()
        self.deeds = Deeds(world, settings)
        self._data: st.DataObject
        self._tried: set[tuple[object, ...]] = set()

    @initialize(count=st.integers(1, 3))
    def begin(self, count: int) -> None:
        """A batch is there."""
        self.deeds.submit_batch(TENANTS[0], count)

    @rule(data=st.data())
    def live(self, data: st.DataObject) -> None:
        """Something happens."""
        self._data = data
        held, late = bool(self._holders), bool(self._twins)
        failed = any(self.model[job_id].batch for job_id in self._jobs(JobState.FAILED))
        # Hypothesis prefers what stands first: there stands what comes late in a job's life.
        possible = {
            self.late_reviewer: bool(self._turns(held=False)), self.decide: 2 * bool(self._turns(held=True)),
            self.take_review: 2 * bool(self._jobs(JobState.IN_REVIEW)), self.retry: 2 * failed,
            self.late_twin: 2 * late, self.conclude: 3 * held, self.take_over: 2 * held, self.call: 2 * held,
            self.believe: 2 * (held or late), self.time_passes: 3 * bool(self._ageing), self.claim: 3, self.dispatch: 2,
            self.sweep: 2, self.submit: 1, self.upkeep: 1, self.cancel: 1, self.submit_native: 1, self.report: 1,
        }  # fmt: skip
        names = [deed.__name__ for deed, weight in possible.items() for _ in range(weight)]
        getattr(self, self._one(names, "deed"))()

    def _one(self, things: Sequence[Thing], what: str) -> Thing:
        return self._data.draw(st.sampled_from(things), label=what)

    def _seldom(self, what: str) -> bool:
        return self._one(SELDOM, what)

    def _process(self) -> UUID:
        return self._one(PROCESSES, "process")

    # What there is

    @property
    def model(self) -> dict[UUID, Job]:
        """What must be true."""
        return self.deeds.model

    def _jobs(self, *states: JobState) -> list[UUID]:
        """Those in these states, or all."""
        return [job_id for job_id, job in self.model.items() if not states or job.state in states]

    @property
    def _ageing(self) -> list[tuple[UUID, str]]:
        return [(job_id, what) for job_id, job in self.model.items() for what in job.ageing]

    @property
    def _holders(self) -> list[Claim]:
        """Claims that hold."""
        return [held for held in self.deeds.claims if self.model[held.job_id].holds(held.fence)]

    @property
    def _twins(self) -> list[Claim]:
        """Claims that hold no more and were not tried yet as their jobs now stand."""
        late = [held for held in self.deeds.claims if not self.model[held.job_id].holds(held.fence)]
        return [held for held in late if self._stand(held) not in self._tried]

    def _stand(self, of: Claim | ClaimedReview) -> tuple[object, ...]:
        """A claim or turn, and what makes a difference to whoever held it."""
        job = self.model[of.job_id]
        return (type(of), of.job_id, of.fence, job.state, job.fence, job.review and job.review.fence)

    def _turns(self, *, held: bool) -> list[ClaimedReview]:
        """Turns of reviewers that hold, or that hold no more and were not tried yet."""
        reviews = {job_id: job.review for job_id, job in self.model.items() if job.review is not None}
        turns = [turn for turn in self.deeds.turns if reviews[turn.job_id].held_by(turn.reviewer, turn.fence) == held]
        return [turn for turn in turns if held or self._stand(turn) not in self._tried]

    # Producers

    def submit(self) -> None:
        """With or without a key, the same input again or another one."""
        options = JobOptions(
            priority=self._one(list(Priority), "priority"), deadline=self._one([None, timedelta(days=1)], "deadline")
        )
        key, more = self._one([None, "one"], "key"), self._seldom("another text")
        self.deeds.submit(self._one(TENANTS, "tenant"), key, TEXT + " Now!" * more, options)

    def submit_native(self) -> None:
        """A message of a Celery producer, delivered twice perhaps."""
        self.deeds.submit_native(self._one(TENANTS, "tenant"), self._one([1, 2], "deliveries"))

    def cancel(self) -> None:
        """Any job, also one that is over."""
        self.deeds.cancel(self._one(self._jobs(), "job"), whole_batch=self._seldom("whole batch"))

    def retry(self) -> None:
        """The failed jobs of the batch."""
        self.deeds.retry(next(job.batch for job in self.model.values() if job.batch is not None))

    # Workers

    def claim(self) -> None:
        """A message comes, for a job that is due or, astray, for any."""
        due = [job_id for job_id, job in self.model.items() if job.may_be_claimed]
        astray = self._seldom("astray") or not due
        job_id = self._one(self._jobs() if astray else due, "job")
        self.deeds.claim(job_id, self._process(), opens=not self._seldom("without a call"))

    def take_over(self) -> None:
        """A holder is frozen for longer than its lease: its job goes to another, and it will come back as a late twin."""
        held, process = self._one(self._holders, "claim"), self._process()
        self.deeds.age(held.job_id, "lease")
        self.deeds.overtake(duties.SWEEP)
        self.deeds.overtake("steady")
        self.deeds.sweep(process)
        self.deeds.claim(held.job_id, process, opens=True)

    def conclude(self) -> None:
        """A run comes to its end."""
        held, how = self._one(self._holders, "claim"), self._one(list(ENDS), "how")
        self.deeds.conclude(held, how, self._one([None, *SETTLED], "its call"))

    def late_twin(self) -> None:
        """Whoever has lost a claim comes back and tries everything that there is."""
        held = self._one(self._twins, "claim")
        self._tried.add(self._stand(held))
        for how in ENDS:
            self.deeds.conclude(held, how, None)
        self.deeds.adopt(held)
        self.deeds.renew([held])
        self.deeds.stop([held], [])
        for ahead in (1, 2):
            self.deeds.open_attempt(held, held.attempts + ahead)
            self.deeds.settle(held, held.attempts + ahead, AttemptOutcome.REJECTED)

    def call(self) -> None:
        """A run records a further call, or what came of one; perhaps a second time."""
        held = self._one(self._holders, "claim")
        number = held.attempts + self._one([1, 2], "number")
        outcome = self._one([None, *SETTLED], "outcome")
        if outcome is None:
            self.deeds.open_attempt(held, number)
        else:
            self.deeds.settle(held, number, outcome)

    def believe(self) -> None:
        """A process does something with some jobs that it believes to hold."""
        first = self._one(range(len(self.deeds.claims)), "first claim")
        believed = self.deeds.claims[first : first + self._one([1, 2, 4], "claims")]
        match self._one(["renew", "adopt", "stop"], "what"):
            case "renew":
                self.deeds.renew(believed)
            case "adopt":
                self.deeds.adopt(believed[0])
            case _:
                self.deeds.stop(believed, self._jobs()[:2])

    def report(self) -> None:
        """A heartbeat."""
        self.deeds.report(self._process(), full=self._one([False, True], "full"))

    # Dispatchers and sweepers

    def dispatch(self) -> None:
        """By whoever has the duty, or a rival; with a broker that may refuse."""
        takes = self._one([TAKES_ALL, TAKES_ALL, 0, 1], "broker takes")
        self.deeds.dispatch(self._on_duty(duties.DISPATCH), takes)

    def sweep(self) -> None:
        """By whoever has the duty, or a rival."""
        self.deeds.sweep(self._on_duty(duties.SWEEP))

    def _on_duty(self, name: str) -> UUID:
        holder = self.deeds.duty[name].holder
        return self._process() if holder is None or self._seldom("rival") else holder

    def upkeep(self) -> None:
        """Duties are laid down, or run out."""
        what = self._one([duties.DISPATCH, duties.SWEEP, "outage", "steady", "stop"], "what")
        if what == "stop":
            self.deeds.lay_down(self._process())
        else:
            self.deeds.overtake(what)

    # People

    def take_review(self) -> None:
        """The next one, or a certain one."""
        job_id, this_one = self._one(self._jobs(JobState.IN_REVIEW), "job"), self._one([False, True], "this one")
        reviewer = self._one(REVIEWERS, "reviewer")
        self.deeds.take_review(reviewer, self.model[job_id].tenant, job_id if this_one else None)

    def decide(self) -> None:
        """By whoever has the turn, or by a stranger."""
        turn, decision = self._one(self._turns(held=True), "turn"), self._one(list(Decision), "decision")
        by = "hal" if self._seldom("stranger") else turn.reviewer
        self.deeds.decide(turn, by, decision, hasty=self._one([False, True], "hasty"))

    def late_reviewer(self) -> None:
        """Whoever has lost the turn comes back and tries every decision."""
        turn = self._one(self._turns(held=False), "turn")
        self._tried.add(self._stand(turn))
        for decision in Decision:
            for hasty in (True, False):
                self.deeds.decide(turn, turn.reviewer, decision, hasty=hasty)

    # Time

    def time_passes(self) -> None:
        """A lease runs out, a message is lost, a wait is over, a deadline passes ..."""
        self.deeds.age(*self._one(self._ageing, "what"))

    # The end

    def teardown(self) -> None:
        """From wherever it stands, every job lands within a bounded number of ordinary turns, and time."""
        try:
            if self.deeds.sound:
                self._land()
        finally:
            self.deeds.world.close()

    def _land(self) -> None:
        self.deeds.report(PROCESSES[1], full=False)
        for _ in range(4 + len(self.model) // 4):
            if all(job.is_at_rest for job in self.model.values()):
                return
            self._let_time_pass()
            self.deeds.sweep(PROCESSES[1])
            for job_id in self.deeds.dispatch(PROCESSES[2], TAKES_ALL):
                self._run(job_id)
            for job_id in self._jobs(JobState.IN_REVIEW):
                turn = self.deeds.take_review("gus", self.model[job_id].tenant, job_id)
                assert turn is not None
                self.deeds.decide(turn, "gus", Decision.EDIT, hasty=False)
        raise AssertionError(f"not at rest: {[job for job in self.model.values() if not job.is_at_rest]}")

    def _let_time_pass(self) -> None:
        for job_id, job in self.model.items():
            for what in job.ageing:
                if what != "deadline":
                    self.deeds.age(job_id, what)
        for what in (duties.DISPATCH, duties.SWEEP, "steady"):
            self.deeds.overtake(what)

    def _run(self, job_id: UUID) -> None:
        """As a worker does: a suspect goes to a person here, and after the deadline the rules answer."""
        claimed = self.deeds.claim(job_id, PROCESSES[0], opens=True)
        assert claimed is not None
        suspect, late = claimed.losses >= SUSPECT_LOSSES, claimed.overdue
        how = "in review" if suspect else "answered by the rules" if late else "answered by the model"
        self.deeds.conclude(claimed, how, AttemptOutcome.REJECTED)
