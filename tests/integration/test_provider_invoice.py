"""What the scripted provider bills, and what a caller knows of it, are the same tokens."""

import json
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from orchestration.abort import Abort
from orchestration.pipeline import pursue
from orchestration.provider import AnthropicProvider
from schemas.attempt import BrokenCall, Reply
from schemas.failure import Failure
from schemas.failure import FailureReason as Reason
from schemas.usage import Usage
from stack.scripted import ScriptedProvider, plays
from stack.scripted.invoice import Charge, digest_of
from tests.house import eventually
from tests.integration.test_provider_scripted import GOOD, HEADERS
from tests.unit.orchestration.parts import MemoryLedger, call, classification, settings, soon

CANCELLED = Failure(reason=Reason.CANCELLED, detail="The job was cancelled.")
NOTHING = Usage()


@pytest.fixture
def scripted() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture
def provider(scripted: ScriptedProvider) -> Iterator[AnthropicProvider]:
    made = AnthropicProvider(settings(scripted.url, call_seconds=60))
    yield made
    made.close()


def billed(charge: dict[str, Any]) -> Usage:
    """The charge's tokens; their names are those of an attempt's columns."""
    return Usage.model_validate(charge["usage"])


WHOLE = [
    plays.answer(),
    plays.answer(thinking=True),
    plays.prose(),
    plays.wrong_schema(),
    plays.ungrounded(),
    plays.half_json(),
    plays.truncated(),
    plays.refusal("I cannot."),
    plays.empty(),
    plays.drip(0.0005, 64),
    plays.drip_headers(0.0005, 64),
]
CUT = [plays.stream_error(), plays.no_message_stop(), plays.drop("mid_stream")]
FREE = [
    plays.status(400),
    plays.status(429),
    plays.status(529),
    plays.drop("before_headers"),
    plays.drop("after_headers"),
    plays.html(),
    plays.wrong_shape(),
]


@pytest.mark.parametrize("play", WHOLE, ids=lambda play: play["play"])
def test_a_whole_answer_is_billed_whole(
    scripted: ScriptedProvider, provider: AnthropicProvider, play: plays.Play
) -> None:
    """Input and output as its last event reports them, which is what the reply says."""
    scripted.play(play)
    reply = provider.send(call(), deadline=soon())
    assert isinstance(reply, Reply)
    eventually(lambda: scripted.invoice()[0]["complete"], "the answer is out")
    assert billed(scripted.invoice()[0]) == reply.usage
    assert reply.usage.output_tokens > 0


@pytest.mark.parametrize("play", CUT, ids=lambda play: play["play"])
def test_a_cut_stream_is_billed_for_what_it_reported(
    scripted: ScriptedProvider, provider: AnthropicProvider, play: plays.Play
) -> None:
    """All of the input and the first token of output, and the broken call knows as much."""
    scripted.play(play, plays.answer())
    broken = provider.send(call(), deadline=soon())
    assert isinstance(broken, BrokenCall)
    whole = provider.send(call(), deadline=soon())
    assert isinstance(whole, Reply)
    assert broken.usage == Usage(input_tokens=whole.usage.input_tokens, output_tokens=1)
    assert broken.model == "model-s"
    assert billed(scripted.invoice()[0]) == broken.usage


@pytest.mark.parametrize("play", FREE, ids=lambda play: str([value for value in play.values() if value]))
def test_what_never_began_costs_nothing(
    scripted: ScriptedProvider, provider: AnthropicProvider, play: plays.Play
) -> None:
    """Errors, connections cut before the first event and bodies that are no message; the broken call knows of no usage."""
    scripted.play(play)
    broken = provider.send(call(), deadline=soon())
    assert isinstance(broken, BrokenCall)
    assert (broken.usage, broken.model) == (None, None)
    assert billed(scripted.invoice()[0]) == NOTHING


def test_a_caller_who_leaves_in_the_middle_pays_for_what_was_reported(
    scripted: ScriptedProvider, provider: AnthropicProvider
) -> None:
    """An aborted call's usage is the charge, also after the provider has noticed."""
    scripted.play(plays.drip(0.01, 16), plays.answer())
    abort = Abort()
    broken = provider.send(call(), deadline=soon(), on_text=lambda _: abort.set(CANCELLED), abort=abort)
    assert isinstance(broken, BrokenCall)
    assert broken.failure == CANCELLED
    assert isinstance(provider.send(call(), deadline=soon()), Reply)
    charge = scripted.invoice()[0]
    assert billed(charge) == broken.usage
    assert not charge["complete"]


