"""Two write to the same job at the same moment: one wins, the other learns that it has lost, and neither meets a deadlock.

One stands still after its first statement, its rows locked, until the other is through or waits for it; then after its second
one, and so on, and with the parts exchanged: no luck involved. Batches meet as often as a test can afford.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import event

from jobs import cancel, review, submit
from jobs.conclude import conclude
from jobs.hold import HeldLeases
from jobs.ledger import JobLedger
from jobs.reconcile import SUSPECT_LOSSES
from jobs.review import Decision, DecisionRefused
from jobs.workplace import Workplace
from orchestration.abort import Abort
from schemas.answer import Answer, AnsweredBy
from schemas.attempt import AttemptOutcome
from schemas.failure import Failure, FailureReason
from schemas.ids import new_id
from schemas.job import JobOptions
from storage import attempts, leases, queue
from storage.database import Database
from storage.leases import Claim
from tests.house import LABELS, PATIENCE_SECONDS, TESTER, House, eventually, settings_of, submit_text, submit_texts
from tests.integration.state_ends import CALL, LONG, OUTPUT, REPLY, TEXT, WHY

pytestmark = pytest.mark.usefixtures("clean")

BATCH, ROUNDS = 60, 5


@dataclass(frozen=True)
class Scene:
    """One job, brought to where two meet."""

    house: House
    tenant: str
    job_id: UUID
    claim: Claim | None = None


Making = Callable[[House, Database, str], Scene]
Deed = Callable[[Scene, Database], bool]
"""Does something to the job of a scene; whether it had its effect."""


class Halting(Database):
    """Stands still after so many statements, with its transaction open, until it is told to go on."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.halt_after(0)
        event.listen(self.engine, "after_cursor_execute", self._executed)

    def halt_after(self, statements: int) -> None:
        """The next time, and once."""
        self.halted, self.reached, self.go_on = False, threading.Event(), threading.Event()
        self._left = statements

    def _executed(self, *_: object) -> None:
        self._left -= 1
        if self._left == 0:
            self.halted = True
            self.reached.set()
            assert self.go_on.wait(PATIENCE_SECONDS)


@dataclass(frozen=True)
class Two:
    """Two processes, each with its connections."""

    one: Halting
    other: Database

    def meet(self, scene: Scene, first: Deed, second: Deed, statements: int) -> tuple[bool, bool, bool]:
        """The first halts after so many statements until the second is through or waits for it.

        Returns:
            Whether the first and the second had their effect, and whether the first halted at all.
        """
        self.one.halt_after(statements)

        def do_first() -> bool:
            try:
                return first(scene, self.one)
            finally:
                self.one.reached.set()

        with ThreadPoolExecutor(2) as pool:
            done_first = pool.submit(do_first)
            try:
                assert self.one.reached.wait(PATIENCE_SECONDS)
                done_second = pool.submit(second, scene, self.other)
                eventually(lambda: is_through(done_second) or somebody_waits(scene.house), "it is through, or waits")
            finally:
                self.one.go_on.set()
            return done_first.result(), done_second.result(), self.one.halted


@contextmanager
def two_of(house: House) -> Iterator[Two]:
    """Two who meet."""
    with closing(Halting(house.app_url)) as one, closing(Database(house.app_url)) as other:
        yield Two(one, other)


@pytest.fixture
def two(house: House) -> Iterator[Two]:
    """Two who meet."""
    with two_of(house) as both:
        yield both


def is_through(deed: "Future[bool]") -> bool:
    """It has ended, or does within a moment."""
    return bool(wait([deed], timeout=0.05).done)


def somebody_waits(house: House) -> bool:
    """A transaction waits for a lock of another."""
    return bool(
        house.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'assay'")
    )


def running(house: House, database: Database, tenant: str, *, expired: bool = False) -> Scene:
    """A job that a worker runs, with an open call."""
    job_id = submit_text(database, tenant, TEXT)
    with database.tenant(tenant) as connection:
        claimed = leases.claim(connection, job_id, new_id(), LONG)
        assert claimed is not None
        attempts.open_first(connection, claimed, 1, CALL, "test")
    if expired:
        house.run("UPDATE jobs SET lease_until = now() - interval '1 minute'")
    return Scene(house, tenant, job_id, claimed)


def expired(house: House, database: Database, tenant: str) -> Scene:
    """The same, and its lease has run out."""
    return running(house, database, tenant, expired=True)


def waiting(house: House, database: Database, tenant: str) -> Scene:
    """A job that is due."""
    return Scene(house, tenant, submit_text(database, tenant, TEXT))


