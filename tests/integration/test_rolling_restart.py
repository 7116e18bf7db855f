"""Worker processes are replaced one after another while they work, and none of it is felt by the jobs."""

import signal

from celery import Celery

from jobs import show
from stack.scripted import plays
from storage.database import Database
from tests.house import House, Workers, eventually, landed, submit_texts

JOBS = 150
"""Twice what ten slots of one process and then the other finish while two are replaced."""
HANGING = 3
"""Fewer than admission lets through to a model of which nothing is known yet."""


def running_at(house: House, pid: int) -> int:
    """Jobs that this process is running now."""
    found = house.query(
        "SELECT count(*) FROM jobs JOIN workers ON workers.id = jobs.worker_id"
        " WHERE jobs.state = 'running' AND workers.name LIKE %s",
        f"%:{pid}",
    )
    return int(found[0][0])


def test_a_rolling_restart_while_loaded(house: House, database: Database, tenant: str, workers: Workers) -> None:
    """Two processes are stopped and replaced in turn in the middle of a batch: each job ends with one answer of the model,
    no try is used, and the only calls whose end is unknown are those that a stopping process gave back."""
    with house.provider.slow(1.0):
        first, second = workers.start(2)
        batch = submit_texts(database, tenant, [f"Ticket {number}: the billing is wrong." for number in range(JOBS)])
        for old in (first, second):
            eventually(lambda pid=old: running_at(house, pid) >= 5, "it is loaded")  # type: ignore[misc]
            assert workers.kill(old, signal.SIGTERM) == 0
            workers.start(1)
        assert not show.progress(database, tenant, batch).is_over
        views = landed(database, tenant, batch)
    assert {(view.state, view.answered_by) for view in views} == {("answered", "model")}
    assert house.query("SELECT count(*), count(DISTINCT job_id) FROM answers") == [(JOBS, JOBS)]
    assert house.query("SELECT max(tries), max(losses) FROM jobs") == [(0, 0)]
    given_back = {job_id for (job_id,) in house.query("SELECT job_id FROM events WHERE kind = 'given_back'")}
    unknown = {job_id for (job_id,) in house.query("SELECT job_id FROM attempts WHERE outcome = 'unknown'")}
    assert unknown <= given_back
    others = "SELECT count(*) FROM attempts WHERE outcome NOT IN ('accepted', 'unknown')"
    assert house.query(others) == [(0,)]
    assert house.query("SELECT count(*) FROM jobs WHERE lease_until IS NOT NULL") == [(0,)]
    assert house.query("SELECT count(*) FROM workers WHERE stopped_at IS NULL") == [(2,)]


def test_a_stop_ends_though_every_call_hangs(house: House, database: Database, tenant: str, workers: Workers) -> None:
    """A process whose calls never return ends by itself when it is told to; its jobs wait again, and the calls are unknown."""
    house.provider.play(plays.hang(), contains="hang")
    # Leases and rings that outlast the test: only the stop itself can give the jobs back.
    (pid,) = workers.start(1, ASSAY_LEASE_SECONDS="600", ASSAY_PUBLISHED_SECONDS="600")
    batch = submit_texts(database, tenant, [f"hang {number}" for number in range(HANGING)])
    eventually(lambda: running_at(house, pid) == HANGING, "all calls hang")
    assert workers.kill(pid, signal.SIGTERM) == 0
    assert show.progress(database, tenant, batch).states == {"queued": HANGING}
    assert house.query("SELECT outcome, failure_reason, count(*) FROM attempts GROUP BY 1, 2") == [
        ("unknown", "cancelled", HANGING)
    ]
    assert house.query("SELECT max(tries), max(losses), bool_and(run_at IS NULL) FROM jobs") == [(0, 0, True)]
    assert house.query("SELECT count(*) FROM events WHERE kind = 'given_back'") == [(HANGING,)]


def test_a_stop_ends_though_a_native_message_waits(
    house: House, database: Database, tenant: str, workers: Workers
) -> None:
    """A Celery message whose job is put back for a long wait does not keep its process from stopping."""
    house.provider.play(plays.status(529), contains="later")
    environment = {"ASSAY_WAIT_SECONDS": "600", "ASSAY_WAIT_MAX_SECONDS": "600"}
    (pid,) = workers.start(1, **environment)
    request = {"text": "later", "labels": ["a", "b"]}
    with Celery("producer", broker=house.broker_url) as producer:
        producer.send_task("assay.classify", kwargs={"tenant": tenant, "request": request})
    eventually(lambda: house.query("SELECT 1 FROM jobs WHERE state = 'queued' AND waits + tries > 0"), "it waits")
    assert workers.kill(pid, signal.SIGTERM) == 0
