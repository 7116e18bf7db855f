"""A house full of waiting jobs, and what a dispatch round and a claim cost in it.

No worker runs. A window of 200 is filled and emptied again round by round: what a round took is concluded by the tables'
owner, and as many new jobs come in, so that the house stays as full as it was. Only the round and the claim are timed.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg
from celery import Celery

from benchmarks.engine import plans
from benchmarks.engine.filling import Filling, add_jobs, fill, fill_up
from benchmarks.engine.ground import Ground
from benchmarks.engine.work import Owner, Tell
from benchmarks.figures import percentile
from jobs.dispatch import Dispatcher, Publisher
from schemas.ids import new_id
from storage import fairness, leases, queue
from storage.database import PLANS, Database
from tasks import catalogue
from workers.publisher import CeleryPublisher

SLOTS = 100
WINDOW = 2 * SLOTS
REFILL = 60
"""What a round publishes on average while two processes of 50 slots work (measured with jobs of 50 to 200 ms): it comes as soon
as a quarter of the window is free."""
WARM_UP_ROUNDS = 10
"""Connections are open and statements prepared after these; they are not counted."""
LEASE_SECONDS = 3600.0
GOAL_MS = 10.0
FEW = 40
COUNTED = "with statistics"
BESIDE_OLD = "beside a transaction that is open all the time"


@dataclass(frozen=True)
class Row:
    """One state of the house, and what things cost in it.

    Attributes:
        state: what is special about it.
        rounds, refills, claims: milliseconds each; a round fills the whole window, a refill 60 places of it.
        broker_bytes: what the broker holds more with the window published than with nothing published.
    """

    filling: Filling
    state: str
    rounds: Sequence[float]
    refills: Sequence[float]
    claims: Sequence[float]
    broker_bytes: int

    @property
    def asked(self) -> bool:
        """Whether the bound is meant for it. Not beside an old transaction, which keeps every dead row, and not for a
        thousand tenants that have work at the same moment: a round takes one step down the index for each of them."""
        return BESIDE_OLD not in self.state and self.filling.tenants < 1000

    @property
    def round_ms(self) -> float:
        """Median of a round."""
        return percentile(self.rounds, 0.5)

    @property
    def refill_ms(self) -> float:
        """Median of a refill."""
        return percentile(self.refills, 0.5)

    @property
    def claim_ms(self) -> float:
        """Median of a claim."""
        return percentile(self.claims, 0.5)


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


class House:
    """One filling, measured in several states."""

    def __init__(
        self,
        ground: Ground,
        owner: Owner,
        filling: Filling,
        rounds: int,
        tell: Tell,
        explain: Callable[[str, str], None] | None,
    ) -> None:
        self._ground = ground
        self._owner = owner
        self._filling = filling
        self._count = rounds
        self._tell = tell
        self._explain = explain

    def grown(self) -> Row:
        """Filled from nearly nothing under connections that planned their statements then, and nothing counted since."""
        small = Filling(FEW, self._filling.tenants)
        fill(self._owner, small)
        self._owner.execute("ANALYZE jobs, inputs, tenants, attempts")
        with self._ground.database() as database:
            self._rounds(database, 1, short=True)
            self._claims(database)
            self._tell(f"writing {self._filling.jobs:,} waiting jobs of {self._filling.tenants:,} tenants")
            fill_up(self._owner, self._filling)
            return self._measured(database, f"planned and counted when {FEW} jobs waited")

    def measured(self, state: str) -> Row:
        """In the present state, on fresh connections."""
        with self._ground.database() as database:
            return self._measured(database, state)

    def _measured(self, database: Database, state: str) -> Row:
        """Rounds, claims, the broker's memory and the plans."""
        self._tell(f"{self._filling.jobs:,} jobs, {self._filling.tenants:,} tenants, {state}: {self._count} rounds")
        rounds = self._rounds(database, self._count)
        refills = self._rounds(database, self._count, places=REFILL)
        claims = self._claims(database)
        broker_bytes = self._broker_bytes(database)
        if self._explain:
            self._explain(f"{self._filling.jobs:,} jobs of {self._filling.tenants:,} tenants, {state}", self._plans())
        return Row(self._filling, state, rounds, refills, claims, broker_bytes)

    def aged(self, through: int) -> list[Row]:
        """The same after many rows went through, nothing vacuumed; and while an old transaction keeps every dead row."""
        self._pass_through(through)
        found = [self.measured(f"after {through:,} jobs went through, not vacuumed")]
        with psycopg.connect(self._ground.admin_url) as old:
            old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            old.execute("SELECT 1 FROM jobs LIMIT 1")
            self._pass_through(through)
            found.append(self.measured(f"{through:,} more {BESIDE_OLD}"))
        return found

    def _pass_through(self, through: int) -> None:
        with self._ground.database() as database:
            count = through // WINDOW
            self._tell(f"{through:,} jobs go through in {count} rounds")
            self._rounds(database, count)

    def _rounds(self, database: Database, count: int, *, places: int = WINDOW, short: bool = False) -> list[float]:
        """Milliseconds of each round, the first few left out.

        Args:
            places: so many are free at each round.
            short: fewer jobs may wait than there are places.
        """
        noted, held = _Noted(), list[UUID]()
        dispatcher = Dispatcher(database, noted, new_id(), duty_seconds=LEASE_SECONDS)
        taken_ms: list[float] = []
        self._only_dispatcher()
        for _ in range(WARM_UP_ROUNDS + count):
            self._worker_is_there()
            began = time.perf_counter()
            published = dispatcher.round()
            taken_ms.append((time.perf_counter() - began) * 1000)
            held += [job_id for _, job_id in noted.taken()]
            assert short or len(held) == WINDOW, f"a round published {published} jobs"
            self._conclude(held[:places])
            held = held[places:]
        self._conclude(held)
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
        noted = _Noted(publisher := CeleryPublisher(app))
        with self._ground.broker() as broker:
            publisher.publish("classify", "nobody", [new_id()])  # its connection is open from here on
            broker.flushall()
            before = int(broker.info("memory")["used_memory"])
            dispatcher = Dispatcher(database, noted, new_id(), duty_seconds=LEASE_SECONDS)
            for _ in range(20):
                dispatcher.round()
            after = int(broker.info("memory")["used_memory"])
            broker.flushall()
        app.close()
        self._conclude([job_id for _, job_id in noted.taken()])
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
        with psycopg.connect(self._ground.app_url, options=PLANS) as connection:
            with self._ground.database() as database, database.system() as reading:
                waiting = [of.tenant_id for of in fairness.waiting(reading) if of.priority == 0]
                most = dict.fromkeys(waiting[:WINDOW], 10)
                firsts = fairness.first_jobs(reading, 0, most, list(catalogue()))
            connection.execute("SET LOCAL ROLE assay_system")
            tasks = fairness.numbered(catalogue())
            asked = {"priority": 0, "tenants": list(most), "most": list(most.values()), **tasks}
            ids = [first.job_id for first in firsts[:WINDOW]]
            told = [
                ("fairness.waiting", plans.explained(connection, fairness._WAITING, {})),
                ("fairness.first_jobs", plans.explained(connection, fairness.first_jobs_statement(len(tasks)), asked)),
                ("queue.window", plans.explained(connection, queue._WINDOW, {})),
                ("queue.put_due_in_line", plans.explained(connection, queue._DUE, {"most": queue.MOST_DUE})),
                ("queue.take", plans.explained(connection, queue._TAKE, {"ids": ids, "duty": "dispatch"})),
            ]
            connection.rollback()
            connection.execute("SELECT set_config('assay.tenant', %s, true)", [firsts[0].tenant_id])
            claim = {"id": firsts[0].job_id, "worker": new_id(), "lease": LEASE_SECONDS}
            told.append(("leases.claim", plans.explained(connection, leases._CLAIM, claim)))
            connection.rollback()
        return "\n\n".join(f"-- {name}\n{plan}" for name, plan in told)
