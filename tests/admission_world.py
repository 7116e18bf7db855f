"""A world in simulated time for admission: gates on the real Redis, a provider with limits, and callers that never rest.

The clock moves from one event to the next, so that an hour of traffic passes in seconds and nothing waits.
"""

import heapq
import itertools
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from redis import Redis

from admission.gate import Gate
from admission.settings import GateSettings
from schemas.admission import Admitted, Ask, Limits, SeenRates
from schemas.failure import Failure, FailureReason
from schemas.ids import new_id
from schemas.usage import Usage

MODEL = "model-a"
PLAIN = Ask(attempt="?", model=MODEL, tenant="acme", input_tokens=100, max_tokens=400, expires_seconds=130)
USAGE = Usage(input_tokens=100, output_tokens=50)


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def gates(url: str | None, clock: Clock, count: int = 1, settings: GateSettings | None = None) -> Iterator[list[Gate]]:
    """Gates of that many worker processes over keys of their own, which are gone afterwards."""
    prefix = f"test-{new_id().hex}"
    made = [
        Gate(url, "digest", settings or GateSettings(), lambda: count, prefix=prefix, clock=clock) for _ in range(count)
    ]
    try:
        yield made
    finally:
        for gate in made:
            gate.close()
        if url is not None:
            with Redis.from_url(url) as redis:
                for key in redis.scan_iter(f"{{{prefix}}}*"):
                    redis.delete(key)


def failed(reason: FailureReason, retry_after: float | None = None) -> Failure:
    """A call that failed."""
    return Failure(reason=reason, detail="so it was scripted", retry_after=retry_after)


@dataclass
class Provider:
    """A provider that counts: what started within any 60 s, and what runs at a time.

    Attributes:
        requests: calls per minute that it takes; None is any number.
        concurrent: calls at a time that it takes; None is any number.
        states_limits: it says so in headers.
        states_retry: a refusal carries ``retry-after``.
        retry: the same one always; None is when it would take the next call.
        seconds: that a call takes.
        weather: what it does to a call that starts then, whatever its limits: None is nothing.
        others: calls that strangers with the same key made within the last 60 s.
        starts, refused, failures: when calls were taken, answered 429, and failed otherwise.
    """

    requests: int | None = None
    concurrent: int | None = None
    states_limits: bool = False
    states_retry: bool = False
    retry: float | None = None
    seconds: float = 1.0
    weather: Callable[[float], FailureReason | None] = lambda _now: None
    others: Callable[[float], int] = lambda _now: 0
    starts: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    failures: list[float] = field(default_factory=list)
    running: int = 0
    peak: int = 0

    def begin(self, now: float) -> Failure | None:
        """A call arrives."""
        reason = self.weather(now)
        if reason is None and self.concurrent is not None and self.running >= self.concurrent:
            reason = FailureReason.OVERLOADED
        if reason is None and self.requests is not None and self.taken(now) >= self.requests:
            reason = FailureReason.RATE_LIMITED
        if reason is FailureReason.RATE_LIMITED:
            self.refused.append(now)
            return failed(reason, self._opens(now) if self.states_retry else None)
        if reason is not None:
            self.failures.append(now)
            return failed(reason)
        self.starts.append(now)
        self.running += 1
        self.peak = max(self.peak, self.running)
        return None

    def taken(self, now: float) -> int:
        """Calls that it took within the last 60 s, others' included."""
        return len(self.starts) - bisect_right(self.starts, now - 60) + self.others(now)

    def rates(self, now: float) -> SeenRates | None:
        """Its headers."""
        if not self.states_limits or self.requests is None:
            return None
        left = max(0, self.requests - self.taken(now))
        return SeenRates(limits=Limits(requests=self.requests), requests_remaining=left)

    def per_minute(self, since: float, till: float) -> float:
        """Calls it took a minute, on average over a span."""
        return (bisect_right(self.starts, till) - bisect_right(self.starts, since)) / (till - since) * 60

    def fullest_minute(self, since: float | None = None) -> int:
        """The most calls that were sent to it within any 60 s; those it refused count from ``since`` on, and not without it."""
        recent: deque[float] = deque()
        most = 0
        sent = self.starts if since is None else sorted(at for at in self.starts + self.refused if at >= since)
        for start in sent:
            recent.append(start)
            while recent[0] <= start - 60:
                recent.popleft()
            most = max(most, len(recent))
        return most

    def _opens(self, now: float) -> float:
        """When it would take the next call; in bad weather, which is no limit, it just says a second."""
        if self.retry is not None:
            return self.retry
        if self.requests is None or self.taken(now) < self.requests:
            return 1.0
        leaves = max(0, len(self.starts) - max(self.requests, 1))
        return max(self.starts[leaves] + 60 - now, 0.0)


class World:
    """Callers that always want another call, spread over gates."""

    def __init__(self, clock: Clock, gates: list[Gate], provider: Provider, callers: int, ask: Ask = PLAIN) -> None:
        self._clock = clock
        self._provider = provider
        self._ask = ask
        self._numbers = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self.denied = 0
        for caller in range(callers):
            self._at(clock.now, partial(self._want, gates[caller % len(gates)]))

    def run(self, seconds: float) -> None:
        """Let that much time pass."""
        till = self._clock.now + seconds
        while self._events and self._events[0][0] <= till:
            self._clock.now, _, event = heapq.heappop(self._events)
            event()
        self._clock.now = till

    def _at(self, when: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), event))

    def _want(self, gate: Gate, ask: Ask | None = None) -> None:
        ask = ask or self._ask.model_copy(update={"attempt": f"job:{next(self._numbers)}:1"})
        said = gate.admit(ask)
        if isinstance(said, Admitted):
            self._at(self._clock.now + said.after, lambda: self._call(gate, ask))
        else:
            self.denied += 1
            self._at(self._clock.now + said.seconds, lambda: self._want(gate, ask))

    def _call(self, gate: Gate, ask: Ask) -> None:
        failure = self._provider.begin(self._clock.now)
        seconds = self._provider.seconds if failure is None else 0.05
        self._at(self._clock.now + seconds, lambda: self._end(gate, ask, failure))

    def _end(self, gate: Gate, ask: Ask, failure: Failure | None) -> None:
        if failure is None:
            self._provider.running -= 1
        gate.settle(ask, usage=None if failure else USAGE, failure=failure, seen=self._provider.rates(self._clock.now))
        self._want(gate)


def numbered(ask: Ask, number: int, **changes: object) -> Ask:
    """The same question for another attempt."""
    return ask.model_copy(update={"attempt": f"job:{number}:1", **changes})
