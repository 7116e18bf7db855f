"""Migrations on a live system: releases and tables that fit, locks that are not queued for, work that goes on meanwhile."""

import dataclasses
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from jobs import show
from jobs.tenancy import create_tenant
from schemas.ids import new_id
from stack.commands import with_this_python, worker_command
from storage import guard, migrate
from storage.database import Database, sqlalchemy_url
from storage.version import HEAD_REVISION
from tests.house import House, Workers, eventually, landed, submit_texts

JOBS = 120
"""At ten slots and 0.1 s a call they last for more than a second."""
SCRIPT = """from alembic import op
revision = "{revision}"
down_revision = "{before}"

def upgrade():
    op.execute("{statement}")
"""


@pytest.fixture
def scratch(house: House) -> Iterator[House]:
    """A database without tables on the house's server, with a corner of its own on the broker."""
    name = f"scratch_{new_id().hex[-12:]}"
    with psycopg.connect(house.admin_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield dataclasses.replace(
        house,
        admin_url=f"{house.admin_url.rpartition('/')[0]}/{name}",
        app_url=f"{house.app_url.rpartition('/')[0]}/{name}",
        broker_url=f"{house.broker_url.rpartition('/')[0]}/3",
    )
    with psycopg.connect(house.admin_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def migrated(scratch: House) -> House:
    """The same, with the tables of this release."""
    migrate.migrate(scratch.admin_url)
    return scratch


def test_an_owner_who_is_no_superuser_migrates_from_nothing(house: House) -> None:
    """As on managed servers: row-level security binds the administrator too, and the tables come about all the same."""
    name = f"managed_{new_id().hex[-12:]}"
    roles = (migrate.APP_ROLE, "assay_system", migrate.PRODUCER_ROLE)
    with psycopg.connect(house.admin_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD 'x'").format(sql.Identifier(name)))
        for role in roles:
            connection.execute(
                sql.SQL("GRANT {} TO {} WITH ADMIN OPTION").format(sql.Identifier(role), sql.Identifier(name))
            )
        connection.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(sql.Identifier(name)))
    try:
        address = house.app_url.rpartition("@")[2].rpartition("/")[0]
        migrate.migrate(f"postgresql://{name}:x@{address}/{name}")
        app = Database(f"{house.app_url.rpartition('/')[0]}/{name}")
        guard.check(app, HEAD_REVISION)
        submit_texts(app, "default", ["one"])
        app.close()
    finally:
        with psycopg.connect(house.admin_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            granted = sql.SQL("REVOKE assay_system FROM assay_app GRANTED BY {}").format(sql.Identifier(name))
            connection.execute(granted)
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def upgrade_to(house: House, revision: str) -> None:
    """Build the tables as an earlier release left them."""
    with owner(house) as connection:
        config = migrate.alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.exec_driver_sql("GRANT SELECT ON alembic_version TO assay_app")
        connection.commit()


def owner(house: House) -> Connection:
    """A connection as the owner of the tables."""
    return create_engine(sqlalchemy_url(house.admin_url), poolclass=NullPool).connect()


def later_release(folder: Path, *statements: str) -> Config:
    """The migrations of this release and one more for each statement."""
    config = migrate.alembic_config()
    ours = Path(migrate.__file__).parent / "migrations" / "versions"
    config.set_main_option("version_locations", f"{ours}{os.pathsep}{folder}")
    config.set_main_option("path_separator", "os")
    for number, statement in enumerate(statements, int(HEAD_REVISION) + 1):
        text = SCRIPT.format(revision=f"{number:04}", before=f"{number - 1:04}", statement=statement)
        (folder / f"v{number:04}.py").write_text(text)
    return config


def revision(house: House) -> str:
    """What the tables are at."""
    return str(house.query("SELECT version_num FROM alembic_version")[0][0])


def check(house: House) -> None:
    """What every process does at its start."""
    database = Database(house.app_url)
    try:
        guard.check(database, HEAD_REVISION)
    finally:
        database.close()


class InBackground:
    """A call in a thread of its own, whose error comes out in the test."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(call,))
        self._thread.start()

    def _run(self, call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:
            self._error = error

    def wait(self) -> None:
        """Until it has ended."""
        self._thread.join()
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize(
    ("at", "oldest", "refusal"),
    [
        (HEAD_REVISION, HEAD_REVISION, None),
        ("0099", HEAD_REVISION, None),
        ("0099", "0001", None),
        ("0099", "0098", r"^This release of Assay is older than the database \(.*0099\): upgrade it\.$"),
        (
            "0001",
            HEAD_REVISION,
            rf"^The database is at migration 0001, this Assay needs {HEAD_REVISION}\. Run `assay migrate`\.$",
        ),
    ],
    ids=["the same", "newer, only added", "newer, long compatible", "newer, not compatible", "older"],
)
def test_a_release_starts_where_the_tables_fit(migrated: House, at: str, oldest: str, refusal: str | None) -> None:
    """The same or newer compatible tables are accepted; others are refused in a sentence that says what to do."""
    migrated.run(
        f"UPDATE alembic_version SET version_num = '{at}'; UPDATE compatibility SET oldest_revision = '{oldest}'"
    )
    if refusal is None:
        check(migrated)
    else:
        with pytest.raises(guard.UnsafeDatabase, match=refusal):
            check(migrated)


def test_a_database_without_tables_is_refused(scratch: House) -> None:
    """It names the command that makes them."""
    with pytest.raises(guard.UnsafeDatabase, match=r"no Assay tables yet\. Run `assay migrate`"):
        check(scratch)


def test_a_worker_of_an_older_release_says_so(migrated: House) -> None:
    """It ends at once, with one sentence and exit code 1."""
    migrated.run("UPDATE alembic_version SET version_num = '0099'; UPDATE compatibility SET oldest_revision = '0099'")
    command_line = with_this_python(worker_command("old"))
    done = subprocess.run(
        command_line, env=migrated.environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "This release of Assay is older than the database" in done.stderr
    assert "Traceback" not in done.stderr


def test_newer_tables_are_not_migrated_back(migrated: House) -> None:
    """Compatible ones are left as they are, others refused."""
    migrated.run("UPDATE alembic_version SET version_num = '0099'")
    migrate.migrate(migrated.admin_url)
    assert revision(migrated) == "0099"
    migrated.run("UPDATE compatibility SET oldest_revision = '0099'")
    with pytest.raises(migrate.MigrationRefused, match="upgrade it"):
        migrate.migrate(migrated.admin_url)


def test_jobs_of_the_first_release_go_on(scratch: House, tmp_path: Path) -> None:
    """A database filled by the first release is migrated with all its rows, and its waiting jobs are then answered."""
    upgrade_to(scratch, "0001")
    batch, waiting, later, running, answered = (new_id() for _ in range(5))
    job = "INSERT INTO jobs (id, tenant_id, batch_id, line, task, state, fallback, run_at, lease_until, answered_by) VALUES"
    batch_of = f"'default', '{batch}'"
    scratch.run(
        f"""
        INSERT INTO batches (id, tenant_id, task, total, created_at) VALUES ('{batch}', 'default', 'classify', 4, '2026-01-01');
        {job} ('{waiting}', {batch_of}, 1, 'classify', 'queued', 'rules', now(), NULL, NULL),
              ('{later}', {batch_of}, 2, 'classify', 'queued', 'rules', now() + interval '1 hour', NULL, NULL),
              ('{running}', {batch_of}, 3, 'classify', 'running', 'rules', now(), now() - interval '1 minute', NULL),
              ('{answered}', {batch_of}, 4, 'classify', 'answered', 'rules', now(), NULL, 'model');
        INSERT INTO inputs SELECT id, 'default', '{{"text": "the billing is wrong", "labels": ["billing", "other"]}}' FROM jobs;
        INSERT INTO answers (job_id, tenant_id, answered_by, output) VALUES ('{answered}', 'default', 'model', '{{}}');
        """
    )
    said: list[str] = []
    migrate.migrate(scratch.admin_url, echo=said.append)
    named = [line.partition(":")[0].partition(" took")[0] for line in said]
    assert named[:2] == ["Migration 0002"] * 2
    assert named[-2:] == [f"Migration {HEAD_REVISION}"] * 2
    assert revision(scratch) == HEAD_REVISION
    assert scratch.query("SELECT closed_at IS NOT NULL FROM batches") == [(True,)]
    assert scratch.query("SELECT count(*) FROM jobs WHERE cost = 1 AND losses = 0 AND on_outage = 'fallback'") == [(4,)]
    database = Database(scratch.app_url)
    with Workers(scratch, tmp_path) as workers:
        workers.start()
        eventually(lambda: show.progress(database, "default", batch).states.get("answered") == 3, "they are answered")
        assert show.show(database, "default", later).state == "queued"
    database.close()


def test_a_migration_that_waits_lets_others_pass(scratch: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a long transaction keeps a migration from its lock, claims behind it get theirs; then it is applied."""
    monkeypatch.setattr(migrate, "LOCK_SECONDS", 0.3)
    upgrade_to(scratch, "0001")
    scratch.run(
        f"INSERT INTO jobs (id, tenant_id, task, state, fallback) VALUES ('{new_id()}', 'default', 'classify', 'queued', 'rules')"
    )
    said: list[str] = []
    with psycopg.connect(scratch.admin_url) as long:
        long.execute("SELECT count(*) FROM jobs")
        migrating = InBackground(lambda: migrate.migrate(scratch.admin_url, echo=said.append))
        with psycopg.connect(scratch.admin_url, autocommit=True) as claiming:
            # Behind a statement that waits without end, this would be refused.
            claiming.execute("SET lock_timeout = '20s'")
            claims = 0
            while sum("waits for locks" in line for line in said) < 2:
                claims += claiming.execute("UPDATE jobs SET fence = fence + 1").rowcount
        assert claims > 0
        assert revision(scratch) == "0001"
        assert any(f"pid {long.info.backend_pid}" in line for line in said)
        long.rollback()
    migrating.wait()
    assert revision(scratch) == HEAD_REVISION
    assert scratch.query("SELECT fence FROM jobs") == [(claims,)]


def test_a_lock_that_is_never_free_is_named(scratch: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its tries a migration is refused, says who holds the lock, and has done nothing."""
    monkeypatch.setattr(migrate, "LOCK_SECONDS", 0.1)
    monkeypatch.setattr(migrate, "LOCK_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(migrate, "LOCK_TRIES", 3)
    upgrade_to(scratch, "0001")
    with psycopg.connect(scratch.admin_url) as long:
        long.execute("SELECT count(*) FROM jobs")
        with pytest.raises(migrate.MigrationRefused, match=rf"3 tries.*pid {long.info.backend_pid}.*assay migrate"):
            migrate.migrate(scratch.admin_url)
    assert revision(scratch) == "0001"
    assert scratch.query("SELECT to_regclass('duties')") == [(None,)]


def test_each_migration_is_a_transaction_of_its_own(migrated: House, tmp_path: Path) -> None:
    """What was applied before a migration that fails stays; the next run begins with the one that failed."""
    config = later_release(
        tmp_path, "ALTER TABLE jobs ADD COLUMN first int", "ALTER TABLE no_such_table ADD COLUMN x int"
    )
    with owner(migrated) as connection:
        with pytest.raises(Exception, match="no_such_table"):
            migrate.upgrade(connection, config, lambda _line: None)
        connection.rollback()
        assert revision(migrated) == f"{int(HEAD_REVISION) + 1:04}"
        migrated.run("CREATE TABLE no_such_table ()")
        migrate.upgrade(connection, config, lambda _line: None)
    assert revision(migrated) == f"{int(HEAD_REVISION) + 2:04}"


def test_several_processes_migrate_once(scratch: House) -> None:
    """Processes that start together, as containers do, wait for the first; each migration is applied once."""
    said: list[str] = []
    migrating = [InBackground(lambda: migrate.migrate(scratch.admin_url, echo=said.append)) for _ in range(3)]
    for one in migrating:
        one.wait()
    assert revision(scratch) == HEAD_REVISION
    assert len(said) == 2 * int(HEAD_REVISION)


def test_work_goes_on_while_a_migration_adds(migrated: House, tmp_path: Path) -> None:
    """A loaded worker of this release does not notice that a later one adds to its tables, and another one still starts."""
    migrated.provider.reset()
    database = Database(migrated.app_url)
    create_tenant(database, "busy", "of this test")
    scripts = tmp_path / "versions"
    scripts.mkdir()
    config = later_release(
        scripts,
        "ALTER TABLE jobs ADD COLUMN mood text NOT NULL DEFAULT 'calm'",
        "ALTER TABLE attempts ADD COLUMN mood text",
    )
    with migrated.provider.slow(0.1), Workers(migrated, tmp_path) as workers:
        (first,) = workers.start()
        batch = submit_texts(database, "busy", [f"Ticket {number}: the billing is wrong." for number in range(JOBS)])
        eventually(lambda: show.progress(database, "busy", batch).landed >= 20, "in full swing")
        with owner(migrated) as connection:
            migrate.upgrade(connection, config, lambda _line: None)
        assert not show.progress(database, "busy", batch).is_over
        views = landed(database, "busy", batch)
        assert {(view.state, view.answered_by) for view in views} == {("answered", "model")}
        assert migrated.query("SELECT count(*), count(DISTINCT job_id) FROM answers") == [(JOBS, JOBS)]
        assert migrated.query("SELECT outcome, count(*) FROM attempts GROUP BY 1") == [("accepted", JOBS)]
        assert migrated.query("SELECT max(tries) FROM jobs") == [(0,)]
        workers.kill(first, signal.SIGTERM)
        workers.start()
        (view,) = landed(database, "busy", submit_texts(database, "busy", ["one more billing"]))
        assert view.answered_by == "model"
    database.close()
