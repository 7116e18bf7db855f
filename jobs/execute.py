"""Execute one job: claim, ask, conclude. Two short transactions, and none is open while a model works."""

import logging
import random
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from fallbacks.routing import Again, Drop, Patience, StandIn, route, stand_in
from governance.prices import cost_usd
from jobs.hold import HeldLeases
from orchestration.pipeline import Prepared, prepare, pursue
from orchestration.provider import Provider
from schemas.answer import Answer, AnsweredBy
from schemas.attempt import AttemptOutcome, BrokenCall, Call, Reply
from schemas.failure import Failure, FailureReason
from schemas.settings import Settings
from storage import attempts, leases
from storage import jobs as stored_jobs
from storage.attempts import Settlement
from storage.database import Database
from storage.leases import Claim
from tasks import find_task

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workplace:
    """What a worker process has to run jobs with."""

    database: Database
    provider: Provider
    settings: Settings
    held: HeldLeases
    worker_id: UUID
    actor: str


@dataclass(frozen=True)
class Begun:
    """A claimed job and its first step: a prepared call, whose intent is recorded, or a failure."""

    claim: Claim
    first: Prepared | Failure


def execute(place: Workplace, tenant_id: str, job_id: UUID) -> Claim | None:
    """Run a job to its next resting place: answered, in review, failed, or waiting again.

    Returns:
        The claim it ran under, or None: a duplicate delivery, and nothing was done.
    """
    begun = _begin(place, tenant_id, job_id)
    if begun is None:
        return None
    with place.held.holding(begun.claim):
        ledger = JobLedger(place, begun.claim)
        result = _ask(place, begun, ledger)
        _conclude(place, begun, result, ledger)
    return begun.claim


def _begin(place: Workplace, tenant_id: str, job_id: UUID) -> Begun | None:
    """Claim the job and record its first call, in one transaction."""
    with place.database.tenant(tenant_id) as connection:
        claim = leases.claim(connection, job_id, place.worker_id, place.settings.lease_seconds)
        if claim is None:
            return None
        first = _first_step(place.settings, claim)
        if isinstance(first, Prepared):
            attempts.open_first(connection, claim, claim.attempts + 1, first.call, place.actor)
    return Begun(claim, first)


def _first_step(settings: Settings, claim: Claim) -> Prepared | Failure:
    if claim.overdue:
        return Failure(reason=FailureReason.TIMEOUT, detail="the job's deadline passed before a model was asked")
    if claim.tries >= settings.max_tries:
        return Failure(
            reason=FailureReason.UNREACHABLE, detail=f"{claim.tries} workers were lost while running this job"
        )
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


def _ask(place: Workplace, begun: Begun, ledger: "JobLedger") -> Answer | Failure:
    if isinstance(begun.first, Failure):
        return begun.first
    deadline = time.monotonic() + place.settings.job_seconds
    return pursue(begun.first, place.provider, ledger, deadline=deadline, settings=place.settings).result


def _conclude(place: Workplace, begun: Begun, result: Answer | Failure, ledger: "JobLedger") -> None:
    """Write the answer, or take the next rung of the ladder."""
    if isinstance(result, Answer):
        _write_answer(place, begun, result, ledger)
        return
    next_rung = _next_rung(place.settings, begun, result)
    match next_rung:
        case Again(uses_try=uses_try):
            seconds = wait_seconds(place.settings, begun.claim, result)
            with place.database.tenant(begun.claim.tenant_id) as connection:
                ledger.flush(connection)
                if leases.put_back(connection, begun.claim, result, seconds=seconds, uses_try=uses_try):
                    _note(connection, begun, place, "waiting", f"{result.reason}: again in {seconds:.1f} s")
        case StandIn():
            _stand_in(place, begun, result, next_rung, ledger)
        case Drop():
            with place.database.tenant(begun.claim.tenant_id) as connection:
                ledger.flush(connection)


def _next_rung(settings: Settings, begun: Begun, failure: Failure) -> Again | StandIn | Drop:
    claim = begun.claim
    if claim.overdue or claim.tries >= settings.max_tries:
        return stand_in(claim.fallback)
    patience = Patience(tries_left=settings.max_tries - 1 - claim.tries, waits_left=settings.max_waits - claim.waits)
    return route(failure, claim.fallback, patience)


def _write_answer(place: Workplace, begun: Begun, answer: Answer, ledger: "JobLedger") -> None:
    with place.database.tenant(begun.claim.tenant_id) as connection:
        accepted = leases.conclude_answered(
            connection, begun.claim, answer.answered_by, answer.output, attempt=ledger.number, failure=None
        )
        ledger.flush(connection, lost=not accepted)


