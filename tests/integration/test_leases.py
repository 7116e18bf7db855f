"""Claims, fences and what a late twin can do: nothing. Against the real database, without workers."""

from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError

from jobs import cancel, show
from jobs.reconcile import sweep
from schemas.answer import AnsweredBy
from schemas.attempt import AttemptOutcome, Call, Purpose, Reply
from schemas.failure import Failure, FailureReason
from schemas.ids import new_id
from schemas.job import JobState
from schemas.tier import Tier
from schemas.usage import Usage
from storage import attempts, duties, leases, workers
from storage.attempts import Settlement
from storage.database import Database
from storage.leases import Claim
from tests.house import TESTER, House, publish_all, settings_of, submit_text

pytestmark = pytest.mark.usefixtures("clean")

CALL = Call(
    task="classify", purpose=Purpose.FIRST, prompt_version="v1", prompt_digest="d", tier=Tier.SMALL, model="m", system="s",
    messages=[{"role": "user", "content": "u"}], max_tokens=16, parameters={}, output_schema={},
)  # fmt: skip
REPLY = Reply(
    text="{}", stop_reason="end_turn", model="m", request_id="r", usage=Usage(input_tokens=5), raw={}, seconds=1
)
OUTPUT = {"outcome": "classification", "labels": ["other"], "evidence": "x", "confidence": None}


def claim(database: Database, tenant: str, *, lease: float = 30) -> Claim:
    """A fresh job, claimed, with its first attempt open."""
    job_id = submit_text(database, tenant, "a text")
    return claim_again(database, tenant, job_id, lease=lease)


def claim_again(database: Database, tenant: str, job_id: object, *, lease: float = 30) -> Claim:
    """Claim a waiting job and open an attempt."""
    with database.tenant(tenant) as connection:
        claimed = leases.claim(connection, job_id, new_id(), lease)  # type: ignore[arg-type]
        assert claimed is not None
        attempts.open_first(connection, claimed, claimed.attempts + 1, CALL, "test")
    return claimed


def answer(database: Database, claimed: Claim) -> bool:
    """Conclude with an answer."""
    with database.tenant(claimed.tenant_id) as connection:
        return leases.conclude_answered(connection, claimed, AnsweredBy.MODEL, OUTPUT, attempt=1, failure=None)


def outcomes(house: House, claimed: Claim) -> list[str]:
    """Outcomes of a job's attempts."""
    rows = house.query("SELECT outcome FROM attempts WHERE job_id = %s ORDER BY number", claimed.job_id)
    return [outcome for (outcome,) in rows]


def test_a_job_is_claimed_once(database: Database, tenant: str) -> None:
    """The second delivery of a message finds nothing to claim."""
    claimed = claim(database, tenant)
    with database.tenant(tenant) as connection:
        assert leases.claim(connection, claimed.job_id, new_id(), 30) is None


def test_a_claim_brings_the_input_along(database: Database, tenant: str) -> None:
    """One statement gives the worker all it needs, as the producer sent it."""
    claimed = claim(database, tenant)
    assert claimed.request["text"] == "a text"
    assert (claimed.fence, claimed.tries, claimed.attempts, claimed.overdue) == (1, 0, 0, False)


def test_a_late_twin_changes_nothing(house: House, database: Database, tenant: str) -> None:
    """After its lease ran out and another worker claimed the job, the first can neither answer, fail nor put it back."""
    late = claim(database, tenant, lease=0)
    sweep(database, settings_of(house), TESTER)
    current = claim_again(database, tenant, late.job_id)
    assert current.fence > late.fence
    failure = Failure(reason=FailureReason.TIMEOUT, detail="late")
    with database.tenant(tenant) as connection:
        assert not leases.conclude_failed(connection, late, failure)
        assert not leases.conclude_in_review(connection, late, failure, None)
        assert not leases.put_back(connection, late, failure, seconds=0, tries=1)
        assert not attempts.open_next(connection, late, 9, CALL, "late")
    assert not answer(database, late)
    assert show.show(database, tenant, late.job_id).state == JobState.RUNNING
    assert answer(database, current)
    assert house.query("SELECT count(*) FROM answers WHERE job_id = %s", late.job_id) == [(1,)]


