"""What the local model accepts as a request."""

import json
from typing import Any

import pytest

from stack.local_model import MODEL_ID
from stack.local_model.errors import ProtocolError
from stack.local_model.prompt import read_prompt

HELLO = [{"role": "user", "content": "Hello"}]


def body(**fields: Any) -> bytes:
    """A request with these fields over a valid one."""
    return json.dumps({"model": MODEL_ID, "max_tokens": 5, "messages": HELLO} | fields).encode()


def test_blocks_and_strings_read_the_same() -> None:
    """Text may come as a string or as text blocks, in the system prompt and in each turn."""
    blocks = [{"type": "text", "text": "Hello"}]
    whole = read_prompt(body(system="Be terse."))
    assert (
        read_prompt(
            body(system=[{"type": "text", "text": "Be terse."}], messages=[{"role": "user", "content": blocks}])
        )
        == whole
    )
    assert [message["role"] for message in whole.messages] == ["system", "user"]


def test_the_schema_is_taken_from_the_format() -> None:
    """The schema to enforce is that of output_config.format; effort alone asks for none."""
    form = {"type": "json_schema", "schema": {"type": "object"}}
    assert read_prompt(body(output_config={"format": form})).schema == {"type": "object"}
    assert read_prompt(body(output_config={"effort": "low"})).schema is None


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "not a JSON object"),
        (body(max_tokens=0), "max_tokens"),
        (body(max_tokens=True), "max_tokens"),
        (body(messages=[]), "messages"),
        (body(messages=[{"role": "system", "content": "x"}]), "messages.0.role"),
        (body(messages=[{"role": "user", "content": " "}]), "non-empty"),
        (body(messages=[*HELLO, {"role": "assistant", "content": "{"}]), "final message"),
        (body(messages=[{"role": "user", "content": [{"type": "image"}]}]), "messages.0.content.0"),
        (body(messages=[{"role": "user", "content": "\ud800"}]), "surrogate"),
        (body(tools=[{"name": "x"}]), "tools"),
        (body(output_config={"format": {"type": "xml"}}), "output_config.format"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(sent: bytes, says: str) -> None:
    """A request that cannot be served gets a 400 that names the field."""
    with pytest.raises(ProtocolError, match=says) as caught:
        read_prompt(sent)
    assert caught.value.status == 400


def test_another_model_is_not_found() -> None:
    """Another model's id gets a 404, as at the real service."""
    with pytest.raises(ProtocolError) as caught:
        read_prompt(body(model="claude-haiku-5-5"))
    assert caught.value.status == 404
