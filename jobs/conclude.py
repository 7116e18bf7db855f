"""Conclude a run: write the answer, or take the next rung of the ladder."""

import logging
import random
from typing import Any

from sqlalchemy import Connection

from fallbacks.routing import Again, Drop, Patience, Route, StandIn, route, stand_in
from jobs import steps
from jobs.ledger import JobLedger
from jobs.steps import Step
from jobs.workplace import Workplace, no_longer_ours
from schemas.answer import Answer, AnsweredBy
from schemas.failure import Failure, FailureReason
from schemas.settings import Settings
from storage import jobs as stored_jobs
from storage import leases
from storage.leases import Claim
from tasks import find_task

TOO_LATE = Failure(reason=FailureReason.TIMEOUT, detail="the job's deadline passed before its answer was there")

_log = logging.getLogger(__name__)


def conclude(place: Workplace, claim: Claim, result: Answer | Failure, ledger: JobLedger) -> None:
    """Write what a run came to, under its fence and once. The job's row is written before its attempt's, as by the sweep and by
    a worker that gives back: two that meet must not wait for each other."""
    if isinstance(result, Answer):
        if _write_answer(place, claim, result, ledger):
            return
        _stand_in(place, claim, TOO_LATE, stand_in(claim.fallback), ledger)
        return
    rung = next_rung(place.settings, claim, result)
    match rung:
        case Again():
            _put_back(place, claim, result, rung, ledger)
        case StandIn():
            _stand_in(place, claim, result, rung, ledger)
        case Drop():
            place.insist(ledger.flush, claim.tenant_id)
            ledger.written()


def next_rung(settings: Settings, claim: Claim, failure: Failure) -> Route:
    """What follows from a failure for this job."""
    final = failure.reason in {FailureReason.QUARANTINED, FailureReason.CANCELLED}
    if not final and (claim.overdue or claim.tries >= settings.max_tries):
        return stand_in(claim.fallback)
    patience = Patience(
        tries_left=settings.max_tries - 1 - claim.tries,
        waits_left=settings.max_waits - claim.waits,
        on_outage=claim.on_outage,
    )
    return route(failure, claim.fallback, patience)


def put_back(connection: Connection, place: Workplace, claim: Claim, failure: Failure, rung: Again) -> bool:
    """Queue the job again under its fence, with one line in its story. False: the lease was lost."""
    seconds = wait_seconds(place.settings, claim, failure)
    held = leases.put_back(
        connection, claim, failure, seconds=seconds, tries=int(rung.uses_try), waits=int(not rung.uses_try)
    )
    if held:
        _note(connection, place, claim, "waiting", f"{failure.reason}: again in {seconds:.1f} s")
    steps.passed(Step.PUTTING_BACK)
    return held


def wait_seconds(settings: Settings, claim: Claim, failure: Failure) -> float:
    """How long a job waits: what the provider asked for, else doubling from ``wait_seconds``, with jitter so that jobs
    put back together do not come back together."""
    times = claim.waits + claim.tries
    doubled = min(settings.wait_seconds * float(2 ** min(times, 16)), settings.wait_max_seconds)
    asked = failure.retry_after or 0.0
    return max(asked, doubled) * random.uniform(1.0, 1.25)  # noqa: S311 - spread, not secrecy


def _write_answer(place: Workplace, claim: Claim, answer: Answer, ledger: JobLedger) -> bool:
    """Write a model's answer.

    Returns:
        False: the job's deadline passed before it was there, and somebody else has to stand in.
    """

    def work(connection: Connection) -> bool:
        accepted = leases.conclude_answered(
            connection, claim, answer.answered_by, answer.output, attempt=ledger.number, failure=None
        )
        too_late = not accepted and leases.is_held(connection, claim)
        ledger.flush(connection, useless=None if accepted else TOO_LATE if too_late else no_longer_ours())
        steps.passed(Step.CONCLUDING)
        return not too_late

    in_time = place.insist(work, claim.tenant_id)
    ledger.written()
    return in_time


def _put_back(place: Workplace, claim: Claim, failure: Failure, rung: Again, ledger: JobLedger) -> None:
    def work(connection: Connection) -> None:
        put_back(connection, place, claim, failure, rung)
        ledger.flush(connection)

    place.insist(work, claim.tenant_id)
    ledger.written()


def _stand_in(place: Workplace, claim: Claim, failure: Failure, rung: StandIn, ledger: JobLedger) -> None:
    """Rules first where the policy allows them; what they cannot answer goes to a person, or the job fails."""
    # A worker lost even after the model was given up was lost in the rule: it is not run again.
    rule_is_safe = claim.tries <= place.settings.max_tries and failure.reason is not FailureReason.QUARANTINED
    suggestion = _rule_answer(claim) if rule_is_safe and (rung.rules or rung.person) else None

    def work(connection: Connection) -> None:
        if rung.rules and suggestion is not None:
            held = leases.conclude_answered(
                connection, claim, AnsweredBy.RULES, suggestion, attempt=None, failure=failure
            )
            what = "answered_by_rules"
        elif rung.person:
            held = leases.conclude_in_review(connection, claim, failure, suggestion)
            what = "sent_to_review"
        else:
            held = leases.conclude_failed(connection, claim, failure)
            what = "failed"
        if held:
            _note(connection, place, claim, what, str(failure.reason))
        ledger.flush(connection)
        steps.passed(Step.CONCLUDING)

    place.insist(work, claim.tenant_id)
    ledger.written()


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


def _note(connection: Connection, place: Workplace, claim: Claim, kind: str, detail: str) -> None:
    stored_jobs.note_event(connection, claim.tenant_id, [claim.job_id], kind, place.actor, detail)
