"""The script: rules that say which play answers which request, and the invoice of what was answered."""

import re
import time
from collections import deque
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, NamedTuple

from pydantic_core import to_json

from stack.scripted import plays, wire
from stack.scripted.answers import NOWHERE, fill, source_of, text_of
from stack.scripted.plays import Play

KEPT_REQUESTS = 1000
"""Received requests kept for inspection; the invoice is kept whole."""

_CODE_FENCE = "Sure! Here is the answer:\n\n```json\n{}\n```\n\nI hope this helps."


class ScriptError(ValueError):
    """A rule or play that cannot be played; the message says what is wrong."""


@dataclass
class Rule:
    """When it applies, and what it plays in turn; the last play repeats.

    Attributes:
        plays: at least one.
        contains: a substring of the first or last user turn (or of the system prompt).
        model: the model id asked for.
        nth: the number of the call since the start or reset, from 1.
        name: what the invoice calls it.
    """

    plays: list[Play]
    contains: str | None = None
    model: str | None = None
    nth: int | None = None
    name: str = ""
    used: int = 0

    def matches(self, request: dict[str, Any], number: int) -> bool:
        """Whether all the conditions given hold."""
        if self.nth not in (None, number) or self.model not in (None, request["model"]):
            return False
        return self.contains is None or any(self.contains in text for text in _searched(request))

    def next_play(self) -> Play:
        """The next play."""
        play = self.plays[min(self.used, len(self.plays) - 1)]
        self.used += 1
        return play


def _searched(request: dict[str, Any]) -> list[str]:
    turns = [text_of(message["content"]) for message in request["messages"] if message["role"] == "user"]
    return [turns[0], turns[-1], text_of(request.get("system") or "")]


@dataclass
class Charge:
    """One answered call on the invoice.

    Attributes:
        complete: the last byte was written while the caller was still connected.
    """

    request_id: str
    model: str
    rule: str | None
    play: str
    status: int
    usage: dict[str, int]
    complete: bool = False


class Step(NamedTuple):
    """Wait, then write; ``data=None`` cuts the connection."""

    delay: float
    data: bytes | None


class Performance(NamedTuple):
    """What goes out for one request. ``charge`` is None for what is not on the invoice."""

    steps: list[Step]
    charge: Charge | None
    hangs: bool = False


@dataclass
class Script:
    """The rules, the calls seen and the invoice.

    Attributes:
        latency: seconds before the first byte of each answer.
    """

    latency: float = 0.0
    rules: list[Rule] = field(default_factory=list)
    invoice: list[Charge] = field(default_factory=list)
    requests: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT_REQUESTS))
    number: int = 0

    def add_rules(self, rules: list[dict[str, Any]]) -> None:
        """Add rules in their JSON form; of those that match a request, the earliest added plays.

        Raises:
            ScriptError: a rule is malformed; none is added.
        """
        made: list[Rule] = []
        for number, rule in enumerate(rules):
            if not isinstance(rule.get("plays"), list) or not rule["plays"]:
                raise ScriptError(f"rules.{number}.plays: a list of at least one play is required")
            for play in rule["plays"]:
                if not isinstance(play, dict) or play.get("play") not in _PLAYS:
                    raise ScriptError(f"rules.{number}.plays: use one of {', '.join(sorted(_PLAYS))}")
            try:
                made.append(Rule(rule["plays"], name=rule.get("name", ""), **(rule.get("match") or {})))
            except TypeError:
                raise ScriptError(f"rules.{number}.match: use contains, model and nth") from None
        self.rules = [*self.rules, *made]

    def reset(self) -> None:
        """Forget rules, requests and invoice."""
        self.rules, self.number = [], 0
        self.invoice.clear()
        self.requests.clear()

    def perform(self, request: dict[str, Any]) -> Performance:
        """Choose the play for a request that the API would accept."""
        self.number += 1
        self.requests.append(request)
        rule = next((rule for rule in self.rules if rule.matches(request, self.number)), None)
        play = rule.next_play() if rule else plays.answer()
        request_id = f"req_scripted_{self.number:06d}"
        charge = Charge(request_id, request["model"], rule.name if rule else None, play["play"], 200, {})
        self.invoice.append(charge)
        steps = _PLAYS[play["play"]](play, request, charge)
        return Performance(_delayed(steps, self.latency), charge, hangs=play["play"] == "hang")


def _delayed(steps: list[Step], latency: float) -> list[Step]:
    return [Step(steps[0].delay + latency, steps[0].data), *steps[1:]] if steps else []


def _grounded(request: dict[str, Any], quote: str | None = None) -> str:
    """A valid answer as compact JSON text; a greeting where no schema was given."""
    schema = ((request.get("output_config") or {}).get("format") or {}).get("schema")
    if schema is None:
        return "Hello."
    return to_json(fill(schema, source_of(request["messages"]), quote=quote)).decode()


