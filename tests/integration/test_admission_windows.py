"""Windows of all workers on a real Valkey: all or none, owned, expiring, shared."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from redis import Redis

from admission.gate import Gate
from admission.settings import GateSettings
from schemas.admission import Abandoned, Admitted, Ask, Limits, NotNow, SeenRates
from schemas.failure import FailureReason
from schemas.ids import new_id
from schemas.usage import Usage
from tests.admission_world import MODEL, PLAIN, USAGE, Clock, Provider, World, failed, gates, numbered
from tests.house import House, eventually

ROOT = Path(__file__).parent.parent.parent
HOLDER = """
import os, sys
from admission.gate import Gate
from admission.settings import GateSettings
from schemas.admission import Admitted, Ask, Limits
url, prefix, seconds = sys.argv[1:]
gate = Gate(url, "digest", GateSettings(limits={"*": Limits(concurrent=3)}), lambda: 2, prefix=prefix)
for number in range(3):
    ask = Ask(attempt=f"dead:{number}", model="model-a", tenant="acme", input_tokens=1, max_tokens=1,
              expires_seconds=float(seconds))
    assert isinstance(gate.admit(ask), Admitted)
os.kill(os.getpid(), 9)
"""


def limited(**limits: int) -> GateSettings:
    """Settings under which every model has these limits."""
    return GateSettings(limits={"*": Limits(**limits)})


@pytest.fixture
def clock() -> Clock:
    """A clock that moves when told."""
    return Clock()


@pytest.fixture
def free(house: House, clock: Clock) -> Iterator[Gate]:
    """A gate with no limit but 100 calls at a time."""
    with gates(house.broker_url, clock, settings=limited(concurrent=100)) as (gate,):
        yield gate


@pytest.mark.parametrize(
    ("model_limits", "tenant_limits", "window"),
    [
        ({"requests": 10}, {}, "model-a is at its limit of requests per minute"),
        ({"input_tokens": 1000}, {}, "model-a is at its limit of input tokens per minute"),
        ({"output_tokens": 1000}, {}, "model-a is at its limit of output tokens per minute"),
        ({"concurrent": 1}, {}, "model-a is at its limit of calls at a time"),
        ({}, {"requests": 10}, "tenant acme is at its limit of requests per minute"),
        ({}, {"input_tokens": 1000}, "tenant acme is at its limit of input tokens per minute"),
        ({}, {"output_tokens": 1000}, "tenant acme is at its limit of output tokens per minute"),
        ({}, {"concurrent": 1}, "tenant acme is at its limit of calls at a time"),
    ],
)
def test_all_windows_or_none(
    house: House, clock: Clock, model_limits: dict[str, int], tenant_limits: dict[str, int], window: str
) -> None:
    """Whichever window is full, the refusal names it and no other window of either scope has been charged."""
    wide = {"requests": 6000, "input_tokens": 600_000, "output_tokens": 600_000, "concurrent": 50}
    settings = limited(**(wide | model_limits))
    ask = PLAIN.model_copy(update={"tenant_limits": Limits(**(wide | tenant_limits))})
    with gates(house.broker_url, clock, settings=settings) as (gate,):
        assert isinstance(gate.admit(numbered(ask, 1)), Admitted)
        before = gate.snapshot()
        refused = gate.admit(numbered(ask, 2))
        assert isinstance(refused, NotNow)
        assert refused.detail == window
        assert not refused.outage
        assert gate.snapshot() == before


def test_a_place_that_frees_up_soon_is_reserved(house: House, clock: Clock) -> None:
    """At 60 a minute the burst of two passes, the next two wait for places of their own, and the fifth would wait too
    long."""
    with gates(house.broker_url, clock, settings=limited(requests=60, concurrent=50)) as (gate,):
        said = [gate.admit(numbered(PLAIN, number)) for number in range(5)]
    waits = [answer.after for answer in said if isinstance(answer, Admitted)]
    assert waits == pytest.approx([0, 0, 0.625, 1.667], abs=0.001)
    assert isinstance(said[4], NotNow)


def test_denied_asks_are_sent_back_one_after_the_other(house: House, clock: Clock) -> None:
    """Hints of successive refusals are as far apart as places free up, so that the denied do not come back together."""
    with gates(house.broker_url, clock, settings=limited(requests=60, concurrent=50)) as (gate,):
        said = [gate.admit(numbered(PLAIN, number)) for number in range(14)]
    hints = [answer.seconds for answer in said if isinstance(answer, NotNow)]
    assert len(hints) == 10
    assert [later - earlier for earlier, later in pairwise(hints)] == pytest.approx([1 / 0.96] * 9, abs=0.001)


def test_a_large_call_passes_as_debt(house: House, clock: Clock) -> None:
    """A call larger than the burst is not starved by small ones; what it takes is paid before the next starts."""
    with gates(house.broker_url, clock, settings=limited(input_tokens=60_000, concurrent=50)) as (gate,):
        assert gate.admit(numbered(PLAIN, 1, input_tokens=30_000)) == Admitted()
        refused = gate.admit(numbered(PLAIN, 2))
        assert isinstance(refused, NotNow)
        assert refused.seconds == pytest.approx(30_000 / 960, abs=0.001)


def test_settling_corrects_the_estimate(house: House, clock: Clock) -> None:
    """Tokens that were estimated and not used are free again, and more than estimated are charged."""
    with gates(house.broker_url, clock, settings=limited(input_tokens=60_000, concurrent=50)) as (gate,):
        gate.admit(numbered(PLAIN, 1, input_tokens=30_000))
        gate.settle(numbered(PLAIN, 1), usage=Usage(input_tokens=1200), failure=None, seen=None)
        said = gate.admit(numbered(PLAIN, 2, input_tokens=100))
        assert isinstance(said, Admitted)
        assert said.after == pytest.approx(1200 / 960, abs=0.001)
        clock.now += 60
        gate.settle(numbered(PLAIN, 2), usage=Usage(input_tokens=60_000), failure=None, seen=None)
        assert isinstance(gate.admit(numbered(PLAIN, 3)), NotNow)


def test_output_is_estimated_by_what_this_model_really_writes(house: House, clock: Clock) -> None:
    """A quarter of the cap at first, then the average of real answers, never more than the cap."""
    with gates(house.broker_url, clock, settings=limited(output_tokens=96_000, concurrent=50)) as (gate,):

        def charged(number: int, max_tokens: int) -> int:
            clock.now += 600
            gate.room(MODEL, 1)
            gate.admit(numbered(PLAIN, number, max_tokens=max_tokens))
            with_call = gate.snapshot()[0].windows[0].left
            gate.settle(numbered(PLAIN, number), usage=Usage(output_tokens=500), failure=None, seen=None)
            return 3840 - with_call

        # The burst is 3,840; a call on an idle window leaves it twice its size lower.
        assert [charged(1, 4000), charged(2, 4000), charged(3, 100)] == [2000, 1000, 200]


def test_a_reservation_is_ended_by_its_owner_only_and_once(free: Gate, clock: Clock) -> None:
    """An attempt that holds nothing, or ended already, takes away nobody's reservation."""
    free.admit(numbered(PLAIN, 1))
    free.admit(numbered(PLAIN, 2))
    free.settle(numbered(PLAIN, 3), usage=USAGE, failure=None, seen=None)
    free.give_up("job:3:1")
    assert free.snapshot()[0].in_flight == 2
    for _ in range(2):
        free.settle(numbered(PLAIN, 1), usage=USAGE, failure=None, seen=None)
        free.give_up("job:1:1")
        assert free.snapshot()[0].in_flight == 1


