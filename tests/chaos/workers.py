"""The worker processes of a run, each started again when it dies: what systemd, Docker or `assay up` would do."""

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from stack.commands import worker_command
from stack.part import launched
from tests.chaos.services import Grounds
from tests.chaos.worker import ORDERS
from tests.house import eventually

TICK_SECONDS = 0.05
RESTART_SECONDS = 0.3

PERIODS = {
    "ASSAY_WORKER_SLOTS": "5",
    "ASSAY_CALL_SECONDS": "1.5",
    "ASSAY_JOB_SECONDS": "6",
    "ASSAY_TRANSPORT_WAIT_MAX_SECONDS": "0.5",
}
"""Beside the house's short periods (a lease of 3 s): few slots, so that a batch lasts, and calls that are given up soon."""


@dataclass
class Member:
    """One place in the crew, and the process that fills it now."""

    name: str
    clock: Path
    process: "subprocess.Popen[bytes] | None" = None
    log: Path | None = None
    started: int = 0
    start_at: float = 0.0
    exits: list[int] = field(default_factory=list)

    @property
    def pid(self) -> int:
        """Of the process that is there; 0 between two."""
        return 0 if self.process is None else self.process.pid

    @property
    def is_ready(self) -> bool:
        """It consumes."""
        return self.process is not None and self.log is not None and " ready." in self.log.read_text(errors="replace")


class Crew:
    """Worker processes; as a context they end with the block."""

    def __init__(self, grounds: Grounds, root: Path, count: int) -> None:
        self._grounds = grounds
        self._root = root
        self.orders = root / "orders"
        for directory in (self.orders, root / "taken"):
            directory.mkdir()
        self.members = [Member(f"w{number}", self._clock_file(f"w{number}")) for number in range(1, count + 1)]
        self._ending = threading.Event()
        # All processes are forked by this thread: the kernel ends them when it ends.
        self._thread = threading.Thread(target=self._look_after, name="crew", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.wait_until_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()

    def wait_until_ready(self, seconds: float = 90) -> None:
        """Wait until every member consumes."""
        eventually(lambda: all(member.is_ready for member in self.members), "all workers consume", seconds=seconds)

    def clear_orders(self) -> list[str]:
        """Take back the orders that nobody has carried out; returns their names."""
        left = sorted(file.name for file in self.orders.iterdir())
        for name in left:
            (self.orders / name).unlink(missing_ok=True)
        return left

    def exits(self) -> int:
        """How many processes have ended so far."""
        return sum(len(member.exits) for member in self.members)

    def kill(self, pid: int) -> bool:
        """kill -9 of one of ours. False: it is not one of ours any more."""
        return self._signal(pid, signal.SIGKILL)

    @contextmanager
    def frozen(self, pid: int) -> Iterator[None]:
        """SIGSTOP, the block, SIGCONT."""
        self._signal(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(pid, signal.SIGCONT)

    def wake_all(self) -> None:
        """SIGCONT to every process."""
        for member in self.members:
            if member.pid:
                self._signal(member.pid, signal.SIGCONT)

    def wake(self, pid: int) -> None:
        """SIGCONT."""
        self._signal(pid, signal.SIGCONT)

    def shift_clock(self, member: Member, seconds: int) -> None:
        """Set how far the wall clock of this member, now and after a restart, is off."""
        with member.clock.open("r+b") as file:
            file.write(struct.pack("=q", seconds))

    def logs(self) -> str:
        """Everything the workers have logged."""
        return "\n".join(
            f"== {log.name}\n{log.read_text(errors='replace')}" for log in sorted(self._root.glob("*.log"))
        )

    def _clock_file(self, name: str) -> Path:
        file = self._root / f"{name}.clock"
        file.write_bytes(struct.pack("=q", 0))
        return file

    def _signal(self, pid: int, number: signal.Signals) -> bool:
        for member in self.members:
            process = member.process
            if process is not None and process.pid == pid and process.poll() is None:
                process.send_signal(number)
                return True
        return False

    # From here on: the thread.

    def _look_after(self) -> None:
        while not self._ending.wait(TICK_SECONDS):
            for member in self.members:
                self._tend(member)
        for member in self.members:
            if member.process is not None:
                member.process.kill()
                member.process.wait()

    def _tend(self, member: Member) -> None:
        if member.process is not None and (status := member.process.poll()) is not None:
            member.exits.append(status)
            member.process = None
            member.start_at = time.monotonic() + RESTART_SECONDS
        if member.process is None and time.monotonic() >= member.start_at:
            self._spawn(member)

    def _spawn(self, member: Member) -> None:
        member.started += 1
        member.log = self._root / f"{member.name}-{member.started:03d}.log"
        command = [sys.executable, "-m", "tests.chaos.worker", *worker_command(member.name)[1:]]
        with member.log.open("wb") as output:
            member.process = subprocess.Popen(
                launched(command, signal.SIGKILL),
                env=self._environment(member),
                cwd=Path(os.path.abspath(__file__)).parent.parent.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _environment(self, member: Member) -> dict[str, str]:
        return self._grounds.house.environment(
            **PERIODS,
            **{ORDERS: str(self.orders)},
            LD_PRELOAD=str(self._grounds.clock),
            ASSAY_CHAOS_CLOCK=str(member.clock),
        )
