"""What there is to judge after a scenario: the tables, as their owner sees them, and the provider's invoice."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from tests.chaos.services import Grounds
from tests.chaos.windows import Reservation
from tests.house import House

Row = Mapping[str, Any]

LANDED = ("answered", "in_review", "failed", "cancelled")
CONCLUSIONS = ("answered_by_rules", "sent_to_review", "failed", "quarantined")
"""Events that end a job without an accepted attempt."""

_SESSIONS = """
SELECT pid, state, round(extract(epoch FROM now() - state_change))::int AS since, pg_blocking_pids(pid) AS behind,
       left(regexp_replace(query, '\\s+', ' ', 'g'), 70) AS query
FROM pg_stat_activity WHERE usename = 'assay_app' AND state <> 'idle' ORDER BY state_change
"""
AWAY_SECONDS = 90.0
"""No fault keeps the database away for longer."""

_JOBS = """
SELECT jobs.id, jobs.tenant_id, state, answered_by, failure_reason, lease_until,
       (SELECT count(*) FROM answers WHERE answers.job_id = jobs.id) AS answers,
       (SELECT count(*) FROM attempts WHERE attempts.job_id = jobs.id AND outcome = 'accepted') AS accepted,
       (SELECT count(*) FROM events WHERE events.job_id = jobs.id AND kind = ANY(%(conclusions)s)) AS conclusions,
       (SELECT attempts.outcome FROM answers JOIN attempts
            ON attempts.job_id = answers.job_id AND attempts.number = answers.attempt_number
        WHERE answers.job_id = jobs.id) AS answering_attempt
FROM jobs
"""
_ATTEMPTS = """
SELECT job_id, number, outcome, request_id, http_status, input_tokens, output_tokens, failure_reason FROM attempts
"""
_FOREIGN = """
WITH texts AS (
    SELECT jobs.id, jobs.tenant_id, inputs.tenant_id AS input_tenant, inputs.request->>'text' AS text
    FROM jobs JOIN inputs ON inputs.job_id = jobs.id
)
SELECT 'input' AS what, id FROM texts WHERE tenant_id <> input_tenant OR strpos(text, tenant_id) = 0
UNION ALL
SELECT 'attempt', texts.id FROM texts JOIN attempts ON attempts.job_id = texts.id
    WHERE attempts.tenant_id <> texts.tenant_id OR strpos(attempts.request::text, split_part(text, ':', 1)) = 0
UNION ALL
SELECT 'answer', texts.id FROM texts JOIN answers ON answers.job_id = texts.id
    WHERE answers.tenant_id <> texts.tenant_id
       OR (answers.output->>'evidence' IS NOT NULL AND strpos(text, answers.output->>'evidence') = 0)
UNION ALL
SELECT 'event', texts.id FROM texts JOIN events ON events.job_id = texts.id WHERE events.tenant_id <> texts.tenant_id
UNION ALL
SELECT 'review', texts.id FROM texts JOIN reviews ON reviews.job_id = texts.id WHERE reviews.tenant_id <> texts.tenant_id
"""
"""Whose text is whose: each text begins with a name of its own, with its tenant's in it, up to the first colon."""

_UNDER_WAY = "SELECT id FROM jobs WHERE state IN ('published', 'running')"
_HELD = """
SELECT jobs.id, jobs.fence FROM jobs JOIN workers ON workers.id = jobs.worker_id
WHERE jobs.state = 'running' AND workers.name LIKE '%%:' || %s
"""
_STILL_HELD = """
SELECT count(*) FROM jobs JOIN unnest(%s::uuid[], %s::int[]) AS held (id, fence) USING (id, fence) WHERE state = 'running'
"""
_COUNTS = "SELECT count(*) FILTER (WHERE state = ANY(%(landed)s)), count(*) FROM jobs"
_OPEN = "SELECT count(*) FROM attempts WHERE outcome = 'open'"
_LANDINGS = """
SELECT id, coalesce(finished_at, (SELECT created_at FROM reviews WHERE job_id = jobs.id)) AS at FROM jobs
WHERE state = ANY(%(landed)s)
"""


@dataclass(frozen=True)
class Books:
    """A scenario's end, as rows.

    Attributes:
        submitted: how many jobs were submitted.
        foreign: rows that stand with another tenant's or another job's, as ``(what, job id)``.
        reservations: places in the provider's windows that are still taken.
    """

    submitted: int
    jobs: list[Row]
    attempts: list[Row]
    invoice: list[Row]
    foreign: list[tuple[str, UUID]]
    reservations: list[Reservation]


def read_books(grounds: Grounds, submitted: int, reservations: list[Reservation]) -> Books:
    """Read everything."""
    with psycopg.connect(grounds.house.admin_url, row_factory=dict_row) as connection:
        return Books(
            submitted=submitted,
            jobs=list(connection.execute(_JOBS, {"conclusions": list(CONCLUSIONS)})),
            attempts=list(connection.execute(_ATTEMPTS)),
            invoice=list(grounds.house.provider.invoice()),
            foreign=[(row["what"], row["id"]) for row in connection.execute(_FOREIGN)],
            reservations=reservations,
        )


def counts(house: House) -> tuple[int, int] | None:
    """How many jobs have landed, of how many; None while the database cannot say."""
    try:
        with psycopg.connect(house.admin_url, connect_timeout=2) as connection:
            row = connection.execute(_COUNTS, {"landed": list(LANDED)}).fetchone()
    except psycopg.OperationalError:
        return None
    assert row is not None
    return row[0], row[1]


def open_attempts(house: House) -> int:
    """Calls whose end is not recorded."""
    return int(house.query(_OPEN)[0][0])


def under_way(house: House) -> set[UUID]:
    """Jobs on the broker or running."""
    return {row[0] for row in _asked(house, _UNDER_WAY)}


def held_by(house: House, pid: int) -> dict[UUID, int]:
    """The jobs that this worker process runs, with their fences; all, also those that it has not been seen with."""
    return dict(_asked(house, _HELD, str(pid)))


def still_held(house: House, held: dict[UUID, int]) -> int:
    """How many of these are still running under the same fence."""
    return int(_asked(house, _STILL_HELD, list(held), list(held.values()))[0][0])


def sessions(house: House) -> str:
    """What the workers' sessions are in the middle of, and behind whose locks they wait."""
    rows = _asked(house, _SESSIONS)
    return "; ".join(
        f"{pid} {state} for {since} s behind {behind}: {query}" for pid, state, since, behind, query in rows
    )


def landings(house: House) -> dict[UUID, datetime]:
    """When each landed job landed, by the database's clock, which is this machine's."""
    with psycopg.connect(house.admin_url) as connection:
        return dict(connection.execute(_LANDINGS, {"landed": list(LANDED)}).fetchall())


def _asked(house: House, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    """What the database answers, as soon as it does: another fault may have taken it away."""
    until = time.monotonic() + AWAY_SECONDS
    while True:
        try:
            return house.query(statement, *parameters)
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
        time.sleep(0.02)


def settled(fact: Callable[[], bool], seconds: float) -> bool:
    """Whether the fact comes true within this time."""
    until = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True