def test_a_double_settle_teaches_nothing_twice(house: House, clock: Clock) -> None:
    """Five late copies of one failure do not open the breaker."""
    with gates(house.broker_url, clock) as (gate,):
        gate.admit(numbered(PLAIN, 1))
        for _ in range(6):
            gate.settle(numbered(PLAIN, 1), usage=None, failure=failed(FailureReason.OVERLOADED), seen=None)
        assert isinstance(gate.admit(numbered(PLAIN, 2)), Admitted)


def test_asking_twice_reserves_once(house: House, clock: Clock) -> None:
    """An attempt that asks again after a lost reply gets the same answer and holds one place."""
    with gates(house.broker_url, clock, settings=limited(concurrent=2, requests=60)) as (gate,):
        assert gate.admit(numbered(PLAIN, 1)) == gate.admit(numbered(PLAIN, 1)) == Admitted()
        assert gate.snapshot()[0].in_flight == 1


def test_a_call_never_made_gives_everything_back(house: House, clock: Clock) -> None:
    """Requests, tokens and the place of a call that was given up are free at once."""
    ask = PLAIN.model_copy(update={"tenant_limits": Limits(requests=1, concurrent=1, input_tokens=1000)})
    with gates(house.broker_url, clock, settings=limited(requests=1, concurrent=1, input_tokens=1000)) as (gate,):
        assert gate.admit(numbered(ask, 1)) == Admitted()
        assert isinstance(gate.admit(numbered(ask, 2)), NotNow)
        gate.give_up("job:1:1")
        assert gate.admit(numbered(ask, 2)) == Admitted()


