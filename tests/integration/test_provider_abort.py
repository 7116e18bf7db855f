"""A call under way ends at once when another thread says so, wherever it blocks, and leaves nothing behind.

No call here would end by itself within a test's time: that a result comes at all is the proof that the abort ended it.
"""

import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orchestration.abort import Abort
from orchestration.provider import AnthropicProvider
from schemas.attempt import BrokenCall, Reply
from schemas.failure import Failure
from schemas.failure import FailureReason as Reason
from schemas.usage import Usage
from stack.scripted import ScriptedProvider, plays
from tests.house import eventually
from tests.unit.orchestration.parts import call, settings, soon

CANCELLED = Failure(reason=Reason.CANCELLED, detail="The job was cancelled.")
A_LONG_TIME = 600.0

TLS_KEY_AND_CERTIFICATE = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjk42V6tYpY8QZyMX
f/YCYrG+BbJ5+mY02FrM2qc9oHOhRANCAATsE7rmmKxUYGiGrche14clyCAlA7Ja
qpds6wPrpBnNcKR4/Ig4X5JxKB+021w0KfcVk8CZShae+qXGxuMa/z8d
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBZTCCAQugAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwHhcNMjAwMTAxMDAwMDAwWhcNNDkxMjMxMjM1OTU5WjAUMRIwEAYDVQQDDAls
b2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATsE7rmmKxUYGiGrche
14clyCAlA7Jaqpds6wPrpBnNcKR4/Ig4X5JxKB+021w0KfcVk8CZShae+qXGxuMa
/z8do04wTDAaBgNVHREEEzARhwR/AAABgglsb2NhbGhvc3QwDwYDVR0TAQH/BAUw
AwEB/zAdBgNVHQ4EFgQULgng4oEBLFRs38/08higM7YyYfMwCgYIKoZIzj0EAwID
SAAwRQIhAPCyTriUnQ96fmGJaOrF989+3ebm/wcLEuGmdgBDLTVvAiBikX1DRk70
JKDBx6vdwEf2ACSgq3NGnsp4OR9HChGCxw==
-----END CERTIFICATE-----
"""
"""Made for 127.0.0.1 and these tests alone; valid from 2020 to 2049."""


@pytest.fixture(params=["http", "https"])
def scripted(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ScriptedProvider]:
    """A provider, over TLS too."""
    tls = None
    if request.param == "https":
        pem = tmp_path / "localhost.pem"
        pem.write_text(TLS_KEY_AND_CERTIFICATE)
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(pem)
    with ScriptedProvider(tls=tls) as running:
        yield running


@contextmanager
def patient(url: str, **changes: Any) -> Iterator[AnthropicProvider]:
    """A provider whose own limits never end a call."""
    made = AnthropicProvider(settings(url, call_seconds=A_LONG_TIME, **changes))
    yield made
    made.close()


@pytest.fixture
def provider(scripted: ScriptedProvider) -> Iterator[AnthropicProvider]:
    with patient(scripted.url) as made:
        yield made


@pytest.fixture
def elsewhere() -> Iterator[ThreadPoolExecutor]:
    """The threads in which calls are made."""
    with ThreadPoolExecutor() as pool:
        yield pool


def aborted(calling: "Future[Reply | BrokenCall]", abort: Abort) -> BrokenCall:
    """Abort a call under way and see what comes of it."""
    assert not calling.done()
    abort.set(CANCELLED)
    broken = calling.result(timeout=60)
    assert isinstance(broken, BrokenCall)
    assert broken.failure == CANCELLED
    return broken


def has_calls(scripted: ScriptedProvider, count: int) -> bool:
    return len(scripted.calls()) >= count


def test_a_call_that_waits_for_its_first_byte(
    scripted: ScriptedProvider, provider: AnthropicProvider, elsewhere: ThreadPoolExecutor
) -> None:
    """Blocked in a read without a byte: it ends with the abort's reason, and nothing is known of tokens."""
    scripted.play(plays.hang(), plays.answer())
    abort = Abort()
    calling = elsewhere.submit(provider.send, call(), deadline=soon(A_LONG_TIME), abort=abort)
    eventually(scripted.calls, "the provider has the request")
    broken = aborted(calling, abort)
    assert (broken.status, broken.usage, broken.raw) == (None, None, {})
    assert isinstance(provider.send(call(), deadline=soon()), Reply)


