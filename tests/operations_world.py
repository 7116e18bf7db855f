"""A day of work as operators find it: thousands of jobs that landed in every way, an outage, a bad prompt version, an alert."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import pi, sin
from typing import Any
from uuid import UUID

import psycopg

from jobs import alerts
from jobs.tally import tally
from schemas.alerts import DEFAULT_RULES
from schemas.ids import new_id
from storage.database import Database
from tests.house import TESTER, House, eventually

HOURS = 24
STEP = timedelta(minutes=10)
OUTAGE = (timedelta(hours=7, minutes=30), timedelta(hours=6))
"""Ago: the provider was overloaded, and rules answered."""
BAD_VERSION, BAD_SINCE = "v2", timedelta(minutes=40)
"""A prompt of classify after which every other reply breaks the contract."""
_TASKS = {
    "classify": (0.62, 420, 45, 2e-4),
    "extract": (0.26, 1900, 380, 2.6e-3),
    "summarize": (0.12, 2700, 240, 3.1e-3),
}
"""Each with its share of the jobs, its tokens in and out, and what a call costs in US dollars."""
_MODELS = {"small": "claude-haiku-5-5", "standard": "claude-sonnet-5-5"}
_ENDS = {"model": 83, "cache": 5, "rules": 6, "person": 3, "failed": 1.2, "turned_down": 0.5, "cancelled": 1.3}
_ENDS_IN_OUTAGE = {"model": 22, "cache": 6, "rules": 58, "person": 8, "failed": 5, "turned_down": 0.5, "cancelled": 0.5}


@dataclass(frozen=True)
class Done:
    """A job that is over."""

    id: UUID
    tenant: str
    task: str
    created: datetime
    started: datetime
    finished: datetime
    end: str
    reason: str | None
    version: str


def a_day_of_work(house: House, database: Database, tenants: Sequence[str]) -> None:
    """Write it, count it, and hold it against the rules: one alert fires, and one has ended.

    Args:
        tenants: the first has most of the work.
    """
    ((now,),) = house.query("SELECT now()")
    chance = random.Random(7)
    done = list(_jobs(chance, now, tenants))
    with psycopg.connect(house.admin_url) as connection:
        _copy(connection, "jobs", _JOB, (_job_row(job) for job in done))
        _copy(connection, "attempts", _ATTEMPT, (row for job in done for row in _attempt_rows(chance, job)))
        reviewed = (job for job in done if job.end in {"person", "turned_down"})
        _copy(connection, "reviews", _REVIEW, (_review_row(job) for job in reviewed))
        _copy(connection, "alerts", _ALERT, [_ended_alert(now, [job.id for job in done[:3]])])
    house.run(f"UPDATE tally_progress SET counted_until = now() - interval '{HOURS + 1} hours'")
    count_everything(house, database)
    assert alerts.evaluate(database, DEFAULT_RULES, TESTER)


def count_everything(house: House, database: Database) -> None:
    """Wait until everything up to now is counted."""
    ((now,),) = house.query("SELECT clock_timestamp()")

    def counted() -> bool:
        tally(database, TESTER, every_seconds=1)
        return bool(house.query("SELECT 1 FROM tally_progress WHERE counted_until > %s", now))

    eventually(counted, "everything is counted")


def _jobs(chance: random.Random, now: datetime, tenants: Sequence[str]) -> Iterator[Done]:
    weights = [5, *[1] * (len(tenants) - 1)]
    for step in range(HOURS * 6):
        begin = now - timedelta(hours=HOURS) + step * STEP
        busy = 0.35 + 0.65 * max(0.0, sin(pi * (step - 20) / 110))  # a night, then a working day
        for _ in range(round(60 * busy * chance.uniform(0.8, 1.2)) + 3):
            (tenant,) = chance.choices(tenants, weights)
            yield _done(chance, now, tenant, begin + STEP * chance.random())
    for number in range(20):  # the last minutes of the bad version
        yield _done(chance, now, tenants[0], now - timedelta(seconds=290 - 14 * number), task="classify")


def _done(chance: random.Random, now: datetime, tenant: str, created: datetime, task: str | None = None) -> Done:
    if task is None:
        (task,) = chance.choices(list(_TASKS), [share for share, *_ in _TASKS.values()])
    in_outage = OUTAGE[1] < now - created < OUTAGE[0]
    ends = _ENDS_IN_OUTAGE if in_outage else _ENDS
    (end,) = chance.choices(list(ends), list(ends.values()))
    wait = chance.lognormvariate(0.4, 0.8) * (14 if in_outage else 1)
    took = 0.3 if end == "cache" else chance.uniform(2, 9) * (1 if task == "classify" else 2)
    if end in {"person", "turned_down"}:
        took += chance.uniform(240, 2400)
    started = min(created + timedelta(seconds=wait), now - timedelta(seconds=2))
    finished = min(started + timedelta(seconds=took), now - timedelta(seconds=1))
    is_new = task == "classify" and now - created < BAD_SINCE
    reasons = ["overloaded"] if in_outage else ["schema_violation", "ungrounded", "refused", "timeout"]
    reason = None if end in {"model", "cache", "cancelled"} else chance.choice(reasons)
    return Done(new_id(), tenant, task, created, started, finished, end, reason, BAD_VERSION if is_new else "v1")


_JOB = ("id", "tenant_id", "task", "state", "fallback", "created_at", "started_at", "finished_at", "answered_by",
        "failure_reason", "tries", "run_at")  # fmt: skip


def _job_row(job: Done) -> tuple[Any, ...]:
    by = job.end if job.end in {"model", "cache", "rules", "person"} else None
    state = "answered" if by else "cancelled" if job.end == "cancelled" else "failed"
    return (job.id, job.tenant, job.task, state, "rules-then-person", job.created, job.started, job.finished, by,
            job.reason, 1, None)  # fmt: skip


_ATTEMPT = ("job_id", "number", "tenant_id", "fence", "actor", "purpose", "prompt_version", "prompt_digest", "tier", "model",
            "request", "opened_at", "outcome", "settled_at", "seconds", "answered_model", "http_status", "input_tokens",
            "output_tokens", "cache_read_tokens", "cache_write_tokens", "cost_usd", "failure_reason")  # fmt: skip


def _attempt_rows(chance: random.Random, job: Done) -> Iterator[tuple[Any, ...]]:
    """The calls of a job: most are accepted at once, some after they were repaired, some by the next model."""
    if job.end in {"cache", "cancelled"}:
        return
    calls: list[tuple[str, str, str | None]] = []
    breaks = chance.random() < (0.65 if job.version == BAD_VERSION else 0.03)
    if job.end == "model":
        calls += (
            [("first", "small", "schema_violation"), ("repair", "small", None)]
            if breaks
            else [("first", "small", None)]
        )
    else:
        wrong = "schema_violation" if breaks else job.reason
        calls += [("first", "small", wrong), ("repair", "small", wrong)]
        calls += [("escalation", "standard", wrong)] if chance.random() < 0.4 else []
    _, tokens_in, tokens_out, usd = _TASKS[job.task]
    settled = min(job.started + timedelta(seconds=8), job.finished)
    for number, (purpose, tier, reason) in enumerate(calls, start=1):
        is_lost = reason in {"overloaded", "timeout"}
        size = chance.uniform(0.7, 1.4)
        outcome = "accepted" if reason is None else "failed" if is_lost else "rejected"
        model, used = _MODELS[tier], not is_lost
        yield (
            job.id, number, job.tenant, 1, "worker w1", purpose, job.version, "d", tier, model, "{}", job.started, outcome,
            settled, chance.uniform(0.6, 3), model if used else None, 200 if used else 529,
            round(tokens_in * size) if used else None, round(tokens_out * size) if used else None,
            0 if used else None, 0 if used else None,
            round(usd * size * (5 if tier == "standard" else 1), 8) if used else None, reason,
        )  # fmt: skip


_REVIEW = ("job_id", "tenant_id", "task", "reason", "detail", "created_at", "decision", "decided_by", "decided_at")


def _review_row(job: Done) -> tuple[Any, ...]:
    sent = min(job.started + timedelta(seconds=9), job.finished)
    decision = "edit" if job.end == "person" else "reject"
    return (job.id, job.tenant, job.task, job.reason, "", sent, decision, "ben", job.finished)


_ALERT = ("id", "rule", "figure", "labels", "comparison", "threshold", "window_seconds", "value", "basis", "jobs",
          "fired_at", "seen_at", "resolved_at", "delivered_at")  # fmt: skip


def _ended_alert(now: datetime, named: list[UUID]) -> tuple[Any, ...]:
    fired, ended = now - OUTAGE[0] + timedelta(minutes=6), now - OUTAGE[1]
    labels = '{"task": "classify", "prompt_version": "v1"}'
    return (
        new_id(),
        "Fallbacks",
        "fallback_rate",
        labels,
        ">",
        0.3,
        600.0,
        0.71,
        58.0,
        named,
        fired,
        ended,
        ended,
        ended,
    )


def _copy(
    connection: "psycopg.Connection[Any]", table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]
) -> None:
    """As the owner of the tables, many rows in one statement."""
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for row in rows:
            copy.write_row(row)
