"""Where the commands connect: what the environment names, else the `assay up` that runs in ASSAY_HOME."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cli.errors import work_failed, wrong_usage

if TYPE_CHECKING:
    from schemas.settings import Settings
    from stack.state import StackState
    from storage.database import Database


@dataclass(frozen=True)
class Connection:
    """An open database and the settings that led there."""

    settings: "Settings"
    database: "Database"


def read_settings() -> "Settings":
    """The settings, read once per command."""
    from schemas.settings import read_settings as read

    return read()


def complete_settings() -> "Settings":
    """The settings with the addresses of the running stack where the environment names none.

    Raises:
        Stop: neither knows a database.
    """
    settings = read_settings()
    from stack.plan import connected
    from stack.state import read_state

    state = read_state(settings.home)
    if state is not None and settings.database_url in {None, state.connections.database_url}:
        settings = connected(settings, state.connections)
    if settings.database_url is None:
        starting = " yet (it is starting)" if state is not None else ""
        raise work_failed(
            f"No Assay is running in {settings.home}{starting}: start it with `assay up`, or set DATABASE_URL."
        )
    return settings


@contextmanager
def connected_database() -> Iterator[Connection]:
    """The database, once it is certain that it keeps tenants apart: for commands that know no other way.

    Raises:
        Stop: ASSAY_URL is set and its Assay's database is not known.
    """
    check_same_assay(read_settings())
    with opened(complete_settings()) as connection:
        yield connection


def check_same_assay(settings: "Settings") -> None:
    """Whoever has set ASSAY_URL means that Assay, and not another one that happens to run in ASSAY_HOME.

    Raises:
        Stop: ASSAY_URL is set and its Assay's database is not known.
    """
    if settings.url is None or settings.database_url is not None:
        return
    from stack.state import read_state

    state = read_state(settings.home)
    if state is None or not _serves(state, settings.url):
        raise wrong_usage(
            f"This command works on the database and not over the API: set DATABASE_URL to the database of {settings.url},"
            f" or unset ASSAY_URL for the Assay in {settings.home}."
        )


def _serves(state: "StackState", url: str) -> bool:
    """Whether the web of this stack is at this address."""
    places = [urlsplit(one).netloc.replace("localhost", "127.0.0.1") for one in (url, state.connections.web_url or "")]
    return places[0] == places[1]


@contextmanager
def opened(settings: "Settings") -> Iterator[Connection]:
    """The database of these settings."""
    from storage.opening import open_database
    from telemetry.traces import set_up_traces

    set_up_traces("cli")
    database = open_database(settings, pool_size=2)
    try:
        yield Connection(settings, database)
    finally:
        database.close()


def check_tenant(connection: Connection, tenant_id: str) -> None:
    """Refuse a tenant that does not exist; for another tenant's eyes everything would merely look empty."""
    from jobs.submit import check_tenant as check

    with connection.database.tenant(tenant_id) as transaction:
        check(transaction, tenant_id)