def in_review(house: House, database: Database, tenant: str) -> Scene:
    """A job whose review eve has claimed."""
    scene = running(house, database, tenant)
    assert scene.claim is not None
    with database.tenant(tenant) as connection:
        assert leases.conclude_in_review(connection, scene.claim, WHY, OUTPUT)
    assert review.claim(database, tenant, "eve", LONG) is not None
    return scene


def concludes(scene: Scene, database: Database, result: Answer | Failure) -> None:
    """A worker's run comes to its end, written as workers write it."""
    assert scene.claim is not None
    none = cast(Any, None)  # no call is made here, so no provider is asked and no place reserved
    place = Workplace(database, none, settings_of(scene.house), HeldLeases(), TESTER, "test", none)
    ledger = JobLedger(place, scene.claim, Abort(), None, time.monotonic() + LONG)
    ledger.number = 1
    ledger.settle(1, AttemptOutcome.ACCEPTED if isinstance(result, Answer) else AttemptOutcome.REJECTED, reply=REPLY)
    conclude(place, scene.claim, result, ledger)


def answers(scene: Scene, database: Database) -> bool:
    """A worker, with the model's answer."""
    concludes(scene, database, Answer(answered_by=AnsweredBy.MODEL, output=OUTPUT))
    return scene.house.query("SELECT count(*) FROM answers") == [(1,)]


def hands_to_person(scene: Scene, database: Database) -> bool:
    """A worker, with a document of the wrong kind."""
    concludes(scene, database, Failure(reason=FailureReason.NOT_APPLICABLE, detail="Not this kind of document."))
    return scene.house.query("SELECT count(*) FROM events WHERE kind = 'sent_to_review'") == [(1,)]


def puts_back(scene: Scene, database: Database) -> bool:
    """A worker whose provider is busy."""
    concludes(scene, database, WHY)
    return scene.house.query("SELECT count(*) FROM events WHERE kind = 'waiting'") == [(1,)]


def submits(scene: Scene, database: Database) -> bool:
    """A producer, under the same key each time."""
    request = {"text": TEXT, "labels": LABELS}
    made = submit.submit_one(database, scene.tenant, "classify", request, JobOptions(), idempotency_key="one")
    return not made.repeated


def cancels(scene: Scene, database: Database) -> bool:
    """The producer."""
    return bool(cancel.cancel(database, scene.tenant, scene.job_id).jobs)


def sweeps(scene: Scene, database: Database) -> bool:
    """A sweeper, perhaps one that was frozen and has been replaced."""
    with database.system() as connection:
        recovered, _ = queue.recover(connection, suspect=SUSPECT_LOSSES)
        queue.settle_orphans(connection, orphan_seconds=0)
    return recovered == 1


def gives_back(scene: Scene, database: Database) -> bool:
    """The worker, which stops."""
    assert scene.claim is not None
    with database.system() as connection:
        given, _ = leases.give_back(connection, {scene.job_id: scene.claim.fence}, "test")
    return bool(given)


def renews(scene: Scene, database: Database) -> bool:
    """The worker's heartbeat."""
    assert scene.claim is not None
    with database.system() as connection:
        return bool(leases.renew(connection, {scene.job_id: scene.claim.fence}, LONG))


def its_process_ended(scene: Scene, database: Database) -> bool:
    """A suspect's own process."""
    assert scene.claim is not None
    with database.tenant(scene.tenant) as connection:
        return leases.ended_alone(connection, scene.claim, "played", killed=True, actor="test")


def claims(scene: Scene, database: Database) -> bool:
    """A worker to which the message came."""
    with database.tenant(scene.tenant) as connection:
        return leases.claim(connection, scene.job_id, new_id(), LONG) is not None


def publishes(scene: Scene, database: Database) -> bool:
    """A dispatcher."""
    with database.system() as connection:
        return bool(queue.take(connection, [scene.job_id]))


def decides(scene: Scene, database: Database) -> bool:
    """Eve, perhaps in two windows."""
    try:
        review.decide(database, scene.tenant, scene.job_id, "eve", Decision.ACCEPT)
    except DecisionRefused:
        return False
    return True


