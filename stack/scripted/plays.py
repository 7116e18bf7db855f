"""What the scripted provider can do with a request: each play is one function that makes its JSON form.

``POST /_script`` takes the same JSON, so that a script can be written in any language::

    {"rules": [{"match": {"contains": "invoice 7"}, "plays": [{"play": "status", "status": 529}, {"play": "answer"}]}]}
"""

from typing import Any, Literal

Play = dict[str, Any]
DropAt = Literal["before_headers", "after_headers", "mid_stream"]
DateForm = Literal["seconds", "ms", "date"]


def answer(
    value: object = None, *, text: str | None = None, stop_reason: str = "end_turn", thinking: bool = False
) -> Play:
    """A whole answer: this JSON value, or this text, or (neither given) a valid one grounded in the document."""
    return {"play": "answer", "json": value, "text": text, "stop_reason": stop_reason, "thinking": thinking}


def not_applicable(reason: str = "this is not such a document") -> Play:
    """The model says that the document is of the wrong kind."""
    return answer({"answer": {"outcome": "not_applicable", "reason": reason}})


def prose() -> Play:
    """A valid answer in a fence, with friendly prose around it."""
    return {"play": "prose"}


def wrong_schema() -> Play:
    """JSON, but of another shape than asked for."""
    return answer({"result": "fine"})


def ungrounded() -> Play:
    """A valid answer whose quotes do not stand in the document."""
    return {"play": "ungrounded"}


def half_json(stop_reason: str = "end_turn") -> Play:
    """The first half of a valid answer, as if it were whole."""
    return {"play": "half", "stop_reason": stop_reason}


def truncated() -> Play:
    """The first half of a valid answer: the token cap was hit."""
    return half_json("max_tokens")


def refusal(text: str = "", category: str | None = "cyber") -> Play:
    """The model declines, with or without words."""
    return {"play": "refusal", "text": text, "category": category}


def empty() -> Play:
    """A finished message without any content."""
    return {"play": "empty"}


def status(
    code: int,
    *,
    retry_after: float | None = None,
    form: DateForm = "seconds",
    message: str = "played by the script",
    kind: str | None = None,
    error_code: str | None = None,
    clock: float = 0.0,
) -> Play:
    """An error status.

    Args:
        retry_after: seconds; they go out as seconds, as milliseconds, or as an HTTP date.
        clock: seconds by which the provider's clock, in its dates, is ahead of this machine's.
    """
    return {
        "play": "status",
        "status": code,
        "retry_after": retry_after,
        "form": form,
        "message": message,
        "type": kind,
        "error_code": error_code,
        "clock": clock,
    }


def prompt_too_long() -> Play:
    """The 400 for a prompt that does not fit the model."""
    return status(400, message="prompt is too long: 212345 tokens > 200000 maximum")


def stream_error(kind: str = "overloaded_error") -> Play:
    """Half an answer, then an error event inside the stream."""
    return {"play": "stream_error", "type": kind}


def drop(at: DropAt) -> Play:
    """The connection is cut."""
    return {"play": "drop", "at": at}


def no_message_stop() -> Play:
    """The stream ends in good order in the middle of the message."""
    return {"play": "no_message_stop"}


def drip(interval: float = 0.05, size: int = 8) -> Play:
    """A valid answer, ``size`` bytes every ``interval`` seconds: no single read ever times out."""
    return {"play": "drip", "interval": interval, "size": size}


def drip_headers(interval: float = 0.05, size: int = 2) -> Play:
    """As :func:`drip`, from the first byte of the status line."""
    return {"play": "drip", "interval": interval, "size": size, "headers": True}


def hang() -> Play:
    """Not a single byte, for ever."""
    return {"play": "hang"}


def html() -> Play:
    """A 200 with a web page, as a proxy in between would send."""
    return {"play": "body", "content_type": "text/html", "body": "<html><body>Sign in to the network</body></html>"}


def wrong_shape() -> Play:
    """A 200 with JSON that is no message."""
    return {"play": "body", "content_type": "application/json", "body": '{"ok": true}'}
