"""Health: does work go on? Judged by progress, not by which processes run."""

from collections.abc import Sequence

from schemas.health import DutyTurn, Finding, Health, OldestJob, Verdict, Waiting
from schemas.settings import Settings
from storage import health
from storage.database import Database
from storage.duties import DISPATCH, SWEEP
from storage.health import MOST_COUNTED, Candidate, Counted, Duty, Figures, Process, Some

STUCK_SECONDS = 30.0
"""Without any progress for so long, although there is work and room, work is stuck. A dispatch round comes every half
second and a message travels in milliseconds, so this is no hurry."""
SLOW_SECONDS = 300.0
"""A job that has waited for so long is worth a look, even while others are claimed."""
OPEN_BATCH_SECONDS = 3600.0
"""A batch that arrives in pieces and of which nothing has come for so long was probably given up by its producer."""
WAIT_JITTER = 1.25
"""A wait takes up to so many times what was asked for (``jobs.execute.wait_seconds``)."""

_START_WORKERS = "Start workers with `assay up` or `docker compose up -d worker`, and look into their logs."
_RESTART_WORKERS = "Restart the worker processes one after another, and look into their logs."


def read_health(database: Database, settings: Settings, *, closed_models: Sequence[str] = ()) -> Health:
    """Read and judge how work goes on; cheap whatever waits.

    Args:
        closed_models: models that take no calls now (admission's breaker or limit): waiting for them is not stuck.
    """
    with database.system() as connection:
        figures = health.read(connection)
    return judge(figures, settings, closed_models=closed_models)


def judge(figures: Figures, settings: Settings, *, closed_models: Sequence[str] = ()) -> Health:
    """What the figures mean. Pure."""
    processes = [process for process in figures.processes if process.live]
    quiet = quiet_seconds(processes)
    findings = [
        *_about_workers(figures, processes),
        *_about_claims(figures, processes, quiet, settings, closed_models),
        *_about_dispatch(figures.duties.get(DISPATCH), processes),
        *_about_sweep(figures, processes, settings),
        *_about_deafness(processes),
        *_about_batches(figures.open_batches),
    ]
    order = list(Verdict)
    findings.sort(key=lambda finding: order.index(finding.verdict), reverse=True)
    memory = [process.memory_bytes for process in processes if process.memory_bytes is not None]
    return Health(
        verdict=findings[0].verdict if findings else Verdict.OK,
        findings=findings,
        waiting=_waiting(figures.counted),
        oldest=_as_oldest(max(figures.oldest, key=lambda job: job.seconds, default=None)),
        claims_per_minute=round(sum(process.claims * 60 / max(process.window_seconds, 1) for process in processes), 1),
        quiet_seconds=quiet,
        workers=len(processes),
        slots=sum(process.slots for process in processes),
        busy=sum(process.busy for process in processes),
        memory_bytes=sum(memory) if memory else None,
        deaf=[process.name for process in processes if process.deaf],
        deaf_lately=[process.name for process in figures.processes if process.deaf and not process.live],
        expired_leases=figures.expired.count,
        expired_lease_seconds=figures.expired.seconds,
        open_batches=figures.open_batches.count,
        open_batch_seconds=figures.open_batches.seconds,
        dispatch=_as_turn(DISPATCH, figures.duties.get(DISPATCH)),
        sweep=_as_turn(SWEEP, figures.duties.get(SWEEP)),
    )


def quiet_seconds(processes: Sequence[Process]) -> float:
    """How long it is certain that none of them has claimed a job; 0 where one has within its window."""
    return min((0.0 if process.claims else process.window_seconds for process in processes), default=0.0)


def _about_workers(figures: Figures, processes: Sequence[Process]) -> list[Finding]:
    if processes or not figures.oldest:
        return []
    jobs = _jobs(_waiting(figures.counted))
    return [_stuck(f"No worker process is there, and {jobs} wait.", _START_WORKERS)]


def _about_claims(
    figures: Figures, processes: Sequence[Process], quiet: float, settings: Settings, closed_models: Sequence[str]
) -> list[Finding]:
    """Work and room, and no claim; or a job that waits long although others are claimed."""
    if not processes or not figures.oldest:
        return []
    oldest = max(figures.oldest, key=lambda job: job.seconds)
    free = sum(process.slots - process.busy for process in processes)
    if closed_models:
        if oldest.seconds < SLOW_SECONDS:
            return []
        names = ", ".join(closed_models)
        problem = f"{names} takes no calls now; a job has been waiting for {_ago(oldest.seconds)}."
        return [_slow(problem, "Nothing, if the provider is known to be away: the jobs go on when it is back.")]
    if free > 0 and _ought_to_have_been_claimed(figures.oldest, quiet, _patience(processes, settings), settings):
        problem = f"{free} slots are free and jobs wait, but none was claimed for {_ago(quiet)}."
        return [_stuck(problem, f"See whether broker and database answer (above). {_RESTART_WORKERS}")]
    if oldest.seconds >= SLOW_SECONDS:
        problem = (
            f"Job {oldest.job_id} of tenant {oldest.tenant_id} was submitted {_ago(oldest.seconds)} ago and waits."
        )
        return [_slow(problem, "If the backlog does not shrink, start more workers or raise ASSAY_WORKER_SLOTS.")]
    return []


