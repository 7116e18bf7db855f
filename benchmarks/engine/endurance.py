"""A hundred thousand jobs through two worker processes: does anything grow that should not?"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import LiteralString

import psutil
import psycopg

from benchmarks.engine import work
from benchmarks.engine.figures import heap_bytes, index_bytes, slope
from benchmarks.engine.ground import Ground
from benchmarks.engine.work import Owner, Tell

PROCESSES = 2
LEAST_SECONDS, MOST_SECONDS = 0.02, 0.05
PILOT = 1000
"""Jobs that run first. From their rows the size of the tables after all jobs is predicted; memory after them is no more
that of a process that is just starting."""
WARM_SHARE = 0.2
"""The slope of memory is taken after this part of the jobs."""
SAMPLE_SECONDS = 2.0
VACUUM_SECONDS = 150.0
"""Autovacuum looks once a minute; it has two turns to clean up after the last job."""
VACUUM_EVERY_SECONDS = 60.0
"""autovacuum_naptime: what dies meanwhile takes room beside what lives."""
VERSIONS = {"jobs": 4, "inputs": 1, "attempts": 2, "answers": 1, "events": 1}
"""How often a job writes its rows: it waits, is published, begins and ends; an attempt begins and ends."""
TABLES = tuple(VERSIONS)

_LEAVES: LiteralString = "SELECT relid::regclass::text FROM pg_partition_tree(%s) WHERE isleaf"
_DEAD: LiteralString = (
    "SELECT coalesce(sum(n_dead_tup), 0), coalesce(sum(autovacuum_count), 0) FROM pg_stat_user_tables"
)
_LANDED: LiteralString = """
SELECT (SELECT coalesce(sum(total), 0) FROM batches WHERE closed_at IS NOT NULL)
     - (SELECT count(*) FROM jobs WHERE state = 'queued') - (SELECT count(*) FROM jobs WHERE state = 'published')
     - (SELECT count(*) FROM jobs WHERE state = 'running')
"""
_FINAL: LiteralString = "SELECT count(*) FROM jobs WHERE state IN ('answered', 'in_review', 'failed')"
_SIZES: LiteralString = """
SELECT sum(pg_table_size(relid))::float8, sum(pg_indexes_size(relid))::float8 FROM unnest(%s::text[]::regclass[]) AS relid
"""
_FILLFACTOR: LiteralString = """
SELECT coalesce(max(substring(option FROM 'fillfactor=(\\d+)')::int), 100) / 100.0
FROM pg_class, unnest(coalesce(reloptions, ARRAY[''])) AS option WHERE oid = %s::regclass
"""
# Indexes over live states only hold nothing once all jobs have landed.
_KEYS: LiteralString = """
SELECT (SELECT sum(a.attlen) FROM pg_attribute a WHERE a.attrelid = i.indexrelid)::float8
FROM pg_index i WHERE i.indrelid = %s::regclass
  AND coalesce(pg_get_expr(i.indpred, i.indrelid), '') !~ '(state|outcome|idempotency_key)'
"""


@dataclass(frozen=True)
class Plan:
    """How many jobs, the pilot's not counted, and how many of them come in one batch."""

    jobs: int
    batch: int


FULL = Plan(jobs=100_000, batch=10_000)
QUICK = Plan(jobs=10_000, batch=5_000)


@dataclass(frozen=True)
class Sample:
    """One look.

    Attributes:
        seconds: since the jobs were submitted.
        done: jobs that have landed.
        workers: resident bytes of each worker process.
        broker: bytes that the broker uses.
        dead: dead rows in all tables, as PostgreSQL counts them.
        vacuums: runs of autovacuum so far.
        size: bytes of the database.
    """

    seconds: float
    done: int
    workers: Sequence[int]
    broker: int
    dead: int
    vacuums: int
    size: int


@dataclass(frozen=True)
class TableSize:
    """Bytes per 1,000 jobs, predicted from the pilot's rows and found in the end.

    The prediction of rows is that of the living ones and of the dead versions of one minute.
    """

    predicted_rows: float
    actual_rows: float
    predicted_indexes: float
    actual_indexes: float


@dataclass(frozen=True)
class Endurance:
    """All figures.

    Attributes:
        landed: jobs in a final state.
        dead_after: dead rows once autovacuum had its turns after the last job.
    """

    jobs: int
    landed: int
    samples: Sequence[Sample]
    dead_after: int
    vacuums_after: int
    tables: Mapping[str, TableSize]

    @property
    def growth(self) -> list[float]:
        """KB per 1,000 jobs of each worker process, after the warm-up."""
        warm = [sample for sample in self.samples if sample.done >= self.jobs * WARM_SHARE]
        done = [sample.done / 1000 for sample in warm]
        return [slope(done, [sample.workers[each] / 1000 for sample in warm]) for each in range(PROCESSES)]

    @property
    def rate(self) -> float:
        """Jobs per second."""
        return self.jobs / self.samples[-1].seconds


