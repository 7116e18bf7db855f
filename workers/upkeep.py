"""Threads of a worker process besides its slots: one renews leases and reports the process, one keeps the window filled, one
sweeps, one listens to what transactions tell, one counts for operators and one holds the counts against alert rules.

They do not go through the broker, so that no backlog and no full process can delay them. Each process has them; the
database lets one at a time dispatch or sweep.
"""

import logging
import threading
from collections.abc import Callable
from uuid import UUID

from jobs import alerts
from jobs.admit import abandoned
from jobs.dispatch import Dispatcher
from jobs.reconcile import sweep
from jobs.tally import EVERY_SECONDS, tally
from jobs.workplace import Workplace
from storage import bell, workers
from workers.deafness import Ear, end_deaf_process
from workers.memory import resident_bytes
from workers.slots import Slots
from workers.webhooks import Messenger

POLL_SECONDS = 0.5
"""A dispatch round comes at least this often; finished jobs and new ones ask for one at once."""
BUSY_POLL_SECONDS = 0.1
"""After a round that published something: jobs that other processes finish do not ask here."""
PAUSE_SECONDS = 0.05
"""Rounds asked for within this time are one round."""
LISTEN_SECONDS = 1.0
PAUSE_AFTER_ERROR_SECONDS = 0.5

_log = logging.getLogger(__name__)


class Upkeep:
    """The background threads of a worker process.

    Attributes:
        live_processes: worker processes that were alive at the last heartbeat, this one included.
    """

    def __init__(self, place: Workplace, slots: Slots, dispatcher: Dispatcher) -> None:
        self._place = place
        self._slots = slots
        self._dispatcher = dispatcher
        self._stopping = threading.Event()
        self._wanted = threading.Event()
        self._ear: Ear
        self._ending = False
        self._messenger = Messenger(place.database, private=place.settings.webhook_private)
        self._alert_rules = alerts.rules_of(place.settings)
        self.live_processes = place.settings.worker_processes
        turns = {
            "heartbeat": self._heartbeat, "dispatch": self._dispatch, "sweep": self._sweep, "listen": self._listen,
            "tally": self._tally, "alerts": self._alerts, "webhooks": self._tell,
        }  # fmt: skip
        self._threads = [
            threading.Thread(target=self._every, args=(turn,), name=name, daemon=True) for name, turn in turns.items()
        ]

    def start(self, ear: Ear) -> None:
        """Start the threads; ``ear`` notices when no messages come any more."""
        self._ear = ear
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
        self._messenger.stop()

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
        self._place.held.renew(self._place.database, self._place.settings.lease_seconds)
        with self._place.database.system() as connection:
            waiting = workers.published_waiting_seconds(connection)
        deaf = self._ear.is_deaf(waiting, self._slots.busy, self._slots.count)
        self._report(deaf=deaf)
        if deaf and not self._ending:
            self._ending = True
            silent = self._ear.received_seconds_ago
            how_long = "since it started" if silent is None else f"for {silent:.0f} s"
            _log.error("no message has come %s although jobs wait: this process ends, for a fresh one", how_long)
            end_deaf_process(self._place.settings.stop_seconds)
        self._stopping.wait(self._place.settings.heartbeat_seconds)

    def _report(self, *, deaf: bool) -> None:
        with self._place.database.system() as connection:
            self.live_processes = workers.seen(
                connection, self._place.worker_id, self._place.actor,
                slots=self._slots.count, busy=self._slots.busy, claims=self._place.held.claims,
                received_seconds_ago=self._ear.received_seconds_ago, memory_bytes=resident_bytes(), deaf=deaf,
            )  # fmt: skip

    def _dispatch(self) -> None:
        self._wanted.clear()
        published = self._dispatcher.round()
        if published is None:
            # Whoever has the duty hears of new jobs too, and looks after ours while it is busy.
            self._stopping.wait(POLL_SECONDS)
            return
        self._wanted.wait(BUSY_POLL_SECONDS if published else POLL_SECONDS)
        self._stopping.wait(PAUSE_SECONDS)

    def _sweep(self) -> None:
        swept = sweep(self._place.database, self._place.settings, self._place.worker_id)
        if swept is not None and swept.total:
            self._place.gate.abandon(abandoned(swept.lost_calls))
            self.want_dispatch()
        self._stopping.wait(self._place.settings.sweep_seconds)

    def _tally(self) -> None:
        counted = tally(self._place.database, self._place.worker_id, every_seconds=EVERY_SECONDS)
        self._stopping.wait(EVERY_SECONDS if counted is None else counted.pause_seconds)

    def _alerts(self) -> None:
        alerts.evaluate(
            self._place.database, self._alert_rules, self._place.worker_id, deliver=self._messenger.tell_of_alert
        )
        self._stopping.wait(alerts.EVERY_SECONDS)

    def _tell(self) -> None:
        self._messenger.turn(self._stopping.wait)

    def _listen(self) -> None:
        assert self._place.settings.database_url is not None
        with bell.listening(self._place.settings.database_url) as listener:
            while not self._stopping.is_set():
                for channel, payload in listener.heard(LISTEN_SECONDS):
                    if channel == bell.WAITING:
                        self.want_dispatch()
                    else:
                        self._place.held.call_off(UUID(payload))
