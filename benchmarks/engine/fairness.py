"""A big tenant and a small one: who waits for how long, and who gets how much."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import LiteralString

import psycopg

from benchmarks.engine import work
from benchmarks.engine.ground import Ground, Provider
from benchmarks.engine.work import Owner, Tell
from jobs.cancel import cancel
from storage.database import Database

PROCESSES = 2
LEAST_SECONDS, MOST_SECONDS = 0.05, 0.2
WEIGHT = 3.0
WARM_UP = 1000
"""Jobs before the measured ones."""
BETWEEN_SECONDS = 1.0

# When each round of dispatch began, and what it had published at its end: now() is a transaction's beginning, for the
# round's published_at too. A job that admission sends back to wait is published again: its first time is kept.
_LOG_ROUNDS: LiteralString = """
CREATE TABLE bench_rounds (turn bigint PRIMARY KEY, began timestamptz NOT NULL, published bigint NOT NULL DEFAULT 0);
CREATE FUNCTION bench_log_round() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    INSERT INTO bench_rounds (turn, began, published) VALUES (NEW.turns, now(), NEW.done - OLD.done)
    ON CONFLICT (turn) DO UPDATE SET published = bench_rounds.published + excluded.published;
    RETURN NULL;
END $$;
CREATE TRIGGER bench_rounds AFTER UPDATE ON duties FOR EACH ROW WHEN (NEW.name = 'dispatch')
    EXECUTE FUNCTION bench_log_round();
CREATE TABLE bench_published (job_id uuid PRIMARY KEY, at timestamptz NOT NULL);
CREATE FUNCTION bench_log_published() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    INSERT INTO bench_published VALUES (NEW.id, NEW.published_at) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER bench_published AFTER UPDATE ON jobs FOR EACH ROW
    WHEN (NEW.state = 'published' AND NEW.tenant_id = 'small') EXECUTE FUNCTION bench_log_published();
"""
_ROUNDS: LiteralString = """
SELECT count(*) FILTER (WHERE r.published > 0), count(*)
FROM bench_published p JOIN bench_rounds r ON r.began > %s AND r.began <= p.at WHERE p.job_id = %s
"""
_WAITS: LiteralString = """
SELECT extract(epoch FROM started_at)::float8, extract(epoch FROM started_at - created_at)::float8
FROM jobs WHERE tenant_id = %s AND started_at IS NOT NULL ORDER BY started_at
"""
# In the round in which one's jobs ran out the other got what was left of the places: only the rounds before it count.
_SERVED: LiteralString = """
WITH both_loaded AS (
    SELECT min(last) AS until
    FROM (SELECT max(published_at) AS last FROM jobs WHERE tenant_id = ANY(%(tenants)s) GROUP BY tenant_id) AS by_tenant
)
SELECT tenant_id, sum(cost)::float8, count(*) FROM jobs, both_loaded
WHERE tenant_id = ANY(%(tenants)s) AND published_at < until GROUP BY tenant_id
"""
_SPEED: LiteralString = """
SELECT count(*) / extract(epoch FROM max(finished_at) - min(started_at))::float8 FROM jobs WHERE tenant_id = ANY(%s)
"""


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Attributes:
        big: jobs of the big tenant.
        lone: how often the small one submits one.
        shares: jobs of each of the two loaded tenants, weights 3:1, the heavy one first.
        speed: jobs for the comparison of throughput.
        runs: of the last two.
    """

    big: int
    lone: int
    shares: tuple[int, int]
    speed: int
    runs: int


FULL = Plan(big=100_000, lone=20, shares=(3000, 3000), speed=3000, runs=3)
QUICK = Plan(big=5_000, lone=6, shares=(900, 900), speed=900, runs=1)


@dataclass(frozen=True)
class Lone:
    """One job of the small tenant.

    Attributes:
        seconds: from its creation to its claim, by the database's clock.
        rounds: dispatch rounds that published something, from its commit to its own publication; it was in the last.
        turns: all rounds in that time, those that found the window full included.
    """

    started: float
    seconds: float
    rounds: int
    turns: int


@dataclass(frozen=True)
class Share:
    """What two loaded tenants got.

    Attributes:
        cost: ratio of the cost served, heavy to light.
        jobs: ratio of the jobs.
    """

    cost: float
    jobs: float


@dataclass(frozen=True)
class Fairness:
    """All figures; times in seconds since the big tenant's first job began.

    Attributes:
        big: when each of its jobs began, and how long it had waited.
        alone, together: jobs per second of the small tenant alone, and of both.
    """

    big: Sequence[tuple[float, float]]
    lone: Sequence[Lone]
    shares: Sequence[Share]
    alone: Sequence[float]
    together: Sequence[float]


