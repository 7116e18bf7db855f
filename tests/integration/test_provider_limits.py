"""The scripted provider as a rate-limited one and in a storm, over real HTTP; minutes are short here."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from orchestration.abort import Abort
from orchestration.provider import AnthropicProvider
from schemas.admission import Limits, SeenRates
from schemas.attempt import BrokenCall, Reply
from schemas.failure import Failure
from schemas.failure import FailureReason as Reason
from stack.scripted import ScriptedProvider, plays
from stack.scripted.invoice import busiest
from tests.house import eventually
from tests.integration.test_provider_scripted import GOOD, ask
from tests.unit.orchestration.parts import call, settings, soon


@pytest.fixture
def scripted() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture
def provider(scripted: ScriptedProvider) -> Iterator[AnthropicProvider]:
    made = AnthropicProvider(settings(scripted.url, call_seconds=60))
    yield made
    made.close()


def statuses(scripted: ScriptedProvider, count: int, **changes: Any) -> list[int]:
    return [ask(f"{scripted.url}/v1/messages", {**GOOD, **changes})[0] for _ in range(count)]


def test_callers_without_restraint_get_no_more_than_the_limit(
    scripted: ScriptedProvider, provider: AnthropicProvider
) -> None:
    """Eight threads that ask without a pause: in no minute more than the limit is accepted, and nothing is refused
    before a minute's calls are used up."""
    minute = 1.0
    with scripted.limit(requests_per_minute=20, minute=minute):
        until = time.monotonic() + 4 * minute
        outcomes: list[Reply | BrokenCall] = []

        def hammer() -> None:
            while time.monotonic() < until:
                outcomes.append(provider.send(call(), deadline=soon()))

        threads = [threading.Thread(target=hammer) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    arrivals = scripted.arrivals()
    taken = [arrival.at for arrival in arrivals if arrival.status == 200]
    assert len(taken) == sum(isinstance(outcome, Reply) for outcome in outcomes)
    assert {arrival.status for arrival in arrivals} == {200, 429}
    refused = [arrival.at for arrival in arrivals if arrival.status == 429]
    assert busiest(taken, minute) == 20
    assert {sum(now - minute < at < now for at in taken) for now in refused} == {20}


def test_the_answers_tell_of_the_limits(scripted: ScriptedProvider, provider: AnthropicProvider) -> None:
    """Both replies and refusals carry limits and what is left; a refusal says in how long there is room again."""
    with scripted.limit(requests_per_minute=2, input_tokens_per_minute=1000, minute=30):
        first, second, third = (provider.send(call(), deadline=soon()) for _ in range(3))
    assert isinstance(first, Reply)
    assert first.rates == SeenRates(
        limits=Limits(requests=2, input_tokens=1000),
        requests_remaining=1,
        input_tokens_remaining=1000 - first.usage.input_tokens,
    )
    assert second.rates is not None
    assert second.rates.requests_remaining == 0
    assert isinstance(third, BrokenCall)
    assert third.failure.reason is Reason.RATE_LIMITED
    assert third.failure.retry_after is not None
    assert 0 < third.failure.retry_after <= 30
    assert third.rates == second.rates
    assert (third.usage, third.raw["body"]["error"]["type"]) == (None, "rate_limit_error")


def test_who_waits_as_told_is_let_in(scripted: ScriptedProvider, provider: AnthropicProvider) -> None:
    """retry-after is true."""
    with scripted.limit(requests_per_minute=1, minute=0.3):
        assert isinstance(provider.send(call(), deadline=soon()), Reply)
        refused = provider.send(call(), deadline=soon())
        assert isinstance(refused, BrokenCall)
        time.sleep(refused.failure.retry_after or 0)
        assert isinstance(provider.send(call(), deadline=soon()), Reply)


def test_a_provider_may_keep_its_limits_to_itself(scripted: ScriptedProvider, provider: AnthropicProvider) -> None:
    """Without the headers only the refusals tell of a limit, and outside of the block there is none."""
    with scripted.limit(requests_per_minute=1, headers=False):
        replied, refused = (provider.send(call(), deadline=soon()) for _ in range(2))
        assert (replied.rates, refused.rates) == (None, None)
        assert isinstance(refused, BrokenCall)
        assert refused.failure.retry_after is not None
    assert isinstance(provider.send(call(), deadline=soon()), Reply)


def test_calls_at_a_time_are_limited(scripted: ScriptedProvider, provider: AnthropicProvider) -> None:
    """A call that hangs holds its place until its caller goes away."""
    scripted.play(plays.hang(), plays.answer())
    abort = Abort()
    with scripted.limit(concurrent=1):
        waiting = threading.Thread(target=lambda: provider.send(call(), deadline=soon(60), abort=abort))
        waiting.start()
        eventually(scripted.calls, "the first call is under way")
        assert statuses(scripted, 1, model="model-s") == [429]
        abort.set(Failure(reason=Reason.CANCELLED, detail="The job was cancelled."))
        waiting.join()
        eventually(lambda: statuses(scripted, 1, model="model-s") == [200], "there is room again")


def test_limits_are_set_and_lifted_over_http(scripted: ScriptedProvider) -> None:
    """From any language; nonsense is refused; a reset empties the windows and leaves the limit."""
    nonsense: list[object] = [{"requests_per_minute": 0}, {"requests_per_hour": 1}, [], {"minute": -1}]
    for bad in nonsense:
        assert ask(f"{scripted.url}/_limit", bad)[0] == 400
    assert ask(f"{scripted.url}/_limit", {"requests_per_minute": 1})[0] == 200
    assert statuses(scripted, 2) == [200, 429]
    assert [one["status"] for one in ask(f"{scripted.url}/_arrivals")[1]] == [200, 429]
    assert ask(f"{scripted.url}/_reset", {})[0] == 200
    assert statuses(scripted, 2) == [200, 429]
    assert ask(f"{scripted.url}/_limit", method="DELETE")[0] == 200
    assert statuses(scripted, 2) == [200, 200]


def test_a_process_of_its_own_has_limits_too() -> None:
    """As its options say, with and without headers; a limit of nothing is refused."""
    command = [sys.executable, "-m", "stack.scripted", "--requests-per-minute", "1", "--no-rate-headers"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        assert [ask(f"{url}/v1/messages", GOOD)[0] for _ in range(2)] == [200, 429]
        process.terminate()
        assert process.wait(10) == 0
    refused = subprocess.run([*command[:3], "--burst", "0"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "a whole number from 1" in refused.stderr


def test_a_storm_strikes_all_calls_in_turn_and_passes(scripted: ScriptedProvider) -> None:
    """Its plays go before the rules', which go on afterwards where they were."""
    scripted.play(plays.status(400))
    with scripted.storm(plays.status(529), plays.status(500)):
        assert statuses(scripted, 5) == [529, 500, 529, 500, 529]
    assert statuses(scripted, 2) == [400, 400]
    assert [charge["rule"] for charge in scripted.invoice()] == ["storm"] * 5 + [""] * 2


def test_a_seed_strikes_the_same_calls(scripted: ScriptedProvider) -> None:
    """About its share of them: with this seed the same ones each time, with another one others."""
    struck = []
    for seed in (7, 7, 8):
        with scripted.storm(plays.status(529), share=0.4, seed=seed):
            struck.append(statuses(scripted, 100))
    assert struck[0] == struck[1] != struck[2]
    assert 25 <= struck[0].count(529) <= 55


def test_storms_begin_and_end_over_http(scripted: ScriptedProvider) -> None:
    """From any language; nonsense is refused and changes nothing."""
    nonsense: list[object] = [
        {},
        {"plays": []},
        {"plays": [{"play": "tuba"}]},
        {"plays": [plays.html()], "share": 2},
        {"plays": [plays.html()], "seed": "x"},
        {"plays": [plays.html()], "wind": 12},
    ]
    for bad in nonsense:
        assert ask(f"{scripted.url}/_storm", bad)[0] == 400
    assert statuses(scripted, 1) == [200]
    assert ask(f"{scripted.url}/_storm", {"plays": [plays.status(503)], "share": 1, "seed": 3})[0] == 200
    assert statuses(scripted, 2) == [503, 503]
    assert ask(f"{scripted.url}/_storm", method="DELETE")[0] == 200
    assert statuses(scripted, 1) == [200]


def test_a_wait_until_a_date_is_read_by_the_providers_clock(
    scripted: ScriptedProvider, provider: AnthropicProvider
) -> None:
    """A provider whose clock is an hour ahead, or behind, asks for as long a wait as any other."""
    for clock in (-3600, 3600):
        scripted.reset()
        scripted.play(plays.status(503, retry_after=30, form="date", clock=clock))
        broken = provider.send(call(), deadline=soon())
        assert isinstance(broken, BrokenCall)
        assert broken.failure.retry_after == pytest.approx(30, abs=2)