def test_a_caller_who_leaves_before_the_first_byte_pays_for_all(scripted: ScriptedProvider) -> None:
    """The work is done by then, and only the provider knows of it."""
    body = json.dumps({**GOOD, "stream": True}).encode()
    head = "".join(f"{name}: {value}\r\n" for name, value in {**HEADERS, "content-length": len(body)}.items())
    with scripted.slow(60), socket.create_connection(("127.0.0.1", int(scripted.url.rpartition(":")[2]))) as caller:
        caller.sendall(f"POST /v1/messages HTTP/1.1\r\nhost: x\r\n{head}\r\n".encode() + body)
        eventually(scripted.calls, "the call has arrived")
        assert billed(scripted.invoice()[0]) == NOTHING
    left = eventually(lambda: scripted.invoice()[0]["usage"]["input_tokens"], "the provider has noticed")
    assert left > 0
    assert scripted.invoice()[0]["usage"]["output_tokens"] > 1
    assert not scripted.invoice()[0]["complete"]


def test_nobody_pays_for_silence(scripted: ScriptedProvider, provider: AnthropicProvider) -> None:
    """An answer that never begins is not billed when its caller gives up."""
    scripted.play(plays.hang(), plays.answer())
    provider.send(call(), deadline=soon(0.2))
    provider.send(call(), deadline=soon())
    assert billed(scripted.invoice()[0]) == NOTHING
    assert scripted.invoice()[0]["status"] == 0


def test_a_refusal_of_the_limit_is_on_the_invoice_for_nothing(
    scripted: ScriptedProvider, provider: AnthropicProvider
) -> None:
    """So that every attempt of a caller finds its line."""
    with scripted.limit(requests_per_minute=1):
        sent = [provider.send(call(), deadline=soon()) for _ in range(2)]
    charges = scripted.invoice()
    assert [one.request_id for one in sent] == [charge["request_id"] for charge in charges]
    assert [(charge["rule"], charge["status"]) for charge in charges] == [(None, 200), ("limit", 429)]
    assert billed(charges[1]) == NOTHING


def test_attempts_and_invoice_add_up_in_a_storm(scripted: ScriptedProvider, provider: AnthropicProvider) -> None:
    """A hundred jobs in every kind of weather: each attempt's tokens are its charge's, and no charge is left over."""
    ledgers = [MemoryLedger() for _ in range(100)]
    chosen = settings(scripted.url, transport_tries=3, transport_wait_seconds=0, transport_wait_max_seconds=1)
    shares = [ledgers[number::4] for number in range(4)]

    def work(share: list[MemoryLedger]) -> None:
        for ledger in share:
            pursue(classification(), provider, ledger, settings=chosen, deadline=soon(60))

    with scripted.storm(*WHOLE, *CUT, *FREE, share=0.6, seed=11):
        threads = [threading.Thread(target=work, args=[share]) for share in shares]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    sent = [entry.reply or entry.broken for ledger in ledgers for entry in ledger.entries]
    booked = {one.request_id: one.usage or NOTHING for one in sent if one and one.request_id}
    charged = {charge["request_id"]: billed(charge) for charge in scripted.invoice()}
    nameless = charged.keys() - booked.keys()
    assert booked == {name: usage for name, usage in charged.items() if name in booked}
    assert {charged[name] for name in nameless} <= {NOTHING}
    assert len(sent) == len(charged) > 100


def test_a_charge_is_found_by_the_turns_of_its_call(scripted: ScriptedProvider, provider: AnthropicProvider) -> None:
    """The digest tells calls with other turns apart, is the same whatever order a turn's fields have, and holds no text."""
    turns = [{"role": "user", "content": "Größe\n😀"}]
    provider.send(call(messages=turns), deadline=soon())
    provider.send(call(), deadline=soon())
    first, second = (charge["digest"] for charge in scripted.invoice())
    assert first == digest_of([{"content": turns[0]["content"], "role": "user"}]) != second
    assert len(first) == 16


def test_no_two_calls_ever_have_the_same_id() -> None:
    """Neither after a reset nor after a restart, as it is when a provider is restarted under load."""
    seen: list[str] = []
    for _ in range(2):
        with ScriptedProvider() as scripted:
            client = AnthropicProvider(settings(scripted.url))
            for _ in range(2):
                client.send(call(), deadline=soon())
                seen += [charge["request_id"] for charge in scripted.invoice()]
                scripted.reset()
            client.close()
    assert len(set(seen)) == len(seen) == 4


def test_a_long_run_fits_into_memory() -> None:
    """A charge takes less than 400 bytes, so a hundred thousand of them less than 40 MB."""
    turns = [[{"role": "user", "content": f"document {number}"}] for number in range(2000)]
    tracemalloc.start()
    charges = [Charge(n, "scripted_0a1b2c3d", n / 7, "model-s", digest_of(turn)) for n, turn in enumerate(turns)]
    for charge in charges:
        charge.input_tokens, charge.output_tokens = 1000 + charge.serial, 300 + charge.serial
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / len(charges) < 400
