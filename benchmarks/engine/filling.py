"""A house full of waiting jobs, written by the tables' owner in a few statements."""

from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

_TENANTS: LiteralString = """
INSERT INTO tenants (id, name, weight)
SELECT 'tenant-' || lpad(n::text, 4, '0'), 'Tenant ' || n, 1 + n %% 3 FROM generate_series(0, %(tenants)s::int - 1) AS n
ON CONFLICT DO NOTHING
"""
# One job in ten is urgent and one in ten can wait; seven in ten have a deadline, within a week. Tenants differ in size: the
# square of a random number gives the first a good share of everything and the last little. Ids are as Assay makes them,
# of the last six hours.
_JOBS: LiteralString = """
WITH made AS (
    SELECT uuidv7(make_interval(secs => -21600.0 * (%(count)s - n) / %(count)s)) AS id,
           'tenant-' || lpad(floor(%(tenants)s * random() ^ 2)::int::text, 4, '0') AS tenant_id,
           (ARRAY['classify', 'extract', 'summarize'])[1 + floor(random() * 3)::int] AS task,
           CASE WHEN p < 0.1 THEN 1 WHEN p < 0.9 THEN 0 ELSE -1 END AS priority,
           CASE WHEN random() < 0.7 THEN now() + make_interval(secs => 3600 + random() * 600000) END AS deadline,
           0.5 + random() * 3 AS cost
    FROM (SELECT n, random() AS p FROM generate_series(1, %(count)s::int) AS n) AS numbers
), job AS (
    INSERT INTO jobs (id, tenant_id, task, state, fallback, priority, deadline, cost)
    SELECT id, tenant_id, task, 'queued', 'rules-then-person', priority, deadline, cost FROM made
)
INSERT INTO inputs (job_id, tenant_id, request)
SELECT id, tenant_id, json_build_object('text', repeat('The parcel was due on Tuesday, but nothing has moved. ', 9),
                                        'labels', ARRAY['billing', 'shipping', 'other'])
FROM made
"""
_CHUNK = 50_000
"""Jobs written in one statement."""


@dataclass(frozen=True)
class Filling:
    """How full the house is."""

    jobs: int
    tenants: int


def fill(owner: "psycopg.Connection[tuple[Any, ...]]", filling: Filling) -> None:
    """Empty the tables of work and write so many waiting jobs. Autovacuum is off: statistics and dead rows are the
    measurement's own subject. What the server has written is on the disk afterwards."""
    for table in ("jobs", "inputs"):
        _autovacuum(owner, table, on=False)
    owner.execute(
        "TRUNCATE jobs, inputs, attempts, answers, events, reviews, batches, workers, fair_clocks, fair_shares, tenants CASCADE"
    )
    owner.execute(_TENANTS, {"tenants": filling.tenants})
    fill_up(owner, filling)


def fill_up(owner: "psycopg.Connection[tuple[Any, ...]]", filling: Filling) -> None:
    """Write as many more waiting jobs as are missing."""
    rows = owner.execute("SELECT count(*) FROM jobs WHERE state = 'queued'").fetchall()
    left = filling.jobs - int(rows[0][0])
    while left > 0:
        add_jobs(owner, min(left, _CHUNK), filling.tenants)
        left -= _CHUNK
    owner.execute("CHECKPOINT")


def add_jobs(owner: "psycopg.Connection[tuple[Any, ...]]", count: int, tenants: int) -> None:
    """Write some more waiting jobs."""
    owner.execute(_JOBS, {"count": count, "tenants": tenants})


def _autovacuum(owner: "psycopg.Connection[tuple[Any, ...]]", table: str, *, on: bool) -> None:
    leaves = owner.execute(
        "SELECT relid::regclass::text FROM pg_partition_tree(%s) WHERE isleaf", [table]
    ).fetchall() or [(table,)]
    for (leaf,) in leaves:
        owner.execute(f"ALTER TABLE {leaf} SET (autovacuum_enabled = {str(on).lower()})".encode())
