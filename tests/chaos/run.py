"""Runs scenarios: a batch, a fault or several in the middle of it, and the audit once everything has come to rest."""

import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from tests.chaos import windows
from tests.chaos.audit import RESERVED_SECONDS, Verdict, audit, kept_places
from tests.chaos.books import Books, counts, landings, open_attempts, read_books, settled, under_way
from tests.chaos.faults import Fault
from tests.chaos.services import Grounds, grounds
from tests.chaos.stage import PATIENCE_SECONDS, Periods, Stage
from tests.chaos.traffic import Traffic
from tests.chaos.workers import PERIODS, Crew

SHARE_BEFORE = 0.2
"""A fault begins when this part of the jobs has landed."""
SETTLE_SECONDS = 30.0
"""Calls of a worker that was given up are settled, and their places in the windows free, within this time."""
STILL_SECONDS = 0.6
"""A worker that has a call to make makes it within this."""
LONGEST_LATENCY = 0.8


@dataclass(frozen=True)
class Scenario:
    """What happens in one run: faults, each from the moment when this share of the jobs has landed."""

    name: str
    moments: tuple[tuple[Fault, float], ...]
    seed: int
    jobs: int

    @property
    def explains(self) -> set[str]:
        """Reasons for which a job may have no model's answer."""
        return {str(reason) for fault, _ in self.moments for reason in fault.explains}


@dataclass(frozen=True)
class Result:
    """One run.

    Attributes:
        first_seconds: from the end of the fault to the next job that landed.
        recovered_seconds: from the end of the fault until the last job had landed that was on the broker or running then:
            how long the fault is felt. None: nothing was under way any more.
        problems: sentences; empty = everything holds.
    """

    scenario: Scenario
    verdict: Verdict | None
    first_seconds: float | None = None
    recovered_seconds: float | None = None
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _End:
    """The moment in which the last fault was over."""

    at: datetime
    under_way: set[UUID]


class Ground:
    """Services and a crew, on which one scenario runs after the other."""

    def __init__(self, place: Grounds, crew: Crew, periods: Periods, batch_seconds: float) -> None:
        self.place = place
        self.crew = crew
        self._periods = periods
        self._batch_seconds = batch_seconds

    def run(self, scenario: Scenario) -> Result:
        """Run it and judge it. What goes wrong is in the result, not an exception."""
        began = time.monotonic()
        try:
            self._prepare(scenario)
            Traffic(scenario.jobs).submit(self.place.house)
            end = self._act(scenario)
            problems = self._come_to_rest(scenario)
            verdict = self._judge(scenario)
            first, recovered = _recovery(end, landings(self.place.house))
        except Exception as error:  # the run goes on with the next scenario, and this one has failed
            self._tidy()
            return Result(
                scenario, None, seconds=time.monotonic() - began, problems=[f"{type(error).__name__}: {error}"]
            )
        return Result(scenario, verdict, first, recovered, time.monotonic() - began, [*problems, *verdict.problems])

    def windows_are_free(self) -> bool:
        """Whether the last reservations of dead workers end by themselves."""
        with self.place.broker() as broker:
            return settled(lambda: not windows.reserved(broker), RESERVED_SECONDS + SETTLE_SECONDS)

    @contextmanager
    def spoilt(self, statement: str) -> Iterator[None]:
        """The tables are changed by this statement, past their triggers, while the block runs; then put right again."""
        tables = ("jobs", "inputs", "attempts", "answers", "events")
        past_triggers = "SET session_replication_role = replica;"
        keep = ";".join(f"CREATE TABLE kept_{name} AS TABLE {name}" for name in tables)
        back = ";".join(
            f"DELETE FROM {name}; INSERT INTO {name} TABLE kept_{name}; DROP TABLE kept_{name}" for name in tables
        )
        self.place.house.run(f"{past_triggers}{keep};{statement}")
        try:
            yield
        finally:
            self.place.house.run(f"{past_triggers}{back}")

    def _prepare(self, scenario: Scenario) -> None:
        """Nothing of the scenario before is left."""
        self._tidy()
        self.crew.wait_until_ready()
        self.place.house.run("TRUNCATE jobs, inputs, attempts, answers, events, reviews, batches CASCADE")
        self.place.house.provider.reset()
        with self.place.broker() as broker:
            windows.forget(broker)
        slots = int(PERIODS["ASSAY_WORKER_SLOTS"]) * len(self.crew.members)
        self._latency = min(LONGEST_LATENCY, self._batch_seconds * slots / scenario.jobs)

    def _tidy(self) -> None:
        self.crew.clear_orders()
        self.crew.wake_all()

    def _act(self, scenario: Scenario) -> _End:
        """All faults, each at its moment; those of a mix overlap as it comes."""
        dice = random.Random(scenario.seed)
        with self.place.house.provider.slow(self._latency), ThreadPoolExecutor(len(scenario.moments)) as together:
            running = [
                together.submit(self._inject, fault, share, scenario.jobs, random.Random(dice.randrange(2**32)))
                for fault, share in scenario.moments
            ]
            for one in running:
                one.result()
            end = _End(datetime.now(UTC), under_way(self.place.house))
            self._wait_until_landed()
        return end

    def _inject(self, fault: Fault, share: float, jobs: int, dice: random.Random) -> None:
        stage = Stage(self.place, self.crew, dice, self._periods, jobs)
        stage.wait_for_share(share)
        fault.inject(stage)

    def _wait_until_landed(self) -> None:
        """Until all have landed, or none has for so long that none will."""
        before, until = -1, 0.0
        while True:
            landed, total = counts(self.place.house) or (before, -1)
            if landed == total:
                return
            if landed > before:
                before, until = landed, time.monotonic() + PATIENCE_SECONDS
            if time.monotonic() > until:
                return
            time.sleep(0.05)

    def _come_to_rest(self, scenario: Scenario) -> list[str]:
        """Late twins end, calls are settled; orders that nobody carried out are the suite's own failure."""
        problems = [f"the fault did not happen: nobody carried out {name}" for name in self.crew.clear_orders()]
        self.crew.wake_all()
        invoice = _Stillness(lambda: len(self.place.house.provider.invoice()))
        settled(lambda: open_attempts(self.place.house) == 0 and invoice.still_for(STILL_SECONDS), SETTLE_SECONDS)
        return problems

    def _judge(self, scenario: Scenario) -> Verdict:
        def places() -> list[windows.Reservation]:
            with self.place.broker() as broker:
                return windows.reserved(broker)

        def books() -> Books:
            return read_books(self.place, scenario.jobs, places())

        settled(lambda: not kept_places(places(), books().attempts), SETTLE_SECONDS)
        return audit(books(), scenario.explains)


