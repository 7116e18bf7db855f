"""Whatever happens in whatever order, no window holds more than its limit."""

from collections import Counter, deque
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from admission.gate import Gate
from admission.settings import GateSettings
from schemas.admission import Abandoned, Admitted, Ask, Limits, NotNow
from schemas.failure import FailureReason
from schemas.usage import Usage
from tests.admission_world import Clock, failed, gates, numbered
from tests.house import House

MODELS, TENANTS = ("model-a", "model-b"), ("acme", "bolt")
ENDS = [None, FailureReason.RATE_LIMITED, FailureReason.OVERLOADED, FailureReason.TIMEOUT, FailureReason.CANCELLED]

limits = st.builds(
    Limits,
    requests=st.none() | st.integers(1, 200),
    input_tokens=st.none() | st.integers(500, 20_000),
    output_tokens=st.none(),
    concurrent=st.integers(1, 8),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.floats(0, 20)),
        st.tuples(st.just("ask"), st.integers(0, 3), st.integers(1, 400)),
        st.tuples(st.just("ask"), st.integers(0, 3), st.integers(1, 400)),
        st.tuples(st.just("end"), st.integers(0, 30), st.sampled_from(ENDS)),
        st.tuples(st.just("give up"), st.integers(0, 30)),
        st.tuples(st.just("abandon"), st.integers(0, 30)),
        st.tuples(st.just("stray end"), st.integers(0, 30)),
        st.tuples(st.just("flood"), st.integers(0, 3), st.integers(1, 40)),
    ),
    max_size=60,
)


@dataclass
class Book:
    """An account of what was let through, kept without the code under test.

    Attributes:
        starts: (when, tokens) by scope.
        held: by attempt: the ask and when its reservation ends.
    """

    starts: dict[str, deque[tuple[float, int]]] = field(default_factory=dict)
    held: dict[str, tuple[Ask, float]] = field(default_factory=dict)

    def enter(self, ask: Ask, start: float) -> None:
        """A call was admitted."""
        self.held[ask.attempt] = (ask, start + ask.expires_seconds)
        for scope in (ask.model, ask.tenant):
            self.starts.setdefault(scope, deque()).append((start, ask.input_tokens))

    def check(self, now: float, allowed: dict[str, Limits]) -> None:
        """No window of any scope holds more than its limit."""
        running = Counter[str]()
        for ask, expires in self.held.values():
            if expires > now:
                running.update([ask.model, ask.tenant])
        for scope, limit in allowed.items():
            assert running[scope] <= (limit.concurrent or 0)
            calls = sorted(self.starts.get(scope, ()))
            largest = max((tokens for _, tokens in calls), default=0)
            for first, (since, _) in enumerate(calls):
                minute = [tokens for start, tokens in calls[first:] if start < since + 60]
                assert limit.requests is None or len(minute) <= limit.requests
                # A call larger than 4 % of a token window passes as debt, so the last one may stand out.
                assert limit.input_tokens is None or sum(minute) <= limit.input_tokens + largest


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, per_model=limits, per_tenant=limits)
def test_no_sequence_of_events_overfills_a_window(
    house: House, steps: list[tuple[object, ...]], per_model: Limits, per_tenant: Limits
) -> None:
    """Asks of two processes, two models and two tenants, ends of every kind, calls given up or abandoned, strays and time:
    requests, tokens and calls at a time of every scope stay within their limits in any 60 seconds."""
    clock, book, number = Clock(), Book(), 0
    allowed = dict.fromkeys(MODELS, per_model) | dict.fromkeys(TENANTS, per_tenant)
    with gates(house.broker_url, clock, 2, GateSettings(limits={"*": per_model})) as made:
        for step in steps:
            number += 1
            _take_step(made[number % 2], clock, book, number, per_tenant, step)
            book.check(clock.now, allowed)


def _take_step(
    gate: Gate, clock: Clock, book: Book, number: int, tenant_limits: Limits, step: tuple[object, ...]
) -> None:
    match step:
        case ("wait", float(seconds)):
            clock.now += seconds
        case ("ask", int(who), int(tokens)):
            ask = _ask(str(number), who, tokens, tenant_limits)
            said = gate.admit(ask)
            if isinstance(said, Admitted):
                book.enter(ask, clock.now + said.after)
            else:
                assert isinstance(said, NotNow)
                assert said.seconds >= 0
        case ("flood", int(who), int(calls)):
            for turn in range(calls):
                _call(gate, clock, book, _ask(f"{number}-{turn}", who, 50, tenant_limits))
        case ("end", int(which), reason) if book.held:
            ask = _pick(book, which)
            failure = failed(reason) if isinstance(reason, FailureReason) else None
            usage = Usage(input_tokens=ask.input_tokens, output_tokens=10)
            gate.settle(ask, usage=usage, failure=failure, seen=None)
            del book.held[ask.attempt]
        case ("abandon", int(which)) if book.held:
            ask = _pick(book, which)
            gate.abandon([Abandoned(attempt=ask.attempt, model=ask.model, tenant=ask.tenant)])
            del book.held[ask.attempt]
        case ("stray end", int(which)) if book.held:
            stray = numbered(_pick(book, which), 10_000 + which)
            gate.settle(stray, usage=Usage(), failure=None, seen=None)
            gate.give_up(stray.attempt)
        case _:
            pass


def _ask(number: str, who: int, tokens: int, tenant_limits: Limits) -> Ask:
    return Ask(
        attempt=f"job:{number}:1", model=MODELS[who % 2], tenant=TENANTS[who // 2], tenant_limits=tenant_limits,
        input_tokens=tokens, max_tokens=100, expires_seconds=40,
    )  # fmt: skip


def _call(gate: Gate, clock: Clock, book: Book, ask: Ask) -> None:
    """A call that is answered at once, or as long a wait as the refusal says, up to ten seconds."""
    said = gate.admit(ask)
    if isinstance(said, Admitted):
        book.enter(ask, clock.now + said.after)
        del book.held[ask.attempt]
        clock.now += said.after
        gate.settle(ask, usage=Usage(input_tokens=ask.input_tokens, output_tokens=10), failure=None, seen=None)
    else:
        clock.now += min(said.seconds, 10)


def _pick(book: Book, which: int) -> Ask:
    return list(book.held.values())[which % len(book.held)][0]
