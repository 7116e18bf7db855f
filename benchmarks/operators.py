"""Operators' pages with a million jobs: what each view takes, and by which plans.

``python -m benchmarks.operators`` fills a database of its own with seven days of work (one job in ten still waits, one in
fifty is in review), counts it as workers do, asks for every view over HTTP within the process, and writes the medians and the
plans of every statement to ``benchmarks/results/operators.md`` (or ``--out``).
"""

import argparse
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from fastapi.testclient import TestClient
from sqlalchemy import event

from benchmarks.engine.ground import Ground, prepared
from benchmarks.engine.plans import explained
from jobs import access, tenancy
from jobs.tally import tally
from schemas.ids import new_id
from storage.database import SYSTEM_ROLE, Database
from web.access import cookie_name
from web.app import make_app

DAYS = 7
CHUNK = 50_000
REPEATS = 15
GOAL_SECONDS = 0.5

_TENANTS: LiteralString = """
INSERT INTO tenants (id, name)
SELECT 'tenant-' || lpad(n::text, 3, '0'), 'Tenant ' || n FROM generate_series(0, %(tenants)s::int - 1) AS n
"""
# A job of each chunk lies evenly within its part of the week. What a machine concluded took from seconds to minutes.
_JOBS: LiteralString = """
WITH numbers AS (
    SELECT n, random() AS p, random() AS q, random() AS r,
           now() - make_interval(secs => %(days)s::int * 86400.0 * (%(count)s::int - n) / %(count)s::int) AS at
    FROM generate_series(%(first)s::int, %(last)s::int) AS n
), made AS (
    SELECT uuidv7(at - now()) AS id, at, p, q, n %% 10 = 0 AND n > %(count)s::int * 0.5 AS waits,
           'tenant-' || lpad(floor(%(tenants)s::int * r * r)::int::text, 3, '0') AS tenant_id,
           (ARRAY['classify', 'extract', 'summarize'])[1 + floor(q * 3)::int] AS task,
           CASE WHEN p < 0.80 THEN 'model' WHEN p < 0.90 THEN 'rules' WHEN p < 0.92 THEN 'person' WHEN p < 0.94 THEN 'review'
                WHEN p < 0.97 THEN 'failed' ELSE 'cancelled' END AS outcome
    FROM numbers
), job AS (
    INSERT INTO jobs (id, tenant_id, task, state, fallback, created_at, started_at, finished_at, answered_by, failure_reason)
    SELECT id, tenant_id, task,
           CASE WHEN waits THEN 'queued' WHEN outcome IN ('model', 'rules', 'person') THEN 'answered'
                WHEN outcome = 'review' THEN 'in_review' ELSE outcome END,
           'rules-then-person', at, CASE WHEN NOT waits THEN at + make_interval(secs => 60 * q * q) END,
           CASE WHEN NOT waits AND outcome <> 'review' THEN at + make_interval(secs => 60 * q * q + 8 * p) END,
           CASE WHEN NOT waits AND outcome IN ('model', 'rules', 'person') THEN outcome END,
           CASE WHEN NOT waits AND outcome <> 'model' THEN 'schema_violation' END
    FROM made
), input AS (
    INSERT INTO inputs (job_id, tenant_id, request)
    SELECT id, tenant_id, json_build_object('text', repeat('Where is my parcel? ', 30), 'labels', ARRAY['a', 'b']) FROM made
), review AS (
    INSERT INTO reviews (job_id, tenant_id, task, reason, detail, created_at, decision, decided_at)
    SELECT id, tenant_id, task, 'schema_violation', 'detail', at + make_interval(secs => 60 * q * q + 8 * p),
           CASE WHEN outcome = 'person' THEN 'accept' END, CASE WHEN outcome = 'person' THEN at + interval '1 hour' END
    FROM made WHERE NOT waits AND outcome IN ('review', 'person')
)
INSERT INTO attempts (job_id, number, tenant_id, fence, actor, purpose, prompt_version, prompt_digest, tier, model, request,
                      outcome, opened_at, settled_at, seconds, response, input_tokens, output_tokens, cache_read_tokens,
                      cache_write_tokens, cost_usd, failure_reason)
SELECT id, call.number, tenant_id, 1, 'worker', call.purpose,
       CASE WHEN q * 7 - floor(q * 7) < 0.8 THEN 'v2' ELSE 'v3' END, '', 'small',
       CASE WHEN p < 0.94 THEN 'model-1' ELSE 'model-2' END,
       json_build_object('system', repeat('You classify documents. ', 20), 'messages', json_build_array(
           json_build_object('role', 'user', 'content', repeat('Where is my parcel? ', 30)))),
       CASE WHEN outcome = 'model' AND call.last THEN 'accepted' ELSE 'rejected' END, at + make_interval(secs => 60 * q * q),
       at + make_interval(secs => 60 * q * q + call.number), 0.9, json_build_object('content', json_build_array(
           json_build_object('type', 'text', 'text', repeat('billing ', 40)))),
       900, 60, 0, 0, 0.0012, CASE WHEN NOT (outcome = 'model' AND call.last) THEN 'schema_violation' END
FROM made, LATERAL (
    SELECT 1 AS number, 'first' AS purpose, p < 0.72 AS last
    UNION ALL SELECT 2, 'repair', true WHERE p >= 0.72
) AS call
WHERE NOT waits AND outcome <> 'cancelled'
"""


