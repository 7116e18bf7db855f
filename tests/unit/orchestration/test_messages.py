"""A message is put together from stream bytes however they are cut, and odd events do no harm."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.messages import MessageStream, text_of, usage_of
from stack.scripted.wire import events_of

MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "model-s",
    "content": [
        {"type": "thinking", "thinking": "Well, é.", "signature": "c2ln"},
        {"type": "text", "text": "Grüße, 東京 😀 " * 5},
        {"type": "text", "text": "and more"},
    ],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 7, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2},
}


@given(st.lists(st.integers(min_value=0, max_value=2500), max_size=20))
def test_any_cut_of_the_bytes_gives_the_same_message(cuts: list[int]) -> None:
    """Also in the middle of a character."""
    stream = MessageStream()
    data, at = b"".join(events_of(MESSAGE)), 0
    for cut in [*sorted(cuts), len(data)]:
        stream.feed(data[at : max(at, cut)])
        at = max(at, cut)
    assert stream.finished
    assert stream.whole() == MESSAGE
    assert text_of(stream.whole()) == "Grüße, 東京 😀 " * 5 + "and more"
    assert sum(usage_of(stream.whole()).model_dump().values()) == 24


def test_carriage_returns_comments_pings_and_news_are_no_trouble() -> None:
    """Line ends of both kinds, keep-alive comments, and events and deltas that are yet to be invented."""
    news = [
        {"type": "ping"},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "hologram_delta", "hologram": "?"}},
        {"type": "content_block_delta", "index": 9, "delta": {"type": "text_delta", "text": "lost"}},
        {"type": "solar_flare"},
    ]
    extra = b": keep-alive\n\n" + b"".join(b"data: %s\n\n" % json.dumps(one).encode() for one in news)
    events = events_of(MESSAGE)
    stream = MessageStream()
    stream.feed(b"".join([*events[:6], extra, *events[6:]]).replace(b"\n", b"\r\n"))
    assert stream.whole() == MESSAGE


@pytest.mark.parametrize(
    "data",
    [
        b"data: {not json\n\n",
        b"data: [1]\n\n",
        b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":null}}\n\n',
    ],
)
def test_garbled_events_are_one_kind_of_error(data: bytes) -> None:
    """Whatever is wrong with an event, it is a ValueError."""
    with pytest.raises(ValueError, match=r"."):
        MessageStream().feed(data)


@pytest.mark.parametrize(
    "message",
    [{}, {"content": None, "usage": None}, {"content": "text", "usage": {"input_tokens": None, "output_tokens": "7"}}],
)
def test_fields_of_another_kind_count_as_absent(message: dict[str, Any]) -> None:
    """A wrong body has no text and no tokens, and raises nothing."""
    assert (text_of(message), sum(usage_of(message).model_dump().values())) == ("", 0)