def test_an_expired_lease_is_recovered_and_its_call_unknown(house: House, database: Database, tenant: str) -> None:
    """The sweep queues a dead worker's job, which uses none of its tries, and its open call becomes unknown, never guessed."""
    claimed = claim(database, tenant, lease=0)
    swept = sweep(database, settings_of(house), TESTER)
    assert swept is not None
    assert swept.recovered == 1
    assert outcomes(house, claimed) == ["unknown"]
    story = show.story(database, tenant, claimed.job_id)
    assert story.job["state"] == "queued"
    assert (story.job["tries"], story.job["losses"]) == (0, 1)
    assert [event["kind"] for event in story.events] == ["recovered"]
    assert "maybe billed" in story.attempts[0]["failure_detail"]


def test_a_live_lease_is_left_alone(house: House, database: Database, tenant: str) -> None:
    """The sweep touches no job whose lease holds."""
    claimed = claim(database, tenant)
    sweep(database, settings_of(house), TESTER)
    assert show.show(database, tenant, claimed.job_id).state == JobState.RUNNING
    assert outcomes(house, claimed) == ["open"]


def test_renewal_tells_what_is_lost(database: Database, tenant: str) -> None:
    """One statement renews all leases of a process; a cancelled job's is not among them."""
    kept, lost = claim(database, tenant), claim(database, tenant)
    cancel.cancel(database, tenant, lost.job_id)
    with database.system() as connection:
        held = {kept.job_id: kept.fence, lost.job_id: lost.fence}
        assert leases.renew(connection, held, 30) == {kept.job_id}


def test_a_cancelled_job_is_not_answered_but_its_call_is_booked(house: House, database: Database, tenant: str) -> None:
    """Cancelling wins over a reply that is under way; the tokens of that reply are recorded all the same."""
    claimed = claim(database, tenant)
    assert cancel.cancel(database, tenant, claimed.job_id).jobs == [claimed.job_id]
    assert not answer(database, claimed)
    with database.tenant(tenant) as connection:
        attempts.settle(connection, claimed, Settlement(1, AttemptOutcome.REJECTED, REPLY))
    assert house.query("SELECT outcome, input_tokens FROM attempts WHERE job_id = %s", claimed.job_id) == [
        ("rejected", 5)
    ]
    assert show.show(database, tenant, claimed.job_id).state == JobState.CANCELLED


def test_given_back_jobs_are_due_at_once(house: House, database: Database, tenant: str) -> None:
    """A stopping worker's jobs wait again without a used try, and their calls are unknown."""
    claimed = claim(database, tenant)
    with database.system() as connection:
        given_back, calls = leases.give_back(connection, {claimed.job_id: claimed.fence}, "test")
    assert given_back == [claimed.job_id]
    assert [(call.job_id, call.number, call.fence) for call in calls] == [(claimed.job_id, 1, claimed.fence)]
    assert outcomes(house, claimed) == ["unknown"]
    again = claim_again(database, tenant, claimed.job_id)
    assert (again.tries, again.attempts) == (0, 1)
    assert not answer(database, claimed)


def test_waiting_is_not_failing(database: Database, tenant: str) -> None:
    """A job put back waits until it is due, and only a failure uses a try."""
    claimed = claim(database, tenant)
    failure = Failure(reason=FailureReason.RATE_LIMITED, detail="slow down")
    with database.tenant(tenant) as connection:
        assert leases.put_back(connection, claimed, failure, seconds=3600, waits=1)
        assert leases.claim(connection, claimed.job_id, new_id(), 30) is None
    assert publish_all(database) == []
    with database.tenant(tenant) as connection:
        connection.exec_driver_sql("UPDATE jobs SET run_at = now() WHERE id = %s", (claimed.job_id,))
    again = claim_again(database, tenant, claimed.job_id)
    assert (again.tries, again.waits) == (0, 1)


def test_a_lost_message_is_rung_again(house: House, database: Database, tenant: str) -> None:
    """A job published but never claimed returns to the queue, and the next round publishes it again."""
    job_id = submit_text(database, tenant, "a text")
    assert publish_all(database) == [job_id]
    assert publish_all(database) == []
    house.run(f"UPDATE jobs SET published_at = now() - interval '1 hour' WHERE id = '{job_id}'")
    with database.system() as connection:
        workers.seen(connection, new_id(), "a worker with a free slot", slots=2, busy=1, claims=0)
    swept = sweep(database, settings_of(house), TESTER)
    assert swept is not None
    assert swept.republished == 1
    assert publish_all(database) == [job_id]


def test_a_dead_workers_call_on_a_cancelled_job_becomes_unknown(house: House, database: Database, tenant: str) -> None:
    """No open attempt is forgotten, even when the job was cancelled before its worker died."""
    claimed = claim(database, tenant)
    cancel.cancel(database, tenant, claimed.job_id)
    house.run(f"UPDATE attempts SET opened_at = now() - interval '2 hours' WHERE job_id = '{claimed.job_id}'")
    sweep(database, settings_of(house), TESTER)
    assert outcomes(house, claimed) == ["unknown"]