def test_a_call_in_the_middle_of_its_answer(
    scripted: ScriptedProvider, provider: AnthropicProvider, elsewhere: ThreadPoolExecutor
) -> None:
    """The part that had arrived is kept, with the tokens told of: all of the input, of the output the first."""
    scripted.play(plays.drip(0.02, 16), plays.answer())
    abort, begun = Abort(), threading.Event()
    calling = elsewhere.submit(
        provider.send, call(), deadline=soon(A_LONG_TIME), on_text=lambda _: begun.set(), abort=abort
    )
    assert begun.wait(60)
    broken = aborted(calling, abort)
    assert broken.raw["partial"]["content"][0]["text"].startswith("{")
    assert broken.status == 200
    assert broken.model == "model-s"
    assert broken.request_id == scripted.invoice()[0]["request_id"]
    whole = provider.send(call(), deadline=soon())
    assert isinstance(whole, Reply)
    assert broken.usage == Usage(input_tokens=whole.usage.input_tokens, output_tokens=1)


def test_an_aborted_connection_is_not_used_again(scripted: ScriptedProvider, elsewhere: ThreadPoolExecutor) -> None:
    """One client with one slot: ten aborted calls, each followed by one that must not meet their connections."""
    scripted.play(*[plays.hang(), plays.answer()] * 10)
    with patient(scripted.url, worker_slots=1, calls_per_client=1) as provider:
        for number in range(10):
            abort = Abort()
            calling = elsewhere.submit(provider.send, call(), deadline=soon(A_LONG_TIME), abort=abort)
            eventually(partial(has_calls, scripted, 2 * number + 1), "the provider has the request")
            aborted(calling, abort)
            assert isinstance(provider.send(call(), deadline=soon()), Reply)


@pytest.mark.parametrize("scripted", ["http"], indirect=True)
def test_an_abort_beforehand_sends_nothing(scripted: ScriptedProvider, provider: AnthropicProvider) -> None:
    """The call is not made."""
    abort = Abort()
    abort.set(CANCELLED)
    broken = provider.send(call(), deadline=soon(), abort=abort)
    assert isinstance(broken, BrokenCall)
    assert broken.failure == CANCELLED
    assert scripted.calls() == []


def test_an_abort_afterwards_changes_nothing(scripted: ScriptedProvider, provider: AnthropicProvider) -> None:
    """The reply stands, and the connection, which is idle or another call's by then, is left alone."""
    abort = Abort()
    assert isinstance(provider.send(call(), deadline=soon(), abort=abort), Reply)
    abort.set(CANCELLED)
    assert isinstance(provider.send(call(), deadline=soon()), Reply)


@pytest.mark.parametrize("scripted", ["http"], indirect=True)
def test_other_calls_go_on(
    scripted: ScriptedProvider, provider: AnthropicProvider, elsewhere: ThreadPoolExecutor
) -> None:
    """Of two calls under way through one client, an abort ends its own; one abort may also end many calls."""
    scripted.play(plays.hang())
    aborts = [Abort(), Abort(), Abort()]
    calling = [
        elsewhere.submit(provider.send, call(), deadline=soon(A_LONG_TIME), abort=abort)
        for abort in [*aborts, aborts[2]]
    ]
    eventually(lambda: len(scripted.calls()) == 4, "the provider has all requests")
    aborted(calling[1], aborts[1])
    assert not calling[0].done()
    aborted(calling[2], aborts[2])
    aborted_too = calling[3].result(timeout=60)
    assert isinstance(aborted_too, BrokenCall)
    assert aborted_too.failure == CANCELLED
    assert not calling[0].done()
    aborted(calling[0], aborts[0])


@pytest.mark.parametrize("scripted", ["http"], indirect=True)
def test_more_calls_than_slots_are_aborted_too(scripted: ScriptedProvider, elsewhere: ThreadPoolExecutor) -> None:
    """A call beyond the number that the clients were made for waits for nobody: it is made, and ends like the others."""
    scripted.play(plays.hang())
    with patient(scripted.url, worker_slots=1, calls_per_client=1) as provider:
        aborts = [Abort() for _ in range(3)]
        calling = [elsewhere.submit(provider.send, call(), deadline=soon(A_LONG_TIME), abort=abort) for abort in aborts]
        eventually(lambda: len(scripted.calls()) == 3, "the provider has all requests")
        for one, abort in zip(calling, aborts, strict=True):
            aborted(one, abort)


