"""Health by progress: not which processes run, but whether work goes on."""

from enum import StrEnum
from uuid import UUID

from schemas.base import Contract


class Verdict(StrEnum):
    """How work goes on as a whole: the worst of its findings."""

    OK = "ok"
    SLOW = "slow"  # it goes on, but somebody should look
    STUCK = "stuck"  # it does not go on without help


class Finding(Contract):
    """Something that is wrong.

    Attributes:
        verdict: how bad it is.
        problem: what is wrong, in one plain sentence.
        advice: what to do, in one plain sentence.
    """

    verdict: Verdict
    problem: str
    advice: str


class Waiting(Contract):
    """Jobs that could run now and do not: queued and due, or on the broker.

    Attributes:
        jobs: how many; ``at_least`` says that counting stopped there.
        later: how many wait for a moment that has not come (a provider's limit, an outage), likewise bounded.
        at_least: there are more than ``jobs``.
        later_at_least: there are more than ``later``.
    """

    jobs: int
    at_least: bool
    later: int
    later_at_least: bool


class OldestJob(Contract):
    """The waiting job that was submitted first.

    Attributes:
        seconds: since it was submitted, or since it was due where it had to wait for a moment.
        has_run: it was run before and came back: its age is not all waiting.
    """

    job_id: UUID
    tenant_id: str
    task: str
    seconds: float
    has_run: bool


class DutyTurn(Contract):
    """The last turn of a duty that one process at a time has.

    Attributes:
        holder: the worker process that has the duty; None where nobody does.
        seconds_ago: since its last turn; None where there was none yet.
        turns: taken since the tables were made.
        done: jobs dispatched, or corrections swept, since then.
    """

    name: str
    holder: str | None
    seconds_ago: float | None
    turns: int
    done: int


class Health(Contract):
    """How work goes on. Ages are in seconds by the database's clock.

    Attributes:
        findings: what is wrong, worst first; empty where the verdict is ``ok``.
        oldest: None where nothing waits.
        claims_per_minute: over the last minute or two.
        quiet_seconds: it is certain that no live worker has claimed a job for so long; 0 where one has just now.
        workers: live worker processes.
        slots: jobs that they can run at a time.
        busy: slots that run one.
        memory_bytes: resident memory of all live worker processes; None where none has told yet.
        deaf: live workers that receive nothing although jobs wait.
        deaf_lately: workers that ended themselves for that within the last quarter of an hour.
        expired_leases: running jobs whose lease has run out and that nobody has taken back yet.
        open_batches: begun by a producer and not finished; ``open_batch_seconds`` since lines last came for the one that has
            been left the longest.
    """

    verdict: Verdict
    findings: list[Finding]
    waiting: Waiting
    oldest: OldestJob | None
    claims_per_minute: float
    quiet_seconds: float
    workers: int
    slots: int
    busy: int
    memory_bytes: int | None
    deaf: list[str]
    deaf_lately: list[str]
    expired_leases: int
    expired_lease_seconds: float | None
    open_batches: int
    open_batch_seconds: float | None
    dispatch: DutyTurn
    sweep: DutyTurn
