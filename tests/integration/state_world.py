"""The database of a model-based test, seen and aged by the owner of its tables; and laws between two sights of it."""

from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from schemas.job import FINAL_STATES, JobState
from storage import tenants
from storage.database import Database
from tests.house import House
from tests.integration.state_model import EDGES

TENANTS = ("model-ann", "model-bob")

NOT_TO_DISK = "-c synchronous_commit=off"
"""No crash of the database is played, so no commit here needs to wait for the disk: a life has hundreds."""

_FORGET = """
SET session_replication_role = replica;
DELETE FROM attempts; DELETE FROM answers; DELETE FROM events; DELETE FROM reviews; DELETE FROM inputs; DELETE FROM jobs;
DELETE FROM arrivals; DELETE FROM batches; DELETE FROM workers; DELETE FROM fair_clocks; DELETE FROM fair_shares;
UPDATE duties SET holder = NULL, held_until = NULL, turn_at = now(), resumed_at = now() - interval '1 hour', turns = 0;
SET session_replication_role = origin
"""
_JOBS = """
SELECT jobs.*, coalesce(run_at > now(), false) AS waiting,
       CASE WHEN lease_until IS NOT NULL THEN CASE WHEN lease_until < now() THEN 'over' ELSE 'held' END END AS lease
FROM jobs
"""
PAST = "timestamptz '2020-01-01'"
AGEING = {
    "lease": f"UPDATE jobs SET lease_until = {PAST} WHERE state = 'running'",
    "message": f"UPDATE jobs SET published_at = {PAST} WHERE state = 'published'",
    "wait": f"UPDATE jobs SET run_at = {PAST} WHERE run_at > now()",
    "deadline": f"UPDATE jobs SET deadline = {PAST} WHERE deadline IS NOT NULL",
    "calls": f"UPDATE attempts SET opened_at = {PAST} WHERE outcome = 'open'",
    "review": f"UPDATE reviews SET lease_until = {PAST} WHERE lease_until IS NOT NULL",
}
"""By what has become old: how the owner makes it so, of all jobs or, with a further condition, of one."""
_OF_ONE = {"calls": "job_id", "review": "job_id"}


@dataclass(frozen=True)
class Seen:
    """All rows of work at one moment.

    Attributes:
        jobs: by id, with what the database's clock makes of them: ``lease`` held or over, ``waiting``.
        events: how many lines the story of each job has.
    """

    jobs: dict[UUID, dict[str, Any]]
    attempts: dict[tuple[UUID, int], dict[str, Any]]
    answers: dict[UUID, list[dict[str, Any]]]
    reviews: dict[UUID, dict[str, Any]]
    events: Counter[UUID]

    def of(self, job_id: UUID, *, without: frozenset[str]) -> tuple[object, ...]:
        """Everything that is stored of one job, to be compared, but for these columns of its row."""
        return (
            {name: value for name, value in self.jobs[job_id].items() if name not in without},
            [row for (of_job, _), row in self.attempts.items() if of_job == job_id],
            self.answers.get(job_id), self.reviews.get(job_id), self.events[job_id],
        )  # fmt: skip


class World:
    """An emptied database with two tenants."""

    def __init__(self, house: House, database: Database) -> None:
        self.database = database
        self._owner = psycopg.connect(house.admin_url, autocommit=True, row_factory=dict_row, options=NOT_TO_DISK)
        self._owner.execute(_FORGET)
        with database.system() as connection:
            for tenant in TENANTS:
                tenants.insert(connection, tenant, "of a model")

    def close(self) -> None:
        """Leave it empty."""
        self._owner.execute(_FORGET)
        self._owner.close()

    def look(self) -> Seen:
        """All rows, past row-level security."""
        answers: dict[UUID, list[dict[str, Any]]] = {}
        for row in self._rows("SELECT * FROM answers"):
            answers.setdefault(row["job_id"], []).append(row)
        return Seen(
            {row["id"]: row for row in self._rows(_JOBS)},
            {(row["job_id"], row["number"]): row for row in self._rows("SELECT * FROM attempts ORDER BY job_id, number")},
            answers,
            {row["job_id"]: row for row in self._rows("SELECT *, lease_until < now() AS over FROM reviews")},
            Counter(row["job_id"] for row in self._rows("SELECT job_id FROM events")),
        )  # fmt: skip

    def age(self, what: str, job_id: UUID | None = None) -> None:
        """Let time pass for this (a key of AGEING), of one job or of all."""
        one = "" if job_id is None else f" AND {_OF_ONE.get(what, 'id')} = '{job_id}'"
        self.change(AGEING[what] + one)

    def change(self, statement: str) -> None:
        """Change the database as its owner."""
        self._owner.execute(statement.encode())

    def ids(self, statement: str) -> list[UUID]:
        """Ids that the owner sees."""
        return [row["id"] for row in self._rows(statement)]

    def _rows(self, statement: str) -> list[dict[str, Any]]:
        return self._owner.execute(statement.encode()).fetchall()


