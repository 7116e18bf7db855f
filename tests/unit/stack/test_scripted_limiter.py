"""The scripted provider's limits are strict in every window, and waste nothing. The clock here is a number."""

from random import Random

import pytest

from stack.scripted.invoice import busiest
from stack.scripted.limiter import Limit, Limiter


def accepted(limiter: Limiter, moments: list[float], model: str = "m", input_tokens: int = 10) -> list[float]:
    """The moments at which a call was accepted."""
    return [now for now in moments if limiter.admit(model, input_tokens, now) is None]


@pytest.mark.parametrize("seed", range(20))
def test_no_window_holds_more_than_the_limit_and_none_goes_to_waste(seed: int) -> None:
    """Whenever calls come: at most fifty in any sixty seconds, and where enough are asked for, all fifty."""
    dice = Random(seed)
    moments = sorted(dice.uniform(0, 600) for _ in range(dice.choice([800, 3000])))
    taken = accepted(Limiter(Limit(requests_per_minute=50)), moments)
    assert busiest(taken, 60) == 50
    refused = sorted(set(moments) - set(taken))
    assert all(sum(now - 60 < at < now for at in taken) == 50 for now in refused)


def test_the_wait_that_is_said_is_the_wait_that_it_takes() -> None:
    """A call that comes back right then is accepted, and one that comes a moment sooner is not."""
    limiter = Limiter(Limit(requests_per_minute=2, minute=6))
    assert accepted(limiter, [100, 101, 102]) == [100, 101]
    refusal = limiter.admit("m", 10, 103)
    assert refusal is not None
    assert (refusal.what, limiter.retry_after(refusal)) == ("requests", 3)
    assert accepted(limiter, [105.99, 106, 106.01, 107]) == [106, 107]


def test_whole_seconds_are_said_of_whole_minutes() -> None:
    """As the real API does; rounded up, so that who obeys is not refused again."""
    limiter = Limiter(Limit(requests_per_minute=1))
    accepted(limiter, [0])
    refusal = limiter.admit("m", 10, 30.5)
    assert refusal is not None
    assert limiter.retry_after(refusal) == 30


def test_a_burst_is_bounded_where_one_is_set() -> None:
    """Within a sixtieth of a minute no more than that, though the minute has room."""
    moments = [second + part / 10 for second in range(10) for part in range(10)]
    taken = accepted(Limiter(Limit(requests_per_minute=50, burst=2)), moments)
    assert busiest(taken, 1) == 2
    assert len(taken) == 20


def test_input_tokens_are_counted_when_a_call_is_accepted() -> None:
    """A call that does not fit is refused until enough has left the window; one that never fits always."""
    limiter = Limiter(Limit(input_tokens_per_minute=100))
    assert limiter.admit("m", 60, 0) is None
    assert limiter.admit("m", 40, 10) is None
    refusal = limiter.admit("m", 50, 20)
    assert refusal is not None
    assert (refusal.what, refusal.seconds) == ("input-tokens", 40)
    assert limiter.admit("m", 50, 60) is None
    assert limiter.admit("m", 101, 1000) is not None


def test_output_tokens_are_counted_when_a_call_ends() -> None:
    """Nobody knows them before; once they are used up, nothing is accepted until they have left the window."""
    limiter = Limiter(Limit(output_tokens_per_minute=100))
    assert accepted(limiter, [0, 0, 0]) == [0, 0, 0]
    limiter.ended("m", 99, 5)
    assert accepted(limiter, [6]) == [6]
    limiter.ended("m", 70, 7)
    assert accepted(limiter, [8, 64.9, 65]) == [65]


def test_calls_at_a_time_are_counted_from_beginning_to_end() -> None:
    """A refused call holds no place."""
    limiter = Limiter(Limit(concurrent=2))
    assert accepted(limiter, [0, 1, 2, 3]) == [0, 1]
    limiter.ended("m", 7, 4)
    assert accepted(limiter, [5, 6]) == [5]


def test_each_model_has_windows_of_its_own() -> None:
    """As with the real API."""
    limiter = Limiter(Limit(requests_per_minute=1))
    assert accepted(limiter, [0, 1], "one") == [0]
    assert accepted(limiter, [2, 3], "two") == [2]


def test_the_headers_tell_of_the_windows_that_there_are() -> None:
    """Limit and what is left of it, never less than nothing; nothing at all where they are switched off."""
    limit = Limit(requests_per_minute=3, output_tokens_per_minute=5)
    limiter = Limiter(limit)
    accepted(limiter, [0, 1])
    limiter.ended("m", 9, 2)
    told = limiter.headers("m", 3)
    counts = {name.removeprefix("anthropic-ratelimit-"): told[name] for name in told if not name.endswith("-reset")}
    assert counts == {
        "requests-limit": "3",
        "requests-remaining": "1",
        "output-tokens-limit": "5",
        "output-tokens-remaining": "0",
    }
    assert Limiter(limit.model_copy(update={"headers": False})).headers("m", 3) == {}


@pytest.mark.parametrize(("moments", "most"), [([], 0), ([0], 1), ([0, 59.9, 60], 2), ([5, 3, 4, 64], 3)])
def test_the_busiest_window_excludes_its_end(moments: list[float], most: int) -> None:
    """Calls a whole window apart do not meet in one."""
    assert busiest(moments, 60) == most
