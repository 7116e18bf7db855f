"""A provider's rate limits: strict windows that slide, by the provider's own clock."""

import time
from collections import deque
from datetime import UTC, datetime
from math import ceil
from typing import NamedTuple

from pydantic import PositiveFloat, PositiveInt

from schemas.base import Contract


class Limit(Contract):
    """What is accepted of each model. None is no limit.

    Attributes:
        requests_per_minute, input_tokens_per_minute: of calls accepted within the last minute.
        output_tokens_per_minute: of what was billed within the last minute; a call is refused once it is used up.
        concurrent: calls under way.
        burst: calls accepted within a sixtieth of a minute; without it, a whole minute's may come at once.
        headers: whether answers say so in ``anthropic-ratelimit-...`` headers; a refusal's ``retry-after`` always does.
        minute: seconds of a minute; less, so that tests need not wait for one.
    """

    requests_per_minute: PositiveInt | None = None
    input_tokens_per_minute: PositiveInt | None = None
    output_tokens_per_minute: PositiveInt | None = None
    concurrent: PositiveInt | None = None
    burst: PositiveInt | None = None
    headers: bool = True
    minute: PositiveFloat = 60.0

    @property
    def is_one(self) -> bool:
        """Whether it limits anything."""
        return any(
            limit is not None
            for limit in (
                self.requests_per_minute,
                self.input_tokens_per_minute,
                self.output_tokens_per_minute,
                self.concurrent,
                self.burst,
            )
        )


class Refusal(NamedTuple):
    """A call that is not accepted: which limit, and after how many seconds it would be."""

    what: str
    seconds: float


class Limiter:
    """Accepts and refuses by a :class:`Limit`; refused calls use up nothing."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._models: dict[str, _Windows] = {}

    def admit(self, model: str, input_tokens: int, now: float) -> Refusal | None:
        """Accept a call, or say why not; ``now`` is a ``time.monotonic()`` value, as in all that follows."""
        windows = self._of(model)
        refusal = windows.refusal(input_tokens, now)
        if refusal is None:
            windows.take(input_tokens, now)
            return None
        return refusal

    def ended(self, model: str, output_tokens: int, now: float) -> None:
        """An accepted call is over."""
        self._of(model).give_back(output_tokens, now)

    def retry_after(self, refusal: Refusal) -> float:
        """As the provider says it: whole seconds, rounded up; finer only where minutes are short."""
        return ceil(refusal.seconds) if self.limit.minute >= 60 else ceil(refusal.seconds * 1000) / 1000

    def headers(self, model: str, now: float) -> dict[str, str]:
        """What answers say of the limits."""
        return self._of(model).headers(now) if self.limit.headers else {}

    def _of(self, model: str) -> "_Windows":
        if model not in self._models:
            self._models[model] = _Windows(self.limit)
        return self._models[model]


class _Windows:
    """The windows of one model."""

    def __init__(self, limit: Limit) -> None:
        minute = limit.minute
        self._limit = limit
        self._requests = _Window("requests", limit.requests_per_minute, minute)
        self._burst = _Window("burst", limit.burst, minute / 60)
        self._input = _Window("input-tokens", limit.input_tokens_per_minute, minute)
        self._output = _Window("output-tokens", limit.output_tokens_per_minute, minute)
        self._under_way = 0

    def refusal(self, input_tokens: int, now: float) -> Refusal | None:
        """The limit that a call would exceed for the longest time."""
        asked = ((self._requests, 1), (self._burst, 1), (self._input, input_tokens), (self._output, 1))
        refusals = [Refusal(window.name, window.opens_in(amount, now)) for window, amount in asked]
        if self._limit.concurrent is not None and self._under_way >= self._limit.concurrent:
            refusals.append(Refusal("concurrent connections", self._limit.minute / 60))
        longest = max(refusals, key=lambda refusal: refusal.seconds)
        return longest if longest.seconds > 0 else None

    def take(self, input_tokens: int, now: float) -> None:
        """A call is accepted."""
        for window, amount in ((self._requests, 1), (self._burst, 1), (self._input, input_tokens)):
            window.take(amount, now)
        self._under_way += 1

    def give_back(self, output_tokens: int, now: float) -> None:
        """A call is over."""
        self._output.take(output_tokens, now)
        self._under_way -= 1

    def headers(self, now: float) -> dict[str, str]:
        """Limit, rest and reset of each window that there is."""
        return {
            f"anthropic-ratelimit-{window.name}-{what}": value
            for window in (self._requests, self._input, self._output)
            for what, value in window.told(now).items()
        }


class _Window:
    """What was taken within the last ``seconds``, to the call."""

    def __init__(self, name: str, limit: int | None, seconds: float) -> None:
        self.name = name
        self._limit = limit
        self._seconds = seconds
        self._taken: deque[tuple[float, int]] = deque()
        self._sum = 0

    def opens_in(self, amount: int, now: float) -> float:
        """Seconds until this much fits; a whole window for what never does."""
        self._forget(now)
        if self._limit is None or self._sum + amount <= self._limit:
            return 0.0
        left = self._sum
        for at, taken in self._taken:
            left -= taken
            if left + amount <= self._limit:
                return at + self._seconds - now
        return self._seconds

    def take(self, amount: int, now: float) -> None:
        """Use this much, even more than there is."""
        if self._limit is not None and amount:
            self._taken.append((now, amount))
            self._sum += amount

    def told(self, now: float) -> dict[str, str]:
        """The values of its headers."""
        if self._limit is None:
            return {}
        self._forget(now)
        resets_in = self._taken[-1][0] + self._seconds - now if self._taken else 0.0
        reset = datetime.fromtimestamp(time.time() + resets_in, UTC)
        return {
            "limit": str(self._limit),
            "remaining": str(max(0, self._limit - self._sum)),
            "reset": reset.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def _forget(self, now: float) -> None:
        while self._taken and self._taken[0][0] + self._seconds <= now:
            self._sum -= self._taken.popleft()[1]
