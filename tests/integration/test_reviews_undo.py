"""A decision at the desk can be taken back for a while; only then has it any effect. Against the real database."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from jobs import review, review_queue, review_upkeep, show
from jobs.cancel import NotFound, cancel
from jobs.reconcile import sweep
from jobs.review import ClaimLost, Decision
from storage.database import Database
from tests.house import TESTER, House, settings_of
from tests.integration.review_scenes import GOOD, SUGGESTED, claimed_job, in_review, kinds

pytestmark = pytest.mark.usefixtures("clean")

MINUTE_OVER = "UPDATE reviews SET effective_at = now() - interval '1 second' WHERE effective_at IS NOT NULL"


def set_down(
    database: Database, tenant: str, decision: Decision = Decision.ACCEPT, output: dict[str, object] | None = None
) -> UUID:
    """A review on which ann has just decided at the desk."""
    job_id = in_review(database, tenant)
    assert review.claim(database, tenant, "ann", 60, job_id=job_id) is not None
    review.decide(database, tenant, job_id, "ann", decision, output=output, note="sure", grace_seconds=60)
    return job_id


def test_nobody_outside_sees_a_decision_before_it_takes_effect(house: House, database: Database, tenant: str) -> None:
    """During its minute the job is in review without an answer, and the desk neither lists nor gives it to anybody."""
    job_id = set_down(database, tenant)
    view = show.show(database, tenant, job_id)
    assert (view.state, view.answer) == ("in_review", None)
    assert review_queue.queue(database, [tenant]).lines == []
    assert review_queue.claim_next(database, [tenant], "bob", 60) is None
    assert review.claim(database, tenant, "ann", 60, job_id=job_id) is None
    assert review_upkeep.settle_decisions(database) == 0
    (pending,) = review_queue.pending(database, [tenant], "ann")
    assert (pending.job_id, pending.decision) == (job_id, Decision.ACCEPT)
    assert 0 < pending.seconds_left <= 60
    assert review_queue.pending(database, [tenant], "bob") == []


@pytest.mark.parametrize(
    ("decision", "state", "by"), [(Decision.ACCEPT, "answered", "person"), (Decision.REJECT, "failed", None)]
)
def test_the_sweep_lets_it_take_effect(
    house: House, database: Database, tenant: str, decision: Decision, state: str, by: str | None
) -> None:
    """When its minute is over, the sweep ends the job with it: once, in the name of who decided, at the time they did."""
    job_id = set_down(database, tenant, decision)
    ((decided_at,),) = house.query("SELECT pending_at FROM reviews")
    house.run(MINUTE_OVER)
    for _ in range(2):
        sweep(database, settings_of(house), TESTER)
    view = show.show(database, tenant, job_id)
    assert (view.state, view.answered_by, view.answer) == (state, by, SUGGESTED if by else None)
    assert house.query("SELECT decision, decided_by, decided_at, note, pending_output, lease_until FROM reviews") == [
        (decision.value, "ann", decided_at, "sure", None, None)
    ]
    assert house.query("SELECT count(*) FROM answers") == [(1 if by else 0,)]
    assert kinds(house, job_id) == [("review_claimed", "ann"), ("decided", "ann"), ("took_effect", "ann")]


def test_a_look_at_the_queue_lets_it_take_effect(house: House, database: Database, tenant: str) -> None:
    """Where no worker runs, the desk itself does it."""
    job_id = set_down(database, tenant)
    house.run(MINUTE_OVER)
    review_queue.queue(database, [tenant])
    assert show.show(database, tenant, job_id).state == "answered"


def test_it_can_be_taken_back_and_decided_otherwise(house: House, database: Database, tenant: str) -> None:
    """Who decided holds the review again, and only the later decision counts. The audit has both and the undo."""
    job_id = set_down(database, tenant)
    back = review.undo(database, tenant, job_id, "ann", 60)
    assert back.claimed.reviewer == "ann"
    review.decide(
        database, tenant, job_id, "ann", Decision.EDIT, output={**GOOD, "labels": ["other"]}, grace_seconds=60
    )
    house.run(MINUTE_OVER)
    assert review_upkeep.settle_decisions(database) == 1
    answer = show.show(database, tenant, job_id).answer
    assert answer is not None
    assert answer["labels"] == ["other"]
    assert [kind for kind, _ in kinds(house, job_id)] == [
        "review_claimed", "decided", "decision_undone", "decided", "took_effect",
    ]  # fmt: skip


def test_it_cannot_be_taken_back_by_others_or_later(house: House, database: Database, tenant: str) -> None:
    """Not by a colleague, not from another tenant, not when the minute is over, not when it has taken effect."""
    job_id = set_down(database, tenant)
    with pytest.raises(ClaimLost):
        review.undo(database, tenant, job_id, "bob", 60)
    with pytest.raises(NotFound):
        review.undo(database, "default", job_id, "ann", 60)
    house.run(MINUTE_OVER)
    with pytest.raises(ClaimLost):
        review.undo(database, tenant, job_id, "ann", 60)
    review_upkeep.settle_decisions(database)
    with pytest.raises(ClaimLost):
        review.undo(database, tenant, job_id, "ann", 60)
    assert show.show(database, tenant, job_id).state == "answered"


def test_it_is_not_decided_twice(house: House, database: Database, tenant: str) -> None:
    """Sending the form again is refused and says who decided what."""
    job_id = set_down(database, tenant)
    with pytest.raises(ClaimLost, match=r"decided already, by ann \(accept\)"):
        review.decide(database, tenant, job_id, "ann", Decision.REJECT, grace_seconds=60)


def test_a_cancellation_comes_before_it(house: House, database: Database, tenant: str) -> None:
    """A producer that cancels within the minute gets no answer any more."""
    job_id = set_down(database, tenant)
    cancel(database, tenant, job_id)
    house.run(MINUTE_OVER)
    assert review_upkeep.settle_decisions(database) == 0
    assert show.show(database, tenant, job_id).state == "cancelled"
    assert house.query("SELECT count(*) FROM answers") == [(0,)]
    with pytest.raises(ClaimLost):
        review.undo(database, tenant, job_id, "ann", 60)


def test_many_take_effect_once_whoever_sweeps(house: House, database: Database, tenant: str) -> None:
    """Several processes at a time end each job once, with its own answer."""
    jobs = [set_down(database, tenant) for _ in range(12)]
    house.run(MINUTE_OVER)
    with ThreadPoolExecutor(4) as pool:
        settled = list(pool.map(lambda _: review_upkeep.settle_decisions(database), range(4)))
    assert sum(settled) == len(jobs)
    assert house.query("SELECT count(*), count(DISTINCT job_id) FROM answers") == [(len(jobs), len(jobs))]
    assert house.query("SELECT count(*) FROM events WHERE kind = 'took_effect'") == [(len(jobs),)]


def test_a_desk_that_cannot_be_kept_stops_no_sweep(house: House, database: Database, tenant: str) -> None:
    """Jobs of dead workers are recovered all the same, and the decision waits for the next turn."""
    job_id = set_down(database, tenant)
    house.run(MINUTE_OVER)
    lost = claimed_job(database, tenant)
    house.run(f"UPDATE jobs SET lease_until = now() - interval '1 minute' WHERE id = '{lost.job_id}'")
    house.run("REVOKE SELECT (effective_at) ON reviews FROM assay_system")
    try:
        swept = sweep(database, settings_of(house), TESTER)
    finally:
        house.run("GRANT SELECT (effective_at) ON reviews TO assay_system")
    assert swept is not None
    assert swept.recovered == 1
    assert show.show(database, tenant, job_id).state == "in_review"
    sweep(database, settings_of(house), TESTER)
    assert show.show(database, tenant, job_id).state == "answered"
