"""The Anthropic Messages protocol from the provider's side: what it refuses, and the bytes of what it answers."""

import json
import time
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from typing import Any

from pydantic_core import from_json, to_json

from stack.scripted.answers import checked, text_of

DELTAS = 20
"""Text deltas of a streamed answer: about what a short structured answer comes in."""

FIRST_OUTPUT_TOKENS = 1
"""Output that message_start reports."""

VERSION_WITHOUT_SAMPLING = "2026-10-21"
_FIELDS = frozenset(
    (
        "model", "messages", "max_tokens", "system", "stream", "metadata", "stop_sequences", "tools", "tool_choice",
        "thinking", "output_config", "cache_control", "container", "diagnostics", "inference_geo", "service_tier",
        "speed", "temperature", "top_p", "top_k",
    )
)  # fmt: skip
_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})
_ERROR_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 408: "timeout_error", 409: "conflict_error", 413: "request_too_large",
    422: "invalid_request_error", 429: "rate_limit_error", 529: "overloaded_error",
}  # fmt: skip


class Refused(Exception):
    """A request that the real API answers with an error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def read_request(headers: Mapping[str, str], body: bytes, *, counting: bool = False) -> dict[str, Any]:
    """The request as the API would accept it.

    Args:
        counting: it is a count_tokens request, which has no ``max_tokens``.

    Raises:
        Refused: with the status and the sentence.
    """
    if not headers.get("authorization", "").startswith("Bearer ") and "x-api-key" not in headers:
        raise Refused(401, "x-api-key or Authorization header is required")
    if "anthropic-version" not in headers:
        raise Refused(400, "anthropic-version: header is required")
    try:
        request = from_json(body)
    except ValueError as error:
        raise Refused(400, f"The request body is not valid JSON: {error}") from None
    if not isinstance(request, dict):
        raise Refused(400, "Input should be a valid dictionary")
    for field in ("model", "messages") if counting else ("model", "messages", "max_tokens"):
        if field not in request:
            raise Refused(400, f"{field}: Field required")
    for field in request:
        if field not in _FIELDS:
            raise Refused(400, f"{field}: Extra inputs are not permitted")
    _check_sampling(request, headers["anthropic-version"])
    if not counting and (not isinstance(request["max_tokens"], int) or request["max_tokens"] < 1):
        raise Refused(400, "max_tokens: Input should be greater than or equal to 1")
    _check_messages(request["messages"])
    _check_output_config(request)
    return request


def _check_sampling(request: dict[str, Any], version: str) -> None:
    for field in ("temperature", "top_p", "top_k"):
        if field in request and version >= VERSION_WITHOUT_SAMPLING:
            raise Refused(400, f"{field}: is not supported with anthropic-version {version}")


def _check_messages(messages: object) -> None:
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "messages: at least one message is required")
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in {"user", "assistant"}:
            raise Refused(400, f"messages.{index}.role: Input should be 'user' or 'assistant'")
        if not text_of(message.get("content") or "").strip():
            raise Refused(400, f"messages.{index}: text content blocks must be non-empty")
    if messages[0]["role"] != "user":
        raise Refused(400, "messages: first message must use the user role")
    if messages[-1]["role"] != "user":
        raise Refused(400, "This model does not support assistant message prefill.")


def _check_output_config(request: dict[str, Any]) -> None:
    config = request.get("output_config") or {}
    for field in config:
        if field not in {"format", "effort"}:
            raise Refused(400, f"output_config.{field}: Extra inputs are not permitted")
    if config.get("effort", "low") not in _EFFORTS:
        raise Refused(400, f"output_config.effort: Input should be one of {', '.join(sorted(_EFFORTS))}")
    if config.get("format"):
        if config["format"].get("type") != "json_schema":
            raise Refused(400, "output_config.format.type: Input should be 'json_schema'")
        refusal = checked(to_json(config["format"].get("schema")))
        if refusal:
            raise Refused(400, refusal)


def error_body(
    status: int, message: str, request_id: str, *, kind: str | None = None, code: str | None = None
) -> bytes:
    """An error as the API words it."""
    error: dict[str, Any] = {"type": kind or _ERROR_TYPES.get(status, "api_error"), "message": message}
    if code:
        error["details"] = {"error_code": code}
    return to_json({"type": "error", "error": error, "request_id": request_id})


def events_of(message: dict[str, Any]) -> list[bytes]:
    """A whole message as the events of a stream; joined they are what goes out."""
    usage = message["usage"]
    opening = {**message, "content": [], "stop_reason": None}
    opening["usage"] = {**usage, "output_tokens": FIRST_OUTPUT_TOKENS}
    opening.pop("stop_details", None)
    events = [_event({"type": "message_start", "message": opening})]
    for index, block in enumerate(message["content"]):
        events += _block_events(index, block)
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    if "stop_details" in message:
        delta["stop_details"] = message["stop_details"]
    closing = {"type": "message_delta", "delta": delta, "usage": {"output_tokens": usage["output_tokens"]}}
    return [*events, _event(closing), _event({"type": "message_stop"})]


def _block_events(index: int, block: dict[str, Any]) -> list[bytes]:
    field = "thinking" if block["type"] == "thinking" else "text"
    text = block[field]
    size = max(1, -(-len(text) // DELTAS))
    head = (
        f'event: content_block_delta\ndata: {{"type":"content_block_delta","index":{index},'
        f'"delta":{{"type":"{field}_delta","{field}":'
    )
    deltas = [f"{head}{json.dumps(text[at : at + size])}}}}}\n\n".encode() for at in range(0, len(text), size)]
    return [
        _event({"type": "content_block_start", "index": index, "content_block": {**block, field: ""}}),
        *deltas,
        _event({"type": "content_block_stop", "index": index}),
    ]


def _event(data: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (data["type"].encode(), to_json(data))


def error_event(kind: str, message: str) -> bytes:
    """An error in the middle of a stream: the status line has long said 200."""
    return _event({"type": "error", "error": {"type": kind, "message": message}})


_REASONS = {200: b"OK"}


def head(
    status: int, request_id: str, *, length: int | None, kind: bytes, extra: Mapping[str, str], clock: float = 0.0
) -> bytes:
    """Status line and headers; without a length the body comes in chunks.

    Args:
        clock: seconds by which the provider's clock is ahead of this machine's.
    """
    framing = b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length
    lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in extra.items())
    return b"HTTP/1.1 %d %s\r\ndate: %s\r\ncontent-type: %s\r\nrequest-id: %s\r\n%s%s\r\n\r\n" % (
        status, _REASONS.get(status, b"-"), http_date(time.time() + clock).encode(), kind, request_id.encode(), lines,
        framing,
    )  # fmt: skip


def http_date(at: float) -> str:
    """A Unix time as HTTP writes it, to the second."""
    return _date(int(at))


@lru_cache(maxsize=16)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


def chunk(data: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
