"""A circuit breaker within one process; the shared one is part of the scripts."""

from collections import deque

from admission.settings import GateSettings

WINDOW_SECONDS = 10


class Breaker:
    """Opens when most calls fail, then lets one probe through at a time."""

    def __init__(self, settings: GateSettings) -> None:
        self._settings = settings
        self._ends: deque[tuple[float, bool]] = deque(maxlen=1000)
        self._wait = settings.breaker_open_seconds
        self._probe: str | None = None
        self._probe_till = 0.0
        self.opened: float | None = None
        """Since when it has been open; None while closed."""
        self.till = 0.0
        """When the next probe is due, while it is open."""

    def denies(self, now: float) -> float:
        """Seconds until it is worth asking again; 0: a call may pass (the probe, while open)."""
        if self.opened is None:
            return 0.0
        if now < self.till:
            return self.till - now
        return min(self._probe_till - now, 1.0) if self._probe is not None and now < self._probe_till else 0.0

    def probe(self, attempt: str, start: float) -> None:
        """This call is the one that tries."""
        self._probe, self._probe_till = attempt, start + self._settings.probe_seconds

    def release(self, attempt: str) -> None:
        """The probe ended without saying anything."""
        if self._probe == attempt:
            self._probe = None

    def note(self, attempt: str, now: float, *, failed: bool) -> None:
        """A call ended."""
        if self.opened is not None:
            self._judge_probe(attempt, now, failed)
            return
        self._ends.append((now, failed))
        recent = [bad for at, bad in self._ends if at > now - WINDOW_SECONDS]
        bad = sum(recent)
        if failed and bad >= self._settings.breaker_failures and bad >= self._settings.breaker_share * len(recent):
            self.opened, self._wait = now, self._settings.breaker_open_seconds
            self.till = now + self._wait

    def _judge_probe(self, attempt: str, now: float, failed: bool) -> None:
        if self._probe != attempt:
            return
        self._probe = None
        if failed:
            self._wait = min(self._wait * 2, self._settings.breaker_open_max_seconds)
            self.till = now + self._wait
        else:
            self.opened = None
            self._ends.clear()