def _stand_in(place: Workplace, begun: Begun, failure: Failure, rung: StandIn, ledger: "JobLedger") -> None:
    """Rules first where the policy allows them; what they cannot answer goes to a person, or the job fails."""
    # A worker lost even after the model was given up was lost in the rule: it is not run again.
    rule_is_safe = begun.claim.tries <= place.settings.max_tries
    suggestion = _rule_answer(begun.claim) if rule_is_safe and (rung.rules or rung.person) else None
    with place.database.tenant(begun.claim.tenant_id) as connection:
        ledger.flush(connection)
        if rung.rules and suggestion is not None:
            held = leases.conclude_answered(
                connection, begun.claim, AnsweredBy.RULES, suggestion, attempt=None, failure=failure
            )
            what = "answered_by_rules"
        elif rung.person:
            held = leases.conclude_in_review(connection, begun.claim, failure, suggestion)
            what = "sent_to_review"
        else:
            held = leases.conclude_failed(connection, begun.claim, failure)
            what = "failed"
        if held:
            _note(connection, begun, place, what, str(failure.reason))


def _rule_answer(claim: Claim) -> dict[str, Any] | None:
    """The rule's answer, if it has one that meets the contract."""
    try:
        task = find_task(claim.task)
        request = task.read_request(claim.request)
        output = task.rule(request) if task.rule is not None else None
        checked = None if output is None else task.check(request, output.model_dump(mode="json"))
    except Exception as error:
        # A defect in a rule must not lose the job: a person is next. Only the type is logged, texts never are.
        _log.error("the rule of %s failed on job %s with %s", claim.task, claim.job_id, type(error).__name__)
        return None
    if isinstance(checked, list):
        _log.error("the rule of %s broke its contract on job %s", claim.task, claim.job_id)
        return None
    return None if checked is None else checked.model_dump(mode="json")


def wait_seconds(settings: Settings, claim: Claim, failure: Failure) -> float:
    """How long a job waits: what the provider asked for, else doubling from ``wait_seconds``, with jitter so that jobs
    put back together do not come back together."""
    times = claim.waits + claim.tries
    doubled = min(settings.wait_seconds * float(2 ** min(times, 16)), settings.wait_max_seconds)
    asked = failure.retry_after or 0.0
    return max(asked, doubled) * random.uniform(1.0, 1.25)  # noqa: S311 - spread, not secrecy


def _note(connection: Connection, begun: Begun, place: Workplace, kind: str, detail: str) -> None:
    stored_jobs.note_event(connection, begun.claim.tenant_id, [begun.claim.job_id], kind, place.actor, detail)


class JobLedger:
    """The audit of one run's calls.

    The first call's intent was recorded with the claim. A settlement is written together with what comes next, the
    next call's intent or the job's conclusion, so that the happy path has two commits.

    Attributes:
        number: the attempt opened last.
    """

    def __init__(self, place: Workplace, claim: Claim) -> None:
        self._place = place
        self._claim = claim
        self._first = claim.attempts + 1
        self._pending: Settlement | None = None
        self.number = claim.attempts

    def open(self, call: Call) -> int | Failure:
        """Record a call before it is made. A failure means: do not call, the job is no longer ours."""
        self.number += 1
        if self._place.held.is_lost(self._claim.job_id):
            return _no_longer_ours()
        if self.number == self._first:
            return self.number
        with self._place.database.tenant(self._claim.tenant_id) as connection:
            self.flush(connection)
            if not attempts.open_next(connection, self._claim, self.number, call, self._place.actor):
                return _no_longer_ours()
        return self.number

    def settle(
        self,
        number: int,
        outcome: AttemptOutcome,
        *,
        reply: Reply | None = None,
        broken: BrokenCall | None = None,
        failure: Failure | None = None,
    ) -> None:
        """Take note of how a call ended."""
        cost = cost_usd(reply.model, reply.usage) if reply is not None else None
        self._pending = Settlement(number, outcome, reply, broken, failure, cost)

    def flush(self, connection: Connection, *, lost: bool = False) -> None:
        """Write the settlement that is due. ``lost``: its answer came too late to count."""
        if self._pending is None:
            return
        settlement = self._pending
        if lost:
            settlement = Settlement(
                settlement.number, AttemptOutcome.REJECTED, settlement.reply, settlement.broken, _no_longer_ours(),
                settlement.cost_usd,
            )  # fmt: skip
        attempts.settle(connection, self._claim, settlement)
        self._pending = None


def _no_longer_ours() -> Failure:
    return Failure(reason=FailureReason.CANCELLED, detail="the job was cancelled or taken over in the meantime")