def test_a_message_is_not_rung_again_while_all_slots_are_busy(house: House, database: Database, tenant: str) -> None:
    """Messages that wait behind running jobs are not lost; ringing for them again would only lengthen the broker's queue."""
    job_id = submit_text(database, tenant, "a text")
    publish_all(database)
    house.run(f"UPDATE jobs SET published_at = now() - interval '1 hour' WHERE id = '{job_id}'")
    with database.system() as connection:
        workers.seen(connection, new_id(), "a full worker", slots=2, busy=2, claims=0)
    swept = sweep(database, settings_of(house), TESTER)
    assert swept is not None
    assert swept.republished == 0


def test_one_at_a_time_has_a_duty(house: House, database: Database) -> None:
    """While one process holds the duty another one takes no turn; when its turn is overdue, the other one does."""
    one, other = new_id(), new_id()

    def turn(holder: UUID) -> bool:
        with database.system() as connection:
            return duties.take_turn(connection, duties.DISPATCH, holder, seconds=60, gap=60) is not None

    assert turn(one)
    assert turn(one)
    assert not turn(other)
    house.run("UPDATE duties SET held_until = now() - interval '1 second'")
    assert turn(other)
    assert not turn(one)
    with database.system() as connection:
        duties.lay_down(connection, other)
    assert turn(one)


def test_after_an_outage_live_workers_may_renew_first(house: House, database: Database, tenant: str) -> None:
    """When nobody could sweep for a while, no worker could renew either: an expired lease is left to its holder for two
    heartbeats, and taken after that."""
    claimed = claim(database, tenant, lease=0)
    house.run("UPDATE duties SET turn_at = now() - interval '1 hour' WHERE name = 'sweep'")
    settings = settings_of(house)
    swept = sweep(database, settings, TESTER)
    assert swept is not None
    assert swept.recovered == 0
    with database.system() as connection:
        assert leases.renew(connection, {claimed.job_id: claimed.fence}, 0) == {claimed.job_id}
    house.run("UPDATE duties SET resumed_at = now() - interval '1 hour' WHERE name = 'sweep'")
    swept = sweep(database, settings, TESTER)
    assert swept is not None
    assert swept.recovered == 1


def test_a_model_answer_after_the_deadline_does_not_count(house: House, database: Database, tenant: str) -> None:
    """The deadline is looked at once more, by the database's clock, when the answer is written; a stand-in may still answer."""
    claimed = claim(database, tenant)
    house.run(f"UPDATE jobs SET deadline = now() - interval '1 second' WHERE id = '{claimed.job_id}'")
    assert not answer(database, claimed)
    with database.tenant(tenant) as connection:
        assert leases.is_held(connection, claimed)
        assert leases.conclude_answered(connection, claimed, AnsweredBy.RULES, OUTPUT, attempt=None, failure=None)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE attempts SET response = '{}' WHERE job_id = %(job)s",
        "UPDATE attempts SET request = '{}' WHERE job_id = %(job)s",
        "DELETE FROM attempts WHERE job_id = %(job)s",
        "UPDATE answers SET output = '{}' WHERE job_id = %(job)s",
        "DELETE FROM answers WHERE job_id = %(job)s",
        "DELETE FROM events WHERE job_id = %(job)s",
    ],
)
def test_history_is_append_only(database: Database, tenant: str, statement: str) -> None:
    """A settled attempt, an answer and an event can be neither changed nor removed by the application."""
    claimed = claim(database, tenant)
    with database.tenant(tenant) as connection:
        attempts.settle(connection, claimed, Settlement(1, AttemptOutcome.ACCEPTED, REPLY))
    assert answer(database, claimed)
    with pytest.raises(DBAPIError, match=r"permission denied|append-only"), database.tenant(tenant) as connection:
        connection.exec_driver_sql(statement, {"job": claimed.job_id})


def test_even_the_owner_is_stopped_by_the_trigger(house: House, database: Database, tenant: str) -> None:
    """A superuser's UPDATE of a settled attempt is refused by the trigger, not only by missing rights."""
    claimed = claim(database, tenant)
    with database.tenant(tenant) as connection:
        attempts.settle(connection, claimed, Settlement(1, AttemptOutcome.ACCEPTED, REPLY))
    with pytest.raises(Exception, match="append-only"):
        house.run(f"UPDATE attempts SET cost_usd = 0 WHERE job_id = '{claimed.job_id}'")
