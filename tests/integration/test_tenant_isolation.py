"""One tenant's rows are out of every other tenant's reach, through any table, for any statement."""

import subprocess
from pathlib import Path
from uuid import UUID

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, ProgrammingError

from jobs import upload, webhooks
from jobs.jsonl import Reading
from jobs.review_rates import set_rate
from jobs.tenancy import create_key, create_tenant
from schemas.answer import AnsweredBy
from schemas.failure import Failure, FailureReason
from schemas.ids import new_id
from schemas.job import JobOptions
from schemas.webhook import WebhookEvent
from stack.commands import with_this_python, worker_command
from storage import guard, leases, migrate, reviews
from storage.database import Database
from storage.version import HEAD_REVISION
from tasks import find_task
from tests.house import House, publish_all, submit_text, submit_texts

_TENANT_TABLES = """
SELECT c.relname, a.attname FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = CASE WHEN c.relname = 'tenants' THEN 'id' ELSE 'tenant_id' END
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname NOT IN ('fair_shares', 'tallies') ORDER BY 1
"""
_PARTITIONS = "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY 1"
_SYSTEM_CONTENT = {
    "jobs": ("failure_detail", "idempotency_key", "reference"),
    "attempts": ("request", "response", "failure_detail", "request_id"),
    "reviews": ("suggestion", "detail", "note", "pending_output"),
    "webhooks": ("url", "secret", "previous_secret", "created_by", "disabled_reason"),
    "webhook_deliveries": ("data", "detail"),
    "second_reviews": ("output", "differing", "note", "judged_note"),
}
_UNREADABLE_FOR_SYSTEM = ("inputs", "answers")
_SYSTEM_ONLY = (
    "fair_shares",
    "fair_clocks",
    "duties",
    "workers",
    "review_sampling",
    "accounts",
    "sessions",
    "tallies",
    "tally_progress",
    "alerts",
)
"""What keeps the house running across tenants: not a tenant's to see, although one of them names tenants."""


@pytest.fixture
def two_tenants(house: House, database: Database, clean: None) -> tuple[str, str]:
    """Two tenants, the first of which has a row in every table."""
    first, second = (f"t{new_id().hex[-12:]}" for _ in range(2))
    create_tenant(database, first, "first")
    create_tenant(database, second, "second")
    create_key(database, first, "key", "producer")
    webhooks.create(database, first, "https://hooks.invalid/", [WebhookEvent.JOB_FINISHED], actor="test")
    submit_texts(database, first, ["in a batch"])
    _leave_an_upload_open(database, first)
    answered, reviewed = (submit_text(database, first, text) for text in ("one", "two"))
    publish_all(database)
    failure = Failure(reason=FailureReason.REFUSED, detail="declined")
    with database.tenant(first) as connection:
        for job_id in (answered, reviewed):
            claimed = leases.claim(connection, job_id, new_id(), 30)
            assert claimed is not None
            _insert_attempt_and_event(connection, first, job_id, claimed.fence)
            if job_id == answered:
                leases.conclude_answered(connection, claimed, AnsweredBy.RULES, {"x": 1}, attempt=None, failure=failure)
            else:
                leases.conclude_in_review(connection, claimed, failure, None)
    _leave_a_second_review_and_a_skip(database, first, answered)
    return first, second


def _leave_a_second_review_and_a_skip(database: Database, tenant: str, job_id: UUID) -> None:
    """A rate, an answer that was drawn for a second look, and somebody who skipped it."""
    set_rate(database, tenant, "classify", 1)
    with database.tenant(tenant) as connection:
        connection.exec_driver_sql(
            "INSERT INTO second_reviews (job_id, tenant_id, task) VALUES (%s, %s, 'classify')", (job_id, tenant)
        )
        reviews.skip(connection, tenant, job_id, "ann", 60)


def _leave_an_upload_open(database: Database, tenant: str) -> None:
    """A batch of which one line has arrived."""
    options = JobOptions()
    reading = Reading(find_task("summarize"), {}, options)
    batch = upload.begin(database, tenant, "summarize", reading.head, None)
    for chunk in reading.chunks([b'{"text": "arrived"}']):
        upload.receive(database, tenant, batch.id, chunk, None)


