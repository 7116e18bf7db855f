"""Fair order between tenants, counted in estimated cost: start-time fair queueing. Pure.

Each tenant has a virtual time: the cost it was served, divided by its weight. The next job is always that of the tenant
whose virtual time is least, so two tenants with work get cost in the ratio of their weights, to within one job; a tenant
alone gets everything; and one that comes to a busy house begins at the house's present time, with neither debt nor savings,
and is therefore next. (Goyal, Vin and Cheng, "Start-time fair queueing", SIGCOMM 1996. Deficit round robin shares alike
but in turns of a quantum, which has to exceed the dearest job: a round here is often smaller than one.)
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from storage.fairness import Candidate

CLASS_FLOOR = 8
"""While a class has work it gets at least one of so many places, whatever waits above it: no class starves."""


@dataclass
class FairClock:
    """Virtual time of one class.

    Attributes:
        now: where the class stands: the start of the job served last.
        served: per tenant, where its next job would start. Tenants that are not ahead of ``now`` need not be kept.
    """

    now: float = 0.0
    served: dict[str, float] = field(default_factory=dict)

    def copy(self) -> "FairClock":
        """One that moves on its own."""
        return FairClock(self.now, dict(self.served))


class Rooms:
    """Places to fill: in all, and per task where its model takes no more calls than so many."""

    def __init__(self, total: int, by_task: Mapping[str, int]) -> None:
        self.total = total
        self._by_task = dict(by_task)

    def has(self, task: str) -> bool:
        """Whether a job of this task may go."""
        return self.total > 0 and self._by_task.get(task, 1) > 0

    def take(self, task: str) -> None:
        """One place is filled."""
        self.total -= 1
        if task in self._by_task:
            self._by_task[task] -= 1


def choose(
    candidates: Iterable[Candidate],
    clocks: dict[int, FairClock],
    weights: Mapping[str, float],
    rooms: Rooms,
    *,
    turn: int,
) -> list[Candidate]:
    """The jobs to publish, in order: class before class, within a class fairly between tenants, within a tenant as they come.

    Args:
        candidates: each tenant's first jobs, in the order in which it wants them.
        clocks: by class; moved on.
        rooms: filled.
        turn: number of the round: a class below the highest gets a place in every eighth round even when a round has
            fewer than eight places.
    """
    by_class: dict[int, list[Candidate]] = {}
    for candidate in candidates:
        by_class.setdefault(candidate.priority, []).append(candidate)
    floor = class_floor(rooms.total, turn)
    chosen: list[Candidate] = []
    below = len(by_class)
    for priority in sorted(by_class, reverse=True):
        below -= 1
        kept = min(floor * below, rooms.total)
        rooms.total -= kept
        chosen += _within_class(by_class[priority], clocks.setdefault(priority, FairClock()), weights, rooms)
        rooms.total += kept
    return chosen


def class_floor(room: int, turn: int) -> int:
    """The places of a round that each class below the highest gets while it has work."""
    return room // CLASS_FLOOR or (1 if turn % CLASS_FLOOR == 0 else 0)


def _within_class(
    candidates: Iterable[Candidate], clock: FairClock, weights: Mapping[str, float], rooms: Rooms
) -> list[Candidate]:
    waiting = _by_tenant(candidates)
    starts = [(max(clock.served.get(tenant_id, 0.0), clock.now), tenant_id) for tenant_id in waiting]
    heapq.heapify(starts)
    chosen: list[Candidate] = []
    while starts and rooms.total > 0:
        start, tenant_id = heapq.heappop(starts)
        job = _next_with_room(waiting[tenant_id], rooms)
        if job is None:
            continue
        rooms.take(job.task)
        chosen.append(job)
        clock.now = start
        clock.served[tenant_id] = start + job.cost / weights.get(tenant_id, 1.0)
        heapq.heappush(starts, (clock.served[tenant_id], tenant_id))
    clock.served = {tenant_id: end for tenant_id, end in clock.served.items() if end > clock.now}
    return chosen


def _by_tenant(candidates: Iterable[Candidate]) -> dict[str, list[Candidate]]:
    """Each tenant's jobs, the first one last, so that it is popped first."""
    waiting: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        waiting.setdefault(candidate.tenant_id, []).append(candidate)
    for jobs in waiting.values():
        jobs.reverse()
    return waiting


def _next_with_room(jobs: list[Candidate], rooms: Rooms) -> Candidate | None:
    while jobs:
        job = jobs.pop()
        if rooms.has(job.task):
            return job
    return None
