"""Processes of a run, started and stopped the way the stack does it."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from stack.home import Home
from stack.part import Part, signal_group, spawn

POLL_SECONDS = 0.05
START_SECONDS = 60.0


class NotStarted(RuntimeError):
    """A process of the benchmark did not come up; the message ends with its last words."""


@contextmanager
def running(parts: Sequence[Part], home: Home) -> Iterator[list[int]]:
    """The processes run inside the ``with`` block; gives their pids, once all are ready. Call it in the main thread.

    Raises:
        NotStarted: one ended or stayed silent.
    """
    started: list[tuple[Part, subprocess.Popen[bytes]]] = []
    try:
        offsets = [_size(home, part) for part in parts]
        started += [(part, spawn(part, home)) for part in parts]
        for (part, process), offset in zip(started, offsets, strict=True):
            _wait_ready(part, process, home, offset)
        yield [process.pid for _, process in started]
    finally:
        _stop(started)


def said(home: Home, part: str, offset: int = 0) -> str:
    """What a process has written."""
    return home.log(part).read_bytes()[offset:].decode("utf-8", "replace")


def _size(home: Home, part: Part) -> int:
    log = home.log(part.name)
    return log.stat().st_size if log.exists() else 0


def _wait_ready(part: Part, process: "subprocess.Popen[bytes]", home: Home, offset: int) -> None:
    until = time.monotonic() + START_SECONDS
    while not part.ready(said(home, part.name, offset)):
        if process.poll() is not None or time.monotonic() > until:
            last = said(home, part.name, offset).strip().splitlines()[-3:]
            raise NotStarted(f"{part.name} does not start: {' | '.join(last) or 'it said nothing'}")
        time.sleep(POLL_SECONDS)


def _stop(started: "Sequence[tuple[Part, subprocess.Popen[bytes]]]") -> None:
    for part, process in started:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(part.stop_signal)
    for part, process in started:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(part.stop_seconds)
        signal_group(process, signal.SIGKILL)
        process.wait()