def _patience(processes: Sequence[Process], settings: Settings) -> float:
    """While calls are under way they may hold all the places that a model has: the next claim then follows the end of one."""
    running = any(process.busy for process in processes)
    return STUCK_SECONDS + (settings.call_seconds if running else 0)


def _ought_to_have_been_claimed(
    waiting: Sequence[Candidate], quiet: float, patience: float, settings: Settings
) -> bool:
    """A job that was never run was claimable for all its age. One that came back may have had to wait for its moment,
    and when all do, nobody claims for as long as such a wait takes."""
    never_run = max((job.seconds for job in waiting if not job.has_run), default=0.0)
    if min(never_run, quiet) >= patience:
        return True
    oldest = max(job.seconds for job in waiting)
    return min(oldest, quiet) >= patience + settings.wait_max_seconds * WAIT_JITTER


def _about_dispatch(duty: Duty | None, processes: Sequence[Process]) -> list[Finding]:
    late = _late(duty, processes)
    if late < STUCK_SECONDS:
        return []
    problem = f"Jobs are not handed out: the dispatcher's last turn was {_ago(late)} ago, though worker processes live."
    return [_stuck(problem, f"See whether the database answers (above). {_RESTART_WORKERS}")]


def _about_sweep(figures: Figures, processes: Sequence[Process], settings: Settings) -> list[Finding]:
    """A sweep that is late costs nothing until a worker has died."""
    expired = figures.expired
    if expired.count and (expired.seconds or 0) >= max(STUCK_SECONDS, settings.lease_seconds):
        problem = (
            f"{expired.count} running jobs have lost their worker, the first {_ago(expired.seconds or 0)} ago, and are"
            " not taken back."
        )
        return [_stuck(problem, _RESTART_WORKERS if processes else _START_WORKERS)]
    late = _late(figures.duties.get(SWEEP), processes)
    if late < max(STUCK_SECONDS, settings.sweep_seconds * 6):
        return []
    problem = f"Nothing is swept: the sweeper's last turn was {_ago(late)} ago, though worker processes live."
    return [_slow(problem, _RESTART_WORKERS)]


def _late(duty: Duty | None, processes: Sequence[Process]) -> float:
    """Seconds that a turn is missing: since the last one, but not since before there was a process to take it."""
    there = max((process.age_seconds for process in processes), default=0.0)
    last = None if duty is None else duty.seconds_ago
    return there if last is None else min(last, there)


def _about_deafness(processes: Sequence[Process]) -> list[Finding]:
    return [
        _slow(
            f"{process.name} is connected to the broker, but receives nothing although jobs wait.",
            "It ends itself; see that whatever supervises it starts it again.",
        )
        for process in processes
        if process.deaf
    ]


def _about_batches(open_batches: Some) -> list[Finding]:
    silent = open_batches.seconds or 0
    if silent < OPEN_BATCH_SECONDS:
        return []
    problem = f"{open_batches.count} batches were begun and not finished; for one nothing has come for {_ago(silent)}."
    return [_slow(problem, "Submit the same file with the same --idempotency-key again: it goes on where it stopped.")]


def _waiting(counted: Counted) -> Waiting:
    jobs = counted.ready + counted.due + counted.published
    return Waiting(
        jobs=min(jobs, MOST_COUNTED),
        at_least=jobs > MOST_COUNTED,
        later=min(counted.later, MOST_COUNTED),
        later_at_least=counted.later > MOST_COUNTED,
    )


def _jobs(waiting: Waiting) -> str:
    return f"more than {waiting.jobs:,} jobs" if waiting.at_least else f"{waiting.jobs:,} jobs"


def _as_oldest(job: Candidate | None) -> OldestJob | None:
    if job is None:
        return None
    return OldestJob(
        job_id=job.job_id, tenant_id=job.tenant_id, task=job.task, seconds=job.seconds, has_run=job.has_run
    )


def _as_turn(name: str, duty: Duty | None) -> DutyTurn:
    if duty is None:
        return DutyTurn(name=name, holder=None, seconds_ago=None, turns=0, done=0)
    return DutyTurn(name=name, holder=duty.holder, seconds_ago=duty.seconds_ago, turns=duty.turns, done=duty.done)


def _stuck(problem: str, advice: str) -> Finding:
    return Finding(verdict=Verdict.STUCK, problem=problem, advice=advice)


def _slow(problem: str, advice: str) -> Finding:
    return Finding(verdict=Verdict.SLOW, problem=problem, advice=advice)


def _ago(seconds: float) -> str:
    """A time as people say it."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    return f"{whole // 3600} h"