def test_abandoned_calls_free_their_places_and_nothing_else(house: House, clock: Clock) -> None:
    """Another process ends the reservations of a dead one: model and tenant have their places again, what was sent stays
    charged, and a late end of the dead changes nothing."""
    ask = PLAIN.model_copy(update={"tenant_limits": Limits(concurrent=2)})
    with gates(house.broker_url, clock, 2, limited(requests=600, concurrent=3)) as (dead, sweeper):
        taken = [numbered(ask, 1), numbered(ask, 2), numbered(ask, 3, tenant="other")]
        assert all(isinstance(dead.admit(one), Admitted) for one in taken)
        charged = sweeper.snapshot()[0].windows
        sweeper.abandon([])
        sweeper.abandon([Abandoned(attempt=one.attempt, model=MODEL, tenant=one.tenant) for one in [*taken, taken[0]]])
        states = sweeper.snapshot()
        assert not any(state.in_flight for state in states)
        assert states[0].windows == charged
        assert dead.admit(numbered(ask, 4)) == sweeper.admit(numbered(ask, 5)) == Admitted()
        for late in taken:
            dead.settle(late, usage=None, failure=failed(FailureReason.OVERLOADED), seen=None)
        assert sweeper.snapshot()[0].in_flight == 2
        assert sweeper.snapshot()[0].breaker == "closed"


def test_tenants_do_not_share_a_window(house: House, clock: Clock) -> None:
    """One tenant at its own limit does not hold up another."""
    ask = PLAIN.model_copy(update={"tenant_limits": Limits(concurrent=1)})
    with gates(house.broker_url, clock, settings=limited(concurrent=10)) as (gate,):
        assert isinstance(gate.admit(numbered(ask, 1)), Admitted)
        assert isinstance(gate.admit(numbered(ask, 2)), NotNow)
        assert isinstance(gate.admit(numbered(ask, 3, tenant="other")), Admitted)


def test_a_killed_process_leaks_its_places_only_until_they_expire(house: House) -> None:
    """Three places held by a process that was killed are free again when their reservations expire, by the server's
    clock."""
    prefix = f"test-{new_id().hex}"
    command = [sys.executable, "-c", HOLDER, house.broker_url, prefix, "2"]
    died = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, check=False, timeout=60)
    assert died.returncode == -9
    gate = Gate(house.broker_url, "digest", limited(concurrent=3), lambda: 2, prefix=prefix)
    try:
        assert gate.snapshot()[0].in_flight == 3
        eventually(lambda: isinstance(gate.admit(PLAIN), Admitted), "a dead process's place expires")
        assert gate.snapshot()[0].in_flight == 1
    finally:
        gate.close()