def _insert_attempt_and_event(connection: Connection, tenant: str, job_id: object, fence: int) -> None:
    connection.exec_driver_sql(
        "INSERT INTO attempts (job_id, number, tenant_id, fence, actor, purpose, prompt_version, prompt_digest, tier, model,"
        " request) VALUES (%s, 1, %s, %s, 'test', 'first', 'v1', 'd', 'small', 'm', '{}')",
        (job_id, tenant, fence),
    )
    connection.exec_driver_sql(
        "INSERT INTO events (job_id, tenant_id, kind, actor) VALUES (%s, %s, 'waiting', 'test')", (job_id, tenant)
    )


def _rows_touched(database: Database, tenant: str, statement: str) -> int:
    """Rows that a statement changed; a refusal for lack of rights changes none."""
    try:
        with database.tenant(tenant) as connection:
            return connection.exec_driver_sql(statement).rowcount
    except ProgrammingError as error:
        if "permission denied" not in str(error):
            raise
        return 0


def _tables(house: House) -> list[tuple[str, str]]:
    tables = house.query(_TENANT_TABLES)
    names = {name for name, _ in tables}
    assert names >= {
        "tenants",
        "api_keys",
        "batches",
        "jobs",
        "inputs",
        "attempts",
        "answers",
        "events",
        "reviews",
        "arrivals",
    }
    return [(name, column) for name, column in tables]


def test_every_table_shows_a_tenant_its_own_rows_only(
    house: House, database: Database, two_tenants: tuple[str, str]
) -> None:
    """In each table with a tenant column the first tenant sees rows, all its own; the second sees none of them."""
    first, second = two_tenants
    for table, column in _tables(house):
        with database.tenant(first) as connection:
            owners = connection.exec_driver_sql(f"SELECT DISTINCT {column} FROM {table}").scalars().all()
            assert owners == [first], table
        with database.tenant(second) as connection:
            owners = connection.exec_driver_sql(f"SELECT DISTINCT {column} FROM {table}").scalars().all()
            assert first not in owners, table


def test_no_statement_changes_another_tenants_rows(
    house: House, database: Database, two_tenants: tuple[str, str]
) -> None:
    """UPDATE and DELETE as the second tenant touch nothing of the first, or are not permitted at all."""
    first, second = two_tenants
    for table, column in _tables(house):
        before = house.query(f"SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} t")
        for statement in (
            f"UPDATE {table} SET {column} = {column} WHERE {column} = '{first}'",
            f"UPDATE {table} SET {column} = '{second}'",
            f"DELETE FROM {table} WHERE {column} = '{first}'",
        ):
            assert _rows_touched(database, second, statement) == 0, statement
        assert house.query(f"SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} t") == before


