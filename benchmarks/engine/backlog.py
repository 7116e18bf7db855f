"""A million jobs wait: what a dispatch round and a claim cost then, and what the broker holds.

No worker runs. A window of 200 is filled and emptied again round by round: what a round took is concluded by the tables'
owner, and as many new jobs come in, so that the house stays as full as it was. Only the round and the claim are timed.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from celery import Celery

from benchmarks.engine import plans
from benchmarks.engine.filling import Filling, add_jobs, fill
from benchmarks.engine.ground import Ground
from benchmarks.figures import percentile
from jobs.dispatch import Dispatcher, Publisher
from schemas.ids import new_id
from storage import fairness, leases, queue
from storage.database import Database
from tasks import catalogue
from workers.publisher import CeleryPublisher

SLOTS = 100
WINDOW = 2 * SLOTS
WARM_UP_ROUNDS = 10
"""Connections are open and statements prepared after these; they are not counted."""
LEASE_SECONDS = 3600.0
GOAL_MS = 10.0

Tell = Callable[[str], None]
Owner = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Row:
    """One state of the house, and what things cost in it.

    Attributes:
        state: what is special about it.
        rounds, claims: milliseconds each.
        broker_bytes: what the broker holds more with the window published than with nothing published.
    """

    filling: Filling
    state: str
    rounds: Sequence[float]
    claims: Sequence[float]
    broker_bytes: int

    @property
    def round_ms(self) -> float:
        """Median of a round."""
        return percentile(self.rounds, 0.5)

    @property
    def claim_ms(self) -> float:
        """Median of a claim."""
        return percentile(self.claims, 0.5)


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        fillings: from the emptiest to the fullest, all with statistics.
        aged: the one that is measured without statistics too, after many rows went through, and beside an old
            transaction.
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


class _Noted:
    """Takes note of what a round publishes, and passes it on where there is a broker."""

    def __init__(self, broker: Publisher | None = None) -> None:
        self.messages: list[tuple[str, UUID]] = []
        self._broker = broker

    def publish(self, task: str, tenant_id: str, job_ids: Sequence[UUID]) -> None:
        """Note a message."""
        self.messages += [(tenant_id, job_id) for job_id in job_ids]
        if self._broker is not None:
            self._broker.publish(task, tenant_id, job_ids)

    def taken(self) -> list[tuple[str, UUID]]:
        """Tenants and ids since the last time."""
        messages, self.messages = self.messages, []
        return messages


def measure(ground: Ground, plan: Plan, tell: Tell, explain: Callable[[str, str], None] | None = None) -> list[Row]:
    """Measure every state.

    Args:
        explain: given a state and the plans of its statements.
    """
    found: list[Row] = []
    with psycopg.connect(ground.admin_url, autocommit=True) as owner:
        for filling in plan.fillings:
            tell(f"writing {filling.jobs:,} waiting jobs of {filling.tenants:,} tenants")
            fill(owner, filling)
            house = _House(ground, owner, filling, plan, tell, explain)
            if filling == plan.aged:
                found.append(house.measured("without statistics"))
            owner.execute("ANALYZE jobs, inputs, tenants")
            found.append(house.measured("with statistics"))
            if filling == plan.aged:
                found += house.aged()
    return found


class _House:
    """One filling, measured in several states."""

    def __init__(
        self,
        ground: Ground,
        owner: Owner,
        filling: Filling,
        plan: Plan,
        tell: Tell,
        explain: Callable[[str, str], None] | None,
    ) -> None:
        self._ground = ground
        self._owner = owner
        self._filling = filling
        self._plan = plan
        self._tell = tell
        self._explain = explain

    def measured(self, state: str) -> Row:
        """Rounds, claims, the broker's memory and the plans in the present state."""
        self._tell(
            f"{self._filling.jobs:,} jobs, {self._filling.tenants:,} tenants, {state}: {self._plan.rounds} rounds"
        )
        with self._ground.database() as database:
            rounds = self._rounds(database, self._plan.rounds)
            claims = self._claims(database)
            broker_bytes = self._broker_bytes(database)
        if self._explain:
            title = f"{self._filling.jobs:,} jobs of {self._filling.tenants:,} tenants, {state}"
            self._explain(title, self._plans())
        return Row(self._filling, state, rounds, claims, broker_bytes)

    def aged(self) -> list[Row]:
        """The same after many rows went through, nothing vacuumed; and while an old transaction keeps every dead row."""
        self._pass_through()
        found = [self.measured(f"after {self._plan.through:,} jobs went through, not vacuumed")]
        with psycopg.connect(self._ground.admin_url) as old:
            old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            old.execute("SELECT 1 FROM jobs LIMIT 1")
            self._pass_through()
            found.append(self.measured(f"{self._plan.through:,} more beside a transaction that is open all the time"))
        return found

    def _pass_through(self) -> None:
        with self._ground.database() as database:
            count = self._plan.through // WINDOW
            self._tell(f"{self._plan.through:,} jobs go through in {count} rounds")
            self._rounds(database, count)

    def _rounds(self, database: Database, count: int) -> list[float]:
        """Milliseconds of each round, the first few left out."""
        noted = _Noted()
        dispatcher = Dispatcher(database, noted, new_id(), duty_seconds=LEASE_SECONDS)
        taken_ms: list[float] = []
        self._only_dispatcher()
        for _ in range(WARM_UP_ROUNDS + count):
            self._worker_is_there()
            began = time.perf_counter()
            published = dispatcher.round()
            taken_ms.append((time.perf_counter() - began) * 1000)
            assert published == WINDOW, f"a round published {published} jobs"
            self._conclude([job_id for _, job_id in noted.taken()])
        return taken_ms[WARM_UP_ROUNDS:]

    def _claims(self, database: Database) -> list[float]:
        """Milliseconds of each claim, committed."""
        self._only_dispatcher()
        self._worker_is_there()
        noted, worker, taken_ms = _Noted(), new_id(), []
        Dispatcher(database, noted, worker, duty_seconds=LEASE_SECONDS).round()
        taken = noted.taken()
        for tenant_id, job_id in taken:
            began = time.perf_counter()
            with database.tenant(tenant_id) as connection:
                claimed = leases.claim(connection, job_id, worker, LEASE_SECONDS)
            taken_ms.append((time.perf_counter() - began) * 1000)
            assert claimed is not None
        self._conclude([job_id for _, job_id in taken])
        return taken_ms[WARM_UP_ROUNDS:]

    def _broker_bytes(self, database: Database) -> int:
        """Twenty rounds against a broker that nobody reads: the first fills the window, the others find no room."""
        self._only_dispatcher()
        self._worker_is_there()
        app = Celery("assay", broker=self._ground.broker_url, set_as_current=False)
        noted = _Noted(CeleryPublisher(app))
        with self._ground.broker() as broker:
            noted._broker.publish("classify", "nobody", [new_id()])  # type: ignore[union-attr]
            broker.flushall()
            before = int(broker.info("memory")["used_memory"])
            dispatcher = Dispatcher(database, noted, new_id(), duty_seconds=LEASE_SECONDS)
            for _ in range(20):
                dispatcher.round()
            after = int(broker.info("memory")["used_memory"])
            broker.flushall()
        app.close()
        self._conclude([job_id for _, job_id in noted.taken() if job_id])
        return after - before

    def _conclude(self, ids: list[UUID]) -> None:
        """What was taken goes through the states that a worker would lead it through, and as much comes in."""
        self._owner.execute(
            "UPDATE jobs SET state = 'running', lease_until = now() + interval '1 hour', fence = fence + 1, started_at = now()"
            " WHERE id = ANY(%s) AND state = 'published'",
            [ids],
        )
        self._owner.execute(
            "UPDATE jobs SET state = 'answered', answered_by = 'model', lease_until = NULL, worker_id = NULL,"
            " finished_at = now() WHERE id = ANY(%s)",
            [ids],
        )
        add_jobs(self._owner, len(ids), self._filling.tenants)

    def _worker_is_there(self) -> None:
        """A live process with 100 slots, so that the window is 200."""
        self._owner.execute(
            "INSERT INTO workers (id, name, slots) VALUES ('00000000-0000-7000-8000-000000000001', 'nobody', %s)"
            " ON CONFLICT (id) DO UPDATE SET seen_at = now()",
            [SLOTS],
        )

    def _only_dispatcher(self) -> None:
        self._owner.execute("UPDATE duties SET holder = NULL, held_until = NULL")

    def _plans(self) -> str:
        """Of the statements that could grow with the backlog."""
        with psycopg.connect(self._ground.app_url, options="-c plan_cache_mode=force_generic_plan") as connection:
            with self._ground.database() as database, database.system() as reading:
                waiting = [of.tenant_id for of in fairness.waiting(reading) if of.priority == 0]
                most = dict.fromkeys(waiting[:WINDOW], 10)
                firsts = fairness.first_jobs(reading, 0, most, list(catalogue()))
            connection.execute("SET LOCAL ROLE assay_system")
            asked = {"priority": 0, "tenants": list(most), "most": list(most.values()), "tasks": list(catalogue())}
            ids = [first.job_id for first in firsts[:WINDOW]]
            told = [
                ("fairness.waiting", plans.explained(connection, fairness._WAITING, {})),
                ("fairness.first_jobs", plans.explained(connection, fairness._FIRST_JOBS, asked)),
                ("queue.window", plans.explained(connection, queue._IN_WINDOW, {})),
                ("queue.put_due_in_line", plans.explained(connection, queue._DUE, {"most": queue.MOST_DUE})),
                ("queue.take", plans.explained(connection, queue._TAKE, {"ids": ids})),
            ]
            connection.rollback()
            connection.execute("SELECT set_config('assay.tenant', %s, true)", [firsts[0].tenant_id])
            claim = {"id": firsts[0].job_id, "worker": new_id(), "lease": LEASE_SECONDS}
            told.append(("leases.claim", plans.explained(connection, leases._CLAIM, claim)))
            connection.rollback()
        return "\n\n".join(f"-- {name}\n{plan}" for name, plan in told)
