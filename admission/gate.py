"""The gate that every model call passes."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from redis.exceptions import RedisError

from admission.ending import NOT_MADE, UNTOLD, Ending, ending_of
from admission.held import HeldHere, Reservation
from admission.local import LocalWindows
from admission.settings import GateSettings
from admission.shared import SharedWindows
from schemas.admission import Abandoned, Admitted, Ask, NotNow, Room, ScopeState, SeenRates
from schemas.failure import Failure
from schemas.usage import Usage

OWED_MAX = 1000
"""What waits to be told to Redis when it comes back; beyond that reservations end by their expiry."""

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class Gate:
    """Says whether a model call may be made now; one per worker process, shared by its threads.

    All workers decide together through Redis or Valkey, by its clock. When Redis is away (or ``redis_url`` is None: the
    broker is of another kind), this process decides alone and nothing raises:

    - Each limit last known (configured, stated by headers or learned) is divided by the number of live worker processes,
      rounded up; a window begins without a burst. Together the processes then stay within the limit plus one call a minute
      (or one at a time) for each process but one, as long as ``processes()`` is right. A model of which this process knows
      no limit runs by concurrency alone, from a share of ``first_concurrent`` on.
    - Calls in flight of this process count, however they were admitted. Pause, breaker and concurrency follow what this
      process itself meets, so a breaker may open once per process and each sends its own probe. Limits are learned from
      headers, not from refusals.
    - Redis is tried again every ``redis_again_seconds`` by one call of this process. When it answers, reservations that
      ended meanwhile are ended there too (the last 1000), and all calls go through it again; those admitted here are not
      known there, so until they end the number of calls at a time may be exceeded by them.
    - A Redis that came back empty knows nothing: limits are learned from the next headers and answers, from a slow start.

    Args:
        redis_url: ``redis://`` or ``rediss://`` (``valkey://``, ``valkeys://``).
        provider: from :func:`admission.provider.provider_digest`.
        processes: how many worker processes live now; asked only while Redis is away, once a second at most.
        prefix: of the keys in Redis, for installations that share one.
        clock: for tests: seconds, instead of the server's and this process's clocks.

    Raises:
        ValueError: the URL is none of a Redis server.
    """

    def __init__(
        self,
        redis_url: str | None,
        provider: str,
        settings: GateSettings,
        processes: Callable[[], int],
        *,
        prefix: str = "assay",
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock or time.monotonic
        self._held = HeldHere()
        self._shared = None if redis_url is None else SharedWindows(redis_url, provider, settings, prefix, clock)
        self._local = LocalWindows(provider, settings, processes, self._clock, self._held)
        self._lock = threading.Lock()
        self._away = False
        self._next_try = 0.0
        self._owed: deque[Callable[[SharedWindows], object]] = deque(maxlen=OWED_MAX)

    def admit(self, ask: Ask) -> Admitted | NotNow:
        """Reserve a place in every window, or in none.

        Asking again for an attempt that holds a reservation gives the same answer.
        """
        return self._decide(
            lambda shared: self._admit_shared(shared, ask),
            lambda: self._local.admit(ask, self._shared.known.get(ask.model) if self._shared else None),
        )

    def settle(self, ask: Ask, *, usage: Usage | None, failure: Failure | None, seen: SeenRates | None) -> None:
        """The call is over: its reservation ends, and what it showed of the provider is learned.

        Harmless for an attempt that holds no reservation (any more).
        """
        self._end(ask, ending_of(usage, failure, seen))

    def give_up(self, attempt: str) -> None:
        """The call was never made: all that it had taken is given back."""
        reservation = self._held.get(attempt)
        if reservation is not None:
            self._end(reservation.ask, NOT_MADE)

    def abandon(self, calls: Sequence[Abandoned]) -> None:
        """Free the places of calls whose worker, of any process, is dead or gave their jobs back.

        Requests and tokens stay charged, nothing is learned, and the breaker stays as it is; but when one of them was its
        probe, another call may probe at once. Harmless for calls that hold no reservation. In one round trip; while Redis is
        away it waits until that is back.
        """
        if not calls:
            return
        for call in calls:
            reservation = self._held.take_out(call.attempt)
            if reservation is not None and reservation.is_local:
                self._local.settle(reservation, UNTOLD)
        self._decide(lambda shared: shared.abandon(calls), lambda: self._abandon_away(calls))

    def room(self, model: str, horizon_seconds: float) -> Room:
        """How many calls of the model, of all workers together, may start within the horizon."""
        return self._decide(
            lambda shared: shared.room(model, horizon_seconds),
            lambda: self._local.room(model, horizon_seconds, self._shared.known.get(model) if self._shared else None),
        )

    def snapshot(self) -> list[ScopeState]:
        """Windows and breakers of all models and tenants used within the last hour, for operators."""
        return self._decide(lambda shared: shared.snapshot(), self._local.snapshot)

    def close(self) -> None:
        """Close the connections; reservations not ended end by their expiry."""
        if self._shared is not None:
            self._shared.close()

    def _admit_shared(self, shared: SharedWindows, ask: Ask) -> Admitted | NotNow:
        try:
            said = shared.admit(ask)
        except (RedisError, OSError):
            # It may have been admitted there all the same, or be so once a frozen server thaws.
            self._owed.append(lambda again: again.settle(ask, NOT_MADE))
            raise
        if isinstance(said, Admitted) and self._held.get(ask.attempt) is None:
            start = self._clock() + said.after
            self._held.add(Reservation(ask, start, start + ask.expires_seconds))
        return said

    def _end(self, ask: Ask, ending: Ending) -> None:
        reservation = self._held.take_out(ask.attempt)
        if reservation is not None and reservation.is_local:
            self._local.settle(reservation, ending)
            return
        self._decide(lambda shared: shared.settle(ask, ending), lambda: self._end_away(ask, ending, reservation))

    def _end_away(self, ask: Ask, ending: Ending, reservation: Reservation | None) -> bool:
        if reservation is None:
            return False
        if self._shared is not None:
            self._owed.append(lambda shared: shared.settle(ask, ending))
        self._local.settle(reservation, ending)
        return True

    def _abandon_away(self, calls: Sequence[Abandoned]) -> int:
        if self._shared is not None:
            self._owed.append(lambda shared: shared.abandon(calls))
        return 0

    def _decide(self, together: Callable[[SharedWindows], _Result], alone: Callable[[], _Result]) -> _Result:
        """Ask Redis, or this process's own windows while it is away."""
        shared = self._shared
        if shared is None or not self._may_try():
            return alone()
        try:
            if self._away:
                self._pay(shared)
            result = together(shared)
        except (RedisError, OSError) as error:
            self._lost(error)
            return alone()
        if self._away:
            self._found()
        return result

    def _may_try(self) -> bool:
        """While Redis is away, one call at a time finds out whether it is back."""
        if not self._away:
            return True
        with self._lock:
            now = self._clock()
            if now < self._next_try:
                return False
            self._next_try = now + self._settings.redis_again_seconds
            return True

    def _pay(self, shared: SharedWindows) -> None:
        """End in Redis what ended while it was away."""
        for _ in range(len(self._owed)):
            tell = self._owed.popleft()
            try:
                tell(shared)
            except (RedisError, OSError):
                self._owed.appendleft(tell)
                raise

    def _lost(self, error: Exception) -> None:
        with self._lock:
            self._next_try = self._clock() + self._settings.redis_again_seconds
            if self._away:
                return
            self._away = True
        # The error's text may hold the address, and with it a password.
        _log.warning("admission: Redis is away (%s); this process keeps to its own share", type(error).__name__)

    def _found(self) -> None:
        with self._lock:
            if not self._away:
                return
            self._away = False
        self._local.forget()
        _log.warning("admission: Redis is back; limits are shared again")
