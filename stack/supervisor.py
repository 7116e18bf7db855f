"""Keeps the parts of the stack alive: starts them, again when they die, stops them, leaves nothing behind."""

import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import psutil

from stack.errors import StackError
from stack.home import Home, HomeLock, write_private
from stack.part import Part, signal_group, spawn
from stack.state import Connections, PartCondition, PartState, StackState, left_state

TICK_SECONDS = 0.05
BACKOFF_SECONDS = (0.5, 1, 2, 4, 8, 15, 30)
STEADY_SECONDS = 60
"""A part that has been up this long starts its backoff anew."""

FIRST_TRIES = 3
"""Starts of a part before the whole start is given up; each may choose another port, in case it lost a race for one."""

Echo = Callable[[str], object]


@dataclass
class _Child:
    """A part and its process; only the watching thread changes it."""

    part: Part
    log_start: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    state: PartCondition = "starting"
    created: float | None = None
    started: float = 0
    start_at: float = 0
    exits: int = 0
    last_exit: str = ""
    refused: StackError | None = None


@dataclass
class _Group:
    """Parts started together and stopped together."""

    children: list[_Child] = field(default_factory=list)


class Supervisor:
    """Runs parts in one ASSAY_HOME, as a context: entering takes the home's lock, leaving stops everything.

    One thread of its own forks all processes and watches them, so that the death of the supervisor, which the kernel
    tells them of, is the death of that thread and of nothing else.
    """

    def __init__(self, home: Home, echo: Echo) -> None:
        self._home = home
        self._echo = echo
        self._lock = HomeLock(home)
        self._guard = threading.RLock()
        self._groups: list[_Group] = []
        self._connections = Connections()
        self._ready = False
        self._written = ""
        self._stopping = threading.Event()
        self._hard = threading.Event()
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        """Take the home.

        Raises:
            StackError: another stack runs in it.
        """
        self._lock.acquire()
        _end_leftovers(self._home)
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, *makes: Callable[[], Part]) -> list[Part]:
        """Start parts side by side and wait until each is ready. Each ``make`` may be called again for another port.

        Raises:
            StackError: one of them does not come up.
        """
        group = _Group()
        with self._guard:
            self._groups.append(group)
        for make in makes:
            self._add(group, make())
        return [self._ready_or_again(group, index, make) for index, make in enumerate(makes)]

    def connect(self, **known: Any) -> Connections:
        """Add what has become known to the state that others read."""
        with self._guard:
            self._connections = self._connections.model_copy(update=known)
            return self._connections

    def announce(self) -> StackState:
        """Say that every part has been up."""
        with self._guard:
            self._ready = True
            self._write_state()
            return self.state()

    def state(self) -> StackState:
        """What runs now."""
        with self._guard:
            parts = [_part_state(child) for group in self._groups for child in group.children]
            return StackState(pid=psutil.Process().pid, ready=self._ready, parts=parts, connections=self._connections)

    @property
    def stopping(self) -> bool:
        """The parts are being stopped, or have been."""
        return self._stopping.is_set()

    def stop_hard(self) -> None:
        """Do not wait for parts to end in good order; safe in a signal's handler."""
        self._hard.set()

    def stop(self) -> None:
        """Stop all parts, the last started first, and give the home back. A second call does nothing."""
        self._stopping.set()
        while self._watcher.is_alive() and not self._ended.wait(0.1):
            pass
        self._lock.release()

    # From here on: the watching thread.

    def _watch(self) -> None:
        try:
            while not self._stopping.wait(TICK_SECONDS):
                with self._guard:
                    for child in [child for group in self._groups for child in group.children]:
                        self._look_after(child)
                    self._write_state()
            self._stop_groups()
            self._home.state_file.unlink(missing_ok=True)
        finally:
            self._ended.set()

    def _look_after(self, child: _Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.start_at:
                self._spawn(child, now)
        elif (status := child.process.poll()) is not None:
            self._died(child, status, now)
        elif child.state == "starting":
            self._probe(child, now)
        elif child.exits and now - child.started > STEADY_SECONDS:
            child.exits = 0

    def _spawn(self, child: _Child, now: float) -> None:
        log = self._home.log(child.part.name)
        try:
            child.part.before()
            child.log_start = log.stat().st_size if log.exists() else 0
            child.process = spawn(child.part, self._home)
            child.created = psutil.Process(child.process.pid).create_time()
        except StackError as error:
            self._postpone(child, str(error), now)
        except (OSError, psutil.Error) as error:
            self._postpone(child, str(error), now)
        else:
            child.state, child.started = "starting", time.monotonic()

    def _died(self, child: _Child, status: int, now: float) -> None:
        process, child.process = child.process, None
        if process is not None:
            signal_group(process, signal.SIGKILL)
        how = f"exit status {status}" if status >= 0 else f"signal {-status}"
        self._postpone(child, f"{how}{_last_words(self._said(child))}", now)

    def _postpone(self, child: _Child, why: str, now: float) -> None:
        wait = BACKOFF_SECONDS[min(child.exits, len(BACKOFF_SECONDS) - 1)]
        child.state, child.last_exit, child.created = "down", why, None
        child.exits += 1
        child.start_at = now + wait
        if self._ready:
            self._echo(f"{child.part.name} ended ({why}); it starts again in {wait:g} s.")

    def _probe(self, child: _Child, now: float) -> None:
        try:
            ready = child.part.ready(self._said(child))
        except StackError as error:
            child.refused = error
            return
        except Exception as error:  # a probe that breaks must not end the watch over the other parts
            child.last_exit, ready = str(error), False
        if ready:
            child.state = "up"
            if self._ready:
                self._echo(f"{child.part.name} is up again.")
        elif now - child.started > child.part.ready_seconds and child.process is not None:
            child.last_exit = f"not ready within {child.part.ready_seconds:g} s"
            signal_group(child.process, signal.SIGKILL)

    def _said(self, child: _Child) -> str:
        try:
            with self._home.log(child.part.name).open("rb") as log:
                log.seek(child.log_start)
                return log.read(200_000).decode("utf-8", "replace")
        except OSError:
            return ""

    def _write_state(self) -> None:
        text = self.state().model_dump_json(indent=1)
        if text != self._written:
            # A full disk must not take the running parts down; the next change tries again.
            with contextlib.suppress(StackError):
                write_private(self._home.state_file, text)
                self._written = text

    def _stop_groups(self) -> None:
        with self._guard:
            groups = list(reversed(self._groups))
        for group in groups:
            running = [child for child in reversed(group.children) if child.process is not None]
            for child in running:
                if child.process is not None:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        child.process.send_signal(child.part.stop_signal)
            for child in running:
                self._await_end(child)

    def _await_end(self, child: _Child) -> None:
        process = child.process
        if process is None:
            return
        deadline = time.monotonic() + child.part.stop_seconds
        while process.poll() is None and time.monotonic() < deadline and not self._hard.is_set():
            time.sleep(TICK_SECONDS)
        signal_group(process, signal.SIGKILL)
        process.wait()
        child.process = None

    # The calling thread again.

    def _add(self, group: _Group, part: Part) -> None:
        with self._guard:
            group.children.append(_Child(part))

    def _ready_or_again(self, group: _Group, index: int, make: Callable[[], Part]) -> Part:
        for _ in range(FIRST_TRIES):
            child = group.children[index]
            if self._await_first(child):
                return child.part
            with self._guard:
                if child.process is None:
                    group.children[index] = _Child(make(), last_exit=child.last_exit)
        name, why = group.children[index].part.name, group.children[index].last_exit
        raise StackError(f"{name} does not start: {why}. Its log is {self._home.log(name)}.")

    def _await_first(self, child: _Child) -> bool:
        while not self._ended.is_set():
            with self._guard:
                if child.refused is not None:
                    raise child.refused
                if child.state != "starting":
                    return child.state == "up"
            time.sleep(TICK_SECONDS)
        raise StackError("The stack is stopping.")


def _part_state(child: _Child) -> PartState:
    return PartState(
        name=child.part.name,
        state=child.state,
        pid=None if child.process is None else child.process.pid,
        started=child.created,
        url=child.part.url,
    )


def _last_words(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return f", last line of its log: {lines[-1][:300]}" if lines else ""


def _end_leftovers(home: Home) -> None:
    """End the parts of a supervisor that was killed, where the kernel did not (macOS has no signal for it)."""
    left = left_state(home)
    home.state_file.unlink(missing_ok=True)
    for part in left.parts if left is not None else []:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(part.pid)
            if part.pid is not None and part.started is not None and process.create_time() == part.started:
                process.send_signal(signal.SIGINT)  # the one signal that every part takes for a prompt end
                with contextlib.suppress(psutil.TimeoutExpired):
                    process.wait(10)
                    continue
                process.kill()
