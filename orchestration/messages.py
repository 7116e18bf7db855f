"""A streamed message put together from its events.

Read by hand rather than with the SDK's typed events: building those costs three times as much CPU as the whole rest of
a call, and a field that the SDK does not know yet must not break the record of what came back.
"""

from collections.abc import Callable
from typing import Any

from pydantic_core import from_json

from schemas.usage import Usage

_GROWING = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


class MessageStream:
    """The message so far.

    Attributes:
        message: as the provider would have sent it whole; empty before its first event.
        finished: the closing event came; a stream can also end without one.
        error: the error that the provider sent within the stream.
    """

    def __init__(self, on_text: Callable[[str], None] | None = None) -> None:
        self.message: dict[str, Any] = {}
        self.finished = False
        self.error: dict[str, Any] | None = None
        self._on_text = on_text
        self._rest = b""
        self._data: list[bytes] = []
        self._blocks: dict[int, tuple[dict[str, Any], dict[str, list[str]]]] = {}

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes, split anywhere.

        Raises:
            ValueError: an event is not JSON or not an event.
        """
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[5:])
            elif self._data and not line.strip():
                # The type stands in the data too, so "event:" lines, comments and ids are passed over.
                data, self._data = b"\n".join(self._data), []
                self._take(from_json(data))

    def whole(self) -> dict[str, Any]:
        """The message as received so far, with the pieces of each block joined."""
        if self._blocks:
            self.message["content"] = [_joined(*block) for _, block in sorted(self._blocks.items())]
        return self.message

    def _take(self, event: Any) -> None:
        if not isinstance(event, dict):
            raise ValueError("an event is not an object")  # noqa: TRY004  one kind of error for one kind of trouble
        match event:
            case {"type": "content_block_delta", "index": int(index), "delta": dict(delta)}:
                self._grow(index, delta)
            case {"type": "content_block_start", "index": int(index), "content_block": dict(block)}:
                self._blocks[index] = (block, {})
            case {"type": "message_start", "message": dict(message)}:
                self.message = message
            case {"type": "message_delta", "delta": dict(delta)}:
                self._close(delta, event.get("usage"))
            case {"type": "message_stop"}:
                self.finished = True
            case {"type": "error", "error": dict(error)}:
                self.error = error
            case _:
                pass  # pings, block ends, and events that are yet to be invented

    def _grow(self, index: int, delta: dict[str, Any]) -> None:
        field = _GROWING.get(delta.get("type", ""))
        if field is None or index not in self._blocks:
            return
        piece = delta.get(field)
        if not isinstance(piece, str):
            raise ValueError(f"{field} is not a string")  # noqa: TRY004
        self._blocks[index][1].setdefault(field, []).append(piece)
        if self._on_text and field == "text":
            self._on_text(piece)

    def _close(self, delta: dict[str, Any], usage: object) -> None:
        self.message.update(delta)
        if isinstance(usage, dict):
            known = self.message.get("usage")
            counted = {name: value for name, value in usage.items() if value is not None}
            self.message["usage"] = {**(known if isinstance(known, dict) else {}), **counted}


def _joined(block: dict[str, Any], pieces: dict[str, list[str]]) -> dict[str, Any]:
    return {**block, **{field: (block.get(field) or "") + "".join(parts) for field, parts in pieces.items()}}


def text_of(message: dict[str, Any]) -> str:
    """The text blocks joined; a thinking block may stand before them."""
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    return "".join(
        block["text"]
        for block in blocks
        if isinstance(block, dict) and block.get("type") == "text" and isinstance(block.get("text"), str)
    )


def usage_of(message: dict[str, Any]) -> Usage:
    """The tokens as counted by the provider; what it does not say counts as none."""
    usage = message.get("usage")
    counts = usage if isinstance(usage, dict) else {}

    def count(name: str) -> int:
        value = counts.get(name)
        return value if isinstance(value, int) and value > 0 else 0

    return Usage(
        input_tokens=count("input_tokens"),
        output_tokens=count("output_tokens"),
        cache_read_tokens=count("cache_read_input_tokens"),
        cache_write_tokens=count("cache_creation_input_tokens"),
    )