def main() -> None:
    """Fill, count, measure, write."""
    arguments = _arguments()
    lines = [f"# Operators' pages with {arguments.jobs:,} jobs", ""]
    with prepared() as ground:
        lines += _fill(ground, arguments.jobs, arguments.tenants)
        with ground.database() as database:
            lines += _count(database)
            lines += _measure(ground, database)
    path = Path(arguments.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(path)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--out", default="benchmarks/results/operators.md")
    return parser.parse_args()


def _fill(ground: Ground, jobs: int, tenants: int) -> list[str]:
    began = time.monotonic()
    with psycopg.connect(ground.admin_url, autocommit=True) as owner:
        owner.execute(_TENANTS, {"tenants": tenants})
        for first in range(1, jobs + 1, CHUNK):
            values = {
                "first": first,
                "last": min(first + CHUNK - 1, jobs),
                "count": jobs,
                "days": DAYS,
                "tenants": tenants,
            }
            owner.execute(_JOBS, values)
        owner.execute("ANALYZE")
        owner.execute("CHECKPOINT")
        calls = owner.execute("SELECT count(*) FROM attempts").fetchone()
    assert calls is not None
    print(f"filled in {time.monotonic() - began:.0f} s")
    return [f"{jobs:,} jobs of {tenants} tenants over {DAYS} days, {calls[0]:,} calls.", ""]


def _count(database: Database) -> list[str]:
    """As a first start does: all that the week holds; then a turn as they come every few seconds."""
    holder, began, turns = new_id(), time.monotonic(), 0
    while (turn := tally(database, holder, every_seconds=5)) is not None and turn.is_behind:
        turns += 1
    whole = time.monotonic() - began
    again = []
    for _ in range(5):
        begin = time.perf_counter()
        tally(database, holder, every_seconds=5)
        again.append(time.perf_counter() - begin)
    return [
        f"Counting the whole week: {whole:.1f} s in {turns} transactions.",
        f"A turn afterwards: {statistics.median(again) * 1000:.1f} ms.",
        "",
    ]


def _measure(ground: Ground, database: Database) -> list[str]:
    _, key = tenancy.create_key(database, "tenant-000", "bench", "operator")
    token = access.sign_in(database, "", key)
    assert token is not None
    table = ["| view | median ms | least ms | slowest ms | KB |", "|---|---|---|---|---|"]
    plans = ["", "## Plans", ""]
    slow = []
    with TestClient(make_app(ground.settings), base_url="http://127.0.0.1") as client:
        client.cookies.set(cookie_name(False), token)
        client.headers["Authorization"] = f"Bearer {key}"
        seen: set[str] = set()
        for title, path in _views(ground).items():
            with _statements(client) as said:
                # Jobs wait and no worker is there: /readyz says so.
                assert client.get(path).status_code in {200, 503 if path == "/readyz" else 200}, path
            took = []
            for _ in range(REPEATS):
                begin = time.perf_counter()
                answer = client.get(path)
                took.append(time.perf_counter() - begin)
            median = statistics.median(took)
            slow += [title] if median > GOAL_SECONDS else []
            cells = [f"{one * 1000:.0f}" for one in (median, min(took), max(took))]
            table.append(f"| {' | '.join([title, *cells, f'{len(answer.content) / 1000:.0f}'])} |")
            print(table[-1])
            plans += _plans(ground, said, seen, title)
    load = f"Load of the machine while measuring: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores."
    verdict = f"{load} Slower than {GOAL_SECONDS * 1000:.0f} ms: {', '.join(slow) or 'none'}."
    return [*table, "", verdict, *plans]


def _views(ground: Ground) -> dict[str, str]:
    with psycopg.connect(ground.admin_url) as owner:
        row = owner.execute(
            "SELECT id FROM jobs WHERE tenant_id = 'tenant-000' AND state = 'answered' LIMIT 1"
        ).fetchone()
    assert row is not None
    job: UUID = row[0]
    jobs = "/operators/jobs?list="
    return {
        "first page, last hour": "/operators?window=1h",
        "first page, 24 hours": "/operators?window=24h",
        "first page, 7 days": "/operators?window=7d",
        "first page, 7 days, one tenant": "/operators?window=7d&tenant=tenant-007",
        "landed, last hour": f"{jobs}landed&window=1h",
        "landed, fallback, 7 days": f"{jobs}landed&window=7d&outcome=fallback",
        "landed, one version and model": f"{jobs}landed&window=7d&outcome=fallback&prompt_version=v3&model=model-2",
        "landed, nothing matches": f"{jobs}landed&window=7d&tenant=tenant-049&outcome=cache",
        "landed, waited long": f"{jobs}landed&window=7d&waited_over=55",
        "calls, schema failures": f"{jobs}calls&window=7d&reason=schema_violation&prompt_version=v3",
        "calls, nothing matches": f"{jobs}calls&window=7d&reason=refused&tenant=tenant-049",
        "submitted, 24 hours": f"{jobs}submitted&window=24h",
        "waiting": f"{jobs}waiting",
        "waiting, one tenant and task": f"{jobs}waiting&tenant=tenant-003&task=extract",
        "running": f"{jobs}running",
        "in review": f"{jobs}in_review",
        "a job's story": f"/operators/jobs/{job}",
        "alerts": "/operators/alerts",
        "metrics": "/metrics",
        "health for machines": "/readyz",
    }


@contextmanager
def _statements(client: TestClient) -> Iterator[list[tuple[str, Any]]]:
    """Every statement that the site's database runs while the block does."""
    said: list[tuple[str, Any]] = []
    engine = client.app.state.site.database.engine  # type: ignore[attr-defined]

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        said.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", note)


def _plans(ground: Ground, said: list[tuple[str, Any]], seen: set[str], title: str) -> list[str]:
    """Plans of the statements that no view before has run, as generic plans of the system role."""
    found = []
    for statement, parameters in said:
        if statement in seen or not any(table in statement for table in ("tallies", " jobs", " attempts")):
            continue
        seen.add(statement)
        with psycopg.connect(ground.app_url, options="-c plan_cache_mode=force_generic_plan -c enable_seqscan=off"
                             " -c enable_mergejoin=off -c jit=off") as connection:  # fmt: skip
            large = "tallies" in statement
            for name in ("enable_sort", "enable_hashjoin"):
                connection.execute(f"SET {name} = {'on' if large else 'off'}".encode())
            connection.execute(f"SET ROLE {SYSTEM_ROLE}".encode())
            try:
                plan = explained(connection, statement, parameters or {})
            except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InFailedSqlTransaction):
                continue  # of a tenant's own transaction: found by the job's key
            connection.rollback()
        found += [f"### {title}", "", "```sql", statement.strip(), "```", "", "```", plan, "```", ""]
    return found


if __name__ == "__main__":
    main()
