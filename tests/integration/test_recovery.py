"""Workers die, the broker forgets, processes are told to stop: every job still ends once, without help."""

import signal
from pathlib import Path

import redis

from jobs import show
from stack.scripted import plays
from storage.database import Database
from tests.house import House, Workers, eventually, landed, submit_texts

POISON_FOLDER = Path(__file__).parent.parent / "poison"
TEXTS = [f"Ticket {number}: the billing is wrong." for number in range(200)]


def running(house: House) -> int:
    """Jobs that are running now."""
    return int(house.query("SELECT count(*) FROM jobs WHERE state = 'running'")[0][0])


def each_answered_once(house: House, views: list[object]) -> None:
    """Every job has one answer, and no attempt was left open."""
    assert {view.state for view in views} == {"answered"}  # type: ignore[attr-defined]
    assert house.query("SELECT count(*), count(DISTINCT job_id) FROM answers") == [(len(views), len(views))]
    assert house.query("SELECT count(*) FROM attempts WHERE outcome = 'open'") == [(0,)]
    assert house.query("SELECT count(*) FROM jobs WHERE lease_until IS NOT NULL") == [(0,)]


def test_kill_9_of_a_worker_in_the_middle_of_a_batch(
    house: House, database: Database, tenant: str, workers: Workers
) -> None:
    """The batch completes without help, no job has two answers, and the dead worker's calls are shown as unknown."""
    with house.provider.slow(0.2):
        first, _ = workers.start(2)
        batch = submit_texts(database, tenant, TEXTS)
        eventually(lambda: show.progress(database, tenant, batch).landed >= 30 and running(house) >= 8, "in full swing")
        workers.kill(first)
        views = landed(database, tenant, batch)
    each_answered_once(house, views)  # type: ignore[arg-type]
    actor = f"%:{first}"
    unknown = house.query("SELECT job_id FROM attempts WHERE outcome = 'unknown' AND actor LIKE %s", actor)
    assert unknown
    others = "SELECT count(*) FROM attempts WHERE outcome = 'unknown' AND actor NOT LIKE %s"
    assert house.query(others, actor) == [(0,)]
    story = show.story(database, tenant, unknown[0][0])
    assert [attempt["outcome"] for attempt in story.attempts] == ["unknown", "accepted"]
    assert "recovered" in [event["kind"] for event in story.events]


def test_flushall_in_the_middle_of_a_batch(house: House, database: Database, tenant: str, workers: Workers) -> None:
    """The broker forgets everything it holds; the batch completes without help."""
    with house.provider.slow(0.2):
        workers.start(2)
        batch = submit_texts(database, tenant, TEXTS)
        eventually(lambda: show.progress(database, tenant, batch).landed >= 30, "in full swing")
        redis.Redis.from_url(house.broker_url).flushall()
        views = landed(database, tenant, batch)
    each_answered_once(house, views)  # type: ignore[arg-type]


def test_an_input_that_kills_its_process_is_quarantined(
    house: House, database: Database, tenant: str, workers: Workers
) -> None:
    """The first time it takes the process along that is only claiming it, twice more on record, and then it runs alone. After
    that nothing runs on it any more, no rule either: a person gets it with its story. Its neighbours are
    answered by the model and lose no try."""
    texts = [f"The billing of ticket {number} is wrong." for number in range(6)]
    with house.provider.slow(0.3):
        batch = submit_texts(database, tenant, [*texts, "The billing is wrong because of deadly nightshade."])
        poisoned = {"ASSAY_TEST_POISON": "1", "PYTHONPATH": f"{POISON_FOLDER}:{POISON_FOLDER.parent.parent}"}
        while not show.progress(database, tenant, batch).is_over:
            (pid,) = workers.start(1, **poisoned)
            over_or_dead = lambda p=pid: show.progress(database, tenant, batch).is_over or workers.ended(p)  # noqa: E731
            eventually(over_or_dead, "the batch is over or the worker dead")
    *others, poison = show.results(database, tenant, batch)
    assert {(view.state, view.answered_by) for view in others} == {("answered", "model")}
    assert (poison.state, poison.answered_by) == ("in_review", None)
    assert poison.failure is not None
    assert poison.failure.reason == "quarantined"
    assert "3 times" in poison.failure.detail
    story = show.story(database, tenant, poison.job_id)
    kinds = [event["kind"] for event in story.events]
    assert kinds == ["recovered", "recovered", "process_ended", "sent_to_review"]
    assert "SIGSEGV" in story.events[2]["detail"]
    assert house.query("SELECT max(tries) FROM jobs") == [(0,)]
    assert len(workers.deaths()) == 3


