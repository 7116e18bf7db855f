"""A million jobs wait: what a dispatch round and a claim cost then, and what the broker holds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg

from benchmarks.engine.filling import Filling, fill
from benchmarks.engine.ground import Ground
from benchmarks.engine.house import COUNTED, House, Row
from benchmarks.engine.work import Tell


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        fillings: from the emptiest to the fullest, with statistics.
        aged: the one that is measured with old plans too, after many rows went through, and beside an old transaction.
        through: how many rows go through it.
    """

    fillings: Sequence[Filling]
    aged: Filling
    rounds: int
    through: int


FULL = Plan(
    fillings=[Filling(10_000, 50), Filling(100_000, 50), Filling(1_000_000, 50), Filling(1_000_000, 1000)],
    aged=Filling(1_000_000, 50),
    rounds=100,
    through=50_000,
)
QUICK = Plan(
    fillings=[Filling(10_000, 50), Filling(100_000, 50), Filling(100_000, 1000)],
    aged=Filling(100_000, 50),
    rounds=30,
    through=5_000,
)


def measure(ground: Ground, plan: Plan, tell: Tell, explain: Callable[[str, str], None] | None = None) -> list[Row]:
    """Measure every state.

    Args:
        explain: given a state and the plans of its statements.
    """
    found: list[Row] = []
    with psycopg.connect(ground.admin_url, autocommit=True) as owner:
        for filling in plan.fillings:
            house = House(ground, owner, filling, plan.rounds, tell, explain)
            if filling == plan.aged:
                found.append(house.grown())
            else:
                tell(f"writing {filling.jobs:,} waiting jobs of {filling.tenants:,} tenants")
                fill(owner, filling)
            owner.execute("ANALYZE jobs, inputs, tenants")
            found.append(house.measured(COUNTED))
            if filling == plan.aged:
                found += house.aged(plan.through)
    return found
