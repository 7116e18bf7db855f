"""Bring a database to this version: roles, then alembic migrations. Needs an administrator's login, once per version."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from psycopg import sql
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    retry_if_result,
    stop_after_attempt,
    stop_after_delay,
    wait_fixed,
    wait_random_exponential,
)

from storage.database import SYSTEM_ROLE, sqlalchemy_url
from storage.guard import UnsafeDatabase, current_revision, fits

APP_ROLE = "assay_app"
PRODUCER_ROLE = "assay_producer"
"""For logins of other systems in the same database that enqueue jobs in their own transactions: grant it to them."""
MINIMUM_SERVER = 160000
"""PostgreSQL 16: generate_series with a time zone, used for the partitions."""
LOCK_SECONDS = 3.0
"""A migration waits so long for a lock, and running jobs at most so long for the migration that waits."""
LOCK_TRIES = 20
LOCK_PAUSE_SECONDS = 10.0
OTHERS_SECONDS = 900.0
"""So long one process waits for another that migrates the same database."""
_MIGRATION_LOCK = 0x0A55A7
_LONG_HOLDERS = """
SELECT DISTINCT a.pid, a.application_name, extract(epoch FROM now() - a.xact_start)::float8
FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid JOIN pg_class c ON c.oid = l.relation
WHERE l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND c.relnamespace = 'public'::regnamespace AND a.pid <> pg_backend_pid()
  AND a.xact_start < now() - make_interval(secs => %(seconds)s)
"""


Echo = Callable[[str], object]


class MigrationRefused(RuntimeError):
    """The database cannot be migrated with this login; the message says why and what to do."""


def migrate(admin_url: str, *, app_password: str | None = None, echo: Echo = lambda _line: None) -> str | None:
    """Make the roles and tables, or bring them up to date. Safe to run again and from several processes.

    Work may go on meanwhile: each migration is a transaction of its own, and one that does not get its locks within
    :data:`LOCK_SECONDS` lets everybody pass and tries again. Tables that are newer than this release, but compatible with
    it, are left as they are.

    Args:
        admin_url: a login that may create roles and tables.
        app_password: the application role's password; by default a random one when the role is new, and otherwise
            the one it has.
        echo: is told what is done, a line at a time.

    Returns:
        The URL that processes use as DATABASE_URL, or None where the role existed and its password is not known here.

    Raises:
        MigrationRefused: the login lacks rights, the server is too old, it cannot be reached, the tables belong to a newer
            release, or somebody keeps them locked.
    """
    engine = create_engine(sqlalchemy_url(admin_url), poolclass=NullPool, connect_args={"connect_timeout": 10})
    try:
        with _alone(engine), engine.connect() as connection:
            _check_server(connection)
            password = _make_roles(connection, app_password)
            connection.commit()
            upgrade(connection, alembic_config(), echo)
            # Everyone may read which version the tables have: a start is refused when it is not the right one.
            connection.exec_driver_sql(f"GRANT SELECT ON alembic_version TO {APP_ROLE}")
            connection.commit()
    except Exception as error:
        cause = getattr(error, "orig", error)
        if isinstance(cause, psycopg.Error):
            sentence = " ".join(str(cause).split())
            raise MigrationRefused(f"The database could not be migrated: {sentence}") from error
        raise
    finally:
        engine.dispose()
    return None if password is None else _with_login(admin_url, APP_ROLE, password)


def upgrade(connection: Connection, config: Config, echo: Echo) -> None:
    """Apply what is missing, one migration after another.

    Raises:
        MigrationRefused: the tables belong to a newer release, or somebody keeps them locked.
    """
    script = ScriptDirectory.from_config(config)
    head, at = script.get_current_head(), current_revision(connection)
    try:
        is_current = at is not None and head is not None and fits(connection, at, head)
    except UnsafeDatabase as refusal:
        raise MigrationRefused(str(refusal)) from None
    if not is_current:
        for step in reversed(list(script.iterate_revisions("head", at or "base"))):
            _apply(connection, config, step, echo)


def alembic_config() -> Config:
    """Alembic's configuration for the migrations of this release."""
    config = Config()
    config.set_main_option("script_location", str(resources.files("storage") / "migrations"))
    return config


