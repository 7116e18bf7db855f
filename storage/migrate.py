"""Bring a database to this version: roles, then alembic migrations. Needs an administrator's login, once per version."""

import secrets
from collections.abc import Callable
from importlib import resources
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.pool import NullPool

from storage.database import SYSTEM_ROLE, sqlalchemy_url

APP_ROLE = "assay_app"
MINIMUM_SERVER = 160000
"""PostgreSQL 16: generate_series with a time zone, used for the partitions."""
_MIGRATION_LOCK = 0x0A55A7


class MigrationRefused(RuntimeError):
    """The database cannot be migrated with this login; the message says why and what to do."""


def migrate(admin_url: str, *, app_password: str | None = None) -> str | None:
    """Make the roles and tables, or bring them up to date. Safe to run again and from several processes.

    Args:
        admin_url: a login that may create roles and tables.
        app_password: the application role's password; by default a random one when the role is new, and otherwise
            the one it has.

    Returns:
        The URL that processes use as DATABASE_URL, or None where the role existed and its password is not known here.

    Raises:
        MigrationRefused: the login lacks rights, the server is too old, or it cannot be reached.
    """
    engine = create_engine(sqlalchemy_url(admin_url), poolclass=NullPool, connect_args={"connect_timeout": 10})
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
            _check_server(connection)
            password = _make_roles(connection, app_password)
            _upgrade(connection)
    except Exception as error:
        cause = getattr(error, "orig", error)
        if isinstance(cause, psycopg.Error):
            sentence = " ".join(str(cause).split())
            raise MigrationRefused(f"The database could not be migrated: {sentence}") from error
        raise
    finally:
        engine.dispose()
    return None if password is None else _with_login(admin_url, APP_ROLE, password)


def _check_server(connection: Connection) -> None:
    version = connection.exec_driver_sql("SELECT current_setting('server_version_num')::int").scalar_one()
    if version < MINIMUM_SERVER:
        raise MigrationRefused(f"PostgreSQL {version // 10000} is too old; Assay needs 16 or newer.")


def _make_roles(connection: Connection, app_password: str | None) -> str | None:
    """Make the two roles. NOINHERIT: the application role gets nothing of the system role until it takes it on."""
    known = set(connection.exec_driver_sql("SELECT rolname FROM pg_roles").scalars())
    run = _runner(connection)
    if SYSTEM_ROLE not in known:
        run(sql.SQL("CREATE ROLE {} NOLOGIN NOBYPASSRLS").format(sql.Identifier(SYSTEM_ROLE)))
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


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    # Everyone may read which version the tables have: a start is refused when it is not the right one.
    connection.exec_driver_sql(f"GRANT SELECT ON alembic_version TO {APP_ROLE}")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(resources.files("storage") / "migrations"))
    return config


def _with_login(url: str, user: str, password: str) -> str:
    """The same server and database with another login."""
    if not urlsplit(url).netloc:
        parsed = make_url(url).set(username=user, password=password)
        return parsed.render_as_string(hide_password=False)
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user)}:{quote(password, safe='')}@{place}"))