def _message(request: dict[str, Any], charge: Charge, text: str | None, stop_reason: str) -> dict[str, Any]:
    size = sum(len(message["content"]) for message in request["messages"]) + len(request.get("system") or "")
    charge.usage = {"input_tokens": size // 3 + 1, "output_tokens": len(text or "") // 3 + 1}
    return {
        "id": charge.request_id.replace("req_", "msg_"),
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": [] if text is None else [{"type": "text", "text": text}],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {**charge.usage, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0},
    }


def _sent(request: dict[str, Any], charge: Charge, message: dict[str, Any]) -> list[Step]:
    """A whole message, as a stream where one was asked for: one write, a few HTTP chunks, all its events."""
    if not request.get("stream"):
        return _plain(charge, to_json(message), b"application/json")
    events = wire.events_of(message)
    middle = len(events) // 2
    parts = [b"".join(part) for part in (events[:1], events[1:middle], events[middle:]) if part]
    return [Step(0, _stream_head(charge) + b"".join(map(wire.chunk, parts)) + wire.LAST_CHUNK)]


def _plain(charge: Charge, body: bytes, kind: bytes, **extra: str) -> list[Step]:
    head = wire.head(charge.status, charge.request_id, length=len(body), kind=kind, extra=extra)
    return [Step(0, head + body)]


def _stream_head(charge: Charge) -> bytes:
    return wire.head(200, charge.request_id, length=None, kind=b"text/event-stream; charset=utf-8", extra={})


def _half_stream(request: dict[str, Any], charge: Charge) -> bytes:
    """Head and the first half of a valid stream: within the text, after message_start."""
    events = wire.events_of(_message(request, charge, _grounded(request), "end_turn"))
    return _stream_head(charge) + wire.chunk(b"".join(events[: len(events) // 2]))


def _answer(play: Play, request: dict[str, Any], charge: Charge) -> list[Step]:
    text = play.get("text")
    if text is None and play.get("json") is not None:
        text = to_json(play["json"]).decode()
    if text is None:
        text = _grounded(request)
    message = _message(request, charge, text, play.get("stop_reason") or "end_turn")
    if play.get("thinking"):
        message["content"].insert(0, {"type": "thinking", "thinking": "Let me look at it.", "signature": "c2ln"})
    return _sent(request, charge, message)


def _prose(_play: Play, request: dict[str, Any], charge: Charge) -> list[Step]:
    return _sent(request, charge, _message(request, charge, _CODE_FENCE.format(_grounded(request)), "end_turn"))


def _ungrounded(_play: Play, request: dict[str, Any], charge: Charge) -> list[Step]:
    return _sent(request, charge, _message(request, charge, _grounded(request, NOWHERE), "end_turn"))


def _half(play: Play, request: dict[str, Any], charge: Charge) -> list[Step]:
    whole = _grounded(request)
    stop = play.get("stop_reason") or "end_turn"
    return _sent(request, charge, _message(request, charge, whole[: len(whole) // 2], stop))


def _refusal(play: Play, request: dict[str, Any], charge: Charge) -> list[Step]:
    message = _message(request, charge, play.get("text") or None, "refusal")
    if play.get("category"):
        message["stop_details"] = {"type": "refusal", "category": play["category"], "explanation": None}
    return _sent(request, charge, message)


def _empty(_play: Play, request: dict[str, Any], charge: Charge) -> list[Step]:
    return _sent(request, charge, _message(request, charge, None, "end_turn"))


def _status(play: Play, _request: dict[str, Any], charge: Charge) -> list[Step]:
    charge.status = play["status"]
    body = wire.error_body(
        play["status"],
        play.get("message") or "played by the script",
        charge.request_id,
        kind=play.get("type"),
        code=play.get("error_code"),
    )
    return _plain(charge, body, b"application/json", **_retry_after(play))


def _retry_after(play: Play) -> dict[str, str]:
    wait = play.get("retry_after")
    if wait is None:
        return {}
    match play.get("form"):
        case "ms":
            return {"retry-after-ms": str(round(wait * 1000))}
        case "date":
            return {"retry-after": formatdate(time.time() + wait, usegmt=True)}
        case _:
            return {"retry-after": str(wait)}


def _stream_error(play: Play, request: dict[str, Any], charge: Charge) -> list[Step]:
    error = wire.error_event(play.get("type") or "overloaded_error", "Overloaded")
    return [Step(0, _half_stream(request, charge) + wire.chunk(error) + wire.LAST_CHUNK)]


def _drop(play: Play, request: dict[str, Any], charge: Charge) -> list[Step]:
    match play.get("at"):
        case "before_headers":
            return [Step(0, None)]
        case "after_headers":
            return [Step(0, _stream_head(charge)), Step(0.01, None)]
        case _:
            return [Step(0, _half_stream(request, charge)), Step(0.01, None)]


def _no_message_stop(_play: Play, request: dict[str, Any], charge: Charge) -> list[Step]:
    return [Step(0, _half_stream(request, charge) + wire.LAST_CHUNK)]


def _drip(play: Play, request: dict[str, Any], charge: Charge) -> list[Step]:
    whole = b"".join(step.data or b"" for step in _answer({}, request, charge))
    size, interval = int(play.get("size") or 8), float(play.get("interval") or 0.05)
    at_once = 0 if play.get("headers") else re.search(rb"\r\n\r\n", whole).end()  # type: ignore[union-attr]
    first = [Step(0, whole[:at_once])] if at_once else []
    return first + [Step(interval, whole[at : at + size]) for at in range(at_once, len(whole), size)]


def _hang(_play: Play, _request: dict[str, Any], _charge: Charge) -> list[Step]:
    return []


def _body(play: Play, _request: dict[str, Any], charge: Charge) -> list[Step]:
    return _plain(charge, play["body"].encode(), play["content_type"].encode())


_PLAYS = {
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
