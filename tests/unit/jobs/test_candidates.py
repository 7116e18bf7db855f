"""What a dispatch round reads before it chooses."""

from collections.abc import Mapping
from copy import deepcopy
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.candidates import Front
from jobs.fairness import FairClock, Rooms, choose
from schemas.ids import new_id
from storage.fairness import Candidate, Waiting


class House:
    """Jobs that wait, read as the database gives them: a class, some tenants, so many of each."""

    def __init__(self, jobs: list[Candidate], weights: dict[str, float]) -> None:
        self.jobs = sorted(jobs, key=lambda job: job.job_id)
        self.weights = weights
        self.rows = 0

    def waiting(self) -> list[Waiting]:
        """Tenants by class."""
        return [
            Waiting(*of, self.weights[of[1]]) for of in sorted({(job.priority, job.tenant_id) for job in self.jobs})
        ]

    def read(self, priority: int, most: Mapping[str, int]) -> list[Candidate]:
        """The first jobs of tenants."""
        found = [
            job
            for tenant_id, count in most.items()
            for job in [job for job in self.jobs if (job.priority, job.tenant_id) == (priority, tenant_id)][:count]
        ]
        self.rows += len(found)
        return found


def a_house(random: Random, tenants: int, jobs: int) -> House:
    """Tenants of unlike weight; some have only dear jobs, some only cheap ones."""
    names = [f"t{number:03}" for number in range(tenants)]
    dear = {name: random.choice([0.1, 1.0, 20.0]) for name in names}
    made = [(random.choice(names), random.choice([1, 0, 0, -1])) for _ in range(jobs)]
    candidates = [
        Candidate(new_id(), name, "classify", priority, dear[name] * random.uniform(0.5, 2)) for name, priority in made
    ]
    return House(candidates, {name: random.choice([1.0, 1.0, 3.0]) for name in names})


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 10_000), st.integers(1, 20), st.integers(0, 200), st.integers(1, 40))
def test_reading_little_chooses_the_same_as_reading_everything(seed: int, tenants: int, jobs: int, room: int) -> None:
    """Round after round the same jobs in the same order, and the same clocks: what is not read would not have been chosen."""
    house = a_house(Random(seed), tenants, jobs)
    clocks: dict[int, FairClock] = {}
    for turn in range(1, 6):
        expected_clocks = deepcopy(clocks)
        expected = choose(house.jobs, expected_clocks, house.weights, Rooms(room, {}), turn=turn)
        chosen, after = Front(house.waiting(), clocks, house.read).choose(room, {}, turn=turn)
        assert chosen == expected
        for priority in {job.priority for job in chosen}:
            assert after[priority] == expected_clocks[priority]
            clocks[priority] = after[priority]
        house.jobs = [job for job in house.jobs if job not in chosen]


def test_a_round_reads_by_its_places_and_not_by_what_waits() -> None:
    """With five hundred tenants of twenty jobs each a round of sixteen places reads less than two hundred jobs."""
    jobs = [Candidate(new_id(), f"t{number % 500:03}", "classify", 0, 1.0) for number in range(10_000)]
    house = House(jobs, {f"t{number:03}": 1.0 for number in range(500)})
    chosen, _ = Front(house.waiting(), {}, house.read).choose(16, {}, turn=1)
    assert len(chosen) == 16
    assert house.rows < 200


def test_a_tenant_alone_is_read_once() -> None:
    """As many of its jobs as there are places, however many wait."""
    house = House([Candidate(new_id(), "a", "classify", 0, 1.0) for _ in range(300)], {"a": 1.0})
    chosen, _ = Front(house.waiting(), {}, house.read).choose(50, {}, turn=1)
    assert len(chosen) == house.rows == 50


def test_a_task_that_may_not_start_does_not_keep_others_from_a_place() -> None:
    """Tenants whose jobs are all of a full model are passed over, however many they are and however long they waited."""
    blocked = [Candidate(new_id(), f"a{number:03}", "extract", 0, 1.0) for number in range(100)]
    free = [Candidate(new_id(), "z", "classify", 0, 1.0) for _ in range(10)]
    house = House(blocked + free, {job.tenant_id: 1.0 for job in blocked + free})
    chosen, _ = Front(house.waiting(), {}, house.read).choose(5, {"extract": 0}, turn=1)
    assert [job.tenant_id for job in chosen] == ["z"] * 5
