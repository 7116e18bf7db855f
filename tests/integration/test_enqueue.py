"""Enqueueing from Python in a transaction of another system that shares the database, with its own login."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from jobs import submit
from jobs.contract import KeyConflict, SubmitRefused
from jobs.dispatch import PublishFailed
from jobs.enqueue import enqueue, enqueue_many
from jobs.show import show
from schemas.job import FallbackPolicy, JobOptions, JobState, OnOutage, Priority
from storage import bell
from storage.database import Database, sqlalchemy_url
from tasks import UnknownTask
from tests.house import LABELS, PATIENCE_SECONDS, House, eventually, one_round, publish_all

pytestmark = pytest.mark.usefixtures("clean")


def request(document: str = "x") -> dict[str, Any]:
    """A good request to classify."""
    return {"text": document, "labels": LABELS}


@pytest.fixture(scope="module")
def shop(house: House) -> Iterator[Engine]:
    """A login that has a table of its own and, of Assay, the producer's role only."""
    house.run(
        "CREATE ROLE shop LOGIN PASSWORD 'x'; GRANT assay_producer TO shop;"
        "CREATE TABLE shop_orders (number integer PRIMARY KEY); GRANT ALL ON shop_orders TO shop"
    )
    engine = create_engine(
        sqlalchemy_url(house.app_url.replace("assay_app:only-for-tests", "shop:x")),
        connect_args={"options": "-c lock_timeout=60s"},
    )
    yield engine
    engine.dispose()
    house.run("DROP TABLE shop_orders; DROP OWNED BY shop; DROP ROLE shop")


def order(transaction: Session | Connection, number: int) -> None:
    """The caller's own write."""
    transaction.execute(text("INSERT INTO shop_orders VALUES (:number)"), {"number": number})


def orders(house: House) -> set[int]:
    """What the caller has committed."""
    return {number for (number,) in house.query("SELECT number FROM shop_orders")}


def jobs_of(house: House, tenant: str) -> list[str]:
    """A tenant's jobs."""
    return [str(job) for (job,) in house.query("SELECT id FROM jobs WHERE tenant_id = %s ORDER BY id", tenant)]


def test_the_job_is_there_with_the_callers_commit(house: House, database: Database, tenant: str, shop: Engine) -> None:
    """Job and order become visible together; the job waits with its input and its options, and is dispatched."""
    options = JobOptions(
        fallback=FallbackPolicy.RULES,
        priority=Priority.HIGH,
        on_outage=OnOutage.WAIT,
        prompt_version="v1",
        deadline=datetime(2099, 1, 1, tzinfo=UTC),
    )
    with Session(shop) as session:
        order(session, 1)
        job_id = enqueue(session, "classify", request("żółć"), tenant=tenant, options=options)
        assert jobs_of(house, tenant) == []
        session.commit()
    assert 1 in orders(house)
    assert show(database, tenant, job_id).state is JobState.QUEUED
    assert house.query(
        "SELECT fallback, priority, on_outage, prompt_version, deadline, run_at, cost > 0 FROM jobs WHERE id = %s",
        job_id,
    ) == [("rules", 1, "wait", "v1", datetime(2099, 1, 1, tzinfo=UTC), None, True)]
    assert house.query("SELECT request FROM inputs WHERE job_id = %s", job_id) == [(request("żółć"),)]
    assert publish_all(database) == [job_id]


def test_the_job_goes_with_the_callers_rollback(house: House, tenant: str, shop: Engine) -> None:
    """A rollback leaves neither order nor job, nor an input of it."""
    with Session(shop) as session:
        order(session, 2)
        job_id = enqueue(session, "classify", request(), tenant=tenant)
        session.rollback()
    assert 2 not in orders(house)
    assert jobs_of(house, tenant) == []
    assert house.query("SELECT 1 FROM inputs WHERE job_id = %s", job_id) == []


def test_a_job_of_a_time_without_broker_is_dispatched_later(database: Database, tenant: str, shop: Engine) -> None:
    """Enqueueing needs no broker; a round that the broker refuses leaves the job waiting, and the next one publishes it."""

    class Down:
        """A broker that takes nothing."""

        def publish(self, *_message: object) -> None:
            """Refuse."""
            raise PublishFailed("nobody listens")

    with shop.begin() as connection:
        job_id = enqueue(connection, "classify", request(), tenant=tenant)
    assert one_round(database, Down()) == 0
    assert show(database, tenant, job_id).state is JobState.QUEUED
    assert publish_all(database) == [job_id]


