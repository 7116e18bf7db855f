"""One HTTP exchange with the Messages API: whatever comes back, or does not, becomes a reply or a broken call."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from orchestration.abort import Abort
from orchestration.causes import from_error_event, from_status
from orchestration.messages import MessageStream, text_of, usage_of
from orchestration.rates import seen_rates
from schemas.admission import SeenRates
from schemas.attempt import BrokenCall, Call, Reply
from schemas.failure import Failure, FailureReason

if TYPE_CHECKING:
    import httpx2
    from anthropic import Anthropic

KEPT_BODY_CHARS = 64_000
"""Of a body that is no message, this much is kept for the audit record."""


class Exchange:
    """One request and what came back of it.

    Args:
        started: when the call began, a ``time.monotonic()`` value.
        on_text, abort: see ``Provider.send``.
    """

    def __init__(self, started: float, *, on_text: Callable[[str], None] | None, abort: Abort | None) -> None:
        self._stream = MessageStream(on_text)
        self._started = started
        self._abort = abort
        self._status: int | None = None
        self._request_id: str | None = None
        self._raw: dict[str, Any] = {}
        self._rates: SeenRates | None = None

    def run(self, client: "Anthropic", body: dict[str, Any], deadline: float) -> Failure | None:
        """Send and read to the end; None when the message came whole."""
        import anthropic
        import httpx2

        try:
            response = client.post(
                "/v1/messages", body=body, cast_to=httpx2.Response, stream=True, stream_cls=anthropic.Stream[Any]
            )
            # With this cast the SDK hands out the open response itself, whatever its types say.
            return self._read(response)  # type: ignore[arg-type]
        except anthropic.APIStatusError as error:
            self._status, self._request_id = error.status_code, error.request_id
            self._rates = seen_rates(error.response.headers)
            self._raw = _kept(error.body if isinstance(error.body, dict) else error.response.text)
            return from_status(error.status_code, error.body, error.response.headers)
        except anthropic.APIConnectionError as error:
            return self._cut_off(error.__cause__ or error, deadline)
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
            return self._cut_off(error, deadline)
        except anthropic.AnthropicError as error:
            return _failure(FailureReason.MISCONFIGURED, f"The model SDK refused to send ({type(error).__name__}).")

    def _cut_off(self, error: BaseException, deadline: float) -> Failure:
        if self._abort is not None and self._abort.reason is not None:
            return self._abort.reason
        return _connection_failure(error, deadline)

    def _read(self, response: "httpx2.Response") -> Failure | None:
        self._status = response.status_code
        self._request_id = response.headers.get("request-id")
        self._rates = seen_rates(response.headers)
        try:
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                return self._read_stream(response)
            return self._read_body(response)
        finally:
            response.close()

    def _read_stream(self, response: "httpx2.Response") -> Failure | None:
        try:
            for chunk in response.iter_bytes():
                self._stream.feed(chunk)
        except ValueError:
            return _failure(FailureReason.UNREACHABLE, "The provider's stream is garbled.")
        if self._stream.error is not None:
            return from_error_event(self._stream.error)
        if not self._stream.finished or self._stream.message.get("stop_reason") is None:
            return _failure(FailureReason.UNREACHABLE, "The provider's stream ended before the answer was whole.")
        return None

    def _read_body(self, response: "httpx2.Response") -> Failure | None:
        """A 200 that is no stream: a whole message from a gateway that does not stream, or something else."""
        content = response.read()
        try:
            body = from_json(content)
        except ValueError:
            body = response.text
        self._raw = _kept(body)
        if isinstance(body, dict) and body.get("type") == "message" and isinstance(body.get("content"), list):
            self._stream.message, self._stream.finished, self._raw = body, True, {}
            return None
        if isinstance(body, dict) and isinstance(body.get("error"), dict):
            return from_error_event(body["error"])
        return _failure(
            FailureReason.UNREACHABLE,
            "Something answered in the provider's place, and not with a message:"
            " check ANTHROPIC_BASE_URL and proxies if this stays.",
        )

    def reply(self, call: Call) -> Reply:
        """The whole message."""
        message = self._stream.whole()
        details = message.get("stop_details")
        category = details.get("category") if isinstance(details, dict) else None
        return Reply(
            text=text_of(message),
            stop_reason=_text_or_none(message.get("stop_reason")),
            stop_detail=_text_or_none(category),
            model=_text_or_none(message.get("model")) or call.model,
            request_id=self._request_id,
            usage=usage_of(message),
            raw=message,
            seconds=time.monotonic() - self._started,
            rates=self._rates,
        )

    def broken(self, failure: Failure) -> BrokenCall:
        """What came back instead of a whole message."""
        raw = dict(self._raw)
        partial = self._stream.whole()
        if partial:
            raw["partial"] = partial
        if self._stream.error is not None:
            raw["error"] = self._stream.error
        return BrokenCall(
            failure=failure,
            status=self._status,
            request_id=self._request_id,
            raw=raw,
            seconds=time.monotonic() - self._started,
            usage=usage_of(partial) if partial else None,
            model=_text_or_none(partial.get("model")),
            rates=self._rates,
        )


def _connection_failure(error: BaseException, deadline: float) -> Failure:
    import httpx2

    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.InvalidURL):
        return _failure(
            FailureReason.MISCONFIGURED, "The provider's address is no http(s) URL: check ANTHROPIC_BASE_URL."
        )
    connecting = isinstance(error, httpx2.ConnectTimeout) and time.monotonic() < deadline
    if isinstance(error, httpx2.TimeoutException) and not connecting:
        return _failure(FailureReason.TIMEOUT, "The provider did not finish its answer in time.")
    return _failure(FailureReason.UNREACHABLE, f"The connection to the provider failed ({type(error).__name__}).")


def _failure(reason: FailureReason, detail: str) -> Failure:
    return Failure(reason=reason, detail=detail)


def _kept(body: object) -> dict[str, Any]:
    if isinstance(body, dict):
        return {"body": body}
    return {"body": body[:KEPT_BODY_CHARS] if isinstance(body, str) else body}


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None
