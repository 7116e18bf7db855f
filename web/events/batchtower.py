"""The batches that clients of this process watch, counted by one thread."""

import logging
import threading
import time
from dataclasses import dataclass, field
from uuid import UUID

from jobs.cancel import NotFound
from jobs.watching_batches import BatchStanding, look_at_batch
from storage.database import Database
from web.events.wakes import Wake, wake_all

LOOK_SECONDS = 0.5
"""Between two counts of one batch."""
MOST_SHARE = 0.1
"""Of the time at most this is spent on counting one batch: of a large one, each count takes longer and there are fewer."""
AGAIN_SECONDS = 1.0
"""After PostgreSQL did not answer."""

_log = logging.getLogger(__name__)


@dataclass
class _Watched:
    standing: BatchStanding | None = None
    is_gone: bool = False
    due_at: float = 0.0
    wakes: set[Wake] = field(default_factory=set)


class Batchtower:
    """Follows batches for clients."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._batches: dict[tuple[str, UUID], _Watched] = {}
        self._stopping = threading.Event()
        self._look_now = threading.Event()
        self._thread = threading.Thread(target=self._work, name="batchtower", daemon=True)

    @property
    def clients(self) -> int:
        """How many clients follow batches now."""
        with self._lock:
            return sum(len(watched.wakes) for watched in self._batches.values())

    def start(self) -> None:
        """Begin to count."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopping.set()
        self._look_now.set()
        if self._thread.is_alive():
            self._thread.join()

    def attach(self, tenant_id: str, batch_id: UUID, wake: Wake) -> None:
        """Have a client woken whenever a batch has moved."""
        with self._lock:
            self._batches.setdefault((tenant_id, batch_id), _Watched()).wakes.add(wake)
        self._look_now.set()

    def detach(self, tenant_id: str, batch_id: UUID, wake: Wake) -> None:
        """The client is gone."""
        with self._lock:
            watched = self._batches[tenant_id, batch_id]
            watched.wakes.discard(wake)
            if not watched.wakes:
                del self._batches[tenant_id, batch_id]

    def glance(self, tenant_id: str, batch_id: UUID) -> BatchStanding | None:
        """How far a batch is, as counted last; None before the first count.

        Raises:
            NotFound: it was an upload, and was dropped.
        """
        with self._lock:
            watched = self._batches[tenant_id, batch_id]
            if watched.is_gone:
                raise NotFound(f"There is no batch {batch_id}.")
            return watched.standing

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._look_now.wait(self._seconds_until_due())
            self._look_now.clear()
            try:
                for tenant_id, batch_id in self._due():
                    took = self._look(tenant_id, batch_id)
                    self._stopping.wait(
                        took
                    )  # however many batches there are, half of the time is left to the database
            except Exception as error:
                # As a rule PostgreSQL is away and comes back; whatever it is, clients that hear nothing more are worse.
                _log.warning("batchtower: %s; trying again", type(error).__name__)
                self._stopping.wait(AGAIN_SECONDS)

    def _seconds_until_due(self) -> float | None:
        with self._lock:
            due = [watched.due_at for watched in self._batches.values()]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _due(self) -> list[tuple[str, UUID]]:
        now = time.monotonic()
        with self._lock:
            return [which for which, watched in self._batches.items() if watched.due_at <= now]

    def _look(self, tenant_id: str, batch_id: UUID) -> float:
        began = time.monotonic()
        try:
            standing = look_at_batch(self._database, tenant_id, batch_id)
        except NotFound:
            standing = None
        took = time.monotonic() - began
        with self._lock:
            watched = self._batches.get((tenant_id, batch_id))
            if watched is None:
                return took
            watched.due_at = began + max(LOOK_SECONDS, took / MOST_SHARE)
            watched.is_gone = standing is None
            if standing != watched.standing or watched.is_gone:
                watched.standing = standing
                wake_all(watched.wakes)
        return took
