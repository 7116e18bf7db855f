"""What a request may hold."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from schemas import ids
from schemas.failure import Failure, FailureReason
from schemas.ids import new_id
from schemas.settings import Settings
from tasks import find_task
from tasks.spec import RequestRefused


@pytest.mark.parametrize(
    ("task", "request_data", "words"),
    [
        ("summarize", {}, "text: is missing"),
        ("summarize", {"text": ""}, "text: is empty"),
        ("summarize", {"text": " \n\t\u200b "}, "text: is empty"),
        ("summarize", {"text": "a\x00"}, "NUL character at position 1"),
        ("summarize", {"text": "x", "max_words": 5}, "max_words"),
        ("summarize", {"text": "x", "labels": ["a"]}, "the fields of summarize are: text, max_words, audience"),
        ("classify", {"text": "x", "labels": ["a"]}, "labels"),
        ("classify", {"text": "x", "labels": ["a", "a"]}, "'a' stands twice"),
        ("classify", {"text": "x", "labels": [{"name": "a", "colour": "red"}, "b"]}, "labels.0.colour"),
        ("extract", {"text": "x", "schema": "passport"}, "invoice"),
        ("extract", {"text": "x", "schema": {"type": "object", "properties": {"a": {"not": {}}}}}, "properties.a"),
        ("extract", "text", "should be"),
    ],
)
def test_a_wrong_request_is_refused_in_words(task: str, request_data: object, words: str) -> None:
    """The sentence names the field and what is wrong with it."""
    with pytest.raises(RequestRefused) as refused:
        find_task(task).read_request(request_data)
    assert words in str(refused.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_no_input_does_more_than_be_refused(data: object) -> None:
    """Whatever JSON comes in that is no request, it is refused in words and nothing else is raised."""
    for task in ("summarize", "classify", "extract"):
        with pytest.raises(RequestRefused):
            find_task(task).read_request(data)


def test_a_refusal_does_not_repeat_the_document() -> None:
    """A document may be private: the sentence about it says what is wrong, not what it says."""
    with pytest.raises(RequestRefused) as refused:
        find_task("summarize").read_request({"text": "SECRET\x00"})
    assert "SECRET" not in str(refused.value)


@given(st.text())
def test_a_failures_detail_can_always_be_stored(detail: str) -> None:
    """PostgreSQL holds no NUL and no half surrogate; a detail, which may carry a model's words, has neither."""
    failure = Failure(reason=FailureReason.NOT_APPLICABLE, detail=detail + "\x00\ud800")
    assert "\x00" not in failure.detail
    failure.detail.encode()


def test_ids_are_in_the_order_of_making(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids are version 7 UUIDs: each sorts after all that the process made before, also within a millisecond, in whichever of
    its threads and when the clock is put back."""
    with ThreadPoolExecutor(4) as threads:
        of_threads = list(threads.map(lambda _: [new_id() for _ in range(2000)], range(4)))
    assert all(made == sorted(made) for made in of_threads)
    assert len({one for made in of_threads for one in made}) == 8000
    before = new_id()
    assert all(before > one for made in of_threads for one in made)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert before < new_id() < new_id()
    assert (before.version, before.variant) == (7, "specified in RFC 4122")


def test_an_id_tells_when_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the millisecond, in its first 48 bits: partitions and time ranges are ranges of ids."""
    monkeypatch.setattr(ids, "_last", 0)  # and the tests after this one do not live a minute ahead
    later = (time.time_ns() // 1_000_000 + 60_000) * 1_000_000
    monkeypatch.setattr(time, "time_ns", lambda: later)
    assert new_id().int >> 80 == later // 1_000_000


def test_blank_variables_are_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable, as compose files pass them on, is no address and no key."""
    for name in ("DATABASE_URL", "BROKER_URL", "REDIS_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"):
        monkeypatch.setenv(name, "")
    settings = Settings(home=Path("/nowhere"))
    assert (settings.database_url, settings.broker, settings.anthropic_api_key) == (None, None, None)


def test_a_key_is_never_printed() -> None:
    """Settings can be logged without showing the key."""
    settings = Settings(anthropic_api_key=SecretStr("sk-secret"))
    assert "sk-secret" not in repr(settings)
    assert "sk-secret" not in json.dumps(settings.model_dump(mode="json"), default=str)
