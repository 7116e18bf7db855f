"""Writes the text of running jobs that somebody watches to their streams, from one thread of a worker process.

A job is never held up: its slot only puts pieces on a list. Redis may be slow or away, and then there is no partial text; once
it is back the whole text so far is written again.
"""

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from partials.connection import connect, script
from partials.entry import (
    AFTERLIFE_SECONDS,
    BELL,
    LIFETIME_SECONDS,
    MOST_CHARS,
    MOST_ENTRIES,
    WATCHED_KEY,
    WHOLE_AFTER,
    Place,
    stream_of,
)
from partials.sealing import Seal

LOOK_SECONDS = 0.05
"""How often a process that runs jobs asks which of them are watched: one command, whatever their number. So long a first
piece may wait, of the 150 ms that it has to a client."""
QUIET_LOOK_SECONDS = 0.1
"""As long as nobody watches any job."""
PAUSE_SECONDS = 0.05
"""Between two entries of one job; pieces that come within it are one entry."""
AGAIN_SECONDS = 1.0
"""How often Redis is tried while it is away."""

_NO_STREAM, _LATER_RUN = 0, -1  # as append.lua answers

_log = logging.getLogger(__name__)


class _AttemptText:
    """The text of one call. The slot's thread appends pieces; the rest belongs to the writer's thread."""

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt
        self.pieces: list[str] = []
        self.chars = 0
        self.entries = 0
        self.written_pieces = 0
        self.written_chars = 0

    def unwritten(self) -> tuple[Place, str, int]:
        """The next entry's place but for its run, its text, and how many pieces are written with it."""
        count = len(self.pieces)
        whole = self.entries % WHOLE_AFTER == 0
        start = 0 if whole else self.written_chars
        return Place(0, self.attempt, start), "".join(self.pieces[0 if whole else self.written_pieces : count]), count


class RunText:
    """The text of one run as it comes, whoever listens."""

    def __init__(self, job_id: UUID, run: int, wake: threading.Event) -> None:
        self.job_id = job_id
        self.run = run
        self.text = _AttemptText(0)
        self.is_watched = False
        self.is_over = False
        self.is_superseded = False
        self.due_at = 0.0
        self.seal: Seal | None = None
        self._wake = wake

    @property
    def has_news(self) -> bool:
        """Whether anything is not written yet."""
        return len(self.text.pieces) > self.text.written_pieces

    def add(self, attempt: int, piece: str) -> None:
        """Take the next piece of an attempt's text; never waits and never fails."""
        text = self.text
        if attempt != text.attempt:
            text = self.text = _AttemptText(attempt)
        if text.chars + len(piece) > MOST_CHARS:
            return
        text.chars += len(piece)
        text.pieces.append(piece)
        if self.is_watched and time.monotonic() >= self.due_at:
            self._wake.set()


