"""A request of the Messages protocol, checked and reduced to what the model takes."""

import json
from dataclasses import dataclass
from typing import Any

from stack.local_model import MODEL_ID
from stack.local_model.errors import ProtocolError

REFUSED = ("tools", "tool_choice", "stop_sequences", "thinking", "container", "mcp_servers")
"""What it cannot do. Ignoring these would give answers that look as if they had been heeded."""


@dataclass(frozen=True)
class Prompt:
    """What to continue, and how.

    Attributes:
        messages: role and plain text, the system prompt first.
        max_tokens: at most so many are written.
        schema: JSON Schema that the answer is forced into; None = free text.
        stream: the caller wants events.
    """

    messages: list[dict[str, str]]
    max_tokens: int
    schema: dict[str, Any] | None
    stream: bool


def read_prompt(body: bytes, *, counting: bool = False) -> Prompt:
    """Read a request's body; ``counting`` requests have no ``max_tokens``.

    Raises:
        ProtocolError: it is not a request that this model can serve; the message names the field.
    """
    request = _json_object(body)
    _check_model(request)
    for name in REFUSED:
        if _asks(request.get(name)):
            raise _invalid(f"{name}: not supported by the local model")
    return Prompt(
        messages=_system(request.get("system")) + _turns(request.get("messages")),
        max_tokens=0 if counting else _max_tokens(request.get("max_tokens")),
        schema=_schema(request.get("output_config")),
        stream=request.get("stream") is True,
    )


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        raise _invalid("The request body is not valid JSON.") from None
    if not isinstance(request, dict):
        raise _invalid("The request body is not a JSON object.")
    return request


def _check_model(request: dict[str, Any]) -> None:
    model = request.get("model")
    if not isinstance(model, str):
        raise _invalid("model: Field required")
    if model != MODEL_ID:
        raise ProtocolError("not_found_error", f"model: {model[:100]}")


def _asks(value: object) -> bool:
    """Whether a field asks for something; empty ones and a switched-off ``thinking`` do not."""
    return bool(value) and value != {"type": "disabled"}


def _max_tokens(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _invalid("max_tokens: Input should be a whole number, at least 1")
    return value


def _system(value: object) -> list[dict[str, str]]:
    # An empty system message keeps the model's chat template from putting in a default of its own.
    return [{"role": "system", "content": "" if value is None else _text(value, "system")}]


def _turns(value: object) -> list[dict[str, str]]:
    if not isinstance(value, list) or not value:
        raise _invalid("messages: at least one message is required")
    turns = [_turn(turn, f"messages.{index}") for index, turn in enumerate(value)]
    if turns[-1]["role"] != "user":
        raise _invalid("messages: the final message must be the user's; prefilled answers are not supported")
    return turns


def _turn(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, dict) or value.get("role") not in {"user", "assistant"}:
        raise _invalid(f"{where}.role: Input should be 'user' or 'assistant'")
    text = _text(value.get("content"), f"{where}.content")
    if not text.strip():
        raise _invalid(f"{where}.content: text content blocks must be non-empty")
    return {"role": value["role"], "content": text}


def _text(value: object, where: str) -> str:
    if isinstance(value, str):
        return _encodable(value, where)
    if not isinstance(value, list):
        raise _invalid(f"{where}: Input should be a string or a list of text blocks")
    texts = []
    for index, block in enumerate(value):
        if not isinstance(block, dict) or block.get("type") != "text" or not isinstance(block.get("text"), str):
            raise _invalid(f"{where}.{index}: only text blocks are supported by the local model")
        texts.append(_encodable(block["text"], f"{where}.{index}.text"))
    return "\n".join(texts)


def _encodable(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _invalid(f"{where}: the text is not valid Unicode (half of a surrogate pair)") from None
    return text


def _schema(config: object) -> dict[str, Any] | None:
    if config is None:
        return None
    form = config.get("format") if isinstance(config, dict) else None
    if form is None and isinstance(config, dict):
        return None
    if not isinstance(form, dict) or form.get("type") != "json_schema" or not isinstance(form.get("schema"), dict):
        raise _invalid("output_config.format: Input should be {'type': 'json_schema', 'schema': {...}}")
    schema: dict[str, Any] = form["schema"]
    return schema


def _invalid(message: str) -> ProtocolError:
    return ProtocolError("invalid_request_error", message)
