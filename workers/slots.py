"""The slots of a worker process: a fixed number of threads that run jobs.

Not ``ThreadPoolExecutor``: its threads are joined at exit, and a stopping worker must not wait for a model call whose
job it has already given back. These are daemon threads.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")
_Work = tuple["Future[Any]", Callable[[], Any]]


class Slots:
    """Runs callables on at most ``count`` threads, started as they are needed."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._queue: queue.SimpleQueue[_Work] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._stopping = False

    @property
    def busy(self) -> int:
        """Threads that run something."""
        return self._threads - self._idle

    def submit(self, work: Callable[[], Result]) -> "Future[Result]":
        """Run this as soon as a slot is free; after :meth:`stop` the future is cancelled instead."""
        future: Future[Result] = Future()
        if self._stopping:
            future.cancel()
            return future
        self._queue.put((future, work))
        with self._lock:
            if self._idle == 0 and self._threads < self.count:
                self._threads += 1
                threading.Thread(target=self._run, name=f"slot-{self._threads}", daemon=True).start()
        return future

    def stop(self) -> None:
        """Begin nothing new: what waits for a slot is cancelled."""
        self._stopping = True
        while True:
            try:
                future, _ = self._queue.get_nowait()
            except queue.Empty:
                return
            future.cancel()

    def _run(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            future, work = self._queue.get()
            with self._lock:
                self._idle -= 1
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