class PartialWriter:
    """The partial texts of a worker process.

    Args:
        url: of the Redis or Valkey that workers and web processes share.
        stream_key: seals the text.
        lifetime_seconds: of a stream after its last entry, while its job runs.
        afterlife_seconds: of a stream after its job's run.
    """

    def __init__(
        self,
        url: str,
        stream_key: str,
        *,
        lifetime_seconds: float = LIFETIME_SECONDS,
        afterlife_seconds: float = AFTERLIFE_SECONDS,
    ) -> None:
        self._redis = connect(url)
        self._stream_key = stream_key
        self._lifetime_ms = round(lifetime_seconds * 1000)
        self._afterlife_ms = round(afterlife_seconds * 1000)
        self._lock = threading.Lock()
        self._runs: set[RunText] = set()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._next_look = 0.0
        self._is_away = False
        self._thread = threading.Thread(target=self._work, name="partials", daemon=True)

    def start(self) -> None:
        """Begin writing."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it; what is not written is not written any more."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._redis.close()

    @contextmanager
    def of_run(self, job_id: UUID, run: int) -> Iterator[RunText]:
        """Take the text of a run while the block runs.

        Args:
            run: the fence of its claim.
        """
        text = RunText(job_id, run, self._wake)
        with self._lock:
            self._runs.add(text)
            is_first = len(self._runs) == 1
        if is_first:  # else the thread is up anyway
            self._wake.set()
        try:
            yield text
        finally:
            text.is_over = True
            if text.is_watched:
                self._wake.set()
            else:
                self._forget([text])

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._seconds_until_due())
            self._wake.clear()
            try:
                self._round()
            except Exception as error:
                # As a rule Redis is away and comes back; whatever it is, a view must not end for good because of it.
                self._went_away(error)
                self._stopping.wait(AGAIN_SECONDS)
            else:
                self._is_away = False

    def _seconds_until_due(self) -> float | None:
        runs = self._snapshot()
        if not runs:
            return None
        due = [run.due_at for run in runs if run.is_watched and run.has_news]
        return max(0.0, min([self._next_look, *due]) - time.monotonic())

    def _round(self) -> None:
        runs = self._snapshot()
        now = time.monotonic()
        if runs and now >= self._next_look:
            self._next_look = now + (LOOK_SECONDS if self._look(runs) else QUIET_LOOK_SECONDS)
        watched = [run for run in runs if run.is_watched]
        self._write([run for run in watched if run.has_news and (run.is_over or now >= run.due_at)], now)
        self._end([run for run in watched if run.is_watched and run.is_over and not run.has_news])
        self._forget([run for run in runs if run.is_over and not (run.is_watched and run.has_news)])

    def _snapshot(self) -> list[RunText]:
        with self._lock:
            return list(self._runs)

    def _forget(self, runs: Iterable[RunText]) -> None:
        with self._lock:
            self._runs.difference_update(runs)

    def _look(self, runs: Sequence[RunText]) -> bool:
        """Ask which runs are watched; False: nobody watches any job, here or elsewhere."""
        found = self._redis.eval(script("watched"), 1, WATCHED_KEY, " ".join(str(run.job_id) for run in runs))
        for run, is_marked in zip(runs, found or [0] * len(runs), strict=True):
            if is_marked and not run.is_watched and not run.is_superseded:
                run.text.entries = 0  # whoever watches now gets the whole text so far first
                run.text.written_pieces = 0
                run.is_watched = True
            elif not is_marked and not run.is_over:
                run.is_watched = False
        return bool(found)

    def _write(self, runs: Sequence[RunText], now: float) -> None:
        if not runs:
            return
        pipe = self._redis.pipeline(transaction=False)
        sent = []
        for run in runs:
            if run.seal is None:
                run.seal = Seal(self._stream_key, run.job_id)
            text = run.text
            unplaced, piece, count = text.unwritten()
            place = unplaced._replace(run=run.run)
            pipe.eval(
                script("append"), 1, stream_of(run.job_id), bytes(place), run.seal.seal(piece, bytes(place)), run.run,
                int(place.start == 0), MOST_ENTRIES, self._lifetime_ms,
            )  # fmt: skip
            sent.append((run, text, count, place.start + len(piece)))
        pipe.publish(BELL, " ".join(str(run.job_id) for run in runs))
        for (run, text, count, chars), answer in zip(sent, pipe.execute()[:-1], strict=True):
            run.due_at = now + PAUSE_SECONDS
            if answer == _LATER_RUN:
                run.is_superseded, run.is_watched = True, False
            elif answer == _NO_STREAM:
                text.entries = 0
            else:
                text.entries += 1
                text.written_pieces, text.written_chars = count, chars

    def _end(self, runs: Sequence[RunText]) -> None:
        """What is over has a short afterlife: its answer stands in PostgreSQL."""
        if not runs:
            return
        pipe = self._redis.pipeline(transaction=False)
        for run in runs:
            pipe.pexpire(stream_of(run.job_id), self._afterlife_ms)
        pipe.execute()

    def _went_away(self, error: Exception) -> None:
        if not self._is_away:
            _log.warning("no partial text for now (%s)", type(error).__name__)
        self._is_away = True
        runs = self._snapshot()
        for run in runs:
            run.is_watched = False
        self._forget([run for run in runs if run.is_over])
