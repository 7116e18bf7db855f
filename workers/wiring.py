"""Introduces the parts of a worker process to each other, and takes them down in order."""

import logging
import os
import socket
import threading
from concurrent.futures import Future, wait

from celery import Celery

from jobs.execute import Workplace
from jobs.hold import HeldLeases
from orchestration.provider import AnthropicProvider
from schemas.ids import new_id
from schemas.settings import Settings
from storage import guard, workers
from storage.database import Database
from storage.version import HEAD_REVISION
from workers.publisher import CeleryPublisher
from workers.slots import Slots
from workers.upkeep import Upkeep

POOL_SIZE = 16
"""Connections per process: transactions take milliseconds, so few serve many slots."""

_log = logging.getLogger(__name__)


class NotConfigured(RuntimeError):
    """A process cannot start with these settings; the message says what to set."""


class Workshop:
    """Everything one worker process has: a workplace, its slots, and the threads that keep it up."""

    def __init__(self, settings: Settings, app: Celery) -> None:
        database = open_database(settings, pool_size=POOL_SIZE)
        self.settings = settings
        self.app = app
        self.slots = Slots(settings.worker_slots)
        self.place = Workplace(
            database=database,
            provider=AnthropicProvider(settings),
            settings=settings,
            held=HeldLeases(),
            worker_id=new_id(),
            actor=f"worker {socket.gethostname()}:{os.getpid()}",
        )
        self.publisher = CeleryPublisher(app)
        self.stopping = threading.Event()
        self.upkeep = Upkeep(self.place, self.slots, self.publisher)

    def start(self) -> None:
        """Announce the process and begin renewing leases and dispatching."""
        self.upkeep.start()

    def wait_for(self, futures: "list[Future[None]]") -> None:
        """Wait for jobs to come to rest, or for the process to stop."""
        pending = set(futures)
        while pending and not self.stopping.is_set():
            _, pending = wait(pending, timeout=0.5)

    def stop(self) -> None:
        """Finish within ``stop_seconds`` what runs, give everything else back at once, and sign off."""
        self.slots.stop()
        self.place.held.wait_until_none(self.settings.stop_seconds)
        self.stopping.set()
        self.upkeep.stop()
        given_back = self.place.held.give_back(self.place.database, self.place.actor)
        with self.place.database.system() as connection:
            workers.stopped(connection, self.place.worker_id)
        _log.info("stopped; %d running jobs given back", given_back)


def open_database(settings: Settings, *, pool_size: int = 5) -> Database:
    """The database, once it is certain that it keeps tenants apart.

    Raises:
        NotConfigured: DATABASE_URL is not set.
        UnsafeDatabase: row-level security would not bind this login, or the tables are not of this version.
    """
    if settings.database_url is None:
        raise NotConfigured("DATABASE_URL is not set: set it, or start everything with `assay up`.")
    database = Database(settings.database_url, pool_size=pool_size)
    try:
        guard.check(database, HEAD_REVISION)
    except BaseException:
        database.close()
        raise
    return database
