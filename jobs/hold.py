"""The leases that a process holds, shared between the threads that run jobs and the one that renews them."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID

from storage import leases
from storage.database import Database
from storage.leases import Claim


class HeldLeases:
    """Job ids and fences of the jobs that run here, and ids of those that wait for a slot. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._held: dict[UUID, int] = {}
        self._lost: set[UUID] = set()
        self._received: set[UUID] = set()
        self.claims = 0

    @contextmanager
    def holding(self, claimed: Claim) -> Iterator[None]:
        """Have the lease renewed while the block runs."""
        with self._lock:
            self._held[claimed.job_id] = claimed.fence
            self.claims += 1
        try:
            yield
        finally:
            with self._lock:
                if self._held.get(claimed.job_id) == claimed.fence:
                    del self._held[claimed.job_id]
                self._lost.discard(claimed.job_id)
                self._lock.notify_all()

    def receive(self, job_ids: Iterable[UUID]) -> None:
        """Jobs whose message has come and that wait here for a slot."""
        with self._lock:
            self._received.update(job_ids)

    def begin(self, job_id: UUID) -> None:
        """A received job has got its slot."""
        with self._lock:
            self._received.discard(job_id)

    def is_lost(self, job_id: UUID) -> bool:
        """Whether the last renewal showed that the job was cancelled or taken over."""
        return job_id in self._lost

    def snapshot(self) -> dict[UUID, int]:
        """What is held now."""
        with self._lock:
            return dict(self._held)

    def wait_until_none(self, seconds: float) -> None:
        """Wait until nothing runs here any more, but not longer than this."""
        with self._lock:
            self._lock.wait_for(lambda: not self._held, timeout=seconds)

    def renew(self, database: Database, lease_seconds: float) -> None:
        """Renew all leases in one statement and remember the lost ones."""
        held = self.snapshot()
        if not held:
            return
        with database.system() as connection:
            kept = leases.renew(connection, held, lease_seconds)
        with self._lock:
            self._lost |= {job_id for job_id in held if job_id not in kept and self._held.get(job_id) == held[job_id]}

    def give_back(self, database: Database, actor: str) -> int:
        """Give back at once, as a stopping worker does, what runs here and what waits for a slot; returns how many."""
        with self._lock:
            held, received = dict(self._held), list(self._received)
        with database.system() as connection:
            given_back = leases.give_back(connection, held, actor) if held else []
            unstarted = leases.return_unstarted(connection, received) if received else []
        return len(given_back) + len(unstarted)
