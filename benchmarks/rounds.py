"""One round of one system: start its processes, warm up, give the work, wait, read the meters, stop."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from benchmarks.crew import running
from benchmarks.figures import Run
from benchmarks.ground import ASSAY_DATABASE, PROCESSES, SLOTS, Ground
from benchmarks.look import Look, looking
from benchmarks.meters import cpu_seconds, memory_bytes, system_seconds, tree_cpu_seconds
from benchmarks.systems import Given, Stuck, System

POLL_SECONDS = 0.2
SILENCE_SECONDS = 60.0

Progress = Callable[[int], object]
Beside = Callable[[Sequence[int]], AbstractContextManager[object]]


@dataclass(frozen=True)
class _Meters:
    workers: float
    workers_system: float
    postgres: float
    valkey: float


def measure(ground: Ground, system: System, jobs: int, progress: Progress, *, beside: Beside | None = None) -> Run:
    """Measure one round.

    Args:
        progress: told how many jobs have ended, every now and then.
        beside: a function of the worker pids that gives a context for the measured part.

    Raises:
        Stuck: nothing ended for a minute.
        NotStarted: a worker process did not come up.
    """
    ground.forget_calls()
    url = ground.admin_url if system.database == ASSAY_DATABASE else ground.simple_url
    before = _commits(ground, system.database)
    with looking(url) as look:
        with running(system.parts(ground, jobs), ground.home) as pids:
            warm = system.warm_up(ground, look)
            start = _read(ground, pids)
            with beside(pids) if beside else nullcontext():
                given = system.give(ground, pids, jobs)
                _wait(system, look, given, jobs, progress)
            end = _read(ground, pids)
            memory = memory_bytes(pids)
            timings = system.timings(look, given)
        own = look.transactions
    # All their connections are closed now, so the server has counted everything.
    commits = _commits(ground, system.database) - before - own
    return Run(
        jobs=jobs,
        answered=sum(one.by_model for one in timings),
        seconds=max(one.finished for one in timings) - given.started,
        submit_seconds=given.ended - given.started,
        worker_cpu=end.workers - start.workers,
        worker_system=end.workers_system - start.workers_system,
        postgres_cpu=end.postgres - start.postgres,
        valkey_cpu=end.valkey - start.valkey,
        submit_cpu=given.cpu_seconds,
        worker_bytes=memory,
        slots=PROCESSES * SLOTS,
        commits=(commits, jobs + warm),
        in_system=[one.finished - one.created for one in timings],
        running=[one.finished - one.started for one in timings],
    )


def _read(ground: Ground, pids: Sequence[int]) -> _Meters:
    return _Meters(
        workers=cpu_seconds(pids),
        workers_system=system_seconds(pids),
        postgres=tree_cpu_seconds(ground.database_pid),
        valkey=cpu_seconds([ground.broker_pid]),
    )


def _wait(system: System, look: Look, given: Given, jobs: int, progress: Progress) -> None:
    last, changed = -1, time.monotonic()
    while last < jobs:
        time.sleep(POLL_SECONDS)
        landed = system.landed(look, given)
        if landed != last:
            last, changed = landed, time.monotonic()
            progress(landed)
        elif time.monotonic() - changed > SILENCE_SECONDS:
            raise Stuck(f"{system.name}: {landed} of {jobs} jobs ended, and none for {SILENCE_SECONDS:g} s")


def _commits(ground: Ground, database: str) -> int:
    """Committed transactions of a database, asked for from another one."""
    server = ground.admin_url.rpartition("/")[0]
    with looking(f"{server}/postgres") as look:
        return look.number("SELECT xact_commit FROM pg_stat_database WHERE datname = %s", database)
