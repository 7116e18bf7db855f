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
    """Refuse a database whose tables are not those of this version.

    Raises:
        UnsafeDatabase: it has no tables yet, or older or newer ones.
    """
    if connection.exec_driver_sql("SELECT to_regclass('public.alembic_version')").scalar() is None:
        raise UnsafeDatabase(f"The database has no Assay tables yet. {_FIX}")
    version = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if version != head:
        raise UnsafeDatabase(f"The database is at migration {version}, this Assay needs {head}. Run `assay migrate`.")


def check(database: Database, head: str) -> None:
    """All of the above, and proof by trying: without a tenant set no row is visible."""
    with database.engine.connect() as connection:
        check_role(connection)
        check_migrated(connection, head)
        for table in ("jobs", "inputs", "attempts", "answers", "reviews", "batches"):
            if connection.execute(select(literal(1)).select_from(table_named(table)).limit(1)).first() is not None:
                raise UnsafeDatabase(f"Rows of {table} are visible although no tenant is set. Run `assay migrate`.")
