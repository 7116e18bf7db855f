"""Ending a model call from another thread: its job was cancelled, its lease was lost, its worker has to stop."""

import threading
from collections.abc import Callable

from schemas.failure import Failure

Interrupt = Callable[[], None]
"""Ends a wait that is under way in another thread. It must return at once, and not raise."""


class Abort:
    """One order to stop, for all that one job's run does at its provider. It is given once and not taken back.

    Whoever blocks watches with an :data:`Interrupt` for as long as it blocks. Interrupts run under the lock that also
    ends a watch: none can reach a socket that its owner has long given away.

    Example::

        abort = Abort()
        threading.Timer(1, abort.set, [Failure(reason=FailureReason.CANCELLED, detail="The job was cancelled.")])
        pursue(..., abort=abort)  # ends with that failure, wherever it is by then
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._interrupts: list[Interrupt] = []
        self._reason: Failure | None = None

    @property
    def reason(self) -> Failure | None:
        """What :meth:`set` was given first; None as long as nobody wants an end."""
        return self._reason

    def set(self, reason: Failure) -> None:
        """End what is under way and let nothing more begin. From any thread; only the first time counts."""
        with self._lock:
            if self._reason is not None:
                return
            self._reason = reason
            interrupts, self._interrupts = self._interrupts, []
            for interrupt in interrupts:
                interrupt()
        self._ended.set()

    def wait(self, seconds: float) -> None:
        """Sleep for so long, or until the abort."""
        self._ended.wait(seconds)

    def watch(self, interrupt: Interrupt) -> bool:
        """Call ``interrupt`` at an abort from now on. False: it is set already, and nothing may begin."""
        with self._lock:
            if self._reason is not None:
                return False
            self._interrupts.append(interrupt)
            return True

    def unwatch(self, interrupt: Interrupt) -> bool:
        """End a watch. True: the interrupt was called meanwhile."""
        with self._lock:
            if self._reason is not None:
                return True
            self._interrupts.remove(interrupt)
            return False