ONE_WINS: list[tuple[Making, Deed, Deed]] = [
    (running, answers, cancels),
    (running, answers, gives_back),
    (running, hands_to_person, gives_back),
    (running, puts_back, gives_back),
    (running, hands_to_person, its_process_ended),
    (running, cancels, cancels),
    (expired, answers, sweeps),
    (expired, hands_to_person, sweeps),
    (expired, puts_back, sweeps),
    (expired, renews, sweeps),
    (expired, sweeps, sweeps),
    (waiting, claims, claims),
    (waiting, publishes, publishes),
    (in_review, decides, cancels),
    (in_review, decides, decides),
]
CANCELLED: list[tuple[Making, Deed]] = [
    (waiting, claims), (waiting, publishes), (running, hands_to_person), (running, puts_back), (running, gives_back),
    (running, its_process_ended),
    (expired, renews), (expired, sweeps),
]  # fmt: skip


@pytest.mark.parametrize(("make", "one", "other"), ONE_WINS)
def test_one_of_two_wins(
    house: House, database: Database, tenant: str, two: Two, make: Making, one: Deed, other: Deed
) -> None:
    """Wherever the one stands still when the other comes, exactly one of them has its effect, and no deadlock surfaces."""
    for first, second in ((one, other), (other, one)):
        for statements in count(2):
            house.forget_jobs()
            won_first, won_second, halted = two.meet(make(house, database, tenant), first, second, statements)
            assert (won_first, won_second) in {(True, False), (False, True)}, f"halted after {statements} statements"
            if not halted:
                break


@pytest.mark.parametrize(("make", "other"), CANCELLED)
def test_a_cancellation_comes_through(
    house: House, database: Database, tenant: str, two: Two, make: Making, other: Deed
) -> None:
    """Whatever else is being done to a job that is not over: it is cancelled in the end, and its lease is gone."""
    for first, second in ((cancels, other), (other, cancels)):
        for statements in count(2):
            house.forget_jobs()
            *_, halted = two.meet(make(house, database, tenant), first, second, statements)
            assert house.query("SELECT state, lease_until FROM jobs") == [("cancelled", None)]
            if not halted:
                break


def test_one_key_is_one_job_for_two_at_a_time(house: House, database: Database, tenant: str, two: Two) -> None:
    """Two submissions under one key at the same moment: one makes the job, the other finds it."""
    for statements in count(2):
        house.forget_jobs()
        made_first, made_second, halted = two.meet(Scene(house, tenant, new_id()), submits, submits, statements)
        assert (made_first, made_second) in {(True, False), (False, True)}
        assert house.query("SELECT count(*) FROM jobs") == [(1,)]
        if not halted:
            break


def test_batches_meet_without_a_deadlock(house: House, database: Database, tenant: str) -> None:
    """Heartbeats, a sweep, a stopping worker and a producer that cancels, each with a whole batch and in an order of its own,
    all at once: no statement fails."""
    for _ in range(ROUNDS):
        house.forget_jobs()
        batch, held = batch_of_running(house, database, tenant)
        start = threading.Barrier(4)

        def renewing(start: threading.Barrier = start, held: dict[UUID, int] = held) -> None:
            start.wait()
            for _ in range(3):
                with database.system() as connection:
                    leases.renew(connection, shuffled(held), LONG)

        def sweeping(start: threading.Barrier = start) -> None:
            start.wait()
            for _ in range(3):
                with database.system() as connection:
                    queue.recover(connection, suspect=SUSPECT_LOSSES)

        def stopping(start: threading.Barrier = start, held: dict[UUID, int] = held) -> None:
            start.wait()
            with database.system() as connection:
                leases.give_back(connection, shuffled(held), "test")

        def cancelling(start: threading.Barrier = start, batch: UUID = batch) -> None:
            start.wait()
            cancel.cancel(database, tenant, batch)

        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(deed) for deed in (renewing, sweeping, stopping, cancelling)]:
                done.result()
        assert house.query("SELECT DISTINCT state FROM jobs") == [("cancelled",)]


def batch_of_running(house: House, database: Database, tenant: str) -> tuple[UUID, dict[UUID, int]]:
    """Jobs of one batch that run, the leases of every other one run out; ids and fences."""
    batch = submit_texts(database, tenant, [TEXT] * BATCH)
    with database.tenant(tenant) as connection:
        ids = [job_id for (job_id,) in house.query("SELECT id FROM jobs ORDER BY line")]
        taken = [leases.claim(connection, job_id, TESTER, LONG) for job_id in ids]
    house.run("UPDATE jobs SET lease_until = now() - interval '1 minute' WHERE line % 2 = 0")
    return batch, {claimed.job_id: claimed.fence for claimed in taken if claimed is not None}


def shuffled(held: dict[UUID, int]) -> dict[UUID, int]:
    """The same, in another order."""
    return dict(random.sample(list(held.items()), len(held)))
