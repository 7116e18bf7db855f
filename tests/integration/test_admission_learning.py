"""Limits learned from a provider: half an hour of traffic in simulated time, on a real Valkey."""

import itertools
from functools import partial

import pytest

from admission.settings import GateSettings
from schemas.admission import Limits, SeenRates
from schemas.failure import FailureReason
from tests.admission_world import MODEL, PLAIN, USAGE, Clock, Provider, World, failed, gates, numbered
from tests.house import House


@pytest.fixture
def clock() -> Clock:
    """A clock that moves when told."""
    return Clock()


def between(start: float, end: float, reason: FailureReason, now: float) -> FailureReason | None:
    """A provider's bad spell."""
    return reason if start <= now < end else None


@pytest.mark.parametrize("seconds", [0.2, 10.0])
def test_a_limit_stated_in_headers_is_kept_and_used(house: House, clock: Clock, seconds: float) -> None:
    """Four processes under 50 requests a minute: never more than 50 in 60 seconds, at least 95 % of them from the second
    minute on, and refusals only before the first header was seen."""
    provider = Provider(requests=50, states_limits=True, states_retry=True, seconds=seconds)
    began = clock.now
    with gates(house.broker_url, clock, 4) as made:
        World(clock, made, provider, callers=40).run(1800)
    assert provider.fullest_minute() <= 50
    assert provider.per_minute(began + 60, clock.now) >= 0.95 * 50
    assert [at for at in provider.refused if at > began + 60] == []


@pytest.mark.parametrize("states_retry", [True, False])
@pytest.mark.parametrize("seconds", [1.0, 10.0])
def test_a_limit_nobody_states_is_found_by_refusals(
    house: House, clock: Clock, states_retry: bool, seconds: float
) -> None:
    """Without headers the limit of 50 is found from the calls that were answered; then 95 % of it is used and, from the
    fourth minute on, fewer than 1 % of the calls are refused and no 60 seconds hold more than 3 % above the limit."""
    provider = Provider(requests=50, states_retry=states_retry, seconds=seconds)
    began = clock.now
    with gates(house.broker_url, clock, 4) as made:
        World(clock, made, provider, callers=40).run(1800)
    assert provider.per_minute(began + 300, clock.now) >= 0.95 * 50
    assert len([at for at in provider.refused if at > began + 180]) < 0.01 * len(provider.starts)
    assert provider.fullest_minute(began + 180) <= 1.03 * 50


def test_a_limit_that_was_raised_is_found(house: House, clock: Clock) -> None:
    """A provider that takes 100 instead of 50 a minute is used to 80 % of that within twenty minutes."""
    provider = Provider(requests=50, states_retry=True, seconds=1)
    with gates(house.broker_url, clock, 4) as made:
        world = World(clock, made, provider, callers=40)
        world.run(600)
        provider.requests = 100
        world.run(1200)
    assert provider.per_minute(clock.now - 60, clock.now) >= 80


def test_a_limit_that_was_lowered_is_found(house: House, clock: Clock) -> None:
    """A provider that takes 50 instead of 1,000 a minute refuses fewer than one call in twenty ten minutes later."""
    provider = Provider(requests=1000, states_retry=True, seconds=1)
    with gates(house.broker_url, clock, 4) as made:
        world = World(clock, made, provider, callers=40)
        world.run(300)
        provider.requests = 50
        world.run(900)
    late = [at for at in provider.refused if at > clock.now - 300]
    assert provider.per_minute(clock.now - 300, clock.now) >= 0.9 * 50
    assert len(late) < 0.05 * 250


@pytest.mark.parametrize("states_retry", [True, False])
@pytest.mark.parametrize("states_limits", [True, False])
def test_after_a_storm_of_429s_the_limit_is_fully_used_within_a_minute(
    house: House, clock: Clock, states_limits: bool, states_retry: bool
) -> None:
    """Two minutes in which every call is refused cost few calls; from a minute after their end on, 90 % of 50 a minute
    are used again, as nearly as before."""
    began = clock.now
    storm = partial(between, began + 300, began + 420, FailureReason.RATE_LIMITED)
    provider = Provider(requests=50, states_limits=states_limits, states_retry=states_retry, weather=storm)
    with gates(house.broker_url, clock, 4) as made:
        World(clock, made, provider, callers=40).run(600)
    in_storm = [at for at in provider.refused if began + 300 <= at < began + 420]
    assert len(in_storm) <= 20
    assert provider.per_minute(began + 480, clock.now) >= 0.9 * 50


