"""Figures count what really happened, once, whenever it was committed."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from jobs import cancel, review
from jobs.review import Decision
from jobs.tally import tally
from schemas.figures import ATTEMPTS, COUNTS, LANDED, PURPOSES, WAITED, Dimension
from schemas.ids import new_id
from schemas.job import FallbackPolicy, JobOptions
from stack.scripted import plays
from storage import duties, figures, tallies
from storage.database import Database
from storage.figures import Counts
from tests.house import TESTER, House, Workers, eventually, landed, submit_text, submit_texts

pytestmark = pytest.mark.usefixtures("clean", "nothing_counted")


def count_all(house: House, database: Database) -> None:
    """Wait until counting, by a worker or by this process, has come to what is now."""
    ((now,),) = house.query("SELECT clock_timestamp()")

    def counted() -> bool:
        tally(database, TESTER, every_seconds=1)
        return bool(house.query("SELECT 1 FROM tally_progress WHERE counted_until > %s", now))

    eventually(counted, "everything is counted")


def counts(database: Database, tenant: str, *, grain: int = tallies.EVER, seconds: float = 3600) -> dict[str, float]:
    """All counts of a tenant that are not zero."""
    with database.system() as connection:
        (found,) = figures.counted(
            connection, COUNTS, grain=grain, seconds=seconds, where={Dimension.TENANT: tenant}
        ) or [Counts({}, None, {})]
    return {name: value for name, value in found.counts.items() if value}


def test_every_way_to_land_is_counted(house: House, database: Database, tenant: str, workers: Workers) -> None:
    """Model, rules, a person, a rejection, a failure, a cancellation; each attempt by outcome, purpose and reason; tokens and
    US dollars as the attempts have them; in all grains alike."""
    workers.start(ASSAY_MODEL_SMALL="claude-haiku-4-5", ASSAY_MAX_TRIES="1")
    house.provider.play(plays.wrong_schema(), contains="bad one")
    house.provider.play(plays.ungrounded(), plays.answer(), contains="repaired")
    landed(database, tenant, submit_texts(database, tenant, ["fine one", "fine two", "repaired"]))
    by_rule = JobOptions(fallback=FallbackPolicy.RULES)
    landed(database, tenant, submit_texts(database, tenant, ["bad one billing error"], by_rule))
    landed(
        database, tenant, submit_texts(database, tenant, ["bad one fails"], JobOptions(fallback=FallbackPolicy.FAIL))
    )
    by_person = JobOptions(fallback=FallbackPolicy.PERSON)
    reviewed = landed(
        database, tenant, submit_texts(database, tenant, ["bad one a", "bad one b", "bad one c"], by_person)
    )
    for job, decision in zip(reviewed, [Decision.NOT_APPLICABLE, Decision.REJECT], strict=False):
        review.claim(database, tenant, "ann", 60, job_id=job.job_id)
        review.decide(database, tenant, job.job_id, "ann", decision, reason="no ticket")
    cancel.cancel(database, tenant, reviewed[2].job_id)
    count_all(house, database)

    known = counts(database, tenant)
    assert {name: known.get(name) for name in ("submitted", *LANDED)} == {
        "submitted": 8, "answered_by_model": 3, "answered_by_cache": None, "answered_by_rules": 1, "answered_by_person": 1,
        "sent_to_review": 3, "failed": 1, "turned_down": 1, "cancelled": 1,
    }  # fmt: skip
    rows = house.query(
        "SELECT outcome, purpose, failure_reason, input_tokens + 0, output_tokens, cost_usd FROM attempts"
        " WHERE tenant_id = %s", tenant
    )  # fmt: skip
    for name in ATTEMPTS:
        assert known.get(name, 0) == sum(f"attempts_{row[0]}" == name for row in rows), name
    for name in PURPOSES:
        assert known.get(name, 0) == sum(f"for_{row[1]}" == name for row in rows), name
    assert known["reason_schema_violation"] == sum(row[2] == "schema_violation" for row in rows) > 0
    assert known["input_tokens"] == sum(row[3] or 0 for row in rows)
    assert known["output_tokens"] == sum(row[4] or 0 for row in rows)
    assert Decimal(str(known.get("spend_usd", 0))).quantize(Decimal("1e-8")) == sum(row[5] or 0 for row in rows)
    # Waited: once per job, when it first landed.
    assert sum(known.get(name, 0) for name in WAITED) == 8
    for grain in (tallies.MINUTE, tallies.TEN_MINUTES, tallies.HOUR):
        assert counts(database, tenant, grain=grain) == pytest.approx(known)
    ways: list[tuple[Dimension, ...]] = [(), (Dimension.TENANT,), (Dimension.TASK, Dimension.MODEL), tuple(Dimension)]
    for by in ways:
        with database.system() as connection:
            groups = figures.counted(connection, COUNTS, grain=tallies.EVER, seconds=0, by=by)
        together = {name: sum(group.counts[name] for group in groups) for name in COUNTS}
        assert {name: value for name, value in together.items() if value} == pytest.approx(known), by
        assert all("*" not in group.labels.values() for group in groups), by


def test_counting_again_changes_nothing(house: House, database: Database, tenant: str) -> None:
    """Turn after turn, with and without the minutes that are looked through again, adds nothing that was counted before."""
    for number in range(3):
        submit_text(database, tenant, f"document {number}")
    submit_texts(database, tenant, ["a", "b"])
    for _ in range(3):
        house.run("UPDATE tally_progress SET counted_until = counted_until - interval '2 minutes'")
        count_all(house, database)
    assert counts(database, tenant) == {"submitted": 5}
    assert counts(database, tenant, grain=tallies.MINUTE) == {"submitted": 5}


def test_what_is_committed_late_is_counted(house: House, database: Database, tenant: str) -> None:
    """A job whose transaction was open while its minute was counted is counted by a later turn, in its own minute."""
    job_id = new_id()
    with psycopg.connect(house.admin_url) as late:
        late.execute(
            "INSERT INTO jobs (id, tenant_id, task, state, fallback) VALUES (%s, %s, 'classify', 'queued', 'rules')",
            (job_id, tenant),
        )
        (created,) = late.execute("SELECT created_at FROM jobs WHERE id = %s", (job_id,)).fetchone() or (None,)
        count_all(house, database)
        assert counts(database, tenant) == {}
    count_all(house, database)
    assert counts(database, tenant) == {"submitted": 1}
    ((at,),) = house.query("SELECT at FROM tallies WHERE grain = 60 AND slice = 0 AND tenant_id = %s", tenant)
    assert isinstance(created, datetime)
    assert at == created.replace(second=0, microsecond=0)


def test_no_count_ever_falls(house: House, database: Database, tenant: str) -> None:
    """A failed job that is queued again stays counted as a failure: a counter that falls looks like a restart to Prometheus."""
    job_id = submit_text(database, tenant, "document")
    house.run(
        f"UPDATE jobs SET state = 'failed', finished_at = now(), failure_reason = 'refused' WHERE id = '{job_id}'"
    )
    count_all(house, database)
    house.run(f"UPDATE jobs SET state = 'queued', finished_at = NULL WHERE id = '{job_id}'")
    count_all(house, database)
    assert counts(database, tenant)["failed"] == 1


def test_a_first_start_counts_what_was_there_before(house: House, database: Database, tenant: str) -> None:
    """After a migration, or days without a worker, the past is counted in stretches; hours in which nothing was are leapt."""
    ages = (6 * 86400, 3 * 86400, 7200, 60)
    for age in ages:
        job_id = submit_text(database, tenant, "document")
        house.run(f"UPDATE jobs SET created_at = now() - interval '{age} seconds' WHERE id = '{job_id}'")
    house.run("UPDATE tally_progress SET counted_until = now() - interval '7 days'")
    turns = 1
    while (turn := tally(database, TESTER, every_seconds=1)) is not None and turn.is_behind:
        turns += 1
    assert counts(database, tenant) == {"submitted": 4}
    assert turns < 4 * len(ages)
    with database.system() as connection:
        hours = figures.counted(connection, ["submitted"], grain=tallies.HOUR, seconds=7 * 86400, over_time=True)
    assert sum(hour.counts["submitted"] for hour in hours if hour.counts["submitted"]) >= 4
    assert all(hour.at is not None and hour.at <= datetime.now(UTC) + timedelta(minutes=1) for hour in hours)


def test_old_rows_go_and_the_total_stays(house: House, database: Database, tenant: str) -> None:
    """Minutes are kept for hours, hours for months; what was counted since ever stays."""
    submit_text(database, tenant, "document")
    count_all(house, database)
    house.run("UPDATE tallies SET at = at - interval '5 hours' WHERE grain = 60")
    house.run("UPDATE tally_progress SET counted_until = date_trunc('hour', now()) - interval '1 minute'")
    house.run("UPDATE jobs SET created_at = created_at - interval '1 day'")
    count_all(house, database)
    assert counts(database, tenant) == {"submitted": 1}
    assert counts(database, tenant, grain=tallies.MINUTE, seconds=86400) == {}
    assert counts(database, tenant, grain=tallies.HOUR) == {"submitted": 1}


def test_two_processes_do_not_count_twice(house: House, database: Database, tenant: str) -> None:
    """While one process counts, another one that wants to finds the duty taken."""
    submit_text(database, tenant, "document")
    with database.system() as connection:
        assert duties.take_turn(connection, duties.TALLY, new_id(), seconds=5, gap=60) is not None
        assert tally(database, TESTER, every_seconds=1) is None
    assert tally(database, TESTER, every_seconds=1) is None
    assert counts(database, tenant) == {}


def test_every_count_has_its_column(house: House) -> None:
    """The table has a column for each count there is, every failure reason among them, and no other."""
    columns = {
        row[0]
        for row in house.query("SELECT attname FROM pg_attribute WHERE attrelid = 'tallies'::regclass AND attnum > 0")
    }
    keys = {"grain", "slice", "at", "tenant_id", "task", "prompt_version", "model"}
    assert columns - keys == set(COUNTS) == set(tallies.columns())