class _Stillness:
    """Whether a figure has not changed for a while."""

    def __init__(self, figure: Callable[[], int]) -> None:
        self._figure = figure
        self._last = figure()
        self._since = time.monotonic()

    def still_for(self, seconds: float) -> bool:
        now = self._figure()
        if now != self._last:
            self._last, self._since = now, time.monotonic()
        return time.monotonic() - self._since > seconds


@contextmanager
def ground(root: Path, *, workers: int, periods: Periods, batch_seconds: float) -> Iterator[Ground]:
    """Services and crew, for as many scenarios as you like; everything ends with the block."""
    with grounds(root / "home") as place:
        logs = Path(tempfile.mkdtemp(prefix="workers-", dir=root))
        with Crew(place, logs, workers) as crew:
            yield Ground(place, crew, periods, batch_seconds)


def mixes(faults: Sequence[Fault], count: int, seed: int, jobs: int = 0) -> list[Scenario]:
    """Random mixes of two or three faults, the same for the same seed."""
    dice = random.Random(seed)
    mixable = [fault for fault in faults if fault.mixable]
    return [_mix(dice, mixable, jobs) for _ in range(count)]


def _mix(dice: random.Random, faults: Sequence[Fault], jobs: int) -> Scenario:
    chosen = dice.sample(list(faults), dice.choice((2, 2, 3)))
    moments = tuple((fault, round(dice.uniform(0.05, 0.5), 2)) for fault in chosen)
    name = "mix: " + " + ".join(f"{fault.name} ({share:.0%})" for fault, share in moments)
    return Scenario(name, moments, dice.randrange(2**32), jobs)


def alone(fault: Fault, seed: int, jobs: int = 0) -> Scenario:
    """One fault in the middle of a batch."""
    return Scenario(fault.name, ((fault, SHARE_BEFORE),), random.Random(f"{seed} {fault.name}").randrange(2**32), jobs)


def _recovery(end: _End, landed: dict[UUID, datetime]) -> tuple[float | None, float | None]:
    after = [at for at in landed.values() if at >= end.at]
    hit = [landed[job_id] for job_id in end.under_way if job_id in landed]
    first = min((at - end.at).total_seconds() for at in after) if after else None
    recovered = (max(*hit, end.at) - end.at).total_seconds() if hit else None
    return first, recovered
