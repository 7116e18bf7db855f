"""What each play does on the wire: the bytes, when they go out, and what is billed once they did."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic_core import to_json

from stack.scripted import wire
from stack.scripted.answers import NOWHERE, fill, source_of
from stack.scripted.invoice import Charge, Told
from stack.scripted.plays import Play

_CODE_FENCE = "Sure! Here is the answer:\n\n```json\n{}\n```\n\nI hope this helps."


class Step(NamedTuple):
    """Wait, then write.

    Attributes:
        delay: seconds.
        data: None cuts the connection.
        told: what the events written until now have reported, and is billed with this step.
    """

    delay: float
    data: bytes | None
    told: Told | None = None


@dataclass
class Performance:
    """What goes out for one request.

    Attributes:
        charge: None for what is not on the invoice.
        hangs: it never ends by itself.
        when_over: told once, when it has ended or its caller has gone.
    """

    steps: list[Step]
    charge: Charge | None = None
    hangs: bool = False
    when_over: Callable[[], None] = field(default=lambda: None)
    written: int = 0

    def writes(self, step: Step) -> None:
        """A step is taken."""
        self.written += 1
        if self.charge is not None and step.told is not None:
            self.charge.bill(step.told)

    def ended(self, *, complete: bool) -> None:
        """All was written (``complete``), the connection was cut, or the caller has gone: see the invoice's rules."""
        if self.charge is not None:
            self.charge.complete = complete
            if not self.written:
                self.charge.bill(next((step.told for step in reversed(self.steps) if step.told), Told(0, 0)))
        self.when_over()


@dataclass(frozen=True)
class Scene:
    """What a play has to work with.

    Attributes:
        input_tokens: what the request's input is billed as.
        headers: of every response, whatever is played.
    """

    request: dict[str, Any]
    charge: Charge
    input_tokens: int
    headers: dict[str, str]


def input_tokens_of(request: dict[str, Any]) -> int:
    """What a request's input is billed as: counted in a rough way that callers cannot know, as with a real provider."""
    size = sum(len(message["content"]) for message in request["messages"]) + len(request.get("system") or "")
    return size // 3 + 1


def perform(play: Play, scene: Scene) -> list[Step]:
    """The steps of a play; its status is noted on the charge."""
    return PLAYS[play["play"]](play, scene)


def _grounded(request: dict[str, Any], quote: str | None = None) -> str:
    """A valid answer as compact JSON text; a greeting where no schema was given."""
    schema = ((request.get("output_config") or {}).get("format") or {}).get("schema")
    if schema is None:
        return "Hello."
    return to_json(fill(schema, source_of(request["messages"]), quote=quote)).decode()


def _message(scene: Scene, text: str | None, stop_reason: str) -> dict[str, Any]:
    return {
        "id": scene.charge.request_id.replace("req_", "msg_"),
        "type": "message",
        "role": "assistant",
        "model": scene.request["model"],
        "content": [] if text is None else [{"type": "text", "text": text}],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": scene.input_tokens,
            "output_tokens": len(text or "") // 3 + 1,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        },
    }


def _told_at_end(message: dict[str, Any]) -> Told:
    return Told(message["usage"]["input_tokens"], message["usage"]["output_tokens"])


def _sent(scene: Scene, message: dict[str, Any]) -> list[Step]:
    """A whole message, as a stream where one was asked for: one write, a few HTTP chunks, all its events."""
    told = _told_at_end(message)
    if not scene.request.get("stream"):
        return _plain(scene, to_json(message), b"application/json", told)
    events = wire.events_of(message)
    middle = len(events) // 2
    parts = [b"".join(part) for part in (events[:1], events[1:middle], events[middle:]) if part]
    return [Step(0, _stream_head(scene) + b"".join(map(wire.chunk, parts)) + wire.LAST_CHUNK, told)]


def _plain(scene: Scene, body: bytes, kind: bytes, told: Told | None = None) -> list[Step]:
    charge = scene.charge
    head = wire.head(charge.status, charge.request_id, length=len(body), kind=kind, extra=scene.headers)
    return [Step(0, head + body, told)]


def _stream_head(scene: Scene) -> bytes:
    kind = b"text/event-stream; charset=utf-8"
    return wire.head(200, scene.charge.request_id, length=None, kind=kind, extra=scene.headers)


