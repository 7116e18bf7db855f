"""Everything that workers, dispatchers, sweepers, producers, reviewers and time do to jobs: done on the database and on the
model, and compared."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID, uuid4

from jobs import review, submit
from jobs.cancel import cancel, retry_failed
from jobs.contract import KeyConflict
from jobs.dispatch import IDLE_WINDOW, ROUND_SHARE, WINDOW_FACTOR, Dispatcher, PublishFailed
from jobs.reconcile import sweep
from jobs.review import Decision, DecisionRefused
from schemas.attempt import AttemptOutcome
from schemas.job import JobOptions, JobState
from schemas.settings import Settings
from storage import attempts, duties, leases, reviews, workers
from storage.attempts import Settlement
from storage.leases import Claim
from storage.reviews import ClaimedReview
from tasks import find_task
from tests.house import LABELS, RecordingPublisher, submit_texts
from tests.integration.state_ends import CALL, ENDS, LONG, OUTPUT, REPLY, TEXT
from tests.integration.state_model import Duty, Job
from tests.integration.state_world import PAST, World, check_laws

SLOTS = {UUID(int=slots): slots for slots in (1, 2, 8)}
PROCESSES = list(SLOTS)
"""Each may work, dispatch and sweep."""
TAKES_ALL = 1000


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


class Deeds:
    """Deeds, each compared with the model and held to the laws.

    Attributes:
        model: what must be true of each job.
        claims, turns: all that were ever taken; whoever held one may try anything at any later time.
        sound: no deed has failed.
    """

    def __init__(self, world: World, settings: Settings) -> None:
        self.world, self.database, self.settings = world, world.database, settings
        self.model: dict[UUID, Job] = {}
        self.keys: dict[tuple[str, str | None], tuple[UUID, str]] = {}
        self.claims: list[Claim] = []
        self.turns: list[ClaimedReview] = []
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
                assert was == now, f"a deed that must not have any effect: {was} became {now}"
        self.sound = True

    def _compare(self, job_id: UUID, job: Job) -> None:
        row, stored = self.seen.jobs[job_id], self.seen.reviews.get(job_id)
        found = {name: row[name] for name in job.as_stored()}
        assert found == job.as_stored(), f"{found}, must be {job.as_stored()}"
        calls = {
            number: (row["fence"], row["outcome"]) for (of, number), row in self.seen.attempts.items() if of == job_id
        }
        must = {number: (attempt.fence, attempt.outcome) for number, attempt in job.attempts.items()}
        assert calls == must, f"attempts {calls}, must be {must}"
        said = None if stored is None else (stored["fence"], stored["reviewer"], stored["decision"])
        turn = None if job.review is None else (job.review.fence, job.review.reviewer, job.review.decision)
        assert said == turn, f"review {said}, must be {turn}"

    # Producers

    def submit_batch(self, tenant: str, count: int) -> None:
        """Some jobs together."""
        with self.step():
            batch = submit_texts(self.database, tenant, [TEXT] * count)
            ids = self.world.ids("SELECT id FROM jobs WHERE batch_id IS NOT NULL ORDER BY line")
            self.model.update((job_id, Job(tenant, batch)) for job_id in ids)

    def submit(self, tenant: str, key: str | None, text: str, options: JobOptions) -> None:
        """The same key and body is the same job; another body under it is refused."""
        body, there = f"{text} {options}", self.keys.get((tenant, key))
        with self.step():
            try:
                made = submit.submit_one(
                    self.database, tenant, "classify", {"text": text, "labels": LABELS}, options, idempotency_key=key
                )
            except KeyConflict:
                assert there is not None
                assert there[1] != body
                return
            assert made.job_id is not None
            assert there in {None, (made.job_id, body)}
            assert made.repeated == (there is not None)
            if there is None:
                self.model[made.job_id] = Job(tenant, has_deadline=options.deadline is not None)
            if key is not None:
                self.keys[tenant, key] = (made.job_id, body)

    def submit_native(self, tenant: str, deliveries: int) -> None:
        """A Celery message brings a job of its own."""
        job_id, task, request = uuid4(), find_task("classify"), {"text": TEXT, "labels": LABELS}
        with self.step():
            for _ in range(deliveries):
                submit.submit_native(self.database, tenant, task, job_id, request, JobOptions())
            self.model[job_id] = Job(tenant, state=JobState.PUBLISHED)

    def cancel(self, job_id: UUID, *, whole_batch: bool) -> None:
        """A job, or its batch."""
        job = self.model[job_id]
        which = job.batch if whole_batch and job.batch is not None else job_id
        with self.step():
            done = cancel(self.database, job.tenant, which).jobs
            of_which = [other for other in self.model if which in {other, self.model[other].batch}]
            assert set(done) == {other for other in of_which if self.model[other].cancel()}

    def retry(self, batch: UUID) -> None:
        """The failed jobs of a batch."""
        of_batch = {job_id: job for job_id, job in self.model.items() if job.batch == batch}
        with self.step():
            done = retry_failed(self.database, next(iter(of_batch.values())).tenant, batch)
            assert set(done) == {job_id for job_id, job in of_batch.items() if job.retry()}

    # Workers

    def claim(self, job_id: UUID, process: UUID, *, opens: bool) -> Claim | None:
        """A message comes: the first, a duplicate, or one that was taken for lost."""
        job = self.model[job_id]
        with self.step(), self.database.tenant(job.tenant) as connection:
            claimed = leases.claim(connection, job_id, process, LONG)
            if claimed is not None and opens:
                attempts.open_first(connection, claimed, claimed.attempts + 1, CALL, "test")
            assert (claimed is not None) == job.claim(), f"claimed {claimed}"
            self._take(claimed, job)
            assert claimed is None or not opens or job.open_attempt(claimed.fence, claimed.attempts + 1)
        return claimed

    def adopt(self, held: Claim) -> None:
        """A suspect's own process goes on under the claim of another."""
        job = self.model[held.job_id]
        with self.step("lease_until"), self.database.tenant(job.tenant) as connection:
            claimed = leases.adopt(connection, held.job_id, held.fence, LONG)
            assert (claimed is not None) == job.renew(held.fence), f"adopted {claimed}"
            self._take(claimed, job)

    def _take(self, claimed: Claim | None, job: Job) -> None:
        if claimed is not None:
            said = (claimed.fence, claimed.tries, claimed.waits, claimed.losses, claimed.rings, claimed.attempts)
            assert said == (job.fence, job.tries, job.waits, job.losses, job.rings, job.last_number)
            assert claimed.overdue == job.overdue
            self.claims.append(claimed)

    def conclude(self, held: Claim, how: str, settled: AttemptOutcome | None) -> None:
        """A run comes to its end, in time or long after; what it called last is settled along with it, or left open."""
        job, end = self.model[held.job_id], ENDS[how]
        with self.step(), self.database.tenant(job.tenant) as connection:
            done = end.write(connection, held)
            if settled is not None:
                attempts.settle(connection, held, Settlement(job.last_number, settled, REPLY))
            assert done == end.must(job, held.fence), f"{how}: took effect that must not, or none that must"
            if settled is not None:
                job.settle(held.fence, job.last_number, settled.value)

    def open_attempt(self, held: Claim, number: int) -> None:
        """A further call is recorded, perhaps a second time."""
        job = self.model[held.job_id]
        with self.step(), self.database.tenant(job.tenant) as connection:
            opened = attempts.open_next(connection, held, number, CALL, "test")
            assert opened == job.open_attempt(held.fence, number), f"opened {opened}"

    def settle(self, held: Claim, number: int, outcome: AttemptOutcome) -> None:
        """A reply is booked, in time or late."""
        job = self.model[held.job_id]
        with self.step(), self.database.tenant(job.tenant) as connection:
            attempts.settle(connection, held, Settlement(number, outcome, REPLY))
            job.settle(held.fence, number, outcome.value)

    def renew(self, held: Sequence[Claim]) -> None:
        """A process renews what it believes to hold."""
        believed = {claimed.job_id: claimed.fence for claimed in held}
        with self.step("lease_until"), self.database.system() as connection:
            kept = leases.renew(connection, believed, LONG)
            assert kept == {job_id for job_id, fence in believed.items() if self.model[job_id].renew(fence)}

    def stop(self, held: Sequence[Claim], received: Sequence[UUID]) -> None:
        """A process stops: what it believes to hold, and what it received, goes back."""
        believed = {claimed.job_id: claimed.fence for claimed in held}
        with self.step(), self.database.system() as connection:
            given, _ = leases.give_back(connection, believed, "test")
            unstarted = leases.return_unstarted(connection, received)
            assert set(given) == {job_id for job_id, fence in believed.items() if self.model[job_id].lose_holder(fence)}
            assert set(unstarted) == {job_id for job_id in received if self.model[job_id].return_unstarted()}

    def report(self, process: UUID, *, full: bool) -> None:
        """A heartbeat tells of free slots."""
        slots = SLOTS[process]
        with self.step():
            with self.database.system() as connection:
                workers.seen(connection, process, "test", slots=slots, busy=slots * full, claims=0)
            self.world.change("UPDATE workers SET seen_at = now() + interval '1 day'")
            self.full[process] = full

    # Dispatchers and sweepers

    def dispatch(self, process: UUID, takes: int) -> list[UUID]:
        """A round, with a broker that takes so many messages."""
        broker = Broker(takes)
        with self.step("run_at", "published_at"):
            published = Dispatcher(self.database, broker, process, duty_seconds=LONG).round()
            ids = [job_id for _, _, of_message in broker.messages for job_id in of_message]
            has_duty = self.duty[duties.DISPATCH].take(process)
            assert (published is not None) == has_duty
            assert (published or 0) == len(ids) == len(set(ids))
            for task, tenant, of_message in broker.messages:
                assert {(task, tenant)} == {("classify", self.model[job_id].tenant) for job_id in of_message}
            room = self._room() if has_duty else 0
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

    def sweep(self, process: UUID) -> None:
        """A turn, with grace for live workers after a time in which nobody swept."""
        with self.step():
            swept = sweep(self.database, self.settings, process)
            if not self.duty[duties.SWEEP].take(process):
                assert swept is None
                return
            self.unsteady, self.gap = self.unsteady or self.gap, False
            jobs, slot_is_free = list(self.model.values()), not all(self.full.values())
            rung, open_calls = (
                sum(slot_is_free and job.ring_again() for job in jobs),
                sum(job.open_calls for job in jobs),
            )
            recovered = 0 if self.unsteady else sum(job.recover() for job in jobs)
            if not self.unsteady:
                for job in jobs:
                    job.settle_orphans()
            must = (rung, recovered, open_calls - sum(job.open_calls for job in jobs))
            assert swept is not None
            found = (swept.republished, swept.recovered, len(swept.lost_calls))
            assert found == must, f"swept {found}, must be {must}"

    def lay_down(self, process: UUID) -> None:
        """A stopping process gives its duties up."""
        with self.step(), self.database.system() as connection:
            duties.lay_down(connection, process)
            for duty in self.duty.values():
                duty.holder = None if duty.holder == process else duty.holder

    # People

    def take_review(self, reviewer: str, tenant: str, job_id: UUID | None) -> ClaimedReview | None:
        """This one, or the next of its tenant."""
        of_tenant = {other: job.review for other, job in self.model.items() if job.tenant == tenant and job.review}
        free = {other for other, waiting in of_tenant.items() if waiting.free_for(reviewer) and job_id in {None, other}}
        with self.step():
            item = review.claim(self.database, tenant, reviewer, LONG, job_id=job_id)
            assert (item is None) == (not free), f"took {item} of {free}"
            if item is None:
                return None
            assert item.claimed.job_id in free
            of_tenant[item.claimed.job_id].take(reviewer)
            assert item.claimed.fence == of_tenant[item.claimed.job_id].fence
            self.turns.append(item.claimed)
        return item.claimed

    def decide(self, turn: ClaimedReview, by: str, decision: Decision, *, hasty: bool) -> None:
        """Under a claim that holds or not; hasty: straight to the statement, which must refuse too."""
        job = self.model[turn.job_id]
        assert job.review is not None
        empty = decision is Decision.ACCEPT and not job.review.suggested and not hasty
        with self.step():
            done = (self._write_decision if hasty else self._try_to_decide)(turn, by, decision)
            assert done == (not empty and job.decide(by, turn.fence, decision.value)), f"{decision}, hasty: {hasty}"

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

    def age(self, job_id: UUID, what: str) -> None:
        """For one thing of one job the time has come (``state_world.AGEING``)."""
        with self.step():
            self.world.age(what, job_id)
            self.model[job_id].age(what)

    def overtake(self, what: str) -> None:
        """The holder of a duty is frozen or dead; nobody sweeps for a while; or turns have been steady for long enough."""
        match what:
            case "outage":
                self.world.change(f"UPDATE duties SET turn_at = {PAST} WHERE name = 'sweep'")
                self.gap = True
            case "steady":
                self.world.change(f"UPDATE duties SET resumed_at = {PAST} WHERE name = 'sweep'")
                self.unsteady = False
            case duty:
                self.world.change(f"UPDATE duties SET held_until = {PAST} WHERE name = '{duty}' AND holder IS NOT NULL")
                self.duty[duty].over = True
