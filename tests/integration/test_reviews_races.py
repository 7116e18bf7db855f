"""Two people, or a person and the sweep or the producer, at the same review at the same moment. One stands still in the middle
of its transaction until the other is through or waits for it, after each of its statements and with the parts exchanged."""

from collections.abc import Callable
from itertools import count
from uuid import UUID

import pytest

from jobs import cancel, review, review_bulk, review_upkeep, second_review
from jobs.review import ClaimLost, Decision
from schemas.review import Verdict
from storage.database import Database
from tests.house import House, eventually
from tests.integration.review_scenes import GOOD, answered, in_review
from tests.integration.test_state_races import Deed, Making, Scene, two_of

pytestmark = pytest.mark.usefixtures("clean")

LONG = 600.0


def waits(house: House, database: Database, tenant: str) -> Scene:
    """A review that nobody holds."""
    return Scene(house, tenant, in_review(database, tenant))


def held(house: House, database: Database, tenant: str) -> Scene:
    """A review that ann holds."""
    scene = waits(house, database, tenant)
    assert review.claim(database, tenant, "ann", LONG) is not None
    return scene


def set_down(house: House, database: Database, tenant: str) -> Scene:
    """A review that ann has decided; there is plenty of time to take it back."""
    scene = held(house, database, tenant)
    review.decide(database, tenant, scene.job_id, "ann", Decision.ACCEPT, grace_seconds=LONG)
    return scene


def over(house: House, database: Database, tenant: str) -> Scene:
    """The same, and the time is over."""
    scene = set_down(house, database, tenant)
    house.run("UPDATE reviews SET effective_at = now() - interval '1 second'")
    return scene


def nearly_over(house: House, database: Database, tenant: str) -> Scene:
    """The same, and the time ends while who begins now is at it."""
    scene = set_down(house, database, tenant)
    house.run("UPDATE reviews SET effective_at = clock_timestamp() + interval '300 ms'")
    return scene


def drawn(house: House, database: Database, tenant: str) -> Scene:
    """An answer that is looked at a second time; ann holds it."""
    job_id = answered(database, tenant)
    house.run(f"INSERT INTO second_reviews (job_id, tenant_id, task) VALUES ('{job_id}', '{tenant}', 'classify')")
    assert second_review.claim(database, [tenant], "ann", LONG) is not None
    return Scene(house, tenant, job_id)


def to_judge(house: House, database: Database, tenant: str) -> Scene:
    """One on which the second opinion differs, and bob is to judge."""
    scene = drawn(house, database, tenant)
    second_review.decide(database, tenant, scene.job_id, "ann", Decision.REJECT)
    assert second_review.claim(database, [tenant], "bob", LONG) is not None
    return scene


def takes(scene: Scene, database: Database) -> bool:
    """Ann, who asks for the next."""
    return review.claim(database, scene.tenant, "ann", LONG) is not None


def accepts_all(scene: Scene, database: Database) -> bool:
    """Bob, who accepts the whole cluster."""
    cluster = scene.house.query("SELECT cluster FROM reviews")[0][0]
    done = review_bulk.accept_cluster(
        database, scene.tenant, "bob", task="classify", reason="refused", cluster=cluster
    )  # fmt: skip
    return bool(done.accepted)


def decides_slowly(scene: Scene, database: Database) -> bool:
    """Ann, at the desk."""
    return _unless_lost(lambda: review.decide(
        database, scene.tenant, scene.job_id, "ann", Decision.EDIT, output=GOOD, grace_seconds=LONG
    ))  # fmt: skip


def decides_at_once(scene: Scene, database: Database) -> bool:
    """Ann, from a terminal."""
    return _unless_lost(lambda: review.decide(database, scene.tenant, scene.job_id, "ann", Decision.ACCEPT))


def releases(scene: Scene, database: Database) -> bool:
    """Ann, in another window."""
    return _unless_lost(lambda: review.release(database, scene.tenant, scene.job_id, "ann"))


def undoes(scene: Scene, database: Database) -> bool:
    """Ann, who thinks better of it."""
    return _unless_lost(lambda: review.undo(database, scene.tenant, scene.job_id, "ann", LONG))


def settles(scene: Scene, database: Database) -> bool:
    """A sweep, as soon as the time is over."""
    due = "SELECT effective_at < clock_timestamp() OR effective_at IS NULL FROM reviews"
    eventually(lambda: scene.house.query(due) == [(True,)], "the time is over")
    return review_upkeep.settle_decisions(database) == 1


def cancels(scene: Scene, database: Database) -> bool:
    """The producer."""
    return bool(cancel.cancel(database, scene.tenant, scene.job_id).jobs)


def gives_opinion(scene: Scene, database: Database) -> bool:
    """Ann, with her own answer."""
    return _unless_lost(lambda: second_review.decide(
        database, scene.tenant, scene.job_id, "ann", Decision.EDIT, output=GOOD
    ))  # fmt: skip


def judges(scene: Scene, database: Database) -> bool:
    """Bob."""
    return _unless_lost(lambda: second_review.judge(database, scene.tenant, scene.job_id, "bob", Verdict.MODEL))


ONE_WINS: list[tuple[Making, Deed, Deed]] = [
    (waits, takes, accepts_all),
    (held, decides_slowly, decides_slowly),
    (held, decides_slowly, decides_at_once),
    (held, decides_slowly, releases),
    (set_down, undoes, undoes),
    (over, settles, settles),
    (over, settles, cancels),
    (nearly_over, undoes, settles),
    (drawn, gives_opinion, gives_opinion),
    (to_judge, judges, judges),
]


@pytest.mark.parametrize(("make", "one", "other"), ONE_WINS)
def test_one_of_two_wins(house: House, database: Database, tenant: str, make: Making, one: Deed, other: Deed) -> None:
    """Exactly one has its effect, no deadlock surfaces, and there is at most one answer, of a job that is answered."""
    for first, second in dict.fromkeys(((one, other), (other, one))):
        for statements in count(2):
            house.forget_jobs()
            scene = make(house, database, tenant)
            with two_of(house) as two:
                won_first, won_second, halted = two.meet(scene, first, second, statements)
            assert won_first != won_second, f"{won_first}, {won_second}: halted after {statements} statements"
            assert _answers_fit(house, scene.job_id)
            if not halted:
                break


@pytest.mark.parametrize(("make", "other"), [(held, decides_slowly), (set_down, undoes), (waits, accepts_all)])
def test_a_cancellation_comes_through(house: House, database: Database, tenant: str, make: Making, other: Deed) -> None:
    """Whatever is done at the desk at that moment: nothing had taken effect, so the job is cancelled, and stays it."""
    for first, second in ((cancels, other), (other, cancels)):
        for statements in count(2):
            house.forget_jobs()
            with two_of(house) as two:
                *_, halted = two.meet(make(house, database, tenant), first, second, statements)
            house.run("UPDATE reviews SET effective_at = now() - interval '1 second' WHERE effective_at IS NOT NULL")
            assert review_upkeep.settle_decisions(database) == 0
            assert house.query("SELECT jobs.state, decision FROM jobs, reviews") == [("cancelled", "withdrawn")]
            assert house.query("SELECT count(*) FROM answers") == [(0,)]
            if not halted:
                break


def _unless_lost(deed: Callable[[], object]) -> bool:
    try:
        deed()
    except ClaimLost:
        return False
    return True


def _answers_fit(house: House, job_id: UUID) -> bool:
    ((state, answers),) = house.query(
        "SELECT state, (SELECT count(*) FROM answers WHERE job_id = jobs.id) FROM jobs WHERE id = %s", job_id
    )
    return bool(answers == (state == "answered"))
