"""A worker process that is connected but receives nothing (celery#10302) finds that out and makes room for a fresh one."""

import json
import subprocess
import sys

from celery import Celery

from jobs.health import read_health
from stack.commands import QUEUES
from storage.database import Database
from tests.house import House, Workers, eventually, landed, settings_of, submit_texts
from workers.deafness import DEAF_EXIT, messages_waiting

PATIENT = {"ASSAY_PUBLISHED_SECONDS": "1", "ASSAY_DEAF_SECONDS": "2", "ASSAY_HEARTBEAT_SECONDS": "0.3"}


def deafen(house: House) -> None:
    """Celery's own remote control makes all worker processes stop consuming; they stay connected and keep their pulse."""
    with Celery("control", broker=house.broker_url) as app:
        for queue in QUEUES.split(","):
            replies = app.control.cancel_consumer(queue, reply=True, timeout=10, limit=1)
            assert replies, "a worker hears its remote control"


def exit_code(workers: Workers, pid: int) -> int:
    """How the process ended by itself."""
    eventually(lambda: workers.ended(pid), "it ends by itself")
    return workers.kill(pid)


def test_a_deaf_worker_ends_itself_and_a_fresh_one_does_the_work(
    house: House, database: Database, tenant: str, workers: Workers
) -> None:
    """It notices that jobs wait, that it has room and that nothing comes; health and log name it; its exit code is its own;
    what it was running is finished or given back; a fresh process does what waited, and no try is used."""
    (deaf,) = workers.start(1, **PATIENT)
    landed(database, tenant, submit_texts(database, tenant, ["Ticket: billing"]))
    deafen(house)
    batch = submit_texts(database, tenant, [f"Ticket {number}: billing" for number in range(20)])
    told = eventually(lambda: (h := read_health(database, settings_of(house))).deaf + h.deaf_lately, "health names it")
    assert [name.rpartition(":")[2] for name in told] == [str(deaf)]
    assert exit_code(workers, deaf) == DEAF_EXIT
    assert "this process ends, for a fresh one" in workers.logs()
    assert house.query("SELECT count(*) FROM workers WHERE stopped_at IS NULL") == [(0,)]
    workers.start(1, **PATIENT)
    assert {view.answered_by for view in landed(database, tenant, batch)} == {"model"}
    assert house.query("SELECT max(tries), max(losses) FROM jobs") == [(0, 0)]
    found = read_health(database, settings_of(house))
    assert (found.deaf, [name.rpartition(":")[2] for name in found.deaf_lately]) == ([], [str(deaf)])
    doctor = subprocess.run(
        [sys.executable, "-c", "from cli.main import main; main()", "doctor", "--json"],
        env=house.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert json.loads(doctor.stdout)["progress"]["deaf_lately"] == found.deaf_lately


def test_an_idle_and_a_loaded_worker_are_not_deaf(
    house: House, database: Database, tenant: str, workers: Workers
) -> None:
    """Neither a process without work nor one whose slots are all busy while more waits takes itself for deaf."""
    (pid,) = workers.start(1, **PATIENT, ASSAY_WORKER_SLOTS="2")
    reports = "SELECT seen_at - started_at > interval '3 seconds' FROM workers"
    eventually(lambda: house.query(reports) == [(True,)], "it has been idle for longer than being sure takes")
    # Each call lasts longer than being sure takes, and meanwhile no further message comes.
    with house.provider.slow(3.0):
        landed(database, tenant, submit_texts(database, tenant, [f"Ticket {number}: billing" for number in range(4)]))
    assert not workers.ended(pid)
    assert house.query("SELECT deaf_since FROM workers") == [(None,)]


def test_a_deaf_process_ends_even_if_its_stop_hangs() -> None:
    """One that does not react to the order to stop ends hard, with the same exit code."""
    program = (
        "import signal, time; from workers import deafness; deafness.GRACE_SECONDS = 0.1\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); deafness.end_deaf_process(0.1); time.sleep(600)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == DEAF_EXIT


def test_messages_on_the_broker_are_counted(house: House, clean: None) -> None:
    """Over all named queues, those included that do not exist; a broker that does not answer counts as nothing to hear."""
    with Celery("counting", broker=house.broker_url) as app:
        assert messages_waiting(app, ["assay.test", "no.such"]) == 0
        for _ in range(3):
            app.send_task("no.such.task", queue="assay.test")
        assert messages_waiting(app, ["assay.test", "no.such"]) == 3
        app.control.purge()
        with app.connection_for_write() as connection:
            connection.default_channel.queue_delete("assay.test")
    with Celery("nowhere", broker="redis://127.0.0.1:1/0") as nowhere:
        assert messages_waiting(nowhere, ["assay.test"]) == 0