def test_a_suspect_whose_worker_never_comes_back_is_quarantined_too(
    house: House, database: Database, tenant: str, workers: Workers
) -> None:
    """Where running alone takes the whole container along, nobody is left to say so; then its tries bound it."""
    batch = submit_texts(database, tenant, ["The billing is wrong."])
    house.run("UPDATE jobs SET losses = 2, tries = 3")
    workers.start()
    (view,) = landed(database, tenant, batch)
    assert view.state == "in_review"
    assert view.failure is not None
    assert view.failure.reason == "quarantined"
    assert house.provider.invoice() == []


def test_an_innocent_suspect_is_answered(house: House, database: Database, tenant: str, workers: Workers) -> None:
    """A job that was beside a killer twice runs alone and is answered by the model as any other."""
    batch = submit_texts(database, tenant, ["The billing is wrong."])
    house.run("UPDATE jobs SET losses = 2")
    workers.start()
    (view,) = landed(database, tenant, batch)
    assert (view.state, view.answered_by) == ("answered", "model")
    (actor,) = house.query("SELECT actor FROM attempts")[0]
    assert actor.endswith("alone")


def test_a_stopping_worker_gives_its_leases_back_at_once(
    house: House, database: Database, tenant: str, workers: Workers
) -> None:
    """Told to stop while calls hang, a worker ends in order; its jobs are due again, without a used try."""
    house.provider.play(plays.hang(), contains="hang")
    # As many slots as admission lets call a provider of which nothing is known yet.
    (pid,) = workers.start(1, ASSAY_LEASE_SECONDS="600", ASSAY_PUBLISHED_SECONDS="600", ASSAY_WORKER_SLOTS="4")
    batch = submit_texts(database, tenant, [f"hang {number}" for number in range(20)])
    eventually(lambda: running(house) == 4, "all slots busy")
    assert workers.kill(pid, signal.SIGTERM) == 0
    # What ran is due again at once. A message that still lay on the broker is another worker's to take.
    assert set(show.progress(database, tenant, batch).states) <= {"queued", "published"}
    assert house.query("SELECT max(tries) FROM jobs") == [(0,)]
    ran = "SELECT a.outcome, j.state, count(*) FROM attempts a JOIN jobs j ON j.id = a.job_id GROUP BY 1, 2"
    assert house.query(ran) == [("unknown", "queued", 4)]
    house.provider.reset()
    workers.start()
    each_answered_once(house, landed(database, tenant, batch))  # type: ignore[arg-type]


def test_a_running_job_that_is_cancelled_stays_cancelled(
    house: House, database: Database, tenant: str, workers: Workers
) -> None:
    """Cancelling ends the call that is under way, by the database's notification and not by the next heartbeat; no further
    call is made, and what the first one used is booked."""
    from jobs.cancel import cancel

    house.provider.play(plays.drip(interval=0.2))
    workers.start(1, ASSAY_HEARTBEAT_SECONDS="60", ASSAY_LEASE_SECONDS="120")
    batch = submit_texts(database, tenant, ["Ticket: billing"])
    eventually(lambda: running(house) == 1 and house.provider.invoice(), "the answer has begun to come")
    (cancelled,) = cancel(database, tenant, batch).jobs
    booked = "SELECT outcome, failure_reason FROM attempts WHERE job_id = %s AND outcome <> 'open'"
    assert eventually(lambda: house.query(booked, cancelled), "the call is booked") == [("failed", "cancelled")]
    assert len(house.provider.invoice()) == 1
    assert show.show(database, tenant, cancelled).state == "cancelled"
    assert house.query("SELECT count(*) FROM answers") == [(0,)]


def test_a_job_that_cannot_be_prepared_still_lands(
    house: House, database: Database, tenant: str, workers: Workers
) -> None:
    """A stored input that no longer fits its contract, or a task that is gone, reaches a person instead of circling."""
    batch = submit_texts(database, tenant, ["billing", "shipping"])
    house.run("UPDATE inputs SET request = '{\"old\": true}'")
    house.run("UPDATE jobs SET task = 'summarize' WHERE line = 2")
    workers.start()
    views = landed(database, tenant, batch)
    assert [(view.state, view.failure.reason if view.failure else None) for view in views] == [
        ("in_review", "misconfigured")
    ] * 2


def test_a_rule_that_kills_its_worker_is_not_run_for_ever(
    house: House, database: Database, tenant: str, workers: Workers
) -> None:
    """A job whose worker was lost once more after the model was given up goes to a person without the rule."""
    batch = submit_texts(database, tenant, ["Please refund the billing error.", "Please refund the billing error."])
    house.run("UPDATE jobs SET tries = CASE line WHEN 1 THEN 3 ELSE 4 END")
    workers.start()
    views = landed(database, tenant, batch)
    assert [(view.state, view.answered_by) for view in views] == [("answered", "rules"), ("in_review", None)]
    assert house.provider.invoice() == []
