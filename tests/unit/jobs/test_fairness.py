"""Fair order between tenants."""

from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.fairness import CLASS_FLOOR, FairClock, Rooms, choose
from schemas.ids import new_id
from storage.fairness import Candidate


def job(tenant: str, cost: float = 1, *, priority: int = 0, task: str = "classify") -> Candidate:
    """A job that waits."""
    return Candidate(new_id(), tenant, task, priority, cost)


def serve(
    waiting: Sequence[Candidate],
    rounds: int,
    room: int,
    weights: dict[str, float],
    clocks: dict[int, FairClock] | None = None,
) -> list[Candidate]:
    """Several rounds, each with so much room; what was chosen, in order."""
    clocks = {} if clocks is None else clocks
    left, served = list(waiting), []
    for turn in range(1, rounds + 1):
        chosen = choose(left, clocks, weights, Rooms(room, {}), turn=turn)
        served += chosen
        left = [job for job in left if job not in chosen]
    return served


@settings(deadline=None, max_examples=40)
@given(st.randoms(use_true_random=False), st.integers(1, 25), st.sampled_from([(1.0, 1.0), (3.0, 1.0), (1.0, 7.0)]))
def test_two_loaded_tenants_get_cost_by_weight(random: Random, room: int, weights: tuple[float, float]) -> None:
    """Whatever the jobs cost and however small the rounds are, neither is ahead of its share by more than one dearest job."""
    costs = [random.uniform(0.5, 50) for _ in range(200)]
    waiting = [job("a" if number % 2 else "b", cost) for number, cost in enumerate(costs)]
    share = {"a": weights[0], "b": weights[1]}
    spent = {"a": 0.0, "b": 0.0}
    left = Counter(candidate.tenant_id for candidate in waiting)
    for candidate in serve(waiting, rounds=100 // room, room=room, weights=share):
        spent[candidate.tenant_id] += candidate.cost
        left[candidate.tenant_id] -= 1
        if min(left.values()) > 0:
            bound = max(costs) * (1 / share["a"] + 1 / share["b"])
            assert abs(spent["a"] / share["a"] - spent["b"] / share["b"]) <= bound


def test_a_tenant_alone_gets_everything() -> None:
    """Fairness costs nothing where there is nobody to be fair to."""
    assert len(serve([job("a", 5) for _ in range(30)], rounds=1, room=25, weights={})) == 25


def test_a_newcomer_is_next() -> None:
    """However much a big tenant was served before and still has waiting, a small one's first job is among the next two."""
    clocks: dict[int, FairClock] = {}
    serve([job("big", 3) for _ in range(500)], rounds=20, room=25, weights={}, clocks=clocks)
    waiting = [job("big", 3) for _ in range(500)] + [job("small", 3)]
    assert "small" in [candidate.tenant_id for candidate in serve(waiting, 1, 2, {}, clocks)]


def test_nobody_saves_up_by_being_away() -> None:
    """A tenant that had nothing waiting for long gets its share from now on, and not what it did not use."""
    clocks: dict[int, FairClock] = {}
    serve([job("old"), *[job("big") for _ in range(400)]], rounds=16, room=25, weights={}, clocks=clocks)
    waiting = [job("old") for _ in range(100)] + [job("big") for _ in range(100)]
    served = Counter(candidate.tenant_id for candidate in serve(waiting, 1, 50, {}, clocks))
    assert served == {"old": 25, "big": 25}


def test_a_debt_is_not_forgotten_by_being_away() -> None:
    """Who was just served a dear job and comes back waits until the others have had as much."""
    clocks: dict[int, FairClock] = {}
    serve([job("dear", 10), job("cheap", 1)], rounds=1, room=2, weights={}, clocks=clocks)
    waiting = [job("dear", 10), *[job("cheap", 1) for _ in range(20)]]
    order = [candidate.tenant_id for candidate in serve(waiting, 1, 21, {}, clocks)]
    assert order.index("dear") == 10


def test_a_higher_class_goes_first_and_a_lower_one_does_not_starve() -> None:
    """The lower class gets an eighth of the places, however much waits above it."""
    waiting = [job("a", priority=1) for _ in range(100)] + [job("b", priority=0) for _ in range(100)]
    chosen = choose(waiting, {}, {}, Rooms(32, {}), turn=1)
    assert [candidate.priority for candidate in chosen] == [1] * 28 + [0] * 4


def test_a_lower_class_does_not_starve_in_rounds_of_one_place() -> None:
    """With less room than eight places it gets the place of every eighth round."""
    waiting = [job("a", priority=1) for _ in range(100)] + [job("b", priority=0) for _ in range(100)]
    classes = Counter(candidate.priority for candidate in serve(waiting, rounds=CLASS_FLOOR * 5, room=1, weights={}))
    assert classes == {1: 35, 0: 5}


def test_within_a_tenant_the_order_is_the_tenants_own() -> None:
    """As its jobs come, so they go, whatever other tenants have."""
    mine, others = [job("a", cost) for cost in (3, 1, 2)], [job("b", cost) for cost in (1, 5)]
    assert [one for one in serve([*mine, *others], 1, 5, {}) if one.tenant_id == "a"] == mine


def test_a_full_model_does_not_hold_up_other_tasks() -> None:
    """Where a task's model takes two calls, two of its jobs go, and the rest of the room is for other tasks."""
    waiting = [job("a", task="extract") for _ in range(20)] + [job("a", task="classify") for _ in range(20)]
    chosen = choose(waiting, {}, {}, Rooms(10, {"extract": 2}), turn=1)
    assert Counter(candidate.task for candidate in chosen) == {"extract": 2, "classify": 8}


def test_the_clock_keeps_only_what_it_needs() -> None:
    """Tenants that are not ahead of the class's time are forgotten: what is remembered does not grow with all who ever came."""
    clocks: dict[int, FairClock] = {}
    for number in range(200):
        serve([job(f"t{number}", 1), job("steady", 1)], 1, 2, {}, clocks)
    assert len(clocks[0].served) <= 2


@pytest.mark.parametrize("room", [0, 1, 7])
def test_no_more_is_chosen_than_there_is_room_for(room: int) -> None:
    """Over all classes together."""
    waiting = [job("a", priority=priority) for priority in (1, 0, -1) for _ in range(10)]
    assert len(choose(waiting, {}, {}, Rooms(room, {}), turn=8)) == room
