"""The watchtower: looks after all jobs that the clients of this process watch.

Three threads, however many clients: one looks at PostgreSQL where the jobs stand, one marks them as watched so that workers pass
their text on, one hears the bell and reads the text. Without Redis there is no text, and all else is as it was.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple
from uuid import UUID

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from jobs import watching
from jobs.watching import Standing
from partials.reader import FROM_THE_START, Bell, PartialReader
from storage.database import Database
from web.events.follower import PartialText, grown
from web.events.wakes import Wake, wake_all

LOOK_SECONDS = 0.2
"""Between two looks at where the jobs stand; one statement for all."""
BREATH_SECONDS = 0.01
"""Looks asked for within this time are one look; marks too."""
MARK_SECONDS = 3.0
"""How often marks are renewed, a third of what they hold; rings that were missed are made up for as often."""
AGAIN_SECONDS = 1.0
"""After Redis or PostgreSQL did not answer."""

_log = logging.getLogger(__name__)


class Glance(NamedTuple):
    """What is known of a watched job; None: nothing yet."""

    standing: Standing | None
    text: PartialText | None


class _Watched:
    """A job that somebody watches. Changed under the tower's lock."""

    def __init__(self) -> None:
        self.standing: Standing | None = None
        self.text: PartialText | None = None
        self.position = FROM_THE_START
        self.may_show_text = False
        self.wakes: set[Wake] = set()


class Watchtower:
    """Follows jobs for clients.

    Args:
        partials: None where there is no partial text.
    """

    def __init__(self, database: Database, partials: PartialReader | None) -> None:
        self._database = database
        self._partials = partials
        self._lock = threading.Lock()
        self._jobs: dict[UUID, _Watched] = {}
        self._new: set[UUID] = set()
        self._clients = 0
        self._renewal_at = 0.0
        self._stopping = threading.Event()
        self._look_now = threading.Event()
        self._mark_now = threading.Event()
        turns: dict[str, Callable[[], None]] = {"states": self._look_at_states}
        if partials is not None:
            turns |= {"marks": lambda: self._mark(partials), "texts": lambda: self._listen(partials)}
        self._threads = [
            threading.Thread(target=self._every, args=(turn,), name=f"watchtower-{name}", daemon=True)
            for name, turn in turns.items()
        ]

    @property
    def clients(self) -> int:
        """How many clients follow jobs now."""
        return self._clients

    def start(self) -> None:
        """Begin to look."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads and wait for them."""
        self._stopping.set()
        self._look_now.set()
        self._mark_now.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def attach(self, job_id: UUID, wake: Wake) -> None:
        """Have a client woken whenever there is something new about a job. Quick: it waits for nothing."""
        with self._lock:
            is_new = job_id not in self._jobs
            watched = self._jobs.setdefault(job_id, _Watched())
            watched.wakes.add(wake)
            self._clients += 1
            if is_new:
                self._new.add(job_id)
        if is_new:
            self._look_now.set()
            self._mark_now.set()

    def detach(self, job_id: UUID, wake: Wake) -> None:
        """The client is gone."""
        with self._lock:
            watched = self._jobs[job_id]
            watched.wakes.discard(wake)
            self._clients -= 1
            if not watched.wakes:
                del self._jobs[job_id]
                self._new.discard(job_id)

    def glance(self, job_id: UUID) -> Glance:
        """What is known now of a job that a client is attached to."""
        with self._lock:
            watched = self._jobs[job_id]
            return Glance(watched.standing, watched.text if watched.may_show_text else None)

    def look_again(self) -> None:
        """Ask for a look at once: something tells that a job has moved."""
        self._look_now.set()

    def _every(self, turn: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            try:
                turn()
            except Exception as error:
                # PostgreSQL or Redis is away and comes back; whatever it is, clients that hear nothing more are worse.
                _log.warning("%s: %s; trying again", threading.current_thread().name, type(error).__name__)
                self._stopping.wait(AGAIN_SECONDS)

    def _look_at_states(self) -> None:
        self._look_now.wait(LOOK_SECONDS if self._jobs else None)
        self._look_now.clear()
        began = time.monotonic()
        with self._lock:
            known = {job_id: watched.standing for job_id, watched in self._jobs.items()}
        moved = watching.look(self._database, known)
        with self._lock:
            for job_id, standing in moved.items():
                if job_id in self._jobs:
                    self._jobs[job_id].standing = standing
            self._wake(moved)
        # However many jobs there are, and however slow the database is: half of the time is left to it.
        self._stopping.wait(max(BREATH_SECONDS, time.monotonic() - began))

    def _mark(self, partials: PartialReader) -> None:
        self._mark_now.wait(max(0.0, self._renewal_at - time.monotonic()) if self._jobs else None)
        self._mark_now.clear()
        self._stopping.wait(BREATH_SECONDS)
        with self._lock:
            new, self._new = self._new, set()
            is_renewal = time.monotonic() >= self._renewal_at
            job_ids = list(self._jobs if is_renewal else new)
        if is_renewal:
            self._renewal_at = time.monotonic() + MARK_SECONDS
        try:
            allowed = watching.with_partial_text(self._database, job_ids)
            with self._lock:
                for job_id in job_ids:
                    if job_id in self._jobs:
                        self._jobs[job_id].may_show_text = job_id in allowed
            # Rung for as well, so that the reader looks at what is there already, and at what it may have missed.
            partials.mark(allowed, ring=True)
        except (SQLAlchemyError, RedisError):
            with self._lock:
                self._new |= new & self._jobs.keys()
            self._mark_now.set()
            raise

    def _listen(self, partials: PartialReader) -> None:
        with partials.listening() as bell:
            while not self._stopping.is_set():
                self._hear(partials, bell)

    def _hear(self, partials: PartialReader, bell: Bell) -> None:
        rung = bell.wait(AGAIN_SECONDS)
        with self._lock:
            positions = {
                job_id: self._jobs[job_id].position
                for job_id in rung & self._jobs.keys()
                if self._jobs[job_id].may_show_text
            }
        entries = partials.read(positions)
        with self._lock:
            for entry in entries:
                if (watched := self._jobs.get(entry.job_id)) is not None:
                    watched.text = grown(watched.text, entry.place, entry.text)
                    watched.position = entry.position
            heard = {entry.job_id for entry in entries} & self._jobs.keys()
            ahead = {job_id for job_id in heard if self._is_ahead(self._jobs[job_id])}
            self._wake(heard - ahead)
        if ahead:
            self.look_again()

    @staticmethod
    def _is_ahead(watched: _Watched) -> bool:
        """Text of a run that nobody knows of yet: its clients are told that it runs first."""
        return watched.text is not None and (watched.standing is None or watched.standing.fence < watched.text.run)

    def _wake(self, job_ids: Iterable[UUID]) -> None:
        wake_all(wake for job_id in job_ids if job_id in self._jobs for wake in self._jobs[job_id].wakes)
