"""What one process keeps of a model or a tenant while it decides alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from admission.breaker import Breaker
from admission.pacing import PacedWindow
from schemas.admission import Limits, WindowState


@dataclass
class LocalScope:
    """A model or a tenant.

    Attributes:
        windows: the rate windows by name, with this process's share.
        limits: of all processes together.
    """

    windows: dict[str, PacedWindow] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)


@dataclass
class LocalModel(LocalScope):
    """A model behind the provider's key.

    Attributes:
        concurrent: this process's calls at a time.
        output_tokens: of an average call; None: none has ended.
        grows_fast: no overload has been met yet.
        cut: when the calls at a time were last cut.
        paused: nothing starts before it.
        storms: refusals since the last success.
        shared_by: the processes that the windows were shared out for.
    """

    breaker: Breaker = field(kw_only=True)
    concurrent: float = field(kw_only=True)
    output_tokens: float | None = None
    grows_fast: bool = True
    cut: float = float("-inf")
    paused: float = 0.0
    storms: int = 0
    shared_by: int = 1


def rates(limits: Limits) -> Iterator[tuple[str, int | None]]:
    """The limits per minute, by window."""
    yield "requests", limits.requests
    yield "input_tokens", limits.input_tokens
    yield "output_tokens", limits.output_tokens


def window_states(scope: LocalScope, share: Callable[[int], int], now: float) -> list[WindowState]:
    """The windows for operators."""
    return [
        WindowState(window=name, limit=share(limit), left=scope.windows[name].left(now))
        for name, limit in rates(scope.limits)
        if limit is not None and name in scope.windows
    ]