def test_the_same_key_is_the_same_job(house: House, tenant: str, shop: Engine) -> None:
    """Same key and request: the same job, in this transaction and in a later one."""
    with shop.begin() as connection:
        first = enqueue(connection, "classify", request(), tenant=tenant, idempotency_key="k")
        assert enqueue(connection, "classify", request(), tenant=tenant, idempotency_key="k") == first
    with shop.begin() as connection:
        assert enqueue(connection, "classify", request(), tenant=tenant, idempotency_key="k") == first
    assert jobs_of(house, tenant) == [str(first)]


def test_another_request_with_the_key_is_refused_and_the_caller_goes_on(
    house: House, tenant: str, shop: Engine
) -> None:
    """The conflict is an error in Python only: the caller's transaction is sound and commits what else it did."""
    with shop.begin() as connection:
        first = enqueue(connection, "classify", request(), tenant=tenant, idempotency_key="k")
    with Session(shop) as session:
        order(session, 3)
        with pytest.raises(KeyConflict, match=str(first)):
            enqueue(session, "classify", request("another"), tenant=tenant, idempotency_key="k")
        order(session, 4)
        session.commit()
    assert {3, 4} <= orders(house)
    assert jobs_of(house, tenant) == [str(first)]


def test_a_key_means_the_same_on_every_way_in(database: Database, tenant: str, shop: Engine) -> None:
    """A job submitted through the application is found by the same key and request from Python, and the other way round."""
    options = JobOptions(deadline=timedelta(hours=1))
    submitted = submit.submit_one(database, tenant, "classify", request(), options, idempotency_key="k")
    with shop.begin() as connection:
        again = enqueue(connection, "classify", request(), tenant=tenant, options=options, idempotency_key="k")
        other = enqueue(connection, "classify", request("2"), tenant=tenant, options=options, idempotency_key="k2")
    assert again == submitted.job_id
    repeated = submit.submit_one(database, tenant, "classify", request("2"), options, idempotency_key="k2")
    assert (repeated.job_id, repeated.repeated) == (other, True)


def test_many_are_all_or_none(house: House, tenant: str, shop: Engine) -> None:
    """Ids come in the order of the requests, known keys give their jobs; one conflicting key and none is written."""
    with shop.begin() as connection:
        known = enqueue(connection, "classify", request("1"), tenant=tenant, idempotency_key="k1")
        order(connection, 5)
        with pytest.raises(KeyConflict, match="'k1'"):
            enqueue_many(
                connection, "classify", [request("0"), request("x"), request("2")],
                tenant=tenant, idempotency_keys=["k0", "k1", "k2"],
            )  # fmt: skip
    assert jobs_of(house, tenant) == [str(known)]
    assert 5 in orders(house)
    with shop.begin() as connection:
        ids = enqueue_many(
            connection, "classify", [request("0"), request("1"), request("2")],
            tenant=tenant, idempotency_keys=["k0", "k1", "k2"],
        )  # fmt: skip
        assert enqueue_many(connection, "classify", [], tenant=tenant) == []
    assert ids[1] == known
    found = house.query("SELECT id, idempotency_key FROM jobs WHERE tenant_id = %s", tenant)
    assert {key: job_id for job_id, key in found} == dict(zip(["k0", "k1", "k2"], ids, strict=True))


def test_a_wrong_request_is_refused_before_anything_is_written(house: House, tenant: str, shop: Engine) -> None:
    """Task, options, tenant and contract are checked as everywhere, and the caller's transaction goes on."""
    with shop.begin() as connection:
        order(connection, 6)
        with pytest.raises(UnknownTask):
            enqueue(connection, "translate", request(), tenant=tenant)
        with pytest.raises(SubmitRefused, match="no prompt 'v99'"):
            enqueue(connection, "classify", request(), tenant=tenant, options=JobOptions(prompt_version="v99"))
        with pytest.raises(SubmitRefused, match="no tenant 'nobody'"):
            enqueue(connection, "classify", request(), tenant="nobody")
        with pytest.raises(SubmitRefused, match=r"^text: is empty"):
            enqueue(connection, "classify", request(""), tenant=tenant)
        with pytest.raises(SubmitRefused, match=r"^request 2: text: is empty"):
            enqueue_many(connection, "classify", [request(), request("")], tenant=tenant)
        with pytest.raises(SubmitRefused, match="one for each request"):
            enqueue_many(connection, "classify", [request(), request()], tenant=tenant, idempotency_keys=["k"])
    assert jobs_of(house, tenant) == []
    assert 6 in orders(house)


@pytest.mark.parametrize("outcome", ["written", "refused"])
def test_the_callers_own_tenant_is_restored(tenant: str, shop: Engine, outcome: str) -> None:
    """A caller that acts for a tenant itself goes on doing so afterwards, and the setting ends with its transaction."""
    with shop.connect() as connection:
        connection.execute(text("SELECT set_config('assay.tenant', 'before', true)"))
        if outcome == "written":
            enqueue(connection, "classify", request(), tenant=tenant)
        else:
            with pytest.raises(SubmitRefused):
                enqueue(connection, "classify", request(), tenant="nobody")
        assert connection.execute(text("SELECT current_setting('assay.tenant')")).scalar() == "before"
        connection.commit()
        assert connection.execute(text("SELECT current_setting('assay.tenant', true)")).scalar() == ""


