"""The calls that this process has admitted and not ended."""

import threading
from collections import Counter
from dataclasses import dataclass

from schemas.admission import Ask

MANY = 1000
"""With more calls than a process ever makes at a time, some were never ended."""


@dataclass(frozen=True)
class Reservation:
    """An admitted call.

    Attributes:
        start: when it may start, by this process's clock.
        expires: when its reservation ends by itself.
        output_tokens: what its windows were charged for output.
        is_local: it was admitted by this process alone.
    """

    ask: Ask
    start: float
    expires: float
    output_tokens: float = 0.0
    is_local: bool = False


class HeldHere:
    """Reservations of this process by attempt; counts by model and tenant. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, Reservation] = {}
        self._models: Counter[str] = Counter()
        self._tenants: Counter[str] = Counter()

    def add(self, reservation: Reservation) -> None:
        """Take note of an admitted call; one admitted again is the same one."""
        with self._lock:
            self._take_out(reservation.ask.attempt)
            if len(self._held) >= MANY:
                self._expire(reservation.start)
            self._held[reservation.ask.attempt] = reservation
            self._models[reservation.ask.model] += 1
            self._tenants[reservation.ask.tenant] += 1

    def take_out(self, attempt: str) -> Reservation | None:
        """The attempt's reservation, which is over; None: it held none."""
        with self._lock:
            return self._take_out(attempt)

    def get(self, attempt: str) -> Reservation | None:
        """The attempt's reservation, if it holds one."""
        with self._lock:
            return self._held.get(attempt)

    def of_model(self, model: str) -> int:
        """Calls of a model."""
        return self._models[model]

    def of_tenant(self, tenant: str) -> int:
        """Calls of a tenant."""
        return self._tenants[tenant]

    def expire(self, now: float) -> None:
        """Forget calls that nobody ended in time."""
        with self._lock:
            self._expire(now)

    def _expire(self, now: float) -> None:
        for attempt in [attempt for attempt, held in self._held.items() if held.expires <= now]:
            self._take_out(attempt)

    def _take_out(self, attempt: str) -> Reservation | None:
        found = self._held.pop(attempt, None)
        if found is not None:
            self._models[found.ask.model] -= 1
            self._tenants[found.ask.tenant] -= 1
        return found
