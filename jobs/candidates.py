"""The candidates of a dispatch round: enough jobs of each tenant that can get a place, and none of the others.

Reading more costs time in every round, and reading less must not cost a tenant its share: each gets somewhat more than an
even share, and where one's jobs were all chosen although it was next again, more of them are read and it is chosen anew.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from jobs.fairness import FairClock, Rooms, choose, class_floor
from storage.fairness import Candidate, Waiting

SPARE = 1.25
"""So many times an even share of the places is read of each tenant, and one more: jobs differ in cost."""
MORE = 4
"""So many times as much is read of a tenant that was next again."""

Read = Callable[[int, Mapping[str, int]], Sequence[Candidate]]
"""Given a class and how many jobs of each tenant at most, the first of them."""


class Front:
    """The first jobs of tenants, read as far as one round needs them."""

    def __init__(self, waiting: Collection[Waiting], clocks: Mapping[int, FairClock], read: Read) -> None:
        self._waiting = waiting
        self._clocks = clocks
        self._read = read
        self._weights = {of.tenant_id: of.weight for of in waiting}
        self._most: dict[tuple[int, str], int] = {}
        self._jobs: dict[tuple[int, str], list[Candidate]] = {}
        self._places: dict[int, int] = {}

    def choose(
        self, room: int, by_task: Mapping[str, int], *, turn: int
    ) -> tuple[list[Candidate], dict[int, FairClock]]:
        """The jobs to publish, and the clocks after them."""
        self._read_first(room, by_task, turn=turn)
        while True:
            clocks = {priority: clock.copy() for priority, clock in self._clocks.items()}
            candidates = [job for jobs in self._jobs.values() for job in jobs]
            chosen = choose(candidates, clocks, self._weights, Rooms(room, by_task), turn=turn)
            short = self._short(chosen, clocks)
            if not short:
                return chosen, clocks
            for priority in {priority for priority, _ in short}:
                self._ask(priority, {of: self._most[c, of] * MORE for c, of in short if c == priority})

    def _read_first(self, room: int, by_task: Mapping[str, int], *, turn: int) -> None:
        classes = sorted({of.priority for of in self._waiting}, reverse=True)
        floor = class_floor(room, turn)
        for below, priority in zip(reversed(range(len(classes))), classes, strict=True):
            places = self._places[priority] = room - min(floor * below, room)
            room -= min(places, self._read_class(priority, places, by_task))

    def _read_class(self, priority: int, places: int, by_task: Mapping[str, int]) -> int:
        """Read jobs for so many places, of the tenants that are next; returns how many can go."""
        found: Counter[str] = Counter()
        for tenants in _parts(self._by_start(priority), places):
            weights = sum(self._weights[of] for of in tenants)
            shares = {of: places * self._weights[of] / weights for of in tenants}
            most = {of: min(places, math.ceil(SPARE * share) + 1) for of, share in shares.items()}
            found.update(job.task for job in self._ask(priority, most))
            can_go = sum(min(jobs, by_task.get(task, jobs)) for task, jobs in found.items())
            if can_go >= places:
                return can_go
        return sum(min(jobs, by_task.get(task, jobs)) for task, jobs in found.items())

    def _by_start(self, priority: int) -> list[str]:
        """The tenants of a class, the one that is next first."""
        clock = self._clocks.get(priority, FairClock())
        tenants = [of.tenant_id for of in self._waiting if of.priority == priority]
        return sorted(tenants, key=lambda of: (max(clock.served.get(of, 0.0), clock.now), of))

    def _ask(self, priority: int, most: Mapping[str, int]) -> Sequence[Candidate]:
        for tenant_id, count in most.items():
            self._most[priority, tenant_id] = count
            self._jobs[priority, tenant_id] = []
        found = self._read(priority, most)
        for job in found:
            self._jobs[priority, job.tenant_id].append(job)
        return found

    def _short(self, chosen: Sequence[Candidate], clocks: Mapping[int, FairClock]) -> list[tuple[int, str]]:
        """Classes and tenants of which all was chosen that was read, with more behind it, while there was still a place."""
        counted = Counter((job.priority, job.tenant_id) for job in chosen)
        read, taken = Counter[int](), Counter[int]()
        for of, jobs in self._jobs.items():
            read[of[0]] += len(jobs)
            taken[of[0]] += counted[of]
        ran_out = {priority for priority, places in self._places.items() if read[priority] == taken[priority] < places}
        return [
            (priority, tenant_id)
            for (priority, tenant_id), jobs in counted.items()
            if jobs == self._most[priority, tenant_id]
            and (priority in ran_out or tenant_id not in clocks[priority].served)
        ]


def _parts(tenants: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """So many at a time."""
    for first in range(0, len(tenants), max(1, size)):
        yield tenants[first : first + max(1, size)]
