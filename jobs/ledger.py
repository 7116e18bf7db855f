"""The audit of one run's calls, and their admission."""

import time
from dataclasses import replace

from sqlalchemy import Connection

from governance.prices import cost_usd
from jobs import steps
from jobs.admit import ask_for
from jobs.steps import Step
from jobs.workplace import Workplace, no_longer_ours
from orchestration.abort import Abort
from schemas.admission import Admitted, Ask
from schemas.attempt import AttemptOutcome, BrokenCall, Call, Reply
from schemas.failure import Failure, FailureReason
from storage import attempts
from storage.attempts import Settlement
from storage.leases import Claim
from telemetry.context import note


class JobLedger:
    """Attempts of one run: admitted, recorded, made, settled.

    The first call was admitted and its intent recorded with the claim. A settlement is written together with what comes
    next, the next call's intent or the job's conclusion, so that the happy path has two commits.

    Attributes:
        number: the attempt opened last.
    """

    def __init__(
        self, place: Workplace, claim: Claim, abort: Abort, first: tuple[Ask, Admitted] | None, deadline: float
    ) -> None:
        self._place = place
        self._claim = claim
        self._abort = abort
        self._deadline = deadline
        self._first = claim.attempts + 1
        self._ask = first[0] if first else None
        self._after = first[1].after if first else 0.0
        self._first_is_open = first is not None
        self._pending: Settlement | None = None
        self.number = claim.attempts

    def open(self, call: Call) -> int | Failure:
        """Record a call before it is made. A failure means: do not call, the job is no longer ours."""
        self.number += 1
        note(attempt=self.number)
        if self.number > self._first and not self._admitted(call):
            return self._stopped()
        self._abort.wait(self._after)
        if self._abort.reason is not None:
            return self._stopped()
        if self.number > self._first:
            opened = self._place.insist(lambda connection: self._open_next(connection, call), self._claim.tenant_id)
            self.written()
            if not opened:
                return self._stopped()
        self._first_is_open = False
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
        steps.passed(Step.REPLIED)
        made = reply or broken
        usage, model = (made.usage, made.model) if made is not None else (None, None)
        if self._ask is not None:
            self._place.gate.settle(
                self._ask, usage=usage, failure=broken.failure if broken else None, seen=made.rates if made else None
            )
            self._ask = None
        cost = cost_usd(model, usage) if usage is not None and model is not None else None
        self._pending = Settlement(number, outcome, reply, broken, failure, cost)

    def finish(self, failure: Failure) -> None:
        """No call follows. The first one's intent may stand recorded although it came to no call: that is settled, with
        nothing used."""
        if self._first_is_open:
            self._pending = Settlement(self._first, AttemptOutcome.FAILED, failure=failure)
            self._first_is_open = False
        self.close()

    def flush(self, connection: Connection, *, useless: Failure | None = None) -> None:
        """Write the settlement that is due; :meth:`written` says that it is committed.

        Args:
            useless: why its answer does not count, good as it may be.
        """
        if self._pending is not None:
            settlement = self._pending
            if useless is not None:
                settlement = replace(settlement, outcome=AttemptOutcome.REJECTED, failure=useless)
            attempts.settle(connection, self._claim, settlement)

    def written(self) -> None:
        """The transaction that :meth:`flush` was part of is committed."""
        self._pending = None

    def close(self) -> None:
        """What is still reserved for a call is given back."""
        if self._ask is not None:
            self._place.gate.give_up(self._ask.attempt)
            self._ask = None

    def _admitted(self, call: Call) -> bool:
        """Wait in the slot for a later call's place: what was paid for the calls before it would be lost otherwise."""
        ask = ask_for(self._place.settings, self._claim, self.number, call)
        while self._abort.reason is None and time.monotonic() < self._deadline:
            said = self._place.gate.admit(ask)
            if isinstance(said, Admitted):
                self._ask, self._after = ask, said.after
                return True
            self._abort.wait(min(said.seconds, self._deadline - time.monotonic()))
        return False

    def _open_next(self, connection: Connection, call: Call) -> bool:
        self.flush(connection)
        return attempts.open_next(connection, self._claim, self.number, call, self._place.actor)

    def _stopped(self) -> Failure:
        self.close()
        if self._abort.reason is None and time.monotonic() >= self._deadline:
            return Failure(reason=FailureReason.TIMEOUT, detail="the job's time ran out while it waited for its turn")
        return self._abort.reason or no_longer_ours()
