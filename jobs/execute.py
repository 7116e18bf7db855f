"""Execute one job: claim, ask, conclude. Two short transactions, and none is open while a model works."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from fallbacks.routing import Again
from jobs import steps
from jobs.admit import as_failure, ask_for
from jobs.conclude import conclude, next_rung, put_back
from jobs.ledger import JobLedger
from jobs.reconcile import SUSPECT_LOSSES
from jobs.steps import Step
from jobs.workplace import Workplace
from orchestration.abort import Abort
from orchestration.pipeline import Prepared, prepare, pursue
from schemas.admission import Admitted, Ask
from schemas.answer import Answer
from schemas.failure import Failure, FailureReason
from schemas.settings import Settings
from storage import attempts, leases
from storage.leases import Claim
from tasks import find_task

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Begun:
    """A claimed job and its first step.

    Attributes:
        first: a prepared call, whose intent is recorded; a failure; or None: the job waits again already.
        place: what was reserved for the call.
    """

    claim: Claim
    first: Prepared | Failure | None
    reserved: tuple[Ask, Admitted] | None = None


def execute(place: Workplace, tenant_id: str, job_id: UUID) -> Claim | None:
    """Run a job to its next resting place: answered, in review, failed, or waiting again.

    Returns:
        The claim it ran under, or None: a duplicate delivery, and nothing was done.
    """
    with place.database.tenant(tenant_id) as connection:
        claim = leases.claim(connection, job_id, place.worker_id, place.settings.lease_seconds)
        if claim is None:
            return None
        begun = _begin(connection, place, claim) if _is_unsuspicious(claim) else None
        steps.passed(Step.CLAIMING)
    steps.passed(Step.BEGUN)
    if begun is not None:
        _run(place, begun)
    elif place.run_alone is not None and _is_suspect(place.settings, claim):
        with place.held.holding(claim, Abort()):
            place.run_alone(claim)
    else:
        go_on(place, tenant_id, job_id, claim.fence)
    steps.passed(Step.CONCLUDED)
    return claim


def go_on(place: Workplace, tenant_id: str, job_id: UUID, fence: int) -> None:
    """Run a job whose claim is committed, by this process or by the one that holds it for a suspect."""
    with place.database.tenant(tenant_id) as connection:
        claim = leases.adopt(connection, job_id, fence, place.settings.lease_seconds)
        begun = _begin(connection, place, claim) if claim is not None else None
    if begun is not None:
        _run(place, begun)


def _is_unsuspicious(claim: Claim) -> bool:
    """Nothing was ever lost with this job. Otherwise the claim is committed before anything looks at the input, so that an
    input that ends the process while it is prepared leaves a trace."""
    return claim.losses == 0 and claim.rings == 0


def _is_suspect(settings: Settings, claim: Claim) -> bool:
    """It was running when its process ended, more than once; a quarantined job is not run at all."""
    return claim.losses >= SUSPECT_LOSSES and _quarantine(settings, claim) is None


def _quarantine(settings: Settings, claim: Claim) -> Failure | None:
    if claim.losses > SUSPECT_LOSSES or (claim.losses == SUSPECT_LOSSES and claim.tries >= settings.max_tries):
        times = claim.losses + (claim.tries if claim.losses == SUSPECT_LOSSES else 0)
        return Failure(
            reason=FailureReason.QUARANTINED,
            detail=f"running this job ended its process {times} times, the last time alone; see its story for how",
        )
    return None


def _begin(connection: Connection, place: Workplace, claim: Claim) -> Begun:
    """The first step: prepare the call, get it admitted, record its intent."""
    first = _first_step(place.settings, claim)
    if isinstance(first, Failure):
        return Begun(claim, first)
    ask = ask_for(place.settings, claim, claim.attempts + 1, first.call)
    said = place.gate.admit(ask)
    if isinstance(said, Admitted):
        attempts.open_first(connection, claim, claim.attempts + 1, first.call, place.actor)
        return Begun(claim, first, (ask, said))
    failure = as_failure(said)
    if not said.outage:
        leases.put_back(connection, claim, failure, seconds=said.seconds)
        return Begun(claim, None)
    rung = next_rung(place.settings, claim, failure)
    if isinstance(rung, Again):
        put_back(connection, place, claim, failure, rung)
        return Begun(claim, None)
    return Begun(claim, failure)


def _first_step(settings: Settings, claim: Claim) -> Prepared | Failure:
    if quarantined := _quarantine(settings, claim):
        return quarantined
    if claim.overdue:
        return Failure(reason=FailureReason.TIMEOUT, detail="the job's deadline passed before a model was asked")
    if claim.tries >= settings.max_tries:
        return Failure(reason=FailureReason.UNREACHABLE, detail=f"{claim.tries} runs of this job failed")
    try:
        task = find_task(claim.task)
        return prepare(task, task.read_request(claim.request), settings.tiers, prompt_version=claim.prompt_version)
    except Exception as error:
        # Whatever it is (a task taken away, a contract changed since, a defect in a prompt): the claim must stand, or the
        # job would be rung for and fail like this for ever.
        _log.error("job %s cannot be prepared: %s", claim.job_id, type(error).__name__)
        return Failure(
            reason=FailureReason.MISCONFIGURED,
            detail=f"this version of Assay cannot prepare the job ({type(error).__name__})",
        )


def _run(place: Workplace, begun: Begun) -> None:
    if begun.first is None:
        return
    abort = Abort()
    deadline = _deadline(place.settings, begun.claim)
    with place.held.holding(begun.claim, abort):
        ledger = JobLedger(place, begun.claim, abort, begun.reserved, deadline)
        try:
            result = _ask(place, begun.claim, begun.first, ledger, abort, deadline)
            if isinstance(result, Failure):
                ledger.finish(result)
            conclude(place, begun.claim, result, ledger)
        finally:
            ledger.close()


def _deadline(settings: Settings, claim: Claim) -> float:
    """When a run ends at the latest, a ``time.monotonic()`` value."""
    ends = time.monotonic() + settings.job_seconds
    return ends if claim.seconds_left is None else min(ends, claim.claimed_at + claim.seconds_left)


def _ask(
    place: Workplace, claim: Claim, first: Prepared | Failure, ledger: JobLedger, abort: Abort, deadline: float
) -> Answer | Failure:
    if isinstance(first, Failure):
        return first
    with _on_text(place, claim, ledger) as on_text:
        return pursue(
            first, place.provider, ledger, deadline=deadline, settings=place.settings, on_text=on_text, abort=abort
        ).result


@contextmanager
def _on_text(place: Workplace, claim: Claim, ledger: JobLedger) -> Iterator[Callable[[str], None] | None]:
    """Where the pieces of the model's text go besides into its reply. The reply is read to its end, whoever listens."""
    if place.partials is None:
        yield None
        return
    with place.partials.of_run(claim.job_id, claim.fence) as text:
        yield lambda piece: text.add(ledger.number, piece)