def measure(ground: Ground, plan: Plan, tell: Tell) -> Endurance:
    """Run them all.

    Raises:
        Stuck: jobs do not land.
    """
    with (
        psycopg.connect(ground.admin_url, autocommit=True) as owner,
        ground.provider(least=LEAST_SECONDS, most=MOST_SECONDS) as provider,
        ground.workers(provider, PROCESSES) as pids,
        ThreadPoolExecutor(1) as producer,
    ):
        tell(f"pilot: {PILOT:,} jobs")
        _submit(ground, PILOT, PILOT)
        work.wait_until_landed(owner, tell, "pilot")
        tables = {table: work.column(owner, _LEAVES, table) or [table] for table in TABLES}
        before = {table: _sizes(owner, leaves) for table, leaves in tables.items()}
        predicted = {table: _predicted(owner, table, leaves) for table, leaves in tables.items()}
        submitting = producer.submit(_submit, ground, plan.jobs, plan.batch)
        samples = _watch(ground, owner, pids, plan.jobs, submitting, tell)
        after = {table: _sizes(owner, leaves) for table, leaves in tables.items()}
        dead, vacuums = _vacuumed(owner, tell)
        landed = int(work.number(owner, _FINAL)) - PILOT
    dying = min(1.0, VACUUM_EVERY_SECONDS / samples[-1].seconds)
    beside = {table: 1 + (VERSIONS[table] - 1) * dying for table in TABLES}
    per_job = {
        table: [(new - old) / plan.jobs for new, old in zip(after[table], before[table], strict=True)]
        for table in TABLES
    }
    return Endurance(
        jobs=plan.jobs,
        landed=landed,
        samples=samples,
        dead_after=dead,
        vacuums_after=vacuums,
        tables={
            table: TableSize(
                predicted[table][0] * beside[table] * 1000, rows * 1000, predicted[table][1] * 1000, indexes * 1000
            )
            for table, (rows, indexes) in per_job.items()
        },
    )


def _submit(ground: Ground, jobs: int, batch: int) -> None:
    with ground.database() as database:
        for first in range(0, jobs, batch):
            numbers = range(first, min(first + batch, jobs))
            work.give(database, "default", (work.text(number, 400 + number % 7 * 200) for number in numbers))


def _watch(
    ground: Ground, owner: Owner, pids: Sequence[int], jobs: int, submitting: "Future[None]", tell: Tell
) -> list[Sample]:
    """Look every two seconds until all have landed."""
    workers = [psutil.Process(pid) for pid in pids]
    began = changed = told = time.monotonic()
    samples: list[Sample] = []
    with ground.broker() as broker:
        while not samples or samples[-1].done < jobs:
            if submitting.done():
                submitting.result()
            done = int(work.number(owner, _LANDED)) - PILOT
            now = time.monotonic()
            if not samples or done != samples[-1].done:
                changed = now
            if now - changed > work.SILENCE_SECONDS:
                raise work.Stuck(f"{jobs - done:,} jobs have not landed, and none has for {work.SILENCE_SECONDS:g} s")
            dead, vacuums = owner.execute(_DEAD).fetchall()[0]
            samples.append(
                Sample(
                    seconds=now - began,
                    done=done,
                    workers=[process.memory_info().rss for process in workers],
                    broker=int(broker.info("memory")["used_memory"]),
                    dead=int(dead),
                    vacuums=int(vacuums),
                    size=int(work.number(owner, "SELECT pg_database_size(current_database())")),
                )
            )
            if now - told > work.TELL_SECONDS:
                told = now
                tell(f"{done:,} of {jobs:,} jobs have landed, {done / (now - began):.0f} a second")
            time.sleep(SAMPLE_SECONDS)
    return samples


def _vacuumed(owner: Owner, tell: Tell) -> tuple[int, int]:
    """Dead rows and runs of autovacuum, once it had its turns."""
    tell(f"all have landed; {VACUUM_SECONDS:g} s for autovacuum")
    time.sleep(VACUUM_SECONDS)
    dead, vacuums = owner.execute(_DEAD).fetchall()[0]
    return int(dead), int(vacuums)


def _sizes(owner: Owner, leaves: Sequence[str]) -> tuple[float, float]:
    """Bytes of rows (long values outside the row included) and of indexes."""
    rows, indexes = owner.execute(_SIZES, [list(leaves)]).fetchall()[0]
    return float(rows), float(indexes)


def _predicted(owner: Owner, table: str, leaves: Sequence[str]) -> tuple[float, float]:
    """Bytes per job, of rows and of indexes, from the rows that the pilot left."""
    statement = f"SELECT count(*), coalesce(avg(pg_column_size(t.*)), 0) FROM {table} AS t"
    count, width = owner.execute(statement.encode()).fetchall()[0]
    fillfactor = work.number(owner, _FILLFACTOR, leaves[0])
    keys = work.column(owner, _KEYS, leaves[0])
    rows = int(count) / PILOT
    return heap_bytes(rows, float(width), fillfactor), sum(index_bytes(rows, float(key)) for key in keys)
