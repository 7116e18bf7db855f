"""The leases that a process holds, shared between the threads that run jobs and the one that renews them."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from orchestration.abort import Abort
from schemas.failure import Failure, FailureReason
from storage import leases
from storage.database import Database
from storage.leases import Claim, OpenCall


@dataclass(frozen=True)
class _Held:
    fence: int
    abort: Abort


class HeldLeases:
    """The jobs that run here, and ids of those that wait for a slot. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._held: dict[UUID, _Held] = {}
        self._received: set[UUID] = set()
        self.claims = 0

    @contextmanager
    def holding(self, claimed: Claim, abort: Abort) -> Iterator[None]:
        """Have the lease renewed while the block runs; ``abort`` is set when it is lost."""
        mine = _Held(claimed.fence, abort)
        with self._lock:
            self._held[claimed.job_id] = mine
            self.claims += 1
        try:
            yield
        finally:
            with self._lock:
                if self._held.get(claimed.job_id) is mine:
                    del self._held[claimed.job_id]
                self._lock.notify_all()

    def receive(self, job_ids: Iterable[UUID]) -> None:
        """Jobs whose message has come and that wait here for a slot."""
        with self._lock:
            self._received.update(job_ids)

    def begin(self, job_id: UUID) -> None:
        """A received job has got its slot."""
        with self._lock:
            self._received.discard(job_id)

    def call_off(self, job_id: UUID) -> None:
        """The job is cancelled or taken over: a call that is under way here ends at once."""
        with self._lock:
            held = self._held.get(job_id)
        if held is not None:
            held.abort.set(
                Failure(reason=FailureReason.CANCELLED, detail="the job was cancelled or taken over in the meantime")
            )

    def snapshot(self) -> dict[UUID, int]:
        """Ids and fences of what is held now."""
        with self._lock:
            return {job_id: held.fence for job_id, held in self._held.items()}

    def wait_until_none(self, seconds: float) -> None:
        """Wait until nothing runs here any more, but not longer than this."""
        with self._lock:
            self._lock.wait_for(lambda: not self._held, timeout=seconds)

    def renew(self, database: Database, lease_seconds: float) -> None:
        """Renew all leases in one statement and call off what is lost."""
        held = self.snapshot()
        if not held:
            return
        with database.system() as connection:
            kept = leases.renew(connection, held, lease_seconds)
        for job_id in held.keys() - kept:
            if self.snapshot().get(job_id) == held[job_id]:
                self.call_off(job_id)

    def give_back(self, database: Database, actor: str) -> tuple[int, list[OpenCall]]:
        """Give back at once, as a stopping worker does, what runs here and what waits for a slot.

        Returns:
            How many jobs, and the calls that were under way for them.
        """
        held = self.snapshot()
        with self._lock:
            received = list(self._received)
        with database.system() as connection:
            given_back, calls = leases.give_back(connection, held, actor) if held else ([], [])
            unstarted = leases.return_unstarted(connection, received) if received else []
        for job_id in given_back:
            self.call_off(job_id)
        return len(given_back) + len(unstarted), calls
