"""A worker process that is connected to the broker but receives nothing (celery#10302), found out by itself.

After a lost connection Celery has been seen to report that it is connected again and yet to consume nothing, until somebody
restarts it. Its pulse is fine; only what does not arrive shows it. Such a process ends itself in order, and whatever
supervises it (``assay up``, ``restart: unless-stopped``) starts a fresh one.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from celery import Celery, signals
from celery.worker import state
from kombu.exceptions import OperationalError

DEAF_EXIT = 75
"""Exit status of a process that ended itself because it was deaf (EX_TEMPFAIL: start it again)."""
LONGEST_PAUSE_SHARE = 0.5
"""A process that has not looked for more than this share of the time that it takes to be sure was itself asleep (stopped, or
without a database), and begins to count anew."""

GRACE_SECONDS = 15.0
"""What the stop of a deaf process may take beyond the time of its running jobs; then it ends hard."""

_log = logging.getLogger(__name__)


class Hearing:
    """Decides whether this process is deaf. Thread-safe; pure but for its clock.

    It is deaf when for ``sure_seconds``, at every look, jobs were waiting on the broker, this process was connected and had
    room, and in all that time no message came to it.

    Args:
        deaf_seconds: jobs have to wait unheard for so long.
        published_seconds: after so long a message that was lost is rung for again. Only when two rings were missed is it
            this process that does not hear, so being sure takes at least twice this time.
        clock: seconds, monotonic.
    """

    def __init__(
        self, deaf_seconds: float, published_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.sure_seconds = max(deaf_seconds, 2 * published_seconds)
        self._clock = clock
        self._heard_at: float | None = None
        self._unheard_since: float | None = None
        self._looked_at: float | None = None
        self._nothing_before = False

    def heard(self) -> None:
        """A message has come."""
        self._heard_at = self._clock()

    @property
    def received_seconds_ago(self) -> float | None:
        """Since the last message came; None before the first."""
        return None if self._heard_at is None else self._clock() - self._heard_at

    def check(self, published_waiting_seconds: float | None, busy: int, slots: int, *, connected: bool = True) -> bool:
        """Look once, at every heartbeat.

        Args:
            published_waiting_seconds: how long the first published job has been waiting; None where none is published.
            busy: jobs or messages in hand, whichever are more.
            slots: how many there may be.
            connected: Celery holds its connection to the broker; one that is being made again is not deaf.

        Returns:
            Whether this process is deaf.
        """
        now, before = self._clock(), self._looked_at
        self._looked_at = now
        asleep = before is None or now - before > self.sure_seconds * LONGEST_PAUSE_SHARE
        heard = before is not None and self._heard_at is not None and self._heard_at > before
        nothing, nothing_before = published_waiting_seconds is None, self._nothing_before
        self._nothing_before = nothing
        # One look that finds nothing may fall between two rings for the same job; two do not.
        if asleep or heard or not connected or busy >= slots or (nothing and nothing_before):
            self._unheard_since = None
            return False
        if self._unheard_since is None:
            self._unheard_since = None if nothing else now
            return False
        return not nothing and now - self._unheard_since >= self.sure_seconds


class Ear:
    """Hearing, joined to Celery: it notes each message that comes, and asks the broker before it says that it is deaf.

    Args:
        hearing: decides.
        app: the Celery application.
        consumer: Celery's consumer: the sender of the signal ``worker_ready``.
        queues: the names of the queues that this process consumes.
    """

    def __init__(self, hearing: Hearing, app: Celery, consumer: Any, queues: Sequence[str]) -> None:
        self._hearing = hearing
        self._app = app
        self._consumer = consumer
        self._queues = queues
        signals.task_received.connect(self._on_message, weak=False)

    @property
    def received_seconds_ago(self) -> float | None:
        """Since the last message came; None before the first."""
        return self._hearing.received_seconds_ago

    def is_deaf(self, published_waiting_seconds: float | None, busy: int, slots: int) -> bool:
        """Look once, at every heartbeat and outside of any transaction: when in doubt it asks the broker.

        Args:
            published_waiting_seconds: ``storage.workers.published_waiting_seconds``.
            busy: slots that run a job.
            slots: how many there are.
        """
        # Celery takes no more messages than there are slots, whatever its messages wait for. And it has no connection
        # while it makes a new one.
        in_hand = len(state.reserved_requests)
        connected = self._consumer.connection is not None
        doubtful = self._hearing.check(published_waiting_seconds, max(busy, in_hand), slots, connected=connected)
        # Published jobs may also be in another process's hands: only what lies on the broker is there to be heard.
        return doubtful and messages_waiting(self._app, self._queues) > 0

    def _on_message(self, **_: object) -> None:
        self._hearing.heard()


def messages_waiting(app: Celery, queues: Sequence[str]) -> int:
    """Messages that lie on the broker, asked over a connection of its own; 0 where it does not answer."""
    with app.connection_for_write() as connection:
        try:
            connection.ensure_connection(max_retries=1, timeout=5)
            return sum(_length(connection, queue) for queue in queues)
        except (OperationalError, *connection.connection_errors):
            return 0


def _length(connection: Any, queue: str) -> int:
    """Of one queue; asked on a channel of its own, because a queue that does not exist closes it."""
    with connection.channel() as channel:
        try:
            return int(channel.queue_declare(queue, passive=True).message_count)
        except connection.channel_errors:
            return 0


def end_deaf_process(stop_seconds: float) -> None:
    """End this process in order, as SIGTERM does, but with :data:`DEAF_EXIT`; returns at once.

    The same stop gives leases and received jobs back. Its exit code is set at the very end of Celery's shutdown, since the
    signal's handler says 0. Where Celery's loop hangs and does not see the signal's flag, the process ends hard once the
    leases have had their time.

    Args:
        stop_seconds: what a stopping worker gives its running jobs; the hard end comes :data:`GRACE_SECONDS` later.
    """
    signals.worker_shutdown.connect(_say_that_it_was_deaf, weak=False)
    threading.Thread(target=_insist, args=(stop_seconds + GRACE_SECONDS,), name="deaf", daemon=True).start()
    os.kill(os.getpid(), signal.SIGTERM)


def _say_that_it_was_deaf(sender: Any, **_: object) -> None:
    sender.exitcode = DEAF_EXIT


def _insist(seconds: float) -> None:
    time.sleep(seconds)
    _log.error("the stop of a deaf process hangs; it ends now")
    logging.shutdown()
    os._exit(DEAF_EXIT)
