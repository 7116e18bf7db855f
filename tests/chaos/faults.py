"""The faults. Each is a function that runs one from its beginning to its end, in the middle of a batch."""

import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from jobs.steps import Step
from schemas.failure import FailureReason
from stack.scripted import plays
from stack.scripted.plays import Play
from tests.chaos import broker, postgres
from tests.chaos.stage import PATIENCE_SECONDS, Stage
from tests.chaos.worker import order, taken_by
from tests.house import eventually

DUTY_PAUSE_SECONDS = 1.0
"""Between two kills of whoever has a duty: shorter than the duty's lease, so that nobody has it for a while."""


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    Attributes:
        inject: returns when the fault is over.
        explains: why a job may end without a model's answer under it. Empty: every job must get one.
        mixable: it may be part of a random mix.
    """

    name: str
    inject: Callable[[Stage], None]
    explains: frozenset[FailureReason] = frozenset()
    mixable: bool = True


def _nothing(_stage: Stage) -> None:
    """No fault: the suite's own control."""


# Processes


def _killed_at(step: Step) -> Callable[[Stage], None]:
    def inject(stage: Stage) -> None:
        with ExitStack() as around:
            if step is Step.PUTTING_BACK:
                around.enter_context(stage.storm(plays.status(529), share=0.5))
            for blow in range(stage.periods.blows):
                _ordered(stage, step, signal.SIGKILL, f"{blow}")

    return inject


def _frozen_at(step: Step) -> Callable[[Stage], None]:
    """SIGSTOP in the middle of the step, with its transaction open where it has one, until others have its jobs; SIGCONT."""

    def inject(stage: Stage) -> None:
        with ExitStack() as around:
            if step is Step.PUTTING_BACK:
                around.enter_context(stage.storm(plays.status(529), share=0.5))
            pid = _ordered(stage, step, signal.SIGSTOP, "0")
            try:
                _until_late(stage, pid)
            finally:
                stage.crew.wake(pid)

    return inject


def _ordered(stage: Stage, step: Step, number: signal.Signals, name: str) -> int:
    """Order it and wait until somebody has got there; returns the pid."""
    file = order(stage.crew.orders, step, number, f"{stage.dice.getrandbits(32):08x}-{name}")
    return eventually(lambda: taken_by(file), f"a worker reaches {step}", seconds=PATIENCE_SECONDS) or 0


def _killed(stage: Stage) -> None:
    for _ in range(stage.periods.blows):
        stage.crew.kill(stage.some_member().pid)
        time.sleep(stage.dice.uniform(0.0, 1.0))


def _all_killed(stage: Stage) -> None:
    for member in stage.crew.members:
        stage.crew.kill(member.pid)


def _until_late(stage: Stage, pid: int) -> None:
    """Whatever this process does when it goes on, it does too late."""
    stage.wait_until_taken(pid)
    time.sleep(stage.periods.twin)


def _late_twin(stage: Stage) -> None:
    pid = stage.some_member().pid
    with stage.crew.frozen(pid):
        _until_late(stage, pid)


def _holder_killed(duty: str) -> Callable[[Stage], None]:
    def inject(stage: Stage) -> None:
        for blow in range(stage.periods.blows):
            if blow:
                time.sleep(DUTY_PAUSE_SECONDS)
            stage.crew.kill(stage.holder(duty))

    return inject


def _holder_frozen(duty: str) -> Callable[[Stage], None]:
    def inject(stage: Stage) -> None:
        pid = stage.holder(duty)
        with stage.crew.frozen(pid):
            stage.wait_for_successor(duty, pid)
            _until_late(stage, pid)

    return inject


def _clock_off(seconds: int) -> Callable[[Stage], None]:
    def inject(stage: Stage) -> None:
        member = stage.some_member()
        stage.crew.shift_clock(member, seconds)
        try:
            time.sleep(stage.periods.storm)
        finally:
            stage.crew.shift_clock(member, 0)

    return inject


# The provider


def _storm(*weather: Play, share: float = 0.6) -> Callable[[Stage], None]:
    def inject(stage: Stage) -> None:
        with stage.storm(*weather, share=share):
            time.sleep(stage.periods.storm)

    return inject


