"""`assay demo`: the whole stack, real documents, and an honest account of what happened to them."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from cli.connect import Connection, opened
from cli.errors import say, work_failed
from cli.options import DEFAULT_TENANT
from cli.output import print_json, print_line, print_table

if TYPE_CHECKING:
    from jobs.show import Progress, Story
    from schemas.settings import Settings
    from stack.state import StackState

DOCUMENTS = Path(__file__).with_name("demo_data")
"""One JSONL file per task; README.md there says where they come from."""

TASK_SECONDS = 22
"""With the local model each task has so long until its deadline; then the stand-ins answer. It makes a call or two a
second, fewer on a busy machine, and nobody waits ten minutes for a demo."""
JOB_SECONDS = 20
"""With the local model, one job's calls together: a small model sometimes writes without end."""

_TELLING = ("repair", "larger", "escalation", "retry")
"""Attempts that show more than a first call that was accepted."""


@dataclass(frozen=True)
class TaskResult:
    """How one task's documents fared; the seconds are from a job's first claim to its landing."""

    progress: "Progress"
    p50_seconds: float | None
    p95_seconds: float | None


def run_demo(settings: "Settings", *, as_json: bool, task_seconds: float = TASK_SECONDS) -> None:
    """Start everything, send the documents, show what became of them, stop everything.

    Args:
        task_seconds: how long the local model has for each task.

    Raises:
        Stop: a job has not landed.
    """
    began = time.monotonic()
    from stack.plan import connected, plan_for
    from stack.up import running

    tell = say if as_json else print_line
    with _home(settings) as home:
        local_model = plan_for(settings).model
        patience = {"job_seconds": JOB_SECONDS, "max_tries": 1, "worker_slots": 1} if local_model else {}
        placed = settings.model_copy(update={"home": home, **patience})
        tell("Starting PostgreSQL, Valkey, the model, two workers, beat and Flower ...")
        with running(placed, echo=tell) as state, opened(connected(placed, state.connections)) as connection:
            started = time.monotonic()
            tell(f"Everything runs ({started - began:.0f} s).{_where_to_watch(state)}")
            batches = _submit(connection, tell, task_seconds if local_model else None)
            _follow(connection, list(batches.values()), as_json=as_json)
            seconds = time.monotonic() - started
            results = {task: _result(connection, batch) for task, batch in batches.items()}
            story = _most_telling_story(connection, list(batches.values()))
            if as_json:
                print_json(_as_dict(results, story, seconds))
            else:
                _print(results, story, seconds, state)
            tell("Stopping everything ...")
    tell(f"Nothing is left running. {time.monotonic() - began:.0f} s in all.")
    _check_landed(results)


