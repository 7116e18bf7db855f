"""The three systems that are compared: their processes, how work is given to them, and what they left in the database."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from benchmarks.ground import ASSAY_DATABASE, PROCESSES, SIMPLE_DATABASE, SLOTS, Ground
from benchmarks.look import Look, looking
from stack.model import CHECKOUT
from stack.part import Part
from stack.processes import worker_part

WARM_UP = PROCESSES * SLOTS
"""Jobs before the measured ones: connections are open, modules imported and every slot has run."""

WARM_UP_SECONDS = 60.0


class Stuck(RuntimeError):
    """A system made no progress."""


@dataclass(frozen=True)
class Given:
    """What giving the work to a system took; seconds since 1970 for ``started`` and ``ended``."""

    started: float
    ended: float
    cpu_seconds: float
    batch_id: str | None = None


@dataclass(frozen=True)
class Timing:
    """One job, in seconds since 1970."""

    created: float
    started: float
    finished: float
    by_model: bool


class System(Protocol):
    """One of the systems."""

    name: str
    database: str

    def parts(self, ground: Ground, jobs: int) -> list[Part]:
        """Its worker processes."""

    def warm_up(self, ground: Ground, look: Look) -> int:
        """Have it run some jobs; returns how many."""

    def give(self, ground: Ground, pids: Sequence[int], jobs: int) -> Given:
        """Give it the jobs; returns when all are submitted."""

    def landed(self, look: Look, given: Given) -> int:
        """How many of them have ended."""

    def timings(self, look: Look, given: Given) -> list[Timing]:
        """Each of them."""


class Assay:
    """The full pipeline, with workers as the stack starts them."""

    name = "assay"
    database = ASSAY_DATABASE

    def parts(self, ground: Ground, jobs: int) -> list[Part]:  # noqa: ARG002
        """See :class:`System`."""
        environment = ground.assay_environment()
        return [
            worker_part(f"worker-{number}", ground.home, environment, ground.settings.stop_seconds)
            for number in range(1, PROCESSES + 1)
        ]

    def warm_up(self, ground: Ground, look: Look) -> int:
        """See :class:`System`."""
        given = _produce("assay", WARM_UP, ground.assay_environment())
        _wait_until(lambda: self.landed(look, given) == WARM_UP)
        return WARM_UP

    def give(self, ground: Ground, pids: Sequence[int], jobs: int) -> Given:  # noqa: ARG002
        """See :class:`System`."""
        return _produce("assay", jobs, ground.assay_environment())

    def landed(self, look: Look, given: Given) -> int:
        """See :class:`System`."""
        return look.number(
            "SELECT count(*) FROM jobs WHERE batch_id = %s AND state NOT IN ('queued', 'published', 'running')",
            given.batch_id,
        )

    def timings(self, look: Look, given: Given) -> list[Timing]:
        """See :class:`System`."""
        rows = look.rows(
            "SELECT extract(epoch FROM created_at)::float8, extract(epoch FROM started_at)::float8,"
            " extract(epoch FROM coalesce(finished_at, now()))::float8, answered_by IS NOT DISTINCT FROM 'model'"
            " FROM jobs WHERE batch_id = %s",
            given.batch_id,
        )
        return [Timing(*row) for row in rows]


class _Simple:
    """What the two systems around the simple job have in common."""

    name = ""
    database = SIMPLE_DATABASE

    def landed(self, look: Look, given: Given) -> int:  # noqa: ARG002
        """See :class:`System`."""
        return look.number("SELECT count(*) FROM answers")

    def timings(self, look: Look, given: Given) -> list[Timing]:  # noqa: ARG002
        """See :class:`System`."""
        rows = look.rows(
            "SELECT extract(epoch FROM created)::float8, extract(epoch FROM started)::float8,"
            " extract(epoch FROM finished)::float8, true FROM documents JOIN answers ON document_id = id",
        )
        return [Timing(*row) for row in rows]


class Naive(_Simple):
    """A naive Celery job on a thread pool."""

    name = "naive"

    def parts(self, ground: Ground, jobs: int) -> list[Part]:  # noqa: ARG002
        """See :class:`System`."""
        environment = ground.simple_environment()
        celery = [sys.executable, "-m", "celery", "-A", "benchmarks.naive", "worker", "--loglevel", "WARNING"]
        return [
            Part(
                name=f"naive-{number}",
                command=[*celery, "--pool", "threads", "--concurrency", str(SLOTS), "-n", f"naive-{number}@%h"],
                ready=lambda said: "naive ready." in said,
                environment=environment,
                cwd=ground.home.root,
            )
            for number in range(1, PROCESSES + 1)
        ]

    def warm_up(self, ground: Ground, look: Look) -> int:
        """See :class:`System`."""
        look.run("TRUNCATE documents, answers")
        given = _produce("naive", WARM_UP, ground.simple_environment())
        _wait_until(lambda: self.landed(look, given) == WARM_UP)
        look.run("TRUNCATE documents, answers")
        return WARM_UP

    def give(self, ground: Ground, pids: Sequence[int], jobs: int) -> Given:  # noqa: ARG002
        """See :class:`System`."""
        return _produce("naive", jobs, ground.simple_environment())


class Threads(_Simple):
    """Plain threads without a queue."""

    name = "threads"

    def parts(self, ground: Ground, jobs: int) -> list[Part]:
        """See :class:`System`."""
        with looking(ground.simple_url) as look:
            look.run("TRUNCATE documents, answers")
        share = -(-jobs // PROCESSES)
        make = partial(_threads_part, ground, ground.simple_environment())
        return [make(first=first, count=min(share, jobs - first)) for first in range(0, jobs, share)]

    def warm_up(self, ground: Ground, look: Look) -> int:  # noqa: ARG002
        """Its processes do that before they say that they are ready."""
        look.run("TRUNCATE documents, answers")
        return WARM_UP

    def give(self, ground: Ground, pids: Sequence[int], jobs: int) -> Given:  # noqa: ARG002
        """See :class:`System`."""
        started = time.time()
        for pid in pids:
            os.kill(pid, signal.SIGUSR1)
        return Given(started=started, ended=started, cpu_seconds=0)


def _threads_part(ground: Ground, environment: Mapping[str, str], *, first: int, count: int) -> Part:
    options = ["--first", str(first), "--count", str(count), "--threads", str(SLOTS)]
    return Part(
        name=f"threads-{first}",
        command=[sys.executable, "-m", "benchmarks.plain_threads", *options],
        ready=lambda said: "threads ready." in said,
        environment=environment,
        cwd=ground.home.root,
    )


def _produce(producer: str, count: int, environment: Mapping[str, str]) -> Given:
    """Run the submitting process to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.producers", producer, str(count)],
        env=dict(environment), cwd=CHECKOUT, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    report: dict[str, Any] = json.loads(done.stdout.decode().splitlines()[-1])
    return Given(**report)


def _wait_until(reached: Callable[[], bool]) -> None:
    until = time.monotonic() + WARM_UP_SECONDS
    while not reached():
        if time.monotonic() > until:
            raise Stuck(f"the warm-up did not end within {WARM_UP_SECONDS:g} s")
        time.sleep(0.1)