def check_laws(before: Seen, after: Seen) -> None:
    """What holds after any deed, whatever it was: not derived from the model of what each deed does."""
    assert before.jobs.keys() <= after.jobs.keys(), "a job is gone"
    for job_id, row in after.jobs.items():
        _check_row(row, after)
        if job_id in before.jobs:
            _check_step(before.jobs[job_id], row)
    for key, attempt in before.attempts.items():
        assert attempt["outcome"] == "open" or after.attempts.get(key) == attempt, "a settled attempt changed"
    for job_id, answers in before.answers.items():
        assert after.answers.get(job_id) == answers, "an answer changed"
    for job_id, review in before.reviews.items():
        _check_review(review, after.reviews[job_id], before.jobs[job_id]["state"], after.jobs[job_id]["state"])
    for (job_id, _), attempt in after.attempts.items():
        assert attempt["fence"] <= after.jobs[job_id]["fence"], "an attempt under a fence that nobody had"


def _check_row(row: dict[str, Any], seen: Seen) -> None:
    """Within one job all parts say the same."""
    state, answers, review = JobState(row["state"]), seen.answers.get(row["id"], []), seen.reviews.get(row["id"])
    running, answered = state is JobState.RUNNING, state is JobState.ANSWERED
    assert (row["lease_until"] is not None) == running == (row["worker_id"] is not None), "a lease beside the running"
    assert (row["finished_at"] is not None) == (state in FINAL_STATES)
    assert [answer["answered_by"] for answer in answers] == ([row["answered_by"]] if answered else []), "not one answer"
    assert (review is not None and review["decision"] is None) == (state is JobState.IN_REVIEW)
    assert not (review is not None and review["decision"] is not None and review["lease_until"] is not None)


def _check_step(before: dict[str, Any], after: dict[str, Any]) -> None:
    """From one sight of a job to the next."""
    old, new = JobState(before["state"]), JobState(after["state"])
    assert old is new or (old, new) in EDGES, f"{old} -> {new}"
    gained = after["fence"] - before["fence"]
    assert 0 <= gained <= 1, "the fence moved by more than one, or back"
    if old is not new:
        assert gained == 1 or new not in {JobState.RUNNING, JobState.CANCELLED}, f"{old} -> {new} under the same fence"
    used = {name: after[name] - before[name] for name in ("tries", "waits", "losses", "rings")}
    if (old, new) == (JobState.FAILED, JobState.QUEUED):
        assert not any(after[name] for name in used)
        return
    assert min(used.values()) >= 0
    spent = used["tries"] + used["waits"] + used["losses"]
    assert spent == 0 or (spent == 1 and (old, new) == (JobState.RUNNING, JobState.QUEUED)), f"{used} on {old} -> {new}"
    assert used["rings"] == 0 or (old, new) == (JobState.PUBLISHED, JobState.QUEUED)
    assert not (used["losses"] and gained == 0), "a loss under the same fence"


def _check_review(before: dict[str, Any], after: dict[str, Any], old: str, new: str) -> None:
    """A decided review stays, unless its job failed by it, was asked for again, and comes to a person anew."""
    assert after["fence"] >= before["fence"]
    if before["decision"] is not None and (old, new) != ("running", "in_review"):
        assert after == before, "a decided review changed"
