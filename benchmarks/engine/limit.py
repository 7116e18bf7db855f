"""A provider that takes fifty calls a minute, and four worker processes that want more; then it storms and recovers."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from benchmarks.engine import work
from benchmarks.engine.figures import busiest, busiest_from, pace, regained, within
from benchmarks.engine.ground import Ground, Provider
from benchmarks.engine.work import Tell
from schemas.job import JobOptions, OnOutage

PROCESSES = 4
PER_MINUTE = 50
MINUTE = 60.0
LEAST_SECONDS, MOST_SECONDS = 0.2, 0.6
AT_MOST = 1.03
AT_LEAST = 0.95
OK, LIMITED = 200, 429
STORM = [
    {"play": "status", "status": 429, "retry_after": 5, "form": "seconds", "message": "storm", "type": None,
     "error_code": None, "clock": 0.0},
    {"play": "status", "status": 529, "retry_after": None, "form": "seconds", "message": "storm", "type": None,
     "error_code": None, "clock": 0.0},
]  # fmt: skip
"""Refusals of both kinds in turn; the provider says of the first when to come again."""


@dataclass(frozen=True)
class Plan:
    """Seconds of each part, all real: admission knows no other minute.

    Attributes:
        headers: for each variant, whether the provider's answers tell of its limit.
        after: time to be at full pace again, and a minute in which that is seen.
    """

    headers: Sequence[bool]
    steady: float
    storm: float
    after: float


FULL = Plan(headers=[True, False], steady=300, storm=60, after=140)
QUICK = Plan(headers=[True], steady=150, storm=20, after=125)


@dataclass(frozen=True)
class Variant:
    """One run. Times in seconds since the first call.

    Attributes:
        calls: when each call came, and its status.
        storm: from when to when.
    """

    headers: bool
    calls: Sequence[tuple[float, int]]
    storm: tuple[float, float]

    @property
    def sent(self) -> list[float]:
        """All calls."""
        return [at for at, _ in self.calls]

    @property
    def accepted(self) -> list[float]:
        """Those that were answered."""
        return [at for at, status in self.calls if status == OK]

    @property
    def busiest(self) -> int:
        """Calls in the busiest minute outside the storm, refused ones included."""
        return max(busiest(calls, MINUTE) for calls in self._beside_the_storm)

    @property
    def busiest_from(self) -> float:
        """When that minute begins."""
        before, after = self._beside_the_storm
        return busiest_from(before if busiest(before, MINUTE) >= busiest(after, MINUTE) else after, MINUTE)

    @property
    def _beside_the_storm(self) -> tuple[list[float], list[float]]:
        begin, end = self.storm
        return [at for at in self.sent if at < begin], [at for at in self.sent if at >= end]

    @property
    def busiest_in_storm(self) -> int:
        """Calls in the busiest minute of all, that of the storm included."""
        return busiest(self.sent, MINUTE)

    @property
    def per_minute(self) -> float:
        """Accepted calls per minute, from the second minute until the storm."""
        begin, end = MINUTE, self.storm[0]
        return within(self.accepted, begin, end) / (end - begin) * MINUTE

    @property
    def pace(self) -> float:
        """The same by the distances between the calls."""
        return pace([at for at in self.accepted if MINUTE <= at < self.storm[0]])

    @property
    def refused(self) -> int:
        """Calls that the limit refused, outside the storm."""
        return sum(status == LIMITED for at, status in self.calls if not self.storm[0] <= at < self.storm[1])

    @property
    def in_storm(self) -> int:
        """Calls during the storm."""
        return within(self.sent, *self.storm)

    @property
    def recovery(self) -> float | None:
        """Seconds from the storm's end until the full pace was back."""
        return regained(self.accepted, self.storm[1], PER_MINUTE * AT_LEAST)


def measure(ground: Ground, plan: Plan, tell: Tell) -> list[Variant]:
    """Measure each variant."""
    return [_variant(ground, plan, tell, headers=headers) for headers in plan.headers]


def _variant(ground: Ground, plan: Plan, tell: Tell, *, headers: bool) -> Variant:
    name = "with rate headers" if headers else "without rate headers"
    with (
        psycopg.connect(ground.admin_url, autocommit=True) as owner,
        ground.database() as database,
        ground.provider(least=LEAST_SECONDS, most=MOST_SECONDS) as provider,
    ):
        _empty(ground, owner)
        provider.limit(requests_per_minute=PER_MINUTE, headers=headers)
        jobs = int(PER_MINUTE * (plan.steady + plan.storm + plan.after) / MINUTE * 2)
        options = JobOptions(on_outage=OnOutage.WAIT)
        work.give(database, "default", (work.text(number, 650) for number in range(jobs)), options)
        with ground.workers(provider, PROCESSES):
            began = _first_call(provider)
            _pass(provider, plan.steady, f"{name}: steady", tell)
            provider.storm(STORM)
            storm = _since(provider, began)
            _pass(provider, plan.storm, f"{name}: storm", tell)
            provider.calm()
            calm = _since(provider, began)
            _pass(provider, plan.after, f"{name}: recovered", tell)
            arrivals = provider.arrivals()
    return Variant(headers, [(at - began, status) for at, status in arrivals], (storm, calm))


def _empty(ground: Ground, owner: work.Owner) -> None:
    """No job and nothing learned from an earlier variant."""
    owner.execute("TRUNCATE jobs, inputs, attempts, answers, events, reviews, batches, workers CASCADE")
    with ground.broker() as broker:
        broker.flushall()


def _first_call(provider: Provider) -> float:
    until = time.monotonic() + MINUTE
    while not (arrivals := provider.arrivals()):
        if time.monotonic() > until:
            raise work.Stuck("no call has come")
        time.sleep(0.1)
    return arrivals[0][0]


def _since(provider: Provider, began: float) -> float:
    """The provider's clock, in seconds since the first call."""
    return provider.now() - began


def _pass(provider: Provider, seconds: float, what: str, tell: Tell) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        arrivals = provider.arrivals()
        accepted = sum(status == OK for _, status in arrivals)
        tell(f"{what}: {left:.0f} s left; {len(arrivals)} calls so far, {accepted} accepted")
        time.sleep(min(work.TELL_SECONDS, left))
