"""A gate without Redis: one process decides alone, from its share."""

import pytest

from admission.ending import Kind, ending_of
from admission.gate import Gate
from admission.provider import provider_digest
from admission.settings import GateSettings
from schemas.admission import Abandoned, Admitted, Limits, NotNow, SeenRates
from schemas.failure import FailureReason
from schemas.usage import Usage
from tests.admission_world import MODEL, PLAIN, USAGE, Clock, Provider, World, failed, numbered


def alone(clock: Clock, *, processes: int = 1, **limits: int) -> Gate:
    """A gate of one process with configured limits."""
    return Gate(None, "digest", GateSettings(limits={"*": Limits(**limits)}), lambda: processes, clock=clock)


@pytest.mark.parametrize("limit", [1, 2, 7, 50, 400])
def test_no_minute_holds_more_than_the_limit(limit: int) -> None:
    """However many ask, no 60 seconds hold more starts than the limit, and most of it is used."""
    clock, provider = Clock(), Provider(seconds=0.3)
    began = clock.now
    World(clock, [alone(clock, requests=limit, concurrent=100)], provider, callers=20).run(1200)
    assert provider.fullest_minute() <= limit
    assert provider.per_minute(began + 120, clock.now) >= 0.95 * limit


def test_each_process_keeps_to_its_share_rounded_up() -> None:
    """Three processes that know of each other take 50 a minute as 17 each: 51 together."""
    clock, provider = Clock(), Provider(seconds=0.3)
    made = [alone(clock, processes=3, requests=50, concurrent=90) for _ in range(3)]
    World(clock, made, provider, callers=30).run(600)
    assert 45 <= provider.fullest_minute() <= 51


def test_the_share_follows_the_number_of_processes() -> None:
    """A process that is left alone takes the whole limit; when the others cannot be counted, the last count stands."""
    clock, live = Clock(), [2]
    gate = Gate(None, "digest", GateSettings(limits={"*": Limits(requests=100)}), lambda: live[0], clock=clock)

    def share() -> int:
        clock.now += 2
        gate.room(MODEL, 1)
        return gate.snapshot()[0].windows[0].limit

    assert share() == 50
    live[0] = 1
    assert share() == 100
    live.clear()
    assert share() == 100


def test_calls_at_a_time_are_shared_out_and_come_back_with_their_end() -> None:
    """Of 5 calls at a time, one of two processes makes 3; the fourth may start when one has ended."""
    clock = Clock()
    gate = alone(clock, processes=2, concurrent=5)
    asks = [numbered(PLAIN, number) for number in range(4)]
    assert [isinstance(gate.admit(ask), Admitted) for ask in asks] == [True, True, True, False]
    gate.settle(asks[0], usage=USAGE, failure=None, seen=None)
    assert isinstance(gate.admit(asks[3]), Admitted)


def test_a_call_that_was_never_ended_frees_its_place_when_it_expires() -> None:
    """A reservation ends by itself after its seconds."""
    clock = Clock()
    gate = alone(clock, concurrent=1)
    assert isinstance(gate.admit(numbered(PLAIN, 1)), Admitted)
    assert isinstance(gate.admit(numbered(PLAIN, 2)), NotNow)
    clock.now += PLAIN.expires_seconds + 1
    assert isinstance(gate.admit(numbered(PLAIN, 2)), Admitted)


def test_an_abandoned_call_of_this_process_frees_its_place() -> None:
    """Without Redis a process can free only what it holds itself; calls of others are none of its own."""
    clock = Clock()
    gate = alone(clock, concurrent=1)
    assert isinstance(gate.admit(numbered(PLAIN, 1)), Admitted)
    gate.abandon([Abandoned(attempt="job:9:1", model=MODEL, tenant="acme")])
    assert isinstance(gate.admit(numbered(PLAIN, 2)), NotNow)
    gate.abandon([Abandoned(attempt="job:1:1", model=MODEL, tenant="acme")])
    assert isinstance(gate.admit(numbered(PLAIN, 2)), Admitted)