def test_no_row_can_be_planted_in_another_tenant(
    house: House, database: Database, two_tenants: tuple[str, str]
) -> None:
    """A copy of a row, inserted for the first tenant by the second, is refused in every table."""
    first, second = two_tenants
    for table, column in _tables(house):
        columns = [name for (name,) in house.query(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s", table
        )]  # fmt: skip
        row = house.query(f"SELECT {', '.join(f'{c}::text' for c in columns)} FROM {table} WHERE {column} = %s", first)[
            0
        ]
        marks = ", ".join("%s" for _ in columns)
        with pytest.raises(DBAPIError) as refused, database.tenant(second) as connection:
            connection.exec_driver_sql(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", tuple(row))
        assert "row-level security" in str(refused.value) or "permission denied" in str(refused.value), table


def test_without_a_tenant_nothing_is_visible(house: House, database: Database, two_tenants: tuple[str, str]) -> None:
    """A transaction that names no tenant sees no row of any table."""
    for table, _ in _tables(house):
        with database.engine.connect() as connection:
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0, table


def test_partitions_cannot_be_read_around_the_policy(
    house: House, database: Database, two_tenants: tuple[str, str]
) -> None:
    """Each partition refuses the application role, and has row-level security forced should a right be given later."""
    partitions = [name for (name,) in house.query(_PARTITIONS)]
    assert len(partitions) >= 4 * 4
    for partition in partitions:
        with pytest.raises(ProgrammingError, match="permission denied"), database.tenant(two_tenants[0]) as connection:
            connection.exec_driver_sql(f"SELECT 1 FROM {partition}")
        flags = house.query("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = %s", partition)
        assert flags == [(True, True)], partition


def test_the_tenant_ends_with_its_transaction(database: Database, two_tenants: tuple[str, str]) -> None:
    """A pooled connection carries no tenant into the next transaction."""
    first, _ = two_tenants
    with database.tenant(first) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM jobs").scalar() == 3
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM jobs").scalar() == 0


def test_the_system_role_reads_no_content(database: Database, two_tenants: tuple[str, str]) -> None:
    """Dispatch and operators' figures see all tenants' jobs, but no column that may hold a document or an answer."""
    with database.system() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM jobs").scalar() == 3
    statements = [f"SELECT {column} FROM {table}" for table, columns in _SYSTEM_CONTENT.items() for column in columns]
    statements += [f"SELECT * FROM {table}" for table in _UNREADABLE_FOR_SYSTEM]
    for statement in statements:
        with pytest.raises(ProgrammingError, match="permission denied"), database.system() as connection:
            connection.exec_driver_sql(statement)


def test_a_superuser_is_refused_with_what_to_do(house: House) -> None:
    """The guard refuses a login that row-level security does not bind, and names the command that helps."""
    admin = Database(house.admin_url)
    with pytest.raises(guard.UnsafeDatabase, match=r"superuser.*assay migrate"):
        guard.check(admin, HEAD_REVISION)
    admin.close()


@pytest.mark.parametrize(
    ("make", "word"),
    [
        ("CREATE ROLE sly LOGIN PASSWORD 'x' BYPASSRLS", "BYPASSRLS"),
        (
            "CREATE ROLE sly LOGIN PASSWORD 'x'; CREATE TABLE lot (); ALTER TABLE lot OWNER TO sly",
            "owns 1 of the tables",
        ),
    ],
)
def test_bypassrls_and_ownership_are_refused(house: House, make: str, word: str) -> None:
    """Neither a role that may bypass the policies nor one that owns tables, and could switch them off, gets past."""
    house.run(make)
    sly = Database(house.app_url.replace("assay_app:only-for-tests", "sly:x"))
    try:
        with sly.engine.connect() as connection, pytest.raises(guard.UnsafeDatabase, match=word):
            guard.check_role(connection)
    finally:
        sly.close()
        house.run("DROP OWNED BY sly; DROP ROLE sly")


def test_a_worker_refuses_to_start_as_superuser(house: House) -> None:
    """A worker process given the administrator's DATABASE_URL ends at once with one sentence and exit code 1."""
    done = subprocess.run(
        with_this_python(worker_command("refused")),
        env=house.environment(DATABASE_URL=house.admin_url),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "superuser" in done.stderr.decode()
    assert "assay migrate" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_migrating_again_changes_nothing(house: House, database: Database) -> None:
    """Migration may run on every start: the second time it makes nothing and keeps the password."""
    assert migrate.migrate(house.admin_url) is None
    guard.check(database, HEAD_REVISION)


def test_the_constant_head_is_alembics_head() -> None:
    """The revision that processes ask for is the newest migration there is."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD_REVISION


@pytest.mark.parametrize("table", _SYSTEM_ONLY)
def test_what_runs_the_house_is_not_a_tenants_to_see(database: Database, tenant: str, table: str) -> None:
    """How far other tenants are served, which workers there are and who dispatches is refused to a tenant's transaction."""
    with pytest.raises(ProgrammingError, match="permission denied"), database.tenant(tenant) as connection:
        connection.exec_driver_sql(f"SELECT 1 FROM {table}")
