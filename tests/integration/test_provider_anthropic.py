"""AnthropicProvider over real HTTP: whatever the other side does, a reply or a broken call with its cause comes back."""

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from orchestration.provider import AnthropicProvider
from schemas.attempt import BrokenCall, Reply
from schemas.failure import FailureReason as Reason
from stack.scripted import ScriptedProvider, plays
from tests.unit.orchestration.parts import TICKET, call, settings, soon


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture
def scripted(server: ScriptedProvider) -> Iterator[ScriptedProvider]:
    server.reset()
    yield server
    server.reset()


@pytest.fixture(scope="module")
def provider(server: ScriptedProvider) -> Iterator[AnthropicProvider]:
    made = AnthropicProvider(settings(server.url))
    yield made
    made.close()


def test_a_whole_answer_comes_back_with_its_record(scripted: ScriptedProvider, provider: AnthropicProvider) -> None:
    """Text, model, usage, request id and the message put together from its events all arrive."""
    pieces: list[str] = []
    reply = provider.send(call(), deadline=soon(), on_text=pieces.append)
    assert isinstance(reply, Reply)
    assert json.loads(reply.text)["evidence"] in TICKET
    assert "".join(pieces) == reply.text
    assert len(pieces) > 3
    charge = scripted.invoice()[0]
    assert (reply.stop_reason, reply.model, reply.request_id) == ("end_turn", "model-s", charge["request_id"])
    assert reply.usage.model_dump() == charge["usage"]
    assert reply.raw["content"] == [{"type": "text", "text": reply.text}]


def test_the_request_carries_the_schema_in_the_providers_subset(
    scripted: ScriptedProvider, provider: AnthropicProvider
) -> None:
    """The schema goes out as native structured output, transformed, with the effort beside it and as a stream."""
    provider.send(call(), deadline=soon())
    sent = scripted.calls()[0]
    assert sent["output_config"]["effort"] == "low"
    assert sent["output_config"]["format"]["schema"]["additionalProperties"] is False
    assert sent["stream"] is True
    assert "effort" not in sent


def test_a_thinking_block_is_not_the_answer(scripted: ScriptedProvider, provider: AnthropicProvider) -> None:
    """A reply that starts with thinking gives only its text blocks as text, and keeps the thinking in the record."""
    scripted.play(plays.answer(thinking=True))
    reply = provider.send(call(), deadline=soon())
    assert isinstance(reply, Reply)
    assert json.loads(reply.text)
    assert reply.raw["content"][0]["thinking"] == "Let me look at it."


@pytest.mark.parametrize(
    ("play", "reason", "status"),
    [
        (plays.status(400), Reason.BAD_REQUEST, 400),
        (plays.status(422), Reason.BAD_REQUEST, 422),
        (plays.prompt_too_long(), Reason.CONTEXT_TOO_LONG, 400),
        (plays.status(413), Reason.CONTEXT_TOO_LONG, 413),
        (plays.status(400, message="Your credit balance is too low"), Reason.MISCONFIGURED, 400),
        (plays.status(401), Reason.MISCONFIGURED, 401),
        (plays.status(402), Reason.MISCONFIGURED, 402),
        (plays.status(403), Reason.MISCONFIGURED, 403),
        (plays.status(404), Reason.MISCONFIGURED, 404),
        (plays.status(408), Reason.TIMEOUT, 408),
        (plays.status(409), Reason.RATE_LIMITED, 409),
        (plays.status(429), Reason.RATE_LIMITED, 429),
        (plays.status(429, error_code="enforced_spend_limit_reached"), Reason.BUDGET_EXHAUSTED, 429),
        (plays.status(500), Reason.OVERLOADED, 500),
        (plays.status(503), Reason.OVERLOADED, 503),
        (plays.status(529), Reason.OVERLOADED, 529),
        (plays.stream_error("overloaded_error"), Reason.OVERLOADED, 200),
        (plays.stream_error("api_error"), Reason.OVERLOADED, 200),
        (plays.stream_error("rate_limit_error"), Reason.RATE_LIMITED, 200),
        (plays.drop("before_headers"), Reason.UNREACHABLE, None),
        (plays.drop("after_headers"), Reason.UNREACHABLE, 200),
        (plays.drop("mid_stream"), Reason.UNREACHABLE, 200),
        (plays.no_message_stop(), Reason.UNREACHABLE, 200),
        (plays.html(), Reason.UNREACHABLE, 200),
        (plays.wrong_shape(), Reason.UNREACHABLE, 200),
    ],
    ids=lambda value: "-".join(str(v) for v in value.values() if v) if isinstance(value, dict) else None,
)
def test_what_goes_wrong_becomes_a_cause(
    scripted: ScriptedProvider, provider: AnthropicProvider, play: plays.Play, reason: Reason, status: int | None
) -> None:
    """Each way of failing gives its cause and HTTP status, and the connection pool serves the next call well."""
    scripted.play(play, plays.answer())
    broken = provider.send(call(), deadline=soon())
    assert isinstance(broken, BrokenCall)
    assert (broken.failure.reason, broken.status) == (reason, status)
    assert isinstance(provider.send(call(), deadline=soon()), Reply)


def test_a_partial_message_is_kept_for_the_record(scripted: ScriptedProvider, provider: AnthropicProvider) -> None:
    """What had arrived before a stream broke, and the error sent within it, stand in the broken call."""
    scripted.play(plays.stream_error())
    broken = provider.send(call(), deadline=soon())
    assert isinstance(broken, BrokenCall)
    assert broken.raw["partial"]["content"][0]["text"].startswith('{"evidence"')
    assert broken.raw["error"]["type"] == "overloaded_error"
    assert broken.request_id == scripted.invoice()[0]["request_id"]