def test_threads_together_take_what_there_is(house: House, clock: Clock) -> None:
    """Of 200 asks at once from 16 threads over four gates, exactly the ten places are given."""
    with gates(house.broker_url, clock, 4, limited(concurrent=10)) as made, ThreadPoolExecutor(16) as pool:
        asks = [numbered(PLAIN, number) for number in range(200)]
        said = list(pool.map(lambda pair: made[pair[0] % 4].admit(pair[1]), enumerate(asks)))
    assert sum(isinstance(answer, Admitted) for answer in said) == 10


@pytest.mark.parametrize("limit", [1, 3, 50, 600])
def test_processes_together_never_pass_the_limit_and_use_most_of_it(house: House, clock: Clock, limit: int) -> None:
    """Four gates stay within the limit in every 60 seconds of half an hour and use 95 % of it."""
    provider = Provider(seconds=0.5)
    began = clock.now
    with gates(house.broker_url, clock, 4, limited(requests=limit, concurrent=100)) as made:
        World(clock, made, provider, callers=max(8, limit // 30)).run(600 if limit > 100 else 1800)
    assert provider.fullest_minute() <= limit
    assert provider.per_minute(began + 60, clock.now) >= 0.95 * limit


def test_room_is_what_would_be_admitted(house: House, clock: Clock) -> None:
    """Dispatch is told of as many calls as may start within the horizon: no more, and not one less."""
    settings = limited(requests=600, concurrent=15)
    with gates(house.broker_url, clock, settings=settings) as (gate,):
        assert gate.room("never-asked", 1).calls == 15
        offered = gate.room(MODEL, 0.0).calls
        said = [gate.admit(numbered(PLAIN, number)) for number in range(30)]
        assert offered == 15
        assert sum(isinstance(answer, Admitted) for answer in said) == 15
        assert gate.room(MODEL, 0.0).calls == 0


@pytest.mark.parametrize(("seen", "calls"), [(None, 4), (SeenRates(limits=Limits(requests=60)), 4)])
def test_room_of_a_provider_just_met_is_the_slow_start(
    house: House, clock: Clock, seen: SeenRates | None, calls: int
) -> None:
    """With nothing known there is room for the first four calls, and headers alone do not change that."""
    with gates(house.broker_url, clock) as (gate,):
        assert gate.room(MODEL, 10).calls == calls
        gate.admit(PLAIN)
        gate.settle(PLAIN, usage=USAGE, failure=failed(FailureReason.CANCELLED), seen=seen)
        assert gate.room(MODEL, 10).calls == calls


def test_nothing_stays_for_ever_and_keys_do_not_grow_with_jobs(house: House, clock: Clock) -> None:
    """After 500 calls there is the same small number of keys as after one, each with a time to live, and no reservation
    is left in them."""
    ask = PLAIN.model_copy(update={"tenant_limits": Limits(requests=6000, concurrent=50)})
    with Redis.from_url(house.broker_url) as redis, gates(house.broker_url, clock) as (gate,):

        def keys() -> list[bytes]:
            return sorted(key for key in redis.scan_iter("{test-*}*") if b"digest" in key or b"acme" in key)

        others = keys()
        _call(gate, clock, numbered(ask, 0))
        one = [key for key in keys() if key not in others]
        for number in range(1, 501):
            _call(gate, clock, numbered(ask, number))
        many = [key for key in keys() if key not in others]
        assert many == one
        assert len(many) == 3
        assert all(0 < redis.ttl(key) <= 4000 for key in many)
        assert not [key for key in many if b"flight" in key or b"held" in key]


def _call(gate: Gate, clock: Clock, ask: Ask) -> None:
    assert isinstance(gate.admit(ask), Admitted)
    clock.now += 1
    gate.settle(ask, usage=USAGE, failure=None, seen=None)
