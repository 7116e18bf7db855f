"""What tests build on: addresses of the real services, worker processes, and waiting for facts instead of for time."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from uuid import UUID

import psycopg

from jobs import show, submit
from jobs.dispatch import Dispatcher, Publisher
from schemas.ids import new_id
from schemas.job import JobOptions, JobView
from schemas.settings import Settings
from stack.commands import worker_command
from stack.scripted import ScriptedProvider
from storage.database import Database
from tests.worker_process import start_worker

Fact = TypeVar("Fact")

TESTER = new_id()
"""The test process, where it does a worker's duty."""
LABELS = ["billing", "shipping", "other"]
PATIENCE_SECONDS = 60.0
"""Waiting this long for a fact means that it will not come; nothing asserts how soon it comes."""

QUICK = {
    "ASSAY_LEASE_SECONDS": "3",
    "ASSAY_HEARTBEAT_SECONDS": "0.5",
    "ASSAY_SWEEP_SECONDS": "0.3",
    "ASSAY_PUBLISHED_SECONDS": "2",
    "ASSAY_WAIT_SECONDS": "0.05",
    "ASSAY_WAIT_MAX_SECONDS": "0.2",
    "ASSAY_TRANSPORT_WAIT_SECONDS": "0.01",
    "ASSAY_STOP_SECONDS": "0.5",
    "ASSAY_WORKER_SLOTS": "10",
    # Failures are played on purpose here; what a breaker makes of them has tests of its own.
    "ASSAY_BREAKER_FAILURES": "1000",
    "ASSAY_BREAKER_OPEN_SECONDS": "0.2",
    "ASSAY_BREAKER_OPEN_MAX_SECONDS": "1",
}
"""The same machinery with short periods."""

_FORGET = b"""
DO $$
DECLARE
    work regclass[] := '{jobs, inputs, attempts, answers, events, reviews, batches, workers, fair_clocks, fair_shares,
        webhooks}';
    emptied regclass;
BEGIN
    SET LOCAL session_replication_role = replica;
    WITH RECURSIVE reached AS (
        SELECT unnest(work) AS one
        UNION SELECT conrelid::regclass FROM pg_constraint JOIN reached ON confrelid = one WHERE contype = 'f'
    ) SELECT array_agg(one) FROM reached INTO work;
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', array_to_string(work, ', '));
    IF pg_table_size('jobs') + pg_table_size('arrivals') > 2000000 THEN
        EXECUTE format('TRUNCATE %s', array_to_string(work, ', '));
    ELSE
        FOREACH emptied IN ARRAY work LOOP
            EXECUTE format('DELETE FROM %s', emptied);
        END LOOP;
    END IF;
    UPDATE duties SET holder = NULL, held_until = NULL, turn_at = now(), resumed_at = now() - interval '1 hour';
END $$
"""
"""Tables of work and what refers to them. A few rows are deleted, because TRUNCATE makes new files for over a hundred tables and
indexes each time. In the end it is as if somebody had swept all the time: the grace after a gap is a test's own subject."""