def measure(ground: Ground, plan: Plan, tell: Tell) -> Fairness:
    """Measure all three."""
    with (
        psycopg.connect(ground.admin_url, autocommit=True) as owner,
        ground.database() as database,
        ground.provider(least=LEAST_SECONDS, most=MOST_SECONDS) as provider,
    ):
        owner.execute(_LOG_ROUNDS)
        scene = _Scene(ground, owner, database, provider, plan, tell)
        scene.warm_up()
        big, lone = scene.beside_a_big_one()
        shares = [scene.shared(run) for run in range(plan.runs)]
        alone, together = [], []
        for run in range(plan.runs):
            alone.append(scene.speed(run, [f"alone-{run}"]))
            together.append(scene.speed(run, [f"both-{run}-a", f"both-{run}-b"]))
    return Fairness(big, lone, shares, alone, together)


@dataclass(frozen=True)
class _Scene:
    ground: Ground
    owner: Owner
    database: Database
    provider: Provider
    plan: Plan
    tell: Tell

    def warm_up(self) -> None:
        """Admission learns how many calls at a time the provider takes."""
        work.give(self.database, "default", (work.text(number, 650) for number in range(WARM_UP)))
        with self._workers():
            work.wait_until_landed(self.owner, self.tell, "warm-up")

    def beside_a_big_one(self) -> tuple[list[tuple[float, float]], list[Lone]]:
        """The small tenant's single jobs while the big one's many run; what is left of these is cancelled."""
        for tenant_id in ("big", "small"):
            work.make_tenant(self.owner, tenant_id)
        with self._workers():
            self.tell(f"tenant A submits {self.plan.big:,} jobs")
            batch = work.give(self.database, "big", (work.text(n, 400 + n % 7 * 200) for n in range(self.plan.big)))
            given = []
            for number in range(self.plan.lone):
                time.sleep(BETWEEN_SECONDS)
                job_id = work.give_one(self.database, "small", work.text(number, 650))
                given.append((job_id, work.column(self.owner, "SELECT clock_timestamp()")[0]))
                self._wait_started(job_id)
                self.tell(f"tenant B's job {number + 1} of {self.plan.lone} has begun")
            cancel(self.database, "big", batch)
            work.wait_until_landed(self.owner, self.tell, "the rest of A is cancelled")
        waits = [(row[0], row[1]) for row in self.owner.execute(_WAITS, ["big"]).fetchall()]
        begin = waits[0][0]
        small = [(row[0] - begin, row[1]) for row in self.owner.execute(_WAITS, ["small"]).fetchall()]
        rounds = [self.owner.execute(_ROUNDS, [committed, job_id]).fetchall()[0] for job_id, committed in given]
        lone = [
            # The round that published it may have begun before we looked at the clock: it is the first all the same.
            Lone(started, seconds, max(1, publishing), max(1, turns))
            for (started, seconds), (publishing, turns) in zip(small, rounds, strict=True)
        ]
        return [(started - begin, seconds) for started, seconds in waits], lone

    def shared(self, run: int) -> Share:
        """Two loaded tenants of unlike weight, the heavy one with much longer documents."""
        heavy, light, dice = f"heavy-{run}", f"light-{run}", Random(run)
        work.make_tenant(self.owner, heavy, weight=WEIGHT)
        work.make_tenant(self.owner, light)
        for tenant_id, count, least, most in (
            (heavy, self.plan.shares[0], 2_000, 16_000), (light, self.plan.shares[1], 300, 3_000),
        ):  # fmt: skip
            work.give(self.database, tenant_id, (work.text(n, dice.randint(least, most)) for n in range(count)))
        with self._workers():
            work.wait_until_landed(self.owner, self.tell, f"weights 3:1, run {run + 1}")
        rows = self.owner.execute(_SERVED, {"tenants": [heavy, light]}).fetchall()
        served = {row[0]: (float(row[1]), int(row[2])) for row in rows}
        return Share(served[heavy][0] / served[light][0], served[heavy][1] / served[light][1])

    def speed(self, run: int, tenants: Sequence[str]) -> float:
        """Jobs per second of these tenants together."""
        share = self.plan.speed // len(tenants)
        for tenant_id in tenants:
            work.make_tenant(self.owner, tenant_id)
            work.give(self.database, tenant_id, (work.text(n, 650) for n in range(share)))
        with self._workers():
            work.wait_until_landed(self.owner, self.tell, f"throughput, run {run + 1}, {len(tenants)} tenants")
        return work.number(self.owner, _SPEED, list(tenants))

    @contextmanager
    def _workers(self) -> Iterator[None]:
        with self.ground.workers(self.provider, PROCESSES):
            yield

    def _wait_started(self, job_id: object) -> None:
        until = time.monotonic() + work.SILENCE_SECONDS
        while not work.column(self.owner, "SELECT 1 FROM jobs WHERE id = %s AND started_at IS NOT NULL", job_id):
            if time.monotonic() > until:
                raise work.Stuck("tenant B's job does not begin")
            time.sleep(0.02)