_SLOW_DOWN = frozenset({FailureReason.RATE_LIMITED, FailureReason.OVERLOADED})
_BROKEN_CALL = frozenset({FailureReason.TIMEOUT, FailureReason.UNREACHABLE, FailureReason.OVERLOADED})
_BAD_ANSWER = frozenset(
    {FailureReason.SCHEMA_VIOLATION, FailureReason.TRUNCATED, FailureReason.REFUSED, FailureReason.UNGROUNDED}
)
_WEATHER: dict[str, tuple[tuple[Play, ...], frozenset[FailureReason]]] = {
    "429 with retry-after": (
        (plays.status(429, retry_after=0.5), plays.status(429, retry_after=1.0, form="date"),
         plays.status(429, retry_after=0.3, form="ms")),
        _SLOW_DOWN,
    ),
    "529": ((plays.status(529),), _SLOW_DOWN),
    "500": ((plays.status(500), plays.status(503)), _SLOW_DOWN | _BROKEN_CALL),
    "connections dropped": (
        (plays.drop("before_headers"), plays.drop("after_headers"), plays.drop("mid_stream")),
        _BROKEN_CALL,
    ),
    "streams broken off": ((plays.stream_error(), plays.no_message_stop()), _SLOW_DOWN | _BROKEN_CALL),
    "hangs": ((plays.hang(), plays.drip(interval=0.4, size=8)), _BROKEN_CALL),
    "bad answers": (
        (plays.half_json(), plays.truncated(), plays.wrong_schema(), plays.ungrounded(), plays.empty(), plays.prose()),
        _BAD_ANSWER,
    ),
    "a proxy's pages": ((plays.html(), plays.wrong_shape()), _BROKEN_CALL | _BAD_ANSWER),
}  # fmt: skip
_EVERYTHING = tuple(play for weather, _ in _WEATHER.values() for play in weather)
_ALL_WEATHER = frozenset(reason for _, reasons in _WEATHER.values() for reason in reasons)


def all_faults() -> dict[str, Fault]:
    """Every fault by name, in the order of the table."""
    faults = [
        Fault("none", _nothing, mixable=False),
        *(Fault(f"kill -9 at {step}", _killed_at(step), _explains(step)) for step in Step),
        *(Fault(f"frozen at {step}", _frozen_at(step), _explains(step)) for step in Step),
        Fault("kill -9 at random", _killed),
        Fault("kill -9 of all workers", _all_killed),
        Fault("late twin", _late_twin),
        Fault("dispatcher killed", _holder_killed("dispatch")),
        Fault("dispatcher frozen", _holder_frozen("dispatch")),
        Fault("sweeper killed", _holder_killed("sweep")),
        Fault("sweeper frozen", _holder_frozen("sweep")),
        Fault("clock an hour ahead", _clock_off(3600)),
        Fault("clock an hour behind", _clock_off(-3600)),
        Fault("broker FLUSHALL", broker.flushed),
        Fault("broker down", broker.down),
        Fault("broker restarted empty", broker.restarted_empty),
        Fault("broker frozen", broker.frozen),
        Fault("messages duplicated and reordered", broker.duplicated),
        Fault("postgres restarted", postgres.restarted),
        Fault("postgres crashed", postgres.crashed),
        Fault("postgres backend killed", postgres.backend_killed),
        Fault("postgres connections cut", postgres.connections_cut),
        Fault("postgres down", postgres.down),
        Fault("postgres refusing", postgres.refusing),
        Fault("postgres frozen", postgres.frozen),
        *(Fault(f"provider: {name}", _storm(*weather), reasons) for name, (weather, reasons) in _WEATHER.items()),
        Fault("provider: everything at once", _storm(*_EVERYTHING, share=0.8), _ALL_WEATHER),
        Fault("provider: away", _storm(plays.drop("before_headers"), share=1.0), _BROKEN_CALL | _SLOW_DOWN),
    ]
    return {fault.name: fault for fault in faults}


def _explains(step: Step) -> frozenset[FailureReason]:
    return _SLOW_DOWN if step is Step.PUTTING_BACK else frozenset()