@dataclass(frozen=True)
class House:
    """The services of a test session."""

    home: Path
    admin_url: str
    app_url: str
    broker_url: str
    provider: ScriptedProvider

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a process that works here."""
        return {
            **os.environ,
            **QUICK,
            "DATABASE_URL": self.app_url,
            "BROKER_URL": self.broker_url,
            "REDIS_URL": self.broker_url,
            "ANTHROPIC_BASE_URL": self.provider.url,
            "ANTHROPIC_API_KEY": "scripted",
            "ASSAY_HOME": str(self.home),
            "PYTHONPATH": str(Path(__file__).parent.parent),
            **more,
        }

    def forget_jobs(self) -> None:
        """Empty all tables of work, past the append-only triggers: only the owner of the tables can."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(_FORGET)

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Look at the database as its owner, past row-level security."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            return connection.execute(statement.encode(), parameters or None).fetchall()

    def run(self, statement: str) -> None:
        """Change the database as its owner."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(statement.encode())


class Workers:
    """Worker processes of one test."""

    def __init__(self, house: House, logs: Path) -> None:
        self._house = house
        self._logs = logs
        self._processes: list[ForkServerProcess] = []

    def start(self, count: int = 1, **environment: str) -> list[int]:
        """Start worker processes and return their process ids once they consume."""
        started = []
        for _ in range(count):
            number = len(self._processes) + 1
            log = self._logs / f"worker-{number}.log"
            log.touch()
            process = start_worker(worker_command(f"w{number}"), self._house.environment(**environment), log)
            self._processes.append(process)
            started.append((process, log))
        for process, log in started:
            eventually(partial(_is_up_or_dead, process, log), "worker is up")
            assert process.is_alive(), log.read_text()
        return [process.pid for process, _ in started if process.pid is not None]

    def logs(self) -> str:
        """Everything the workers have logged."""
        return "\n".join(path.read_text() for path in sorted(self._logs.glob("worker-*.log")))

    def ended(self, pid: int) -> bool:
        """Whether a process has ended, by itself or killed."""
        return not self._process(pid).is_alive()

    def deaths(self) -> list[int]:
        """Exit codes of the processes that ended by a signal."""
        return [code for p in self._processes if (code := p.exitcode) is not None and code < 0]

    def kill(self, pid: int, how: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal and wait for the process to end; returns its exit code."""
        process = self._process(pid)
        if process.is_alive():
            os.kill(pid, how)
        process.join(timeout=PATIENCE_SECONDS)
        assert process.exitcode is not None, f"{pid} has not ended"
        return process.exitcode

    def _process(self, pid: int) -> ForkServerProcess:
        return next(p for p in self._processes if p.pid == pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
            process.join()


def _is_up_or_dead(process: ForkServerProcess, log: Path) -> bool:
    return not process.is_alive() or " ready." in log.read_text()


class RecordingPublisher:
    """Takes note of what would be rung; for tests in which no worker is to run."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str, list[UUID]]] = []

    def publish(self, task: str, tenant_id: str, job_ids: Sequence[UUID]) -> None:
        """Note a message."""
        self.messages.append((task, tenant_id, list(job_ids)))


def eventually(
    fact: Callable[[], Fact | Literal[False] | None], what: str, *, seconds: float = PATIENCE_SECONDS
) -> Fact:
    """Ask until the fact is true and return it; fail saying what never came."""
    until = time.monotonic() + seconds
    while True:
        found = fact()
        if found:
            return found
        assert time.monotonic() < until, f"never came: {what}"
        time.sleep(0.05)


def submit_texts(
    database: Database, tenant: str, texts: Iterable[str], options: JobOptions | None = None, task: str = "classify"
) -> UUID:
    """Submit a batch of documents to classify (or with no further fields); returns the batch id."""
    lines = (json.dumps({"text": text}).encode() for text in texts)
    defaults = {"labels": LABELS} if task == "classify" else {}
    submitted = submit.submit_batch(database, tenant, task, lines, defaults, options or JobOptions())
    assert submitted.batch_id is not None
    return submitted.batch_id


def submit_text(
    database: Database, tenant: str, text: str, options: JobOptions | None = None, **fields: object
) -> UUID:
    """Submit one document to classify; returns the job id."""
    request = {"text": text, "labels": LABELS, **fields}
    submitted = submit.submit_one(database, tenant, "classify", request, options or JobOptions())
    assert submitted.job_id is not None
    return submitted.job_id


def landed(database: Database, tenant: str, batch_id: UUID) -> list[JobView]:
    """Wait until a whole batch has landed; its jobs in input order."""
    eventually(lambda: show.progress(database, tenant, batch_id).is_over, "the batch is over")
    return list(show.results(database, tenant, batch_id))


def one_round(database: Database, publisher: Publisher) -> int:
    """One round of dispatch by the test itself; returns how many jobs it published."""
    published = Dispatcher(database, publisher, TESTER, duty_seconds=1).round()
    assert published is not None, "another process dispatches"
    return published


def publish_all(database: Database) -> list[UUID]:
    """Move what waits into the window without ringing for it."""
    publisher = RecordingPublisher()
    one_round(database, publisher)
    return [job_id for _, _, ids in publisher.messages for job_id in ids]


Assay = Callable[..., "subprocess.CompletedProcess[str]"]
"""The command: words, ``stdin`` and environment variables -> what it said and its exit code."""


def run_assay(
    house: House, *arguments: str, stdin: bytes | None = None, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """The `assay` command as a user runs it."""
    done = subprocess.run(
        [sys.executable, "-c", "from cli.main import main; main()", *arguments],
        env=house.environment(**environment),
        input=stdin,
        capture_output=True,
        timeout=PATIENCE_SECONDS * 2,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def settings_of(house: House, **more: Any) -> Settings:
    """Settings as a process of this house has them."""
    known = {
        "home": house.home,
        "database_url": house.app_url,
        "broker_url": house.broker_url,
        "redis_url": house.broker_url,
        "anthropic_base_url": house.provider.url,
        "anthropic_api_key": "scripted",
    }
    return Settings(**{**known, **more})
