"""Connections and transactions. Every transaction is one tenant's, or the system's; there is no third kind."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError

SYSTEM_ROLE = "assay_system"
"""The role that dispatch, sweep and operators' figures take on: all tenants, but no column that holds content."""

PLANS = (
    "-c plan_cache_mode=force_generic_plan"
    " -c enable_seqscan=off -c enable_sort=off -c enable_hashjoin=off -c enable_mergejoin=off"
)
"""Prepared statements are planned once: with partitions the server would otherwise plan each one anew, which took longer
than running it. Our statements find their rows by key or through a partial index, so there is nothing to adapt to. But a
plan made while a table was small is kept, and for a small table it reads or sorts the whole: every claim of the first large
batch then took 70 ms at 100,000 jobs, and every dispatch round 430 ms at 1,000,000. So what would read a whole table is switched
off; where nothing else is possible the server does it all the same."""

_BEGIN_TENANT = "SELECT set_config('assay.tenant', %(tenant)s, true)"
_BEGIN_SYSTEM = f"SET LOCAL ROLE {SYSTEM_ROLE}"


class Database:
    """A pool of connections as the application role.

    Args:
        url: libpq URL (``postgresql://...``) of the application role.
        pool_size: connections at most. None is opened for a moment only: a login costs more than many transactions.
        statement_seconds: the server ends a statement that takes longer.
        idle_seconds: the server ends a transaction in which nothing happens for so long. Its process stands still, and
            its locks would keep others from taking over; so this is less than a lease.
    """

    def __init__(
        self, url: str, *, pool_size: int = 5, statement_seconds: float = 60, idle_seconds: float = 15
    ) -> None:
        self.engine: Engine = create_engine(
            sqlalchemy_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=30,
            hide_parameters=True,  # an error's text must not repeat documents into a log
            connect_args={
                "connect_timeout": 5,
                "application_name": "assay",
                "options": f"-c statement_timeout={int(statement_seconds * 1000)}"
                f" -c idle_in_transaction_session_timeout={int(idle_seconds * 1000)} -c timezone=UTC {PLANS}",
            },
        )

    @contextmanager
    def tenant(self, tenant_id: str) -> Iterator[Connection]:
        """One transaction that sees and writes this tenant's rows only."""
        with self._transaction(_BEGIN_TENANT, {"tenant": tenant_id}) as connection:
            yield connection

    @contextmanager
    def system(self) -> Iterator[Connection]:
        """One transaction across tenants, limited to the columns that the system role may see."""
        with self._transaction(_BEGIN_SYSTEM, None) as connection:
            yield connection

    def close(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()

    @contextmanager
    def _transaction(self, opening: str, parameters: dict[str, str] | None) -> Iterator[Connection]:
        connection = self._opened(opening, parameters)
        try:
            yield connection
            connection.commit()
        finally:
            # close() rolls back what was not committed.
            connection.close()

    def _opened(self, opening: str, parameters: dict[str, str] | None) -> Connection:
        """A connection in a transaction. A pooled connection may have died while idle: then a fresh one is taken,
        which is safe here because nothing has been written yet."""
        connection = self.engine.connect()
        try:
            connection.exec_driver_sql(opening, parameters)
        except DBAPIError as error:
            connection.close()
            if not error.connection_invalidated:
                raise
            connection = self.engine.connect()
            connection.exec_driver_sql(opening, parameters)
        return connection


def sqlalchemy_url(url: str) -> str:
    """A libpq URL as SQLAlchemy names it, with psycopg 3 as the driver."""
    for prefix in ("postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url
