"""A paced rate window within one process; ``window.lua`` has the same one for all processes."""

PACED = 0.96
BURST = 0.04


class PacedWindow:
    """Lets a burst of 4 % of the limit start at once and the rest evenly over the minute.

    No 60 seconds hold more than the limit; about 96 % of it is used. An amount larger than the burst is taken as debt.

    Args:
        limit: per minute, above zero.
        now: the window begins without its burst then, since others may just have used the limit up.
    """

    def __init__(self, limit: float, now: float) -> None:
        self._pace(limit)
        self._free = now + self._burst / self._rate

    def change(self, limit: float, now: float) -> None:
        """Go on under another limit; a higher one pays old debts sooner."""
        before = self._rate
        self._pace(limit)
        if self._rate > before and self._free > now:
            self._free = now + (self._free - now) * before / self._rate

    @property
    def opens(self) -> float:
        """When the next call may start."""
        return self._free - self._burst / self._rate

    def take(self, start: float, amount: float) -> None:
        """Charge a call that starts then."""
        self._free = max(self._free, start + min(amount, self._burst) / self._rate) + amount / self._rate

    def give_back(self, amount: float) -> None:
        """Correct a charge; below zero charges more."""
        self._free -= amount / self._rate

    def calls(self, now: float, till: float, amount: float) -> int:
        """How many calls of this amount may start until then."""
        free = max(self._free, now + min(amount, self._burst) / self._rate)
        left = (till - free) * self._rate + self._burst
        return 0 if left < 0 else int(left / amount + 1e-6) + 1

    def left(self, now: float) -> int:
        """What may start at once; below zero is debt."""
        return round(self._burst - max(0.0, self._free - now) * self._rate)

    def _pace(self, limit: float) -> None:
        self._rate = PACED * limit / 60
        self._burst = max(1.0, BURST * limit)