def _half_stream(scene: Scene) -> tuple[bytes, Told]:
    """Head and the first half of a valid stream: within the text, after message_start."""
    events = wire.events_of(_message(scene, _grounded(scene.request), "end_turn"))
    begun = _stream_head(scene) + wire.chunk(b"".join(events[: len(events) // 2]))
    return begun, Told(scene.input_tokens, wire.FIRST_OUTPUT_TOKENS)


def _answer(play: Play, scene: Scene) -> list[Step]:
    return _sent(scene, _answer_message(play, scene))


def _answer_message(play: Play, scene: Scene) -> dict[str, Any]:
    text = play.get("text")
    if text is None and play.get("json") is not None:
        text = to_json(play["json"]).decode()
    if text is None:
        text = _grounded(scene.request)
    message = _message(scene, text, play.get("stop_reason") or "end_turn")
    if play.get("thinking"):
        message["content"].insert(0, {"type": "thinking", "thinking": "Let me look at it.", "signature": "c2ln"})
    return message


def _prose(_play: Play, scene: Scene) -> list[Step]:
    return _sent(scene, _message(scene, _CODE_FENCE.format(_grounded(scene.request)), "end_turn"))


def _ungrounded(_play: Play, scene: Scene) -> list[Step]:
    return _sent(scene, _message(scene, _grounded(scene.request, NOWHERE), "end_turn"))


def _half(play: Play, scene: Scene) -> list[Step]:
    whole = _grounded(scene.request)
    return _sent(scene, _message(scene, whole[: len(whole) // 2], play.get("stop_reason") or "end_turn"))


def _refusal(play: Play, scene: Scene) -> list[Step]:
    message = _message(scene, play.get("text") or None, "refusal")
    if play.get("category"):
        message["stop_details"] = {"type": "refusal", "category": play["category"], "explanation": None}
    return _sent(scene, message)


def _empty(_play: Play, scene: Scene) -> list[Step]:
    return _sent(scene, _message(scene, None, "end_turn"))


def _status(play: Play, scene: Scene) -> list[Step]:
    scene.charge.status = play["status"]
    body = wire.error_body(
        play["status"],
        play.get("message") or "played by the script",
        scene.charge.request_id,
        kind=play.get("type"),
        code=play.get("error_code"),
    )
    clock = float(play.get("clock") or 0)
    head = wire.head(
        scene.charge.status,
        scene.charge.request_id,
        length=len(body),
        kind=b"application/json",
        extra={**scene.headers, **_retry_after(play, clock)},
        clock=clock,
    )
    return [Step(0, head + body)]


def _retry_after(play: Play, clock: float) -> dict[str, str]:
    wait = play.get("retry_after")
    if wait is None:
        return {}
    match play.get("form"):
        case "ms":
            return {"retry-after-ms": str(round(wait * 1000))}
        case "date":
            return {"retry-after": wire.http_date(time.time() + clock + wait)}
        case _:
            return {"retry-after": str(wait)}


def _stream_error(play: Play, scene: Scene) -> list[Step]:
    error = wire.error_event(play.get("type") or "overloaded_error", "Overloaded")
    begun, told = _half_stream(scene)
    return [Step(0, begun + wire.chunk(error) + wire.LAST_CHUNK, told)]


def _drop(play: Play, scene: Scene) -> list[Step]:
    match play.get("at"):
        case "before_headers":
            scene.charge.status = 0
            return [Step(0, None)]
        case "after_headers":
            return [Step(0, _stream_head(scene)), Step(0.01, None)]
        case _:
            begun, told = _half_stream(scene)
            return [Step(0, begun, told), Step(0.01, None)]


def _no_message_stop(_play: Play, scene: Scene) -> list[Step]:
    begun, told = _half_stream(scene)
    return [Step(0, begun + wire.LAST_CHUNK, told)]


def _drip(play: Play, scene: Scene) -> list[Step]:
    message = _answer_message({}, scene)
    told_at_end = _told_at_end(message)
    whole = b"".join(step.data or b"" for step in _sent(scene, message))
    size, interval = int(play.get("size") or 8), float(play.get("interval") or 0.05)
    at_once = 0 if play.get("headers") else re.search(rb"\r\n\r\n", whole).end()  # type: ignore[union-attr]
    reports = [
        (_end_of(b'"type":"message_start"', whole), Told(told_at_end.input_tokens, wire.FIRST_OUTPUT_TOKENS)),
        (_end_of(b'"type":"message_delta"', whole), told_at_end),
    ]

    def step(delay: float, start: int, end: int) -> Step:
        told = [report for at, report in reports if start < at <= end]
        return Step(delay, whole[start:end], told[-1] if told else None)

    first = [step(0, 0, at_once)] if at_once else []
    return first + [step(interval, at, min(at + size, len(whole))) for at in range(at_once, len(whole), size)]


def _end_of(marker: bytes, stream: bytes) -> int:
    """Where the event with this marker ends; a body that is no stream reports everything at its end."""
    at = stream.find(marker)
    return stream.index(b"\n\n", at) + 2 if at >= 0 else len(stream)


def _hang(_play: Play, scene: Scene) -> list[Step]:
    scene.charge.status = 0
    return []


def _body(play: Play, scene: Scene) -> list[Step]:
    return _plain(scene, play["body"].encode(), play["content_type"].encode())


PLAYS: dict[str, Callable[[Play, Scene], list[Step]]] = {
    "answer": _answer,
    "prose": _prose,
    "ungrounded": _ungrounded,
    "half": _half,
    "refusal": _refusal,
    "empty": _empty,
    "status": _status,
    "stream_error": _stream_error,
    "drop": _drop,
    "no_message_stop": _no_message_stop,
    "drip": _drip,
    "hang": _hang,
    "body": _body,
}
"""By the name in their JSON form; each is made by the function of ``stack.scripted.plays``."""