@contextmanager
def deaf_listener() -> Iterator[socket.socket]:
    """Takes connections and never says a word; nothing accepts by itself, so its queue can be filled."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        yield listener


def address(scheme: str, listener: socket.socket) -> str:
    return f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def full_listener() -> Iterator[socket.socket]:
    """Its queue is full: further connections get no answer at all."""
    with deaf_listener() as listener:
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield listener
        for one in waiting:
            one.close()


@contextmanager
def silent_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A name service that does not answer before it is let go. (No real one can be had that hangs on demand.)"""
    asked, go = threading.Event(), threading.Event()
    really = socket.getaddrinfo

    def lookup(host: Any, *more: Any, **named: Any) -> Any:
        if host == "slow.test":
            asked.set()
            go.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return really(host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    yield asked
    go.set()


def connecting() -> bool:
    return any(thread.name == "connect" for thread in threading.enumerate())


def test_a_call_whose_connection_gets_no_answer(elsewhere: ThreadPoolExecutor) -> None:
    """Blocked while connecting."""
    with full_listener() as full, patient(address("http", full)) as provider:
        abort = Abort()
        calling = elsewhere.submit(provider.send, call(), deadline=soon(A_LONG_TIME), abort=abort)
        eventually(connecting, "the call connects")
        assert aborted(calling, abort).status is None


def test_a_call_whose_name_is_not_found(elsewhere: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocked while looking a name up, which nothing in the system's own interface can end."""
    with silent_resolver(monkeypatch) as asked, patient("http://slow.test") as provider:
        abort = Abort()
        calling = elsewhere.submit(provider.send, call(), deadline=soon(A_LONG_TIME), abort=abort)
        assert asked.wait(60)
        assert aborted(calling, abort).status is None


def test_a_call_whose_handshake_is_stuck(elsewhere: ThreadPoolExecutor) -> None:
    """Blocked while TLS is agreed on."""
    with deaf_listener() as deaf, patient(address("https", deaf)) as provider:
        abort = Abort()
        calling = elsewhere.submit(provider.send, call(), deadline=soon(A_LONG_TIME), abort=abort)
        connection, _ = deaf.accept()
        with connection:
            assert connection.recv(1), "the handshake has begun"
            assert aborted(calling, abort).status is None


@pytest.mark.parametrize("stuck", ["connect", "lookup", "handshake", "upload"])
def test_the_deadline_ends_it_wherever_it_is_stuck(stuck: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a connect without an answer, a hung name lookup, a stuck handshake nor a prompt that nobody takes keeps a
    call beyond its deadline, which is shorter here than every limit of its own."""
    long_text = [{"role": "user", "content": "word " * 4_000_000}]
    with (
        full_listener() as full,
        deaf_listener() as deaf,
        silent_resolver(monkeypatch),
        patient(
            {
                "connect": address("http", full),
                "lookup": "http://slow.test",
                "handshake": address("https", deaf),
                "upload": address("http", deaf),
            }[stuck]
        ) as provider,
    ):
        asked = call(messages=long_text) if stuck == "upload" else call()
        broken = provider.send(asked, deadline=soon(0.5))
        assert isinstance(broken, BrokenCall)
        assert (broken.failure.reason, broken.status) == (Reason.TIMEOUT, None)


def test_a_connect_without_an_answer_is_given_up_before_the_call_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is unreachable, which is worth another try, and no timeout, which is not."""
    monkeypatch.setattr("orchestration.provider.CONNECT_SECONDS", 0.3)
    with full_listener() as full, patient(address("http", full)) as provider:
        broken = provider.send(call(), deadline=soon(A_LONG_TIME))
        assert isinstance(broken, BrokenCall)
        assert broken.failure.reason is Reason.UNREACHABLE


def test_an_order_to_stop_counts_once() -> None:
    """Watches begun before are told once, those ended before are not, and later ones are refused."""
    told: list[str] = []
    interrupts = {name: partial(told.append, name) for name in "abc"}
    abort = Abort()
    assert abort.watch(interrupts["a"])
    assert abort.watch(interrupts["b"])
    assert not abort.unwatch(interrupts["b"])
    abort.set(CANCELLED)
    abort.set(Failure(reason=Reason.TIMEOUT, detail="later"))
    assert abort.reason == CANCELLED
    assert told == ["a"]
    assert abort.unwatch(interrupts["a"])
    assert not abort.watch(interrupts["c"])
    assert told == ["a"]