def test_a_providers_words_stay_out_of_the_sentence(scripted: ScriptedProvider, provider: AnthropicProvider) -> None:
    """An error message that echoes the document is in the record, not in the failure's sentence."""
    scripted.play(plays.status(400, message=f"messages.0.content: {TICKET}"))
    broken = provider.send(call(), deadline=soon())
    assert isinstance(broken, BrokenCall)
    assert TICKET in str(broken.raw)
    assert "parcel" not in broken.failure.detail


@pytest.mark.parametrize("form", ["seconds", "ms", "date"])
@pytest.mark.parametrize("status", [429, 503, 529])
def test_the_wait_asked_for_is_handed_on(
    scripted: ScriptedProvider, provider: AnthropicProvider, form: plays.DateForm, status: int
) -> None:
    """retry-after is read in each of its three forms (a date has whole seconds)."""
    scripted.play(plays.status(status, retry_after=30, form=form))
    broken = provider.send(call(), deadline=soon())
    assert isinstance(broken, BrokenCall)
    assert broken.failure.retry_after == pytest.approx(30, abs=2)


@pytest.mark.parametrize(
    "play", [plays.hang(), plays.drip(0.02, 1), plays.drip_headers(0.02, 1)], ids=["hang", "drip", "drip_headers"]
)
def test_no_call_outlives_its_deadline(
    scripted: ScriptedProvider, provider: AnthropicProvider, play: plays.Play
) -> None:
    """Neither silence nor dripping bytes, each in time for any single read, keeps a call beyond its deadline."""
    scripted.play(play)
    broken = provider.send(call(), deadline=soon(0.4))
    assert isinstance(broken, BrokenCall)
    assert broken.failure.reason is Reason.TIMEOUT
    assert not scripted.invoice()[0]["complete"]


def test_a_slow_answer_within_its_deadline_is_an_answer(
    scripted: ScriptedProvider, provider: AnthropicProvider
) -> None:
    """Dripping alone is no failure."""
    scripted.play(plays.drip(0.001, 64))
    assert isinstance(provider.send(call(), deadline=soon()), Reply)


def test_call_seconds_bound_a_call_of_a_patient_job(scripted: ScriptedProvider) -> None:
    """The shorter of the job's deadline and ``call_seconds`` holds."""
    scripted.play(plays.hang())
    impatient = AnthropicProvider(settings(scripted.url, call_seconds=0.3))
    broken = impatient.send(call(), deadline=soon(3600))
    impatient.close()
    assert isinstance(broken, BrokenCall)
    assert broken.failure.reason is Reason.TIMEOUT


def test_a_deadline_already_passed_sends_nothing(scripted: ScriptedProvider, provider: AnthropicProvider) -> None:
    """No byte goes out for a call whose time is over."""
    broken = provider.send(call(), deadline=time.monotonic() - 1)
    assert isinstance(broken, BrokenCall)
    assert broken.failure.reason is Reason.TIMEOUT
    assert scripted.invoice() == []


def test_nobody_at_the_address_is_unreachable() -> None:
    """A refused connection is a transport error."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = AnthropicProvider(settings(f"http://127.0.0.1:{taken.getsockname()[1]}"))
        broken = nobody.send(call(), deadline=soon())
        nobody.close()
    assert isinstance(broken, BrokenCall)
    assert (broken.failure.reason, broken.status) == (Reason.UNREACHABLE, None)


def test_an_address_that_is_no_url_is_misconfigured() -> None:
    """The sentence says which variable to look at."""
    wrong = AnthropicProvider(settings("ftp://127.0.0.1"))
    broken = wrong.send(call(), deadline=soon())
    wrong.close()
    assert isinstance(broken, BrokenCall)
    assert broken.failure.reason is Reason.MISCONFIGURED
    assert "ANTHROPIC_BASE_URL" in broken.failure.detail


def test_no_key_is_needed_for_an_own_address(scripted: ScriptedProvider) -> None:
    """The embedded model has no key; the environment's own key must not be picked up instead."""
    keyless = AnthropicProvider(settings(scripted.url, anthropic_api_key=None))
    reply = keyless.send(call(), deadline=soon())
    keyless.close()
    assert isinstance(reply, Reply)


def test_a_schema_that_cannot_be_sent_is_a_bad_request(provider: AnthropicProvider) -> None:
    """The SDK's refusal to transform a schema is a failure like any other."""
    broken = provider.send(call(output_schema={"type": ["string", "null"]}), deadline=soon())
    assert isinstance(broken, BrokenCall)
    assert broken.failure.reason is Reason.BAD_REQUEST


def test_more_threads_than_slots_all_get_their_answer(scripted: ScriptedProvider, provider: AnthropicProvider) -> None:
    """Clients are shared safely, also beyond the number of calls they were made for."""
    replies: list[Reply | BrokenCall] = []
    threads = [
        threading.Thread(target=lambda: replies.extend(provider.send(call(), deadline=soon()) for _ in range(5)))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == 60
    assert all(isinstance(reply, Reply) for reply in replies)
    assert len({reply.request_id for reply in replies}) == 60


def test_no_document_in_the_logs_even_at_debug(
    scripted: ScriptedProvider, provider: AnthropicProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """The SDK would log whole requests at DEBUG; here it does not."""
    with caplog.at_level(logging.DEBUG):
        provider.send(call(), deadline=soon())
    assert "parcel" not in caplog.text
