"""Suspects, each run in a process of its own (workers/alone.py): jobs that were running when their worker ended, twice.

The worker keeps the claim and renews its lease; the process adopts the claim by its fence, runs the job and ends. If it ends
by a signal or hangs, that is the job's own doing, and the third time it is quarantined. One at a time: a start costs two
seconds of CPU, and a memory eater should meet no second one.
"""

import logging
import signal
import subprocess
import sys
import threading

from schemas.settings import Settings
from storage import leases
from storage.database import Database
from storage.leases import Claim

START_SECONDS = 30.0
"""What a process may take to start, besides the job's own time."""
_KILLED_BY_SHELL = 128
"""A container's init reports the death of its child by a signal as 128 plus the signal's number."""

_log = logging.getLogger(__name__)


class Solitary:
    """Runs suspects, each in a process of its own."""

    def __init__(self, settings: Settings, database: Database, actor: str) -> None:
        self._settings = settings
        self._database = database
        self._actor = actor
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def run(self, claim: Claim) -> None:
        """Run a claimed job alone, and write down how its process ended if it did not conclude the job."""
        with self._turn:
            process = self._start(claim)
            if process is None:
                return
            try:
                process.wait(timeout=self._settings.job_seconds + START_SECONDS)
                hung = False
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                hung = True
            finally:
                self._close(process)
        if process.returncode != 0 and not self._stopping:
            self._ended(claim, process.returncode, hung=hung)

    def stop(self) -> None:
        """End the process that runs; the worker gives its job back."""
        self._stopping = True
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def _start(self, claim: Claim) -> "subprocess.Popen[bytes] | None":
        # The pipe is its lifeline: it ends with this process, however that ends.
        command = [sys.executable, "-m", "workers.alone", claim.tenant_id, str(claim.job_id), str(claim.fence)]
        with self._lock:
            if self._stopping:
                return None
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603  our own command
            return self._process

    def _close(self, process: "subprocess.Popen[bytes]") -> None:
        with self._lock:
            self._process = None
        if process.stdin is not None:
            process.stdin.close()

    def _ended(self, claim: Claim, code: int, *, hung: bool) -> None:
        number = -code if code < 0 else code - _KILLED_BY_SHELL
        killed = hung or number in set(signal.Signals)
        how = (
            f"alone, it did not end within {self._settings.job_seconds:.0f} s and was killed" if hung
            else f"alone, its process was ended by {signal.Signals(number).name}" if killed
            else f"its process ended with exit code {code} before it concluded"
        )  # fmt: skip
        _log.error("job %s: %s", claim.job_id, how)
        with self._database.tenant(claim.tenant_id) as connection:
            leases.ended_alone(connection, claim, how, killed=killed, actor=self._actor)
