"""Redis away: each process keeps to its share, and all come back together by themselves."""

import logging
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from redis import Redis

from admission.gate import Gate
from admission.settings import GateSettings
from schemas.admission import Abandoned, Admitted, Limits, NotNow, SeenRates
from schemas.failure import FailureReason
from stack.ports import LOOPBACK, free_port
from tests.admission_world import MODEL, PLAIN, USAGE, failed, numbered
from tests.house import eventually
from tests.own_valkey import OwnValkey

QUICK = GateSettings(
    limits={"*": Limits(concurrent=6)}, redis_timeout_seconds=0.3, redis_again_seconds=0.1, wait_seconds=2
)


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[OwnValkey]:
    """A running server of this test's own."""
    server = OwnValkey(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def pair(valkey: OwnValkey) -> Iterator[list[Gate]]:
    """The gates of two worker processes."""
    made = [Gate(valkey.url, "digest", QUICK, lambda: 2) for _ in range(2)]
    yield made
    for gate in made:
        gate.close()


def admitted(gate: Gate, numbers: range) -> int:
    """How many of these asks pass."""
    return sum(isinstance(gate.admit(numbered(PLAIN, number)), Admitted) for number in numbers)


def is_shared(gate: Gate) -> bool:
    """Whether the gate decides together with the others."""
    states = gate.snapshot()
    return bool(states) and all(state.shared for state in states)


def test_each_process_keeps_to_its_share_and_comes_back(
    valkey: OwnValkey, pair: list[Gate], caplog: pytest.LogCaptureFixture
) -> None:
    """Six calls at a time are three per process while Redis is away, calls admitted before included; when it is back they
    are six together again. The log has one line for each turn."""
    one, other = pair
    assert admitted(one, range(2)) == 2
    assert admitted(other, range(100, 101)) == 1
    valkey.stop()
    with caplog.at_level(logging.WARNING, logger="admission"):
        assert admitted(one, range(10, 20)) == 1
        assert admitted(other, range(110, 120)) == 2
        assert (
            [record.getMessage() for record in caplog.records].count(
                "admission: Redis is away (ConnectionError); this process keeps to its own share"
            )
            == len(caplog.records)
            == 2
        )
        caplog.clear()
        for number in [0, 1, 10]:
            one.settle(numbered(PLAIN, number), usage=USAGE, failure=None, seen=None)
        for number in [100, 110, 111]:
            other.settle(numbered(PLAIN, number), usage=USAGE, failure=None, seen=None)
        valkey.start()
        for gate in pair:
            eventually(partial(passes_through_redis, gate), "it is back")
        assert [record.getMessage() for record in caplog.records] == [
            "admission: Redis is back; limits are shared again"
        ] * 2
    assert admitted(one, range(20, 30)) + admitted(other, range(120, 130)) == 6


def passes_through_redis(gate: Gate) -> bool:
    """Whether a call passes through Redis from admission to end."""
    probe = numbered(PLAIN, 999)
    said = gate.admit(probe)
    shared = isinstance(said, Admitted) and is_shared(gate)
    gate.settle(probe, usage=None, failure=failed(FailureReason.CANCELLED), seen=None)
    return shared


def test_a_limit_learned_before_holds_while_redis_is_away(valkey: OwnValkey, pair: list[Gate]) -> None:
    """60 requests a minute that headers stated are 30 for each of two processes."""
    gate = pair[0]
    gate.admit(PLAIN)
    gate.settle(PLAIN, usage=USAGE, failure=None, seen=SeenRates(limits=Limits(requests=60)))
    valkey.stop()
    gate.admit(numbered(PLAIN, 1))
    state = gate.snapshot()[0]
    assert not state.shared
    assert [(window.window, window.limit) for window in state.windows] == [("requests", 30)]


def test_a_frozen_server_holds_no_call_up_and_keeps_none(valkey: OwnValkey, pair: list[Gate]) -> None:
    """While Redis is frozen calls go on by the share; once it thaws, what it was asked meanwhile leaves no reservation."""
    gate = pair[0]
    assert admitted(gate, range(1)) == 1
    valkey.send(signal.SIGSTOP)
    try:
        assert admitted(gate, range(1, 10)) == 2
        for number in range(3):
            gate.settle(numbered(PLAIN, number), usage=USAGE, failure=None, seen=None)
    finally:
        valkey.send(signal.SIGCONT)
    eventually(lambda: is_shared(gate), "it is back")
    eventually(lambda: gate.snapshot()[0].in_flight == 0, "no reservation is left")


def test_calls_abandoned_while_redis_is_away_are_freed_when_it_is_back(valkey: OwnValkey, pair: list[Gate]) -> None:
    """A sweeper that meets a frozen server tells it once it thaws, long before the reservations expire."""
    one, other = pair
    assert admitted(one, range(6)) == 6
    valkey.send(signal.SIGSTOP)
    try:
        other.abandon([Abandoned(attempt=f"job:{number}:1", model=MODEL, tenant="acme") for number in range(6)])
    finally:
        valkey.send(signal.SIGCONT)
    eventually(lambda: is_shared(other), "it is back")
    eventually(lambda: other.snapshot()[0].in_flight == 0, "their places are free")


def test_a_server_that_came_back_empty_is_no_outage(
    valkey: OwnValkey, pair: list[Gate], caplog: pytest.LogCaptureFixture
) -> None:
    """After a restart and after FLUSHALL with its scripts gone, the next call is admitted there as if nothing had been."""
    gate = pair[0]
    admitted(gate, range(2))
    valkey.stop()
    valkey.start()
    assert admitted(gate, range(2, 10)) == 6
    with Redis.from_url(valkey.url or "") as redis:
        redis.flushall()
        redis.script_flush()
    assert admitted(gate, range(10, 20)) == 6
    assert is_shared(gate)
    assert caplog.records == []


def test_a_server_that_refuses_counts_as_away(valkey: OwnValkey, pair: list[Gate]) -> None:
    """A server out of memory refuses to write: the process goes on by its share, and comes back when there is room."""
    gate = pair[0]
    assert admitted(gate, range(1)) == 1
    with Redis.from_url(valkey.url or "") as redis:
        redis.config_set("maxmemory", 1)
        assert admitted(gate, range(1, 10)) == 2
        redis.config_set("maxmemory", 0)
    eventually(lambda: is_shared(gate), "it is back")


def test_a_valkey_url_is_one_of_redis(valkey: OwnValkey) -> None:
    """The broker's URL may name Valkey by its own scheme."""
    gate = Gate((valkey.url or "").replace("redis://", "valkey://"), "digest", QUICK, lambda: 1)
    gate.admit(PLAIN)
    assert is_shared(gate)
    gate.close()


def test_nothing_is_raised_when_redis_was_never_there(caplog: pytest.LogCaptureFixture) -> None:
    """With a dead address from the start every operation answers, and the password is not logged."""
    url = f"redis://:secret@{LOOPBACK}:{free_port()}/0"
    gate = Gate(url, "digest", QUICK, lambda: 1)
    assert isinstance(gate.admit(PLAIN), Admitted)
    assert gate.room(MODEL, 1).calls == 5
    gate.settle(PLAIN, usage=USAGE, failure=None, seen=None)
    gate.give_up("never:1:1")
    assert [state.shared for state in gate.snapshot()] == [False]
    gate.close()
    assert "secret" not in caplog.text
    assert len(caplog.records) == 1


def test_an_open_breaker_of_one_process_does_not_outlive_the_outage(valkey: OwnValkey, pair: list[Gate]) -> None:
    """What a process met alone, it forgets when the shared windows are back: they know more."""
    gate = pair[0]
    admitted(gate, range(1))
    valkey.stop()
    for number in range(10, 16):
        ask = numbered(PLAIN, number)
        gate.admit(ask)
        gate.settle(ask, usage=None, failure=failed(FailureReason.UNREACHABLE), seen=None)
    refused = gate.admit(numbered(PLAIN, 20))
    assert isinstance(refused, NotNow)
    assert refused.outage
    valkey.start()
    eventually(lambda: isinstance(gate.admit(numbered(PLAIN, 21)), Admitted), "it is back")
    assert is_shared(gate)