def test_the_breaker_opens_and_one_probe_at_a_time_closes_it() -> None:
    """Five failures open it; one probe passes when its time has come, and its success lets all pass again."""
    clock = Clock()
    gate = alone(clock, concurrent=10)
    for number in range(5):
        ask = numbered(PLAIN, number)
        assert isinstance(gate.admit(ask), Admitted)
        gate.settle(ask, usage=None, failure=failed(FailureReason.UNREACHABLE), seen=None)
    refused = gate.admit(numbered(PLAIN, 10))
    assert isinstance(refused, NotNow)
    assert refused.outage
    assert gate.room(MODEL, 1).calls == 0
    clock.now += 5.1
    assert gate.room(MODEL, 1).calls == 1
    assert gate.admit(numbered(PLAIN, 11)) == Admitted(probe=True)
    assert isinstance(gate.admit(numbered(PLAIN, 12)), NotNow)
    gate.settle(numbered(PLAIN, 11), usage=USAGE, failure=None, seen=None)
    assert gate.admit(numbered(PLAIN, 12)) == Admitted()
    assert gate.snapshot()[0].breaker == "closed"


def test_retry_after_pauses_the_model() -> None:
    """After a 429 that asks for 30 seconds nothing starts before them."""
    clock = Clock()
    gate = alone(clock)
    gate.admit(numbered(PLAIN, 1))
    gate.settle(numbered(PLAIN, 1), usage=None, failure=failed(FailureReason.RATE_LIMITED, 30), seen=None)
    assert gate.admit(numbered(PLAIN, 2)) == NotNow(
        seconds=30, outage=False, detail=f"the provider asked for a pause of all calls to {MODEL}"
    )
    clock.now += 30
    assert isinstance(gate.admit(numbered(PLAIN, 2)), Admitted)


def test_limits_in_headers_are_shared_out_and_never_lift_a_configured_one() -> None:
    """Headers that state 100 requests and 4,000 input tokens make windows of 50 and 500 for two processes whose operator
    allows 1,000 input tokens."""
    clock = Clock()
    gate = alone(clock, processes=2, input_tokens=1000)
    gate.admit(PLAIN)
    seen = SeenRates(limits=Limits(requests=100, input_tokens=4000))
    gate.settle(PLAIN, usage=USAGE, failure=None, seen=seen)
    assert [(window.window, window.limit) for window in gate.snapshot()[0].windows] == [
        ("requests", 50),
        ("input_tokens", 500),
    ]


def test_a_limit_of_zero_lets_nothing_pass() -> None:
    """A tenant whose operator allows no requests is sent away, and other tenants are not."""
    clock = Clock()
    gate = alone(clock)
    closed = numbered(PLAIN, 1, tenant_limits=Limits(requests=0))
    refused = gate.admit(closed)
    assert isinstance(refused, NotNow)
    assert refused.detail == "tenant acme is at its limit of requests per minute"
    assert isinstance(gate.admit(numbered(PLAIN, 2, tenant="other")), Admitted)


def test_what_was_taken_for_a_call_never_made_comes_back() -> None:
    """A large call fills the minute for the next; given up, it leaves room for it at once."""
    clock = Clock()
    gate = alone(clock, requests=50, input_tokens=6000)
    assert gate.admit(numbered(PLAIN, 1, input_tokens=5000)) == Admitted()
    assert isinstance(gate.admit(numbered(PLAIN, 2)), NotNow)
    gate.give_up("job:1:1")
    assert gate.admit(numbered(PLAIN, 2)) == Admitted()


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (None, Kind.ANSWERED),
        (FailureReason.RATE_LIMITED, Kind.LIMITED),
        (FailureReason.OVERLOADED, Kind.OVERLOADED),
        (FailureReason.TIMEOUT, Kind.BROKEN),
        (FailureReason.UNREACHABLE, Kind.BROKEN),
        (FailureReason.CANCELLED, Kind.UNTOLD),
        (FailureReason.REFUSED, Kind.ANSWERED),
        (FailureReason.BAD_REQUEST, Kind.ANSWERED),
        (FailureReason.BUDGET_EXHAUSTED, Kind.NOT_MADE),
    ],
)
def test_what_an_end_says_about_the_provider(failure: FailureReason | None, kind: Kind) -> None:
    """Only what the provider did counts against it: an answer we do not like still is one."""
    assert ending_of(None, failed(failure) if failure else None, None).kind is kind


def test_cached_input_is_not_charged() -> None:
    """A provider's window bears fresh and newly cached input, not what was read from its cache."""
    usage = Usage(input_tokens=10, cache_write_tokens=5, cache_read_tokens=1000, output_tokens=3)
    assert ending_of(usage, None, None).used == {"input_tokens": 15, "output_tokens": 3}


def test_the_providers_name_in_redis_tells_no_key() -> None:
    """Another key or address is another account; the name holds neither."""
    name = provider_digest("https://api.example/", "sk-secret")
    assert name == provider_digest("https://api.example", "sk-secret")
    assert len({name, provider_digest("https://api.example", "sk-other"), provider_digest("https://b", None)}) == 3
    assert "secret" not in name