def _apply(connection: Connection, config: Config, step: Script, echo: Echo) -> None:
    """One migration, in a transaction of its own.

    A statement that waits for a lock makes all later ones on that table wait behind it, those of running jobs too. So it
    waits for a short time only; then the transaction is rolled back and the migration begun anew after a pause.
    """
    config.attributes["connection"] = connection
    echo(f"Migration {step.revision}: {step.doc}")
    began = time.monotonic()

    def again(state: RetryCallState) -> None:
        connection.rollback()
        echo(
            f"Migration {step.revision} waits for locks (try {state.attempt_number} of {LOCK_TRIES}){_holders(connection)}."
        )

    tries = Retrying(
        stop=stop_after_attempt(LOCK_TRIES),
        wait=wait_random_exponential(multiplier=0.5, max=LOCK_PAUSE_SECONDS),
        retry=retry_if_exception(_is_about_locks),
        before_sleep=again,
        reraise=True,
    )
    try:
        tries(_run, connection, config, step)
    except (DBAPIError, psycopg.Error) as error:
        connection.rollback()
        if not _is_about_locks(error):
            raise
        raise MigrationRefused(
            f"Migration {step.revision} did not get its locks in {LOCK_TRIES} tries{_holders(connection)}."
            " Nothing of it was done; end what holds them, then run `assay migrate` again."
        ) from error
    echo(f"Migration {step.revision} took {time.monotonic() - began:.1f} s.")


def _run(connection: Connection, config: Config, step: Script) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(LOCK_SECONDS * 1000)}")
    command.upgrade(config, step.revision)
    connection.commit()


def _is_about_locks(error: BaseException) -> bool:
    """It did not get a lock in time, or was chosen to give way in a deadlock with running jobs."""
    return isinstance(getattr(error, "orig", error), LockNotAvailable | DeadlockDetected)


def _holders(connection: Connection) -> str:
    """Who has held locks on our tables for longer than a migration waits: no statement of ours does."""
    rows = connection.exec_driver_sql(_LONG_HOLDERS, {"seconds": LOCK_SECONDS}).all()
    connection.rollback()
    held = [f"{seconds:.0f} s (pid {pid}{f', {name}' if name else ''})" for pid, name, seconds in rows]
    return f"; transactions have been open for {', '.join(held)}" if held else ""


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """One process at a time migrates. The lock is a session's, held by a connection that does nothing else: a migration
    commits several times."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # Asking again and again, since a statement that waits would hold a snapshot, for which others would wait.
        asking = Retrying(
            stop=stop_after_delay(OTHERS_SECONDS),
            wait=wait_fixed(0.5),
            retry=retry_if_result(lambda got: not got),
            retry_error_callback=lambda _state: False,
        )
        statement = f"SELECT pg_try_advisory_lock({_MIGRATION_LOCK})"
        if not asking(lambda: bool(connection.exec_driver_sql(statement).scalar_one())):
            raise MigrationRefused(
                "Another process has been migrating this database for too long; see what it waits for."
            )
        yield


def _check_server(connection: Connection) -> None:
    version = connection.exec_driver_sql("SELECT current_setting('server_version_num')::int").scalar_one()
    if version < MINIMUM_SERVER:
        raise MigrationRefused(f"PostgreSQL {version // 10000} is too old; Assay needs 16 or newer.")


def _make_roles(connection: Connection, app_password: str | None) -> str | None:
    """Make the three roles. NOINHERIT: the application role gets nothing of the system role until it takes it on."""
    known = set(connection.exec_driver_sql("SELECT rolname FROM pg_roles").scalars())
    run = _runner(connection)
    for role in (SYSTEM_ROLE, PRODUCER_ROLE):
        if role not in known:
            run(sql.SQL("CREATE ROLE {} NOLOGIN NOBYPASSRLS").format(sql.Identifier(role)))
    password = app_password
    if APP_ROLE not in known:
        password = password or secrets.token_urlsafe(24)
        run(sql.SQL("CREATE ROLE {} LOGIN NOINHERIT NOBYPASSRLS").format(sql.Identifier(APP_ROLE)))
    if password is not None:
        run(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(APP_ROLE), sql.Literal(password)))
    run(sql.SQL("GRANT {} TO {}").format(sql.Identifier(SYSTEM_ROLE), sql.Identifier(APP_ROLE)))
    return password


def _runner(connection: Connection) -> Callable[[sql.Composed], object]:
    """psycopg itself, because role names and passwords cannot be parameters: its ``sql`` module quotes them."""
    driver = connection.connection.driver_connection
    assert driver is not None
    return driver.execute  # type: ignore[no-any-return]


def _with_login(url: str, user: str, password: str) -> str:
    """The same server and database with another login."""
    if not urlsplit(url).netloc:
        parsed = make_url(url).set(username=user, password=password)
        return parsed.render_as_string(hide_password=False)
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user)}:{quote(password, safe='')}@{place}"))
