"""All that workers, dispatchers, sweepers, producers, reviewers and time do to jobs, as a hypothesis state machine."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, rule

from jobs import review, submit
from jobs.cancel import cancel, retry_failed
from jobs.contract import KeyConflict
from jobs.dispatch import IDLE_WINDOW, ROUND_SHARE, WINDOW_FACTOR, Dispatcher, PublishFailed
from jobs.reconcile import SUSPECT_LOSSES, sweep
from jobs.review import Decision, DecisionRefused
from schemas.attempt import AttemptOutcome
from schemas.job import JobOptions, JobState, Priority
from schemas.settings import Settings
from storage import attempts, duties, leases, reviews, workers
from storage.attempts import Settlement
from storage.leases import Claim
from storage.reviews import ClaimedReview
from tasks import find_task
from tests.house import LABELS, RecordingPublisher, submit_texts
from tests.integration.state_deeds import CALL, ENDS, LONG, OUTPUT, REPLY, SETTLED, TEXT
from tests.integration.state_model import Duty, Job
from tests.integration.state_world import AGEING, TENANTS, World, check_laws

SLOTS = {UUID(int=slots): slots for slots in (1, 2, 8)}
PROCESSES = list(SLOTS)
"""Each may work, dispatch and sweep."""
REVIEWERS = ["eve", "fay"]
TAKES_ALL = 1000

some_job: Bundle[UUID] = Bundle("jobs")
some_claim: Bundle[Claim] = Bundle("claims")
"""Claims are never consumed: whoever held one may try anything at any later time."""
some_turn: Bundle[ClaimedReview] = Bundle("turns")
some_process = st.sampled_from(PROCESSES)


class Broker(RecordingPublisher):
    """Takes so many messages and then refuses."""

    def __init__(self, takes: int) -> None:
        super().__init__()
        self._takes = takes

    def publish(self, task: str, tenant_id: str, job_ids: Sequence[UUID]) -> None:
        """Note a message, or refuse it."""
        if len(self.messages) == self._takes:
            raise PublishFailed("played")
        super().publish(task, tenant_id, job_ids)


class Life(RuleBasedStateMachine):
    """Deeds in any order, each compared with the model and held to the laws; in the end all jobs must land."""

    def __init__(self, world: World, settings: Settings) -> None:
        super().__init__()
        self.world, self.database, self.settings = world, world.database, settings
        self.model: dict[UUID, Job] = {}
        self.keys: dict[tuple[str, str | None], tuple[UUID, str]] = {}
        self.full: dict[UUID, bool] = {}
        self.duty = {duties.DISPATCH: Duty(), duties.SWEEP: Duty()}
        self.gap = self.unsteady = False
        self.seen = world.look()
        self.sound = True

    @contextmanager
    def step(self, *columns: str) -> Iterator[None]:
        """One deed. The laws hold, every row is as the model says, and nothing is changed, but for these columns, of a job
        that the model leaves alone."""
        self.sound = False
        before, known = self.seen, copy.deepcopy(self.model)
        yield
        self.seen = self.world.look()
        check_laws(before, self.seen)
        assert self.seen.jobs.keys() == self.model.keys(), "not the jobs that were submitted"
        for job_id, job in self.model.items():
            self._compare(job_id, job)
            if known.get(job_id) == job:
                was, now = (seen.of(job_id, without=frozenset(columns)) for seen in (before, self.seen))
                assert was == now, "changed by a deed that must not have any effect"
        self.sound = True

    def _compare(self, job_id: UUID, job: Job) -> None:
        row, stored = self.seen.jobs[job_id], self.seen.reviews.get(job_id)
        assert {name: row[name] for name in job.as_stored()} == job.as_stored()
        found = {number: (row["fence"], row["outcome"]) for (of, number), row in self.seen.attempts.items() if of == job_id}
        assert found == {number: (attempt.fence, attempt.outcome) for number, attempt in job.attempts.items()}
        said = None if stored is None else (stored["fence"], stored["reviewer"], stored["decision"])
        assert said == (None if job.review is None else (job.review.fence, job.review.reviewer, job.review.decision))

    # Producers

    @initialize(target=some_job, count=st.integers(1, 4))
    def begin(self, count: int) -> Any:
        """A batch is there."""
        with self.step():
            batch = submit_texts(self.database, TENANTS[0], [TEXT] * count)
            ids = self.world.ids("SELECT id FROM jobs ORDER BY line")
            self.model.update((job_id, Job(TENANTS[0], batch)) for job_id in ids)
        return multiple(*ids)

    @rule(
        target=some_job, tenant=st.sampled_from(TENANTS), key=st.sampled_from([None, "one"]), more=st.booleans(),
        high=st.booleans(), deadline=st.booleans(),
    )  # fmt: skip
    def submit(self, tenant: str, key: str | None, more: bool, high: bool, deadline: bool) -> Any:
        """The same key and body is the same job; another body under it is refused."""
        request = {"text": TEXT + " Now!" * more, "labels": LABELS}
        options = JobOptions(
            priority=Priority.HIGH if high else Priority.NORMAL, deadline=timedelta(days=1) if deadline else None
        )
        body, there = f"{request} {options}", self.keys.get((tenant, key))
        with self.step():
            try:
                made = submit.submit_one(self.database, tenant, "classify", request, options, idempotency_key=key)
            except KeyConflict:
                assert there is not None
                assert there[1] != body
                return multiple()
            assert made.job_id is not None
            assert made.repeated == (there is not None)
            assert there in {None, (made.job_id, body)}
            if there is not None:
                return multiple()
            self.model[made.job_id] = Job(tenant, has_deadline=deadline)
            if key is not None:
                self.keys[tenant, key] = (made.job_id, body)
        return made.job_id

    @rule(target=some_job, tenant=st.sampled_from(TENANTS), deliveries=st.integers(1, 2))
    def submit_native(self, tenant: str, deliveries: int) -> UUID:
        """A Celery message brings a job of its own, twice perhaps."""
        job_id, task, request = uuid4(), find_task("classify"), {"text": TEXT, "labels": LABELS}
        with self.step():
            for _ in range(deliveries):
                submit.submit_native(self.database, tenant, task, job_id, request, JobOptions())
            self.model[job_id] = Job(tenant, state=JobState.PUBLISHED)
        return job_id

    @rule(job_id=some_job, whole_batch=st.booleans())
    def cancel(self, job_id: UUID, whole_batch: bool) -> None:
        """A job, or its batch."""
        job = self.model[job_id]
        which = job.batch if whole_batch and job.batch is not None else job_id
        with self.step():
            done = cancel(self.database, job.tenant, which)
            of_which = [other for other in self.model if which in {other, self.model[other].batch}]
            assert set(done) == {other for other in of_which if self.model[other].cancel()}

    @rule()
    def retry(self) -> None:
        """The failed jobs of a batch."""
        of_batch = {job_id: job.batch for job_id, job in self.model.items() if job.batch is not None}
        with self.step():
            done = retry_failed(self.database, TENANTS[0], next(iter(of_batch.values())))
            assert set(done) == {job_id for job_id in of_batch if self.model[job_id].retry()}

    # Workers

    @rule(target=some_claim, job_id=some_job, process=some_process, opens=st.booleans())
    def claim(self, job_id: UUID, process: UUID, opens: bool) -> Any:
        """A message comes: the first, a duplicate, or one that was taken for lost."""
        claimed = self._claim(job_id, process, opens=opens)
        return multiple() if claimed is None else claimed

    def _claim(self, job_id: UUID, process: UUID, *, opens: bool) -> Claim | None:
        job = self.model[job_id]
        with self.step(), self.database.tenant(job.tenant) as connection:
            claimed = leases.claim(connection, job_id, process, LONG)
            if claimed is not None and opens:
                attempts.open_first(connection, claimed, claimed.attempts + 1, CALL, "test")
            assert (claimed is not None) == job.claim()
            if claimed is not None:
                self._check_claim(claimed, job)
                assert not opens or job.open_attempt(claimed.fence, claimed.attempts + 1)
        return claimed

    def _check_claim(self, claimed: Claim, job: Job) -> None:
        said = (claimed.fence, claimed.tries, claimed.waits, claimed.losses, claimed.rings, claimed.attempts)
        assert said == (job.fence, job.tries, job.waits, job.losses, job.rings, job.last_number)
        assert claimed.overdue == job.overdue

    @rule(target=some_claim, held=some_claim, process=some_process)
    def take_over(self, held: Claim, process: UUID) -> Any:
        """The holder is frozen for longer than its lease: its job goes to another, and it will come back as a late twin."""
        self.time_passes(held.job_id, "lease")
        self.duty_runs_out(duties.SWEEP)
        self.outage(over=True)
        self._sweep(process)
        return self.claim(held.job_id, process, opens=True)

    @rule(target=some_claim, held=some_claim)
    def adopt(self, held: Claim) -> Any:
        """A suspect's own process goes on under the claim of another."""
        job = self.model[held.job_id]
        with self.step("lease_until"), self.database.tenant(job.tenant) as connection:
            claimed = leases.adopt(connection, held.job_id, held.fence, LONG)
            assert (claimed is not None) == job.renew(held.fence)
            if claimed is None:
                return multiple()
            self._check_claim(claimed, job)
        return claimed

    @rule(held=some_claim, how=st.sampled_from(list(ENDS)), settled=st.sampled_from([None, *SETTLED]))
    def conclude(self, held: Claim, how: str, settled: AttemptOutcome | None) -> None:
        """A run comes to its end, in time or long after; what it called last is settled along with it, or left open."""
        self._conclude(held, how, settled)

    def _conclude(self, held: Claim, how: str, settled: AttemptOutcome | None) -> None:
        job, end = self.model[held.job_id], ENDS[how]
        with self.step(), self.database.tenant(job.tenant) as connection:
            done = end.write(connection, held)
            if settled is not None:
                attempts.settle(connection, held, Settlement(job.last_number, settled, REPLY))
            assert done == end.must(job, held.fence), f"{how}: took effect that must not, or none that must"
            if settled is not None:
                job.settle(held.fence, job.last_number, settled.value)

    @rule(held=some_claim, ahead=st.integers(1, 2))
    def open_attempt(self, held: Claim, ahead: int) -> None:
        """A further call is recorded, perhaps a second time."""
        job, number = self.model[held.job_id], held.attempts + ahead
        with self.step(), self.database.tenant(job.tenant) as connection:
            opened = attempts.open_next(connection, held, number, CALL, "test")
            assert opened == job.open_attempt(held.fence, number)

    @rule(held=some_claim, ahead=st.integers(1, 2), outcome=st.sampled_from(SETTLED))
    def settle(self, held: Claim, ahead: int, outcome: AttemptOutcome) -> None:
        """A reply is booked, in time or late."""
        job, number = self.model[held.job_id], held.attempts + ahead
        with self.step(), self.database.tenant(job.tenant) as connection:
            attempts.settle(connection, held, Settlement(number, outcome, REPLY))
            job.settle(held.fence, number, outcome.value)

    @rule(held=st.lists(some_claim, min_size=1, max_size=4))
    def renew(self, held: list[Claim]) -> None:
        """A process renews what it believes to hold."""
        believed = {claimed.job_id: claimed.fence for claimed in held}
        with self.step("lease_until"), self.database.system() as connection:
            kept = leases.renew(connection, believed, LONG)
            assert kept == {job_id for job_id, fence in believed.items() if self.model[job_id].renew(fence)}

    @rule(held=st.lists(some_claim, min_size=1, max_size=4), received=st.lists(some_job, max_size=3))
    def stop(self, held: list[Claim], received: list[UUID]) -> None:
        """A process stops: what it believes to hold, and what it received, goes back."""
        believed = {claimed.job_id: claimed.fence for claimed in held}
        with self.step(), self.database.system() as connection:
            given, _ = leases.give_back(connection, believed, "test")
            unstarted = leases.return_unstarted(connection, received)
            assert set(given) == {job_id for job_id, fence in believed.items() if self.model[job_id].lose_holder(fence)}
            assert set(unstarted) == {job_id for job_id in received if self.model[job_id].return_unstarted()}

    @rule(process=some_process, full=st.booleans())
    def report(self, process: UUID, full: bool) -> None:
        """A heartbeat tells of free slots."""
        self._report(process, full=full)

    def _report(self, process: UUID, *, full: bool) -> None:
        slots = SLOTS[process]
        with self.step():
            with self.database.system() as connection:
                workers.seen(connection, process, "test", slots=slots, busy=slots * full, claims=0)
            self.world.change("UPDATE workers SET seen_at = now() + interval '1 day'")
            self.full[process] = full

    # Dispatchers and sweepers

    @rule(process=some_process, takes=st.sampled_from([TAKES_ALL, TAKES_ALL, 0, 1]))
    def dispatch(self, process: UUID, takes: int) -> None:
        """A round, with a broker that may refuse."""
        self._dispatch(process, takes)

    def _dispatch(self, process: UUID, takes: int = TAKES_ALL) -> list[UUID]:
        broker = Broker(takes)
        with self.step("run_at", "published_at"):
            published = Dispatcher(self.database, broker, process, duty_seconds=LONG).round()
            ids = [job_id for _, _, of_message in broker.messages for job_id in of_message]
            assert published == len(ids) == len(set(ids))
            for task, tenant, of_message in broker.messages:
                assert {(task, tenant)} == {("classify", self.model[job_id].tenant) for job_id in of_message}
            room = self._room() if self.duty[duties.DISPATCH].take(process) else 0
            due = sum(job.is_due for job in self.model.values())
            refused = len(broker.messages) == takes and len(ids) < min(room, due)
            assert refused or len(ids) == min(room, due), f"{len(ids)} of {due} due into {room} places"
            for job_id in ids:
                assert self.model[job_id].is_due, "published what was not due, or was on the broker already"
                self.model[job_id].publish()
        return ids

    def _room(self) -> int:
        size = sum(SLOTS[process] for process in self.full) * WINDOW_FACTOR or IDLE_WINDOW
        room = size - sum(job.state in {JobState.PUBLISHED, JobState.RUNNING} for job in self.model.values())
        return room if room * ROUND_SHARE >= size else 0

    @rule(process=some_process)
    def sweep(self, process: UUID) -> None:
        """A turn, with grace for live workers after a time in which nobody swept."""
        self._sweep(process)

    def _sweep(self, process: UUID) -> None:
        with self.step():
            swept = sweep(self.database, self.settings, process)
            if not self.duty[duties.SWEEP].take(process):
                assert swept is None
                return
            self.unsteady, self.gap = self.unsteady or self.gap, False
            free = not all(self.full.values())
            jobs = list(self.model.values())
            rung, open_calls = sum(free and job.ring_again() for job in jobs), sum(job.open_calls for job in jobs)
            recovered = 0 if self.unsteady else sum(job.recover() for job in jobs)
            if not self.unsteady:
                for job in jobs:
                    job.settle_orphans()
            lost_calls = open_calls - sum(job.open_calls for job in jobs)
            assert swept is not None
            assert (swept.republished, swept.recovered, len(swept.lost_calls)) == (rung, recovered, lost_calls)

    @rule(process=some_process)
    def lay_down(self, process: UUID) -> None:
        """A stopping process gives its duties up."""
        with self.step(), self.database.system() as connection:
            duties.lay_down(connection, process)
            for duty in self.duty.values():
                duty.holder = None if duty.holder == process else duty.holder

    # People

    @rule(target=some_turn, reviewer=st.sampled_from(REVIEWERS), job_id=some_job, this_one=st.booleans())
    def take_review(self, reviewer: str, job_id: UUID, this_one: bool) -> Any:
        """This one, or the next of its tenant."""
        turn = self._take_review(reviewer, self.model[job_id].tenant, job_id if this_one else None)
        return multiple() if turn is None else turn

    def _take_review(self, reviewer: str, tenant: str, job_id: UUID | None) -> ClaimedReview | None:
        of_tenant = {other: job.review for other, job in self.model.items() if job.tenant == tenant and job.review}
        free = {other for other, waiting in of_tenant.items() if waiting.free_for(reviewer) and job_id in {None, other}}
        with self.step():
            item = review.claim(self.database, tenant, reviewer, LONG, job_id=job_id)
            assert (item is None) == (not free)
            if item is None:
                return None
            assert item.claimed.job_id in free
            of_tenant[item.claimed.job_id].take(reviewer)
            assert item.claimed.fence == of_tenant[item.claimed.job_id].fence
        return item.claimed

    @rule(turn=some_turn, by=st.sampled_from(REVIEWERS), decision=st.sampled_from(Decision), hasty=st.booleans())
    def decide(self, turn: ClaimedReview, by: str, decision: Decision, hasty: bool) -> None:
        """Under a claim that holds or not, by its holder or not; hasty: straight to the statement, which must refuse too."""
        self._decide(turn, by, decision, hasty=hasty)

    def _decide(self, turn: ClaimedReview, by: str, decision: Decision, *, hasty: bool = False) -> None:
        job = self.model[turn.job_id]
        assert job.review is not None
        empty = decision is Decision.ACCEPT and not job.review.suggested and not hasty
        with self.step():
            done = (self._write_decision if hasty else self._try_to_decide)(turn, by, decision)
            assert done == (not empty and job.decide(by, turn.fence, decision.value))

    def _try_to_decide(self, turn: ClaimedReview, by: str, decision: Decision) -> bool:
        try:
            review.decide(
                self.database, turn.tenant_id, turn.job_id, by, decision, output=OUTPUT, reason="spam", fence=turn.fence
            )
        except DecisionRefused:
            return False
        return True

    def _write_decision(self, turn: ClaimedReview, by: str, decision: Decision) -> bool:
        output = None if decision is Decision.REJECT else OUTPUT
        with self.database.tenant(turn.tenant_id) as connection:
            return reviews.decide(
                connection, turn.tenant_id, turn.job_id,
                reviewer=by, fence=turn.fence, decision=decision.value, output=output, note=None,
            )  # fmt: skip

    # Time

    @rule(job_id=some_job, what=st.sampled_from(list(AGEING)))
    def time_passes(self, job_id: UUID, what: str) -> None:
        """For one job: its lease runs out, its message is lost, its wait is over, its deadline passes ..."""
        with self.step():
            self.world.age(what, job_id)
            self.model[job_id].age(what)

    @rule(name=st.sampled_from([duties.DISPATCH, duties.SWEEP]))
    def duty_runs_out(self, name: str) -> None:
        """Its holder is frozen, or dead."""
        self.world.change(f"UPDATE duties SET held_until = '2020-01-01' WHERE name = '{name}' AND holder IS NOT NULL")
        self.duty[name].over = True

    @rule(over=st.booleans())
    def outage(self, over: bool) -> None:
        """Nobody sweeps for a while; or turns have been steady again for long enough."""
        column = "resumed_at" if over else "turn_at"
        self.world.change(f"UPDATE duties SET {column} = '2020-01-01' WHERE name = 'sweep'")
        self.unsteady, self.gap = self.unsteady and not over, self.gap or not over

    # The end: by the ordinary turns alone, and time

    def teardown(self) -> None:
        """From wherever it stands, every job lands within a bounded number of turns."""
        try:
            if self.sound:
                self._land()
        finally:
            self.world.close()

    def _land(self) -> None:
        self._report(PROCESSES[1], full=False)
        for _ in range(4 + len(self.model) // 4):
            if all(job.is_at_rest for job in self.model.values()):
                return
            self._let_time_pass()
            self._sweep(PROCESSES[1])
            for job_id in self._dispatch(PROCESSES[2]):
                self._run(job_id)
            for job_id, job in self.model.items():
                if job.state is JobState.IN_REVIEW:
                    turn = self._take_review("gus", job.tenant, job_id)
                    assert turn is not None
                    self._decide(turn, "gus", Decision.EDIT)
        raise AssertionError(f"not at rest: {[job for job in self.model.values() if not job.is_at_rest]}")

    def _let_time_pass(self) -> None:
        with self.step():
            for what in AGEING.keys() - {"deadline"}:
                self.world.age(what)
                for job in self.model.values():
                    job.age(what)
        self.duty_runs_out(duties.DISPATCH)
        self.duty_runs_out(duties.SWEEP)
        self.outage(over=True)

    def _run(self, job_id: UUID) -> None:
        """As a worker does: a suspect goes to a person here, and after the deadline the rules answer."""
        claimed = self._claim(job_id, PROCESSES[0], opens=True)
        assert claimed is not None
        suspect, late = claimed.losses >= SUSPECT_LOSSES, claimed.overdue
        how = "in review" if suspect else "answered by the rules" if late else "answered by the model"
        self._conclude(claimed, how, AttemptOutcome.REJECTED)
