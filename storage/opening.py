"""Opens the database that the settings name, once it is certain that it keeps tenants apart."""

from schemas.settings import Settings
from storage import guard
from storage.database import Database
from storage.version import HEAD_REVISION


class NotConfigured(RuntimeError):
    """A process cannot start with these settings; the message says what to set."""


def open_database(settings: Settings, *, pool_size: int = 5) -> Database:
    """The database, checked.

    Raises:
        NotConfigured: DATABASE_URL is not set.
        UnsafeDatabase: row-level security would not bind this login, or the tables are not of this version.
    """
    if settings.database_url is None:
        raise NotConfigured("DATABASE_URL is not set: set it, or start everything with `assay up`.")
    database = Database(settings.database_url, pool_size=pool_size, idle_seconds=settings.lease_seconds / 2)
    try:
        guard.check(database, HEAD_REVISION)
    except BaseException:
        database.close()
        raise
    return database
