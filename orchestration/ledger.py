"""The record of attempts, as orchestration sees it. Storage satisfies it; the worker introduces the two."""

from typing import Protocol

from schemas.attempt import AttemptOutcome, BrokenCall, Call, Reply
from schemas.failure import Failure


class AttemptLedger(Protocol):
    """Written before each call and settled after it."""

    def open(self, call: Call) -> int | Failure:
        """Record that this call is about to be made.

        Returns:
            The attempt's number; or a failure (cancelled, over budget, lease lost): then the call must not be made.
        """

    def settle(
        self,
        number: int,
        outcome: AttemptOutcome,
        *,
        reply: Reply | None = None,
        broken: BrokenCall | None = None,
        failure: Failure | None = None,
    ) -> None:
        """Record how an attempt ended.

        Args:
            outcome: accepted (``reply``), rejected (``reply`` and ``failure``) or failed (``broken`` and ``failure``).
        """