@pytest.mark.parametrize("reason", [FailureReason.RATE_LIMITED, FailureReason.OVERLOADED, FailureReason.UNREACHABLE])
def test_a_fast_provider_is_fully_used_within_a_minute_of_its_recovery(
    house: House, clock: Clock, reason: FailureReason
) -> None:
    """Two minutes of nothing but failures end a traffic of 1,200 calls a minute; it is back a minute after them, and
    hardly any calls were wasted meanwhile."""
    began = clock.now
    provider = Provider(weather=partial(between, began + 120, began + 240, reason))
    with gates(house.broker_url, clock, 4) as made:
        World(clock, made, provider, callers=20).run(400)
    assert len(provider.refused) + len(provider.failures) < 100
    assert provider.per_minute(began + 300, clock.now) >= 0.9 * 1200


@pytest.mark.parametrize("states_retry", [True, False])
@pytest.mark.parametrize("refused", [1, 2])
@pytest.mark.parametrize("start", [3, 15])
def test_a_storm_soon_after_the_start_is_not_taken_for_a_limit(
    house: House, clock: Clock, start: int, refused: int, states_retry: bool
) -> None:
    """Six seconds of 429s, to all calls or every other one, seconds after the first call: no limit is learned from so short a
    traffic, and 20 seconds later all of 40 calls a second are made again."""
    began = clock.now
    counter = itertools.count()

    def storm(now: float) -> FailureReason | None:
        stormy = began + start <= now < began + start + 6 and next(counter) % refused == 0
        return FailureReason.RATE_LIMITED if stormy else None

    provider = Provider(weather=storm, states_retry=states_retry, seconds=0.5)
    with gates(house.broker_url, clock, 4) as made:
        World(clock, made, provider, callers=20).run(start + 46)
    assert provider.refused
    assert provider.per_minute(began + start + 26, clock.now) >= 0.95 * 2400


@pytest.mark.parametrize("share", [1, 2])
def test_seconds_of_overload_are_over_after_seconds(house: House, clock: Clock, share: int) -> None:
    """Six seconds of 529 to all or half of the calls: 15 seconds later 40 calls a second are made again."""
    began = clock.now
    counter = itertools.count()

    def storm(now: float) -> FailureReason | None:
        stormy = began + 10 <= now < began + 16 and next(counter) % share == 0
        return FailureReason.OVERLOADED if stormy else None

    provider = Provider(weather=storm, seconds=0.5)
    with gates(house.broker_url, clock, 4) as made:
        World(clock, made, provider, callers=20).run(50)
    assert provider.failures
    assert provider.per_minute(began + 31, clock.now) >= 0.95 * 2400


def test_a_provider_that_always_asks_for_a_second_is_not_asked_every_second(house: House, clock: Clock) -> None:
    """A limit of 50 a minute behind a ``retry-after`` of 1 that means nothing: it is found all the same."""
    provider = Provider(requests=50, retry=1.0, states_retry=True)
    began = clock.now
    with gates(house.broker_url, clock, 4) as made:
        World(clock, made, provider, callers=40).run(900)
    assert provider.per_minute(began + 300, clock.now) >= 0.95 * 50
    assert len([at for at in provider.refused if at > began + 180]) < 0.01 * len(provider.starts)


def test_a_bad_spell_of_half_the_calls_does_not_lower_the_limit_for_long(house: House, clock: Clock) -> None:
    """Two minutes in which every other call is refused look like a lower limit; the old one is recalled within a
    minute and a half after them."""
    began = clock.now
    counter = iter(range(10**9))

    def every_other(now: float) -> FailureReason | None:
        return FailureReason.RATE_LIMITED if began + 120 <= now < began + 240 and next(counter) % 2 else None

    provider = Provider(weather=every_other)
    with gates(house.broker_url, clock, 4) as made:
        World(clock, made, provider, callers=20).run(420)
    assert provider.per_minute(began + 330, clock.now) >= 0.9 * 1200