@contextmanager
def _home(settings: "Settings") -> Iterator[Path]:
    """ASSAY_HOME if it was chosen; else a folder that goes when the demo is over."""
    if os.environ.get("ASSAY_HOME"):
        yield settings.home
        return
    with tempfile.TemporaryDirectory(prefix="assay-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _submit(connection: Connection, tell: Callable[[str], None], task_seconds: float | None) -> dict[str, UUID]:
    """One batch per task that has documents here."""
    from jobs.submit import submit_batch
    from schemas.job import JobOptions
    from tasks import catalogue

    batches: dict[str, UUID] = {}
    began = datetime.now(UTC)
    for task in catalogue():
        documents = DOCUMENTS / f"{task}.jsonl"
        if not documents.is_file():
            continue
        share = None if task_seconds is None else timedelta(seconds=task_seconds * (len(batches) + 1))
        options = JobOptions(deadline=None if share is None else began + share)
        lines = documents.read_bytes().splitlines(keepends=True)
        submitted = submit_batch(connection.database, DEFAULT_TENANT, task, lines, {}, options)
        assert submitted.batch_id is not None
        batches[task] = submitted.batch_id
        tell(f"{task}: {submitted.total} documents, batch {submitted.batch_id}")
    return batches


def _follow(connection: Connection, batches: list[UUID], *, as_json: bool) -> None:
    from cli.service import OverDatabase
    from cli.watch import follow

    follow(OverDatabase(connection.database, DEFAULT_TENANT), batches, quiet=as_json)


def _result(connection: Connection, batch_id: UUID) -> TaskResult:
    from jobs.costs import seconds_to_land
    from jobs.show import progress

    p50, p95 = seconds_to_land(connection.database, DEFAULT_TENANT, batch_id)
    return TaskResult(progress(connection.database, DEFAULT_TENANT, batch_id), p50, p95)


def _most_telling_story(connection: Connection, batches: list[UUID]) -> "Story":
    """The job to print in full: one that was repaired or rescued, and not a long one."""
    from jobs.show import results, story

    stories = [
        story(connection.database, DEFAULT_TENANT, view.job_id)
        for batch_id in batches
        for view in results(connection.database, DEFAULT_TENANT, batch_id)
    ]
    return min(stories, key=lambda told: (-_tells(told), len(str(told.request)) + len(str(told.attempts))))


def _tells(told: "Story") -> int:
    """How much a story shows: a call after the first, and someone who stood in."""
    calls = sum(attempt["purpose"] in _TELLING for attempt in told.attempts)
    return min(calls, 1) + (told.job["answered_by"] in {"rules", "person"}) + (told.review is not None)


def _print(results: dict[str, TaskResult], story: "Story", seconds: float, state: "StackState") -> None:
    from cli.audit import print_story

    print_line(f"\nOne job's audit trail in full (`assay audit show {story.job['id']}`):\n")
    print_story(story)
    print_line()
    columns = [
        "task", "documents", "model", "rules", "for a person", "failed", "attempts", "repairs",
        "tokens in", "tokens out", "p50 s", "p95 s",
    ]  # fmt: skip
    rows = [_row(task, result) for task, result in results.items()]
    total = sum(result.progress.total for result in results.values())
    print_table(f"{total} documents in {seconds:.0f} s", columns, rows, right=len(columns) - 1)
    if state.connections.model is not None:
        print_line(
            "The model here has 135 million parameters: it proves the plumbing, not quality. It fails often, and what you\n"
            "see is the fallbacks catching it: every answer, the model's too, met its contract and its quotes stand in the\n"
            "document; but a small model's label or number may still be wrong. Each task had a deadline too, after which\n"
            "no model was asked and the rules answered. ANTHROPIC_API_KEY brings a real model."
        )
    print_line("\nNext: `assay up` keeps all of this running; then, in another terminal,")
    print_line("  assay submit classify --jsonl tickets.jsonl --label billing --label shipping --label other")
    print_line("  assay watch BATCH      assay results BATCH      assay audit show JOB      assay review list")


def _row(task: str, result: TaskResult) -> list[object]:
    progress = result.progress
    return [
        task,
        progress.total,
        progress.answered_by.get("model", 0),
        progress.answered_by.get("rules", 0),
        progress.states.get("in_review", 0),
        progress.states.get("failed", 0),
        progress.attempts,
        progress.repairs,
        int(progress.input_tokens),
        int(progress.output_tokens),
        _seconds(result.p50_seconds),
        _seconds(result.p95_seconds),
    ]


def _as_dict(results: dict[str, TaskResult], story: "Story", seconds: float) -> dict[str, Any]:
    from cli.audit import as_dict

    tasks = {
        task: {
            "batch_id": result.progress.batch_id,
            "total": result.progress.total,
            "landed": result.progress.landed,
            "states": result.progress.states,
            "answered_by": result.progress.answered_by,
            "attempts": result.progress.attempts,
            "repairs": result.progress.repairs,
            "input_tokens": int(result.progress.input_tokens),
            "output_tokens": int(result.progress.output_tokens),
            "p50_seconds": result.p50_seconds,
            "p95_seconds": result.p95_seconds,
        }
        for task, result in results.items()
    }
    return {"seconds": round(seconds, 1), "tasks": tasks, "audit": as_dict(story)}


def _check_landed(results: dict[str, TaskResult]) -> None:
    missing = sum(result.progress.total - result.progress.landed for result in results.values())
    if missing:
        raise work_failed(f"{missing} jobs have not landed; see the logs in ASSAY_HOME.")


def _where_to_watch(state: "StackState") -> str:
    web = state.connections.web_url
    return f" The web is at {web} meanwhile." if web else ""


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
