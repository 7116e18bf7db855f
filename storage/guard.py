"""Refuse to start when row-level security would not bind us."""

from sqlalchemy import Connection, literal, select
from sqlalchemy import table as table_named

from storage.database import Database

_ROLE = """
SELECT current_user AS name, rolsuper, rolbypassrls,
       (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND pg_has_role(current_user, c.relowner, 'MEMBER')) AS owned
FROM pg_roles WHERE rolname = current_user
"""
_UNPROTECTED = """
SELECT c.relname FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
ORDER BY 1
"""
_FIX = (
    "Run `assay migrate` with DATABASE_ADMIN_URL set to this administrator's URL; "
    "it makes the role assay_app and prints the DATABASE_URL to start with."
)


class UnsafeDatabase(RuntimeError):
    """The database cannot keep tenants apart for this login, or is not migrated; the message says what to do."""


def check_role(connection: Connection) -> None:
    """Refuse a login that could read past row-level security.

    Raises:
        UnsafeDatabase: it is a superuser, may bypass row security, owns tables, or a table is not protected.
    """
    role = connection.exec_driver_sql(_ROLE).mappings().one()
    if role["rolsuper"] or role["rolbypassrls"]:
        kind = "a superuser" if role["rolsuper"] else "a role with BYPASSRLS"
        raise UnsafeDatabase(
            f"DATABASE_URL logs in as {role['name']!r}, {kind}: it would read every tenant's rows past row-level security. {_FIX}"
        )
    if role["owned"]:
        raise UnsafeDatabase(
            f"DATABASE_URL logs in as {role['name']!r}, who owns {role['owned']} of the tables and could switch their row-level"
            f" security off. {_FIX}"
        )
    unprotected = connection.exec_driver_sql(_UNPROTECTED).scalars().all()
    if unprotected:
        raise UnsafeDatabase(f"Row-level security is not forced on: {', '.join(unprotected)}. Run `assay migrate`.")


def check_migrated(connection: Connection, head: str) -> None:
    """Refuse a database whose tables this release cannot work with.

    Tables may be newer: a migration says which is the oldest release that goes on with them.

    Raises:
        UnsafeDatabase: there are no tables yet, they are older, or they are newer and no longer fit.
    """
    at = current_revision(connection)
    if at is None:
        raise UnsafeDatabase(f"The database has no Assay tables yet. {_FIX}")
    if not fits(connection, at, head):
        raise UnsafeDatabase(f"The database is at migration {at}, this Assay needs {head}. Run `assay migrate`.")


def current_revision(connection: Connection) -> str | None:
    """The newest migration that the database has; None where it has no tables of ours."""
    if connection.exec_driver_sql("SELECT to_regclass('public.alembic_version')").scalar() is None:
        return None
    revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if revision is None else str(revision)


def fits(connection: Connection, at: str, head: str) -> bool:
    """Whether code that knows the migrations up to ``head`` works with tables at ``at``; False: they are older.

    Revisions are numbers with leading zeros, so their order is that of their text.

    Raises:
        UnsafeDatabase: the tables are newer and do not fit any more.
    """
    if at <= head:
        return at == head
    oldest = connection.exec_driver_sql("SELECT max(oldest_revision) FROM compatibility").scalar()
    if oldest is None or oldest > head:
        raise UnsafeDatabase(
            f"This release of Assay is older than the database (it knows migrations up to {head}, the tables are at {at}):"
            " upgrade it."
        )
    return True


def check(database: Database, head: str) -> None:
    """All of the above, and proof by trying: without a tenant set no row is visible."""
    with database.engine.connect() as connection:
        check_role(connection)
        check_migrated(connection, head)
        for table in ("jobs", "inputs", "attempts", "answers", "reviews", "batches", "arrivals"):
            if connection.execute(select(literal(1)).select_from(table_named(table)).limit(1)).first() is not None:
                raise UnsafeDatabase(f"Rows of {table} are visible although no tenant is set. Run `assay migrate`.")
