"""The breaker that all workers share, on a real Valkey."""

from collections.abc import Iterator

import pytest

from admission.gate import Gate
from schemas.admission import Abandoned, Admitted, NotNow
from schemas.failure import FailureReason
from tests.admission_world import MODEL, PLAIN, USAGE, Clock, failed, gates, numbered
from tests.house import House


@pytest.fixture
def clock() -> Clock:
    """A clock that moves when told."""
    return Clock()


@pytest.fixture
def pair(house: House, clock: Clock) -> Iterator[list[Gate]]:
    """The gates of two worker processes."""
    with gates(house.broker_url, clock, 2) as made:
        yield made


def end(gate: Gate, number: int, reason: FailureReason | None) -> None:
    """A call that was admitted is over."""
    failure = None if reason is None else failed(reason)
    gate.settle(numbered(PLAIN, number), usage=None if failure else USAGE, failure=failure, seen=None)


def call(gate: Gate, number: int, reason: FailureReason | None) -> None:
    """A call from its admission to its end."""
    assert isinstance(gate.admit(numbered(PLAIN, number)), Admitted)
    end(gate, number, reason)


def open_it(pair: list[Gate]) -> None:
    """Five failures, seen by both processes together."""
    for number in range(5):
        call(pair[number % 2], number, FailureReason.OVERLOADED)


@pytest.mark.parametrize("reason", [FailureReason.OVERLOADED, FailureReason.UNREACHABLE, FailureReason.TIMEOUT])
def test_five_failures_of_all_workers_open_it_for_all(pair: list[Gate], reason: FailureReason) -> None:
    """Failures count together; every worker is then told that it is an outage, and dispatch has no room."""
    for number in range(4):
        call(pair[number % 2], number, reason)
    assert pair[0].room(MODEL, 1).calls != 0
    call(pair[0], 4, reason)
    for gate in pair:
        refused = gate.admit(numbered(PLAIN, 9))
        assert isinstance(refused, NotNow)
        assert refused.outage
        assert 5 <= refused.seconds < 6
        assert gate.room(MODEL, 1).calls == 0
    assert pair[0].snapshot()[0].breaker == "open"


def test_refusals_and_poor_answers_do_not_open_it(pair: list[Gate], clock: Clock) -> None:
    """429s, refused and malformed answers come from a provider that is there."""
    reasons = [FailureReason.RATE_LIMITED, FailureReason.REFUSED, FailureReason.BAD_REQUEST, FailureReason.CANCELLED]
    for number, reason in enumerate(reasons * 5):
        call(pair[0], number, reason)
        clock.now += 60
    assert pair[0].snapshot()[0].breaker == "closed"


def test_a_minority_of_failures_does_not_open_it(pair: list[Gate], clock: Clock) -> None:
    """A third of the calls failing is left to the number of calls at a time."""
    for number in range(60):
        call(pair[0], number, FailureReason.OVERLOADED if number % 3 == 2 else None)
        clock.now += 0.3
    assert pair[0].snapshot()[0].breaker == "closed"


def test_old_failures_do_not_count(pair: list[Gate], clock: Clock) -> None:
    """Failures further apart than ten seconds never add up to five."""
    for number in range(4):
        call(pair[0], number, FailureReason.TIMEOUT)
        clock.now += 3
    call(pair[0], 4, None)
    clock.now += 11
    call(pair[0], 5, FailureReason.TIMEOUT)
    assert pair[0].snapshot()[0].breaker == "closed"


def test_one_probe_at_a_time_and_its_success_closes_it(pair: list[Gate], clock: Clock) -> None:
    """After five seconds one ask of all workers is the probe; all others wait; its success lets everybody in."""
    open_it(pair)
    clock.now += 5.01
    assert pair[1].room(MODEL, 1).calls == 1
    assert pair[0].admit(numbered(PLAIN, 10)) == Admitted(probe=True)
    assert pair[1].room(MODEL, 1).calls == 0
    others = [gate.admit(numbered(PLAIN, 11 + number)) for number, gate in enumerate(pair * 5)]
    assert all(isinstance(answer, NotNow) and answer.outage for answer in others)
    assert pair[0].snapshot()[0].breaker == "probing"
    end(pair[0], 10, None)
    assert pair[1].admit(numbered(PLAIN, 30)) == Admitted()
    assert pair[1].snapshot()[0].breaker == "closed"


