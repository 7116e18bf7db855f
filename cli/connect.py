"""Where the commands connect: what the environment names, else the `assay up` that runs in ASSAY_HOME."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.errors import work_failed

if TYPE_CHECKING:
    from schemas.settings import Settings
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
    """The database, once it is certain that it keeps tenants apart."""
    with opened(complete_settings()) as connection:
        yield connection


@contextmanager
def opened(settings: "Settings") -> Iterator[Connection]:
    """The database of these settings."""
    from workers.wiring import open_database

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


def publish_now(connection: Connection) -> str | None:
    """Put waiting jobs on the broker, so that they start at once.

    Returns:
        Why that was not possible, in a sentence: the jobs are safe and are published later. None: done.
    """
    settings = connection.settings
    if settings.broker is None:
        return "No broker is set (BROKER_URL or REDIS_URL); the workers will find the work by themselves."
    _tell_celery(settings)
    from jobs.dispatch import PublishFailed, dispatch
    from workers.celery import app
    from workers.publisher import CeleryPublisher

    failures: list[str] = []

    class Publisher(CeleryPublisher):
        """Notes why the broker did not take a message."""

        def publish(self, task: str, tenant_id: str, job_ids: object) -> None:
            try:
                super().publish(task, tenant_id, job_ids)  # type: ignore[arg-type]
            except PublishFailed as error:
                failures.append(str(error))
                raise

    dispatch(connection.database, Publisher(app))
    if failures:
        return f"{failures[0][:1].upper()}{failures[0][1:]}; the work is stored and will be published when it is back."
    return None


def _tell_celery(settings: "Settings") -> None:
    """The Celery application reads its addresses from the environment when it is first used."""
    addresses = {
        "DATABASE_URL": settings.database_url,
        "BROKER_URL": settings.broker_url,
        "REDIS_URL": settings.redis_url,
    }
    os.environ.update({name: value for name, value in addresses.items() if value is not None})
