"""Retrying one call on transport errors: the only place that makes the same call again.

What the model said is none of its business; truncated, refused or wrong answers never come here. A wait longer than a
worker should sleep is handed up instead: whoever holds the job puts it back and takes another one.
"""

import random
import time
from collections.abc import Callable
from typing import NamedTuple

import tenacity

from orchestration.abort import Abort
from orchestration.ledger import AttemptLedger
from orchestration.provider import Provider
from schemas.attempt import AttemptOutcome, BrokenCall, Call, Purpose, Reply
from schemas.failure import Failure, FailureReason
from schemas.settings import Settings

TRANSIENT = frozenset({FailureReason.UNREACHABLE, FailureReason.OVERLOADED, FailureReason.RATE_LIMITED})
"""Worth the same call again at once. A timeout is not: the call has used up its time, and may have been billed."""

JITTER = 0.1
"""Waits are lengthened by up to this share, so that fifty slots told to wait one second do not return together."""


class Made(NamedTuple):
    """A call that was made and answered; its attempt is still open."""

    number: int
    reply: Reply


class Tries(NamedTuple):
    """What came of a call, and how many attempts it took."""

    result: Made | Failure
    attempts: int


def make_call(
    call: Call,
    provider: Provider,
    ledger: AttemptLedger,
    *,
    settings: Settings,
    deadline: float,
    on_text: Callable[[str], None] | None = None,
    abort: Abort | None = None,
    sleep: Callable[[float], None] | None = None,
) -> Tries:
    """Make a call, again where a transport error may pass; each try is an attempt of its own in the ledger.

    Args:
        deadline: end of the whole job, a ``time.monotonic()`` value.
        abort: set by another thread, it ends a call or a wait under way, and no further call is made.
        sleep: waits; tests inject one that only takes notes.

    Returns:
        The reply with its open attempt; or the failure of the last attempt, which is settled, or the abort's reason.
    """
    attempts = 0

    def attempt() -> Made | Failure:
        nonlocal attempts
        if abort is not None and abort.reason is not None:
            return abort.reason
        if time.monotonic() >= deadline:
            return Failure(reason=FailureReason.TIMEOUT, detail="The job's time is used up.")
        made = call if attempts == 0 else call.model_copy(update={"purpose": Purpose.RETRY})
        number = ledger.open(made)
        if isinstance(number, Failure):
            return number
        attempts += 1
        reply = provider.send(made, deadline=deadline, on_text=on_text, abort=abort)
        if isinstance(reply, BrokenCall):
            ledger.settle(number, AttemptOutcome.FAILED, broken=reply, failure=reply.failure)
            return reply.failure
        return Made(number, reply)

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(_may_pass),
        wait=lambda state: _wait(state, settings),
        stop=lambda state: _must_stop(state, settings, deadline),
        sleep=sleep or (abort.wait if abort is not None else time.sleep),
        retry_error_callback=_last_result,
    )
    return Tries(retrying(attempt), attempts)


def _may_pass(result: Made | Failure) -> bool:
    return isinstance(result, Failure) and result.reason in TRANSIENT


def _wait(state: tenacity.RetryCallState, settings: Settings) -> float:
    failure = _last_result(state)
    seconds = failure.retry_after if isinstance(failure, Failure) else None
    if seconds is None:
        doubled = settings.transport_wait_seconds * 2 ** (state.attempt_number - 1)
        seconds = min(doubled, settings.transport_wait_max_seconds)
    return seconds * (1 + random.random() * JITTER)  # noqa: S311  no secret


def _must_stop(state: tenacity.RetryCallState, settings: Settings, deadline: float) -> bool:
    failure = _last_result(state)
    asked = (failure.retry_after if isinstance(failure, Failure) else None) or 0
    return (
        state.attempt_number >= settings.transport_tries
        or asked > settings.transport_wait_max_seconds
        or time.monotonic() + state.upcoming_sleep >= deadline
    )


def _last_result(state: tenacity.RetryCallState) -> Made | Failure:
    assert state.outcome is not None
    result: Made | Failure = state.outcome.result()
    return result