def test_a_deadline_as_a_span_counts_on_the_databases_clock(house: House, tenant: str, shop: Engine) -> None:
    """It ends so long after the caller's transaction began; a moment without a zone is UTC wherever the caller lives."""
    with shop.begin() as connection:
        connection.execute(text("SET LOCAL TimeZone = 'Asia/Tokyo'"))
        span = enqueue(
            connection, "classify", request(), tenant=tenant, options=JobOptions(deadline=timedelta(hours=2))
        )
        naive = JobOptions(deadline=datetime(2099, 1, 1, 12))  # noqa: DTZ001 - the subject of the test
        moment = enqueue(connection, "classify", request(), tenant=tenant, options=naive)
    assert house.query("SELECT deadline - created_at FROM jobs WHERE id = %s", span) == [(timedelta(hours=2),)]
    assert house.query("SELECT deadline FROM jobs WHERE id = %s", moment) == [(datetime(2099, 1, 1, 12, tzinfo=UTC),)]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT request FROM inputs",
        "SELECT * FROM attempts",
        "SELECT * FROM answers",
        "SELECT * FROM reviews",
        "SELECT state FROM jobs",
        "UPDATE jobs SET state = 'cancelled'",
        "DELETE FROM jobs",
        "DELETE FROM inputs",
        "INSERT INTO batches (id, tenant_id, task, total) VALUES (gen_random_uuid(), 'default', 'classify', 0)",
        "INSERT INTO jobs (id, tenant_id, task, state, fallback, fence)"
        " VALUES (gen_random_uuid(), 'default', 'classify', 'queued', 'rules', 7)",
        "INSERT INTO jobs (id, tenant_id, task, state, fallback)"
        " VALUES (gen_random_uuid(), 'default', 'classify', 'failed', 'rules')",
        "INSERT INTO jobs (id, tenant_id, task, state, fallback)"
        " VALUES (gen_random_uuid(), 'other', 'classify', 'queued', 'rules')",
    ],
)
def test_a_producer_can_do_nothing_else(shop: Engine, statement: str) -> None:
    """No document, answer or state can be read, nothing changed, and nothing but new jobs of the named tenant written."""
    with shop.connect() as connection:
        connection.execute(text("SELECT set_config('assay.tenant', 'default', true)"))
        with pytest.raises(ProgrammingError, match=r"permission denied|row-level security"):
            connection.execute(text(statement))


def test_the_bell_rings_with_the_commit(house: House, tenant: str, shop: Engine) -> None:
    """Who listens hears of the job when it is committed, and nothing of one that was rolled back."""
    with psycopg.connect(house.admin_url, autocommit=True) as listener:
        listener.execute(f"LISTEN {bell.WAITING}")
        with shop.connect() as connection:
            enqueue(connection, "classify", request(), tenant=tenant)
            connection.rollback()
            enqueue(connection, "classify", request(), tenant=tenant)
            connection.execute(text("SELECT pg_notify('assay_waiting', 'the second transaction')"))
            connection.commit()
        heard = [ring.payload for ring in listener.notifies(timeout=PATIENCE_SECONDS, stop_after=2)]
    assert heard == ["", "the second transaction"]


def test_two_callers_with_one_key_at_once_make_one_job(house: House, tenant: str, shop: Engine) -> None:
    """The second waits for the first's commit and gets its job, without an error in its transaction."""
    found = []

    def second() -> None:
        with shop.begin() as connection:
            found.append(enqueue(connection, "classify", request(), tenant=tenant, idempotency_key="k"))

    with shop.connect() as connection:
        first = enqueue(connection, "classify", request(), tenant=tenant, idempotency_key="k")
        thread = threading.Thread(target=second)
        thread.start()
        eventually(
            lambda: house.query("SELECT 1 FROM pg_stat_activity WHERE usename = 'shop' AND wait_event_type = 'Lock'"),
            "the second caller waits",
        )
        connection.commit()
    thread.join()
    assert found == [first]
    assert jobs_of(house, tenant) == [str(first)]


def test_enqueueing_imports_nothing_of_the_machinery() -> None:
    """A producer's process loads neither broker client nor model SDK, price list, web parts or migrations."""
    heavy = ["alembic", "anthropic", "celery", "genai_prices", "httpx2", "kombu", "redis", "starlette", "typer"]
    code = f"import json, jobs.enqueue, sys; print(json.dumps(sorted(set({heavy!r}) & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
