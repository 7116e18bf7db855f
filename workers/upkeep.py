"""Three threads per worker process: one renews leases and reports the process, one keeps the window filled, one sweeps.

They do not go through the broker, so that no backlog and no full process can delay them. Each process has them; the
database lets one at a time dispatch or sweep.
"""

import logging
import threading
from collections.abc import Callable

from jobs.dispatch import Publisher, dispatch
from jobs.execute import Workplace
from jobs.reconcile import sweep
from storage import workers
from workers.slots import Slots

POLL_SECONDS = 0.5
"""A dispatch round comes at least this often; finished jobs ask for one at once."""
PAUSE_SECONDS = 0.05
"""Rounds asked for within this time are one round."""
PAUSE_AFTER_ERROR_SECONDS = 0.5

_log = logging.getLogger(__name__)


class Upkeep:
    """The background threads of a worker process."""

    def __init__(self, place: Workplace, slots: Slots, publisher: Publisher) -> None:
        self._place = place
        self._slots = slots
        self._publisher = publisher
        self._stopping = threading.Event()
        self._wanted = threading.Event()
        turns = {"heartbeat": self._heartbeat, "dispatch": self._dispatch, "sweep": self._sweep}
        self._threads = [
            threading.Thread(target=self._every, args=(turn,), name=name, daemon=True) for name, turn in turns.items()
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def want_dispatch(self) -> None:
        """Ask for a dispatch round: there is room again."""
        self._wanted.set()

    def stop(self) -> None:
        """End the threads and wait for them."""
        self._stopping.set()
        self._wanted.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _every(self, turn: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            try:
                turn()
            except Exception as error:
                # A database or broker that is away comes back; whatever it is, a process whose leases are no longer
                # renewed is worse than one that says so and tries again.
                _log.warning("%s: %s; trying again", threading.current_thread().name, type(error).__name__)
                self._stopping.wait(PAUSE_AFTER_ERROR_SECONDS)

    def _heartbeat(self) -> None:
        held = self._place.held
        held.renew(self._place.database, self._place.settings.lease_seconds)
        with self._place.database.system() as connection:
            workers.seen(
                connection, self._place.worker_id, self._place.actor,
                slots=self._slots.count, busy=self._slots.busy, claims=held.claims,
            )  # fmt: skip
        self._stopping.wait(self._place.settings.heartbeat_seconds)

    def _dispatch(self) -> None:
        self._wanted.clear()
        dispatch(self._place.database, self._publisher)
        self._wanted.wait(POLL_SECONDS)
        self._stopping.wait(PAUSE_SECONDS)

    def _sweep(self) -> None:
        if sweep(self._place.database, self._place.settings):
            self.want_dispatch()
        self._stopping.wait(self._place.settings.sweep_seconds)