def test_others_with_the_same_key_leave_us_the_rest(house: House, clock: Clock) -> None:
    """While strangers take 30 of 50 a minute we go on with most of the other 20, and when they are gone we have all 50
    again within two minutes."""
    began = clock.now
    provider = Provider(
        requests=50, states_limits=True, others=lambda now: 30 if began + 300 <= now < began + 900 else 0
    )
    with gates(house.broker_url, clock, 4) as made:
        World(clock, made, provider, callers=40).run(1200)
    assert provider.per_minute(began + 360, began + 900) >= 0.75 * 20
    assert provider.per_minute(began + 1020, clock.now) >= 0.95 * 50


def test_calls_at_a_time_find_the_providers_own_limit(house: House, clock: Clock) -> None:
    """A provider that answers 529 to more than 20 calls at a time is used to 70 % or more, with fewer than 1 % of the
    calls refused."""
    provider = Provider(concurrent=20)
    began = clock.now
    with gates(house.broker_url, clock, 4) as made:
        World(clock, made, provider, callers=30).run(300)
    assert provider.per_minute(began + 60, clock.now) >= 0.7 * 1200
    assert len(provider.failures) < 0.01 * len(provider.starts)


def test_slow_start_doubles_with_every_round(house: House, clock: Clock) -> None:
    """Calls at a time to an unknown provider double with every round of answers, from 4 on."""
    provider = Provider(seconds=1)
    peaks = []
    with gates(house.broker_url, clock, 2) as made:
        world = World(clock, made, provider, callers=60)
        for seconds in (0.5, 1, 1, 1, 1, 1):  # looked at between the rounds
            world.run(seconds)
            peaks.append(provider.peak)
    assert peaks[0] == 4
    assert 4 < peaks[1] <= 8
    assert peaks[5] >= 32


def test_retry_after_pauses_all_workers_and_is_not_believed_beyond_ten_minutes(house: House, clock: Clock) -> None:
    """Nothing of the model starts on any worker before what the provider asked for; an hour counts as ten minutes."""
    with gates(house.broker_url, clock, 2) as (one, other):
        one.admit(numbered(PLAIN, 1))
        one.settle(numbered(PLAIN, 1), usage=None, failure=failed(FailureReason.RATE_LIMITED, 3600), seen=None)
        assert other.room(MODEL, 500).calls == 0
        assert other.snapshot()[0].paused_seconds == pytest.approx(600)
        clock.now += 601
        assert other.room(MODEL, 1).calls != 0


def test_stated_limits_show_and_a_configured_one_caps_them(house: House, clock: Clock) -> None:
    """What headers state becomes the window; a lower configured limit stays."""
    settings = GateSettings(limits={"*": Limits(input_tokens=5000)})
    with gates(house.broker_url, clock, settings=settings) as (gate,):
        gate.admit(numbered(PLAIN, 1))
        seen = SeenRates(limits=Limits(requests=100, input_tokens=9000, output_tokens=8000))
        gate.settle(numbered(PLAIN, 1), usage=USAGE, failure=None, seen=seen)
        gate.admit(numbered(PLAIN, 2))
        state = gate.snapshot()[0]
    assert {window.window: window.limit for window in state.windows} == {
        "requests": 100,
        "input_tokens": 5000,
        "output_tokens": 8000,
    }
    assert state.learned


def test_learned_limits_are_forgotten_when_nothing_confirms_them(house: House, clock: Clock) -> None:
    """Ten minutes after the last header the limit is unknown again."""
    with gates(house.broker_url, clock) as (gate,):
        gate.admit(numbered(PLAIN, 1))
        seen = SeenRates(limits=Limits(requests=1))
        gate.settle(numbered(PLAIN, 1), usage=USAGE, failure=None, seen=seen)
        assert gate.room(MODEL, 0).calls == 1
        clock.now += 601
        assert (gate.room(MODEL, 0).calls or 0) > 1
