"""Health is judged by progress, from figures that cost little whatever waits."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from jobs.health import read_health
from schemas.health import Health, Verdict
from schemas.ids import new_id
from storage import fairness, health, workers
from storage.database import Database
from tests.house import House, Workers, eventually, landed, settings_of, submit_texts

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture(autouse=True)
def _duties_are_done(house: House) -> None:
    """The dispatcher and the sweeper have just had a turn; a test that is about them says otherwise."""
    house.run("UPDATE duties SET turn_at = now(), holder = NULL")


def job(house: House, tenant: str, *, seconds: int, state: str = "queued", **columns: str) -> UUID:
    """A job that was submitted so many seconds ago, as its id says too; further columns as SQL."""
    job_id = UUID(int=new_id().int - (seconds * 1000 << 80))
    given = {"run_at": "NULL", "published_at": "now()", **columns}
    house.run(
        f"INSERT INTO jobs (id, tenant_id, task, state, fallback, created_at, {', '.join(given)})"
        f" VALUES ('{job_id}', '{tenant}', 'classify', '{state}', 'rules', now() - interval '{seconds} seconds',"
        f" {', '.join(given.values())})"
    )
    return job_id


def process(house: House, name: str = "w1", **columns: str) -> None:
    """A live worker process with ten slots, none of them busy, that has claimed nothing for two minutes."""
    given = {
        "slots": "10",
        "busy": "0",
        "claims": "7",
        "claims_before": "7",
        "claims_before_at": "now() - interval '2 minutes'",
        "started_at": "now() - interval '1 hour'",
        **columns,
    }
    house.run(
        f"INSERT INTO workers (id, name, {', '.join(given)}) VALUES ('{new_id()}', '{name}', {', '.join(given.values())})"
    )


def read(house: House, database: Database, **more: list[str]) -> Health:
    """As the doctor reads it."""
    return read_health(database, settings_of(house), **more)


def doctors(house: House, *calls: list[str]) -> "list[subprocess.CompletedProcess[str]]":
    """As people call it, all at once: it mostly waits for workers that might answer."""

    def call(arguments: list[str]) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-c", "from cli.main import main; main()", "doctor", *arguments]
        return subprocess.run(command, env=house.environment(), capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


def problems(found: Health) -> str:
    """All of them."""
    return " ".join(finding.problem for finding in found.findings)


def test_nothing_to_do_is_well(house: House, database: Database) -> None:
    """Without work, no worker, no claim and no duty is missing."""
    house.run("UPDATE duties SET turn_at = NULL")
    found = read(house, database)
    assert (found.verdict, found.findings, found.oldest) == (Verdict.OK, [], None)


def test_jobs_without_any_worker_are_stuck(house: House, database: Database, tenant: str) -> None:
    """The doctor says so in figures and in a sentence, by exit code and in JSON; a worker seen long ago is none."""
    oldest = job(house, tenant, seconds=90)
    job(house, tenant, seconds=10)
    process(house, seen_at="now() - interval '1 minute'")
    found = read(house, database)
    assert found.verdict is Verdict.STUCK
    assert problems(found) == "No worker process is there, and 2 jobs wait."
    assert found.oldest is not None
    assert (found.oldest.job_id, found.oldest.tenant_id, found.oldest.seconds >= 90) == (oldest, tenant, True)
    as_json, for_people = doctors(house, ["--json"], [])
    assert as_json.returncode == 1
    shown = json.loads(as_json.stdout)
    assert shown["ok"] is False
    assert shown["progress"]["verdict"] == "stuck"
    assert shown["progress"]["waiting"]["jobs"] == 2
    assert for_people.returncode == 1
    assert "No worker process is there, and 2 jobs wait." in for_people.stdout
    assert "assay up" in for_people.stdout
    assert str(oldest) in for_people.stdout


def test_room_and_work_and_no_claim_is_stuck(house: House, database: Database, tenant: str) -> None:
    """Free slots, a job that could have run for a minute, and no claim by anybody in that time."""
    job(house, tenant, seconds=60)
    process(house)
    found = read(house, database)
    assert found.verdict is Verdict.STUCK
    assert problems(found) == "10 slots are free and jobs wait, but none was claimed for 2 min."


@pytest.mark.parametrize(
    ("busy", "claims", "age"),
    [("10", "7", 200), ("0", "8", 60), ("0", "7", 5), ("1", "7", 200)],
    ids=["no slot is free", "somebody claims", "the job has only just come", "a call holds the model's only place"],
)
def test_a_backlog_is_not_stuck(
    house: House, database: Database, tenant: str, busy: str, claims: str, age: int
) -> None:
    """Waiting is normal while every slot is busy, while jobs are claimed, for a moment, and for as long as a call may take."""
    job(house, tenant, seconds=age)
    process(house, busy=busy, claims=claims)
    found = read(house, database)
    assert (found.verdict, found.findings) == (Verdict.OK, [])


@pytest.mark.parametrize(("quiet", "verdict"), [(60, Verdict.OK), (300, Verdict.STUCK)])
def test_jobs_that_came_back_may_have_had_to_wait(
    house: House, database: Database, tenant: str, quiet: int, verdict: Verdict
) -> None:
    """A job put back for an outage is due again after its wait: only a silence longer than such waits is wrong."""
    job(house, tenant, seconds=290, fence="3")
    process(house, claims_before_at=f"now() - interval '{quiet} seconds'")
    found = read(house, database)
    assert found.verdict is verdict
    assert found.oldest is not None
    assert found.oldest.has_run


def test_jobs_for_later_do_not_wait(house: House, database: Database, tenant: str) -> None:
    """A job whose moment has not come is counted apart, and nobody has to claim it."""
    job(house, tenant, seconds=600, run_at="now() + interval '1 minute'")
    process(house)
    found = read(house, database)
    assert (found.verdict, found.waiting.jobs, found.waiting.later, found.oldest) == (Verdict.OK, 0, 1, None)


def test_waiting_for_a_closed_model_is_not_stuck(house: House, database: Database, tenant: str) -> None:
    """While a model takes no calls jobs wait by intent; after long it is worth a look, not more."""
    job(house, tenant, seconds=60)
    process(house)
    assert read(house, database, closed_models=["m-small"]).verdict is Verdict.OK
    job(house, tenant, seconds=3600)
    found = read(house, database, closed_models=["m-small"])
    assert found.verdict is Verdict.SLOW
    assert "m-small takes no calls now" in problems(found)


def test_a_job_that_waits_long_is_slow(house: House, database: Database, tenant: str) -> None:
    """Others are claimed, this one is not: its id and tenant are named, and the exit code stays with the parts."""
    waiting = job(house, tenant, seconds=1000)
    process(house, claims="9")
    found = read(house, database)
    assert found.verdict is Verdict.SLOW
    assert f"Job {waiting} of tenant {tenant}" in problems(found)
    assert found.claims_per_minute == 1.0


def test_a_dispatcher_that_stands_still_is_stuck(house: House, database: Database) -> None:
    """Its last turn tells, as soon as there has been a process to take one for as long."""
    house.run("UPDATE duties SET turn_at = now() - interval '10 minutes' WHERE name = 'dispatch'")
    process(house, started_at="now() - interval '5 seconds'")
    assert read(house, database).verdict is Verdict.OK
    process(house, "w2", started_at="now() - interval '3 minutes'")
    found = read(house, database)
    assert found.verdict is Verdict.STUCK
    assert "the dispatcher's last turn was 3 min ago" in problems(found)


def test_a_sweeper_that_stands_still_is_slow_until_somebody_needs_it(
    house: House, database: Database, tenant: str
) -> None:
    """Nothing is lost by a late sweep but time; jobs of a dead worker that nobody takes back are stuck."""
    house.run("UPDATE duties SET turn_at = now() - interval '10 minutes' WHERE name = 'sweep'")
    process(house)
    found = read(house, database)
    assert found.verdict is Verdict.SLOW
    assert "the sweeper's last turn was 10 min ago" in problems(found)
    job(house, tenant, seconds=600, state="running", lease_until="now() - interval '90 seconds'")
    found = read(house, database)
    assert found.verdict is Verdict.STUCK
    assert found.expired_leases == 1
    assert "1 running jobs have lost their worker, the first 90 s ago" in problems(found)


def test_deaf_workers_are_named(house: House, database: Database) -> None:
    """One that lives is a finding; one that has ended itself is told of for a while."""
    process(house, "host:1", deaf_since="now()")
    process(house, "host:2", deaf_since="now()", stopped_at="now()")
    process(house, "host:3", deaf_since="now() - interval '1 day'", stopped_at="now() - interval '1 day'")
    found = read(house, database)
    assert found.verdict is Verdict.SLOW
    assert (found.deaf, found.deaf_lately, found.workers) == (["host:1"], ["host:2"], 1)
    assert "host:1 is connected to the broker, but receives nothing" in problems(found)


def test_a_batch_that_was_given_up_is_told(house: House, database: Database, tenant: str) -> None:
    """Begun, and nothing has come for an hour; one that is arriving now is only counted."""
    batch = "INSERT INTO batches (id, tenant_id, task, total, arrived_at) VALUES"
    house.run(f"{batch} ('{new_id()}', '{tenant}', 'classify', 3, now())")
    assert read(house, database).verdict is Verdict.OK
    house.run(f"{batch} ('{new_id()}', '{tenant}', 'classify', 3, now() - interval '3 hours')")
    found = read(house, database)
    assert (found.verdict, found.open_batches) == (Verdict.SLOW, 2)
    assert "for one nothing has come for 3 h" in problems(found)


def test_the_oldest_is_found_in_every_lane(house: House, database: Database, tenant: str) -> None:
    """A job of a lower class, behind one with a deadline, is still the oldest."""
    job(house, tenant, seconds=5, priority="1")
    job(house, tenant, seconds=20, deadline="now() + interval '1 hour'")
    oldest = job(house, tenant, seconds=50, priority="-1")
    found = read(house, database).oldest
    assert found is not None
    assert found.job_id == oldest
    older = job(house, tenant, seconds=55, state="published")
    found = read(house, database).oldest
    assert found is not None
    assert found.job_id == older


def test_counting_ends_at_its_bound_and_plans_stay_away_from_finished_jobs(
    house: House, database: Database, tenant: str
) -> None:
    """With many jobs waiting and many finished, no statement reads the table or its primary key through."""
    insert = "INSERT INTO jobs (id, tenant_id, task, state, fallback, run_at, answered_by) SELECT gen_random_uuid(),"
    house.run(f"{insert} '{tenant}', 'classify', 'queued', 'rules', NULL, NULL FROM generate_series(1, 11000)")
    house.run(f"{insert} '{tenant}', 'classify', 'answered', 'rules', NULL, 'model' FROM generate_series(1, 60000)")
    house.run("VACUUM ANALYZE jobs")
    found = read(house, database)
    assert (found.waiting.jobs, found.waiting.at_least) == (10_000, True)
    with database.system() as connection:
        lanes = fairness.lanes(connection)
        of_lanes = {
            "priorities": [lane.priority for lane in lanes],
            "tenants": [lane.tenant_id for lane in lanes],
            "tasks": [lane.task for lane in lanes],
        }
        statements: list[tuple[str, Any]] = [
            (health._COUNTS, {"most": 10_000}),
            (health._OLDEST_READY, {**of_lanes, "most": 20}),
            (health._OLDEST_DUE, None),
            (health._OLDEST_PUBLISHED, {"most": 10_000}),
            (health._EXPIRED, None),
            (workers._PUBLISHED_WAITING, None),
        ]
        for statement, parameters in statements:
            plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars())
            assert "jobs_" in plan
            assert "Seq Scan on jobs" not in plan, plan
            assert "jobs_pkey" not in plan, plan
    house.run("TRUNCATE jobs CASCADE; ANALYZE jobs")


def test_a_report_keeps_the_claims_of_a_minute(house: House, database: Database) -> None:
    """The earlier figure moves up each minute while there are claims; while there are none it stays, so that the silence
    can be told for as long as it lasts."""
    worker = new_id()

    def report(claims: int, *, minutes: int = 0) -> tuple[int, int, int]:
        """What is stored and for how many minutes, once so much time has passed since the report before."""
        house.run(
            f"UPDATE workers SET claims_before_at = claims_before_at - interval '{minutes} minutes',"
            f" seen_at = seen_at - interval '{minutes} minutes'"
        )
        with database.system() as connection:
            workers.seen(connection, worker, "host:1", slots=10, busy=1, claims=claims)
        return house.query(
            "SELECT claims, claims_before, round(extract(epoch FROM now() - claims_before_at) / 60)::int FROM workers"
        )[0]

    assert report(0) == (0, 0, 0)
    assert report(5) == (5, 0, 0)
    assert report(8, minutes=2) == (8, 5, 2)
    assert report(9, minutes=2) == (9, 8, 2)
    assert report(9, minutes=2) == (9, 9, 2)
    assert report(9, minutes=5) == (9, 9, 7)
    assert read(house, database).quiet_seconds >= 7 * 60


def test_a_report_counts_the_live(house: House, database: Database) -> None:
    """It returns how many processes live, its own included, and stores when a message came, memory and deafness."""
    process(house, "host:1")
    process(house, "host:2", seen_at="now() - interval '1 minute'")
    process(house, "host:3", stopped_at="now()")
    worker = new_id()
    with database.system() as connection:
        report: dict[str, Any] = {"slots": 10, "busy": 0, "claims": 0}
        assert workers.seen(connection, worker, "host:4", **report) == 2
        assert (
            workers.seen(
                connection, worker, "host:4", **report, received_seconds_ago=5.0, memory_bytes=123_000_000, deaf=True
            )
            == 2
        )
    stored = "SELECT memory_bytes, deaf_since IS NOT NULL, round(extract(epoch FROM now() - received_at))::int < 60"
    assert house.query(f"{stored} FROM workers WHERE name = 'host:4'") == [(123_000_000, True, True)]


def test_a_working_house_is_well(house: House, database: Database, tenant: str, workers: Workers) -> None:
    """With real workers: claims are counted, both duties are somebody's, and the doctor's progress is well."""
    workers.start()
    landed(database, tenant, submit_texts(database, tenant, [f"Ticket {n}: billing" for n in range(20)]))
    found = eventually(lambda: (h := read(house, database)).claims_per_minute > 0 and h, "claims are reported")
    assert (found.verdict, found.workers, found.waiting.jobs, found.quiet_seconds) == (Verdict.OK, 1, 0, 0.0)
    assert found.dispatch.seconds_ago is not None
    assert found.dispatch.done >= 20
    assert found.dispatch.holder is not None
    assert found.sweep.seconds_ago is not None
    assert found.memory_bytes is not None
    assert found.memory_bytes > 20_000_000
