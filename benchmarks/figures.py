"""What was measured in one run, and what several runs come to. Pure."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """One system, one round.

    Attributes:
        jobs: submitted.
        answered: answered by the model.
        seconds: from the first submit to the last answer.
        submit_seconds: until all were submitted; 0 where there is nothing to submit to.
        worker_cpu, postgres_cpu, valkey_cpu, submit_cpu: seconds, user and system.
        worker_system: the part of ``worker_cpu`` that the kernel worked for them.
        worker_bytes: memory of the worker processes together, shared pages counted once.
        slots: jobs that can run at a time.
        commits: transactions that the database committed, and the jobs, warm-up included, that they were for.
        in_system: seconds from creation to the answer, by job.
        running: seconds from the start of the work to the answer, by job.
    """

    jobs: int
    answered: int
    seconds: float
    submit_seconds: float
    worker_cpu: float
    worker_system: float
    postgres_cpu: float
    valkey_cpu: float
    submit_cpu: float
    worker_bytes: int
    slots: int
    commits: tuple[int, int]
    in_system: Sequence[float]
    running: Sequence[float]

    @property
    def rate(self) -> float:
        """Jobs per second."""
        return self.jobs / self.seconds

    def cpu_ms(self, seconds: float) -> float:
        """Of so many CPU seconds, the milliseconds per job."""
        return seconds / self.jobs * 1000

    @property
    def worker_ms(self) -> float:
        """CPU of the worker processes per job, in milliseconds."""
        return self.cpu_ms(self.worker_cpu)

    @property
    def worker_user_ms(self) -> float:
        """The part of that outside the kernel."""
        return self.cpu_ms(self.worker_cpu - self.worker_system)

    @property
    def total_ms(self) -> float:
        """CPU of everything but the model per job, in milliseconds."""
        return self.cpu_ms(self.worker_cpu + self.postgres_cpu + self.valkey_cpu + self.submit_cpu)

    @property
    def slot_mb(self) -> float:
        """Memory of the worker processes per slot, in MB."""
        return self.worker_bytes / self.slots / 1e6

    @property
    def commits_per_job(self) -> float:
        """Transactions per job."""
        count, jobs = self.commits
        return count / jobs


@dataclass(frozen=True)
class Spread:
    """A figure over several rounds."""

    median: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    """Median, smallest and largest.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("no values")
    return Spread(statistics.median(values), min(values), max(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share (0 to 1) of the values does not exceed: the nearest rank, never interpolated.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Ours to theirs round by round: neighbours in time share the machine's mood, so this is steadier than the medians."""
    return spread([one / other for one, other in zip(ours, theirs, strict=True)])