def test_each_failed_probe_doubles_the_wait_up_to_a_minute(pair: list[Gate], clock: Clock) -> None:
    """5, 10, 20, 40, 60, 60 seconds; a success forgets them."""
    open_it(pair)
    waits = []
    for number in range(10, 16):
        refused = pair[0].admit(numbered(PLAIN, number))
        assert isinstance(refused, NotNow)
        waits.append(refused.seconds)
        clock.now += refused.seconds + 31  # past the hint that the one before had been given
        call(pair[1], number, FailureReason.UNREACHABLE)
    assert waits == pytest.approx([5, 10, 20, 40, 60, 60], abs=0.2)
    clock.now += 61
    call(pair[0], 20, None)
    clock.now += 1
    for number in range(21, 26):
        call(pair[0], number, FailureReason.UNREACHABLE)
    refused = pair[0].admit(numbered(PLAIN, 30))
    assert isinstance(refused, NotNow)
    assert refused.seconds == pytest.approx(5, abs=0.2)


def test_a_killed_probe_does_not_block_it(pair: list[Gate], clock: Clock) -> None:
    """A probe whose worker died is replaced after 30 seconds, long before its reservation ends."""
    open_it(pair)
    clock.now += 6
    assert pair[0].admit(numbered(PLAIN, 10)) == Admitted(probe=True)
    clock.now += 29
    assert isinstance(pair[1].admit(numbered(PLAIN, 11)), NotNow)
    clock.now += 2
    assert pair[1].admit(numbered(PLAIN, 11)) == Admitted(probe=True)


@pytest.mark.parametrize("made", [True, False])
def test_a_probe_that_says_nothing_leaves_the_next_one_free(pair: list[Gate], clock: Clock, made: bool) -> None:
    """A probe aborted by us or never made neither closes nor blocks the breaker."""
    open_it(pair)
    clock.now += 6
    assert pair[0].admit(numbered(PLAIN, 10)) == Admitted(probe=True)
    if made:
        end(pair[0], 10, FailureReason.CANCELLED)
    else:
        pair[0].give_up("job:10:1")
    assert pair[1].admit(numbered(PLAIN, 11)) == Admitted(probe=True)


def test_an_abandoned_probe_leaves_the_next_one_free_at_once(pair: list[Gate], clock: Clock) -> None:
    """When a probe's worker is known to be dead another call probes at once; calls that are not the probe change nothing."""
    open_it(pair)
    clock.now += 6
    assert pair[0].admit(numbered(PLAIN, 10)) == Admitted(probe=True)
    pair[1].abandon([Abandoned(attempt="job:99:1", model=MODEL, tenant="acme")])
    assert isinstance(pair[1].admit(numbered(PLAIN, 11)), NotNow)
    pair[1].abandon([Abandoned(attempt="job:10:1", model=MODEL, tenant="acme")])
    assert pair[0].snapshot()[0].breaker == "probing"
    assert pair[1].admit(numbered(PLAIN, 11)) == Admitted(probe=True)


def test_late_ends_of_calls_from_before_change_nothing(pair: list[Gate], clock: Clock) -> None:
    """While it is open, neither the success nor the failure of a call that began before counts."""
    late = numbered(PLAIN, 100)
    for ask in (late, numbered(PLAIN, 101)):
        assert isinstance(pair[0].admit(ask), Admitted)
    for number in range(5):
        call(pair[number % 2], number, FailureReason.TIMEOUT)
    end(pair[0], 100, None)
    end(pair[0], 101, FailureReason.TIMEOUT)
    assert pair[0].snapshot()[0].breaker == "open"
    clock.now += 5.01
    assert pair[0].admit(numbered(PLAIN, 10)) == Admitted(probe=True)


def test_a_probe_is_not_held_up_by_hanging_calls(house: House, clock: Clock) -> None:
    """When calls that hang fill all places, the probe still passes."""
    with gates(house.broker_url, clock) as (gate,):
        for number in range(100, 103):
            gate.admit(numbered(PLAIN, number))
        for number in range(5):
            call(gate, number, FailureReason.TIMEOUT)
        clock.now += 6
        assert gate.admit(numbered(PLAIN, 10)) == Admitted(probe=True)
