"""Talking to a model: one call out, one reply or one broken call back. Every exception ends here."""

import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from pydantic_core import from_json, to_json

from orchestration.causes import from_error_event, from_status
from orchestration.messages import MessageStream, text_of, usage_of
from schemas.attempt import BrokenCall, Call, Reply
from schemas.failure import Failure, FailureReason
from schemas.settings import PROVIDER_URL, Settings

if TYPE_CHECKING:
    import httpx2
    from anthropic import Anthropic

CONNECT_SECONDS = 5.0
KEEPALIVE_SECONDS = 60.0
KEPT_BODY_CHARS = 64_000
"""Of a body that is no message, this much is kept for the audit record."""

_NO_KEY = "no-key"


class Provider(Protocol):
    """A model provider."""

    def send(self, call: Call, *, deadline: float, on_text: Callable[[str], None] | None = None) -> Reply | BrokenCall:
        """Make one call, without retries of its own.

        Args:
            deadline: when it must have ended, a ``time.monotonic()`` value.
            on_text: is given each piece of the answer's text as it arrives; what it raises is not caught.

        Returns:
            A reply only when the message came whole; anything else is a broken call with its cause.
        """


class AnthropicProvider:
    """The Messages API through the SDK, shared by all threads of a process.

    The SDK's own retries are off, since retries have one owner (``orchestration.transport``). Several small clients
    stand in for one: a connection pool looks at each of its idle connections on every request, so one pool of fifty
    costs more CPU than two of twenty-five. The SDK's ``post`` is used instead of ``messages.stream``: it brings the
    address, the key, the headers and the connection, and leaves the events to us, at a quarter of the CPU.
    """

    def __init__(self, settings: Settings) -> None:
        import anthropic
        import httpx2

        from orchestration.deadline import bound_by_deadline

        _keep_documents_out_of_logs()
        per_client = settings.calls_per_client
        limits = httpx2.Limits(
            max_connections=per_client, max_keepalive_connections=per_client, keepalive_expiry=KEEPALIVE_SECONDS
        )
        timeout = httpx2.Timeout(settings.call_seconds, connect=min(CONNECT_SECONDS, settings.call_seconds))
        tls = httpx2.create_ssl_context()
        key = settings.anthropic_api_key.get_secret_value() if settings.anthropic_api_key else _NO_KEY
        self._seconds = settings.call_seconds
        self._clients: list[Anthropic] = []
        for _ in range(-(-settings.worker_slots // per_client)):
            http = anthropic.DefaultHttpxClient(limits=limits, timeout=timeout, verify=tls)
            bound_by_deadline(http)
            self._clients.append(
                anthropic.Anthropic(
                    api_key=key,
                    base_url=settings.anthropic_base_url or PROVIDER_URL,
                    max_retries=0,
                    timeout=timeout,
                    http_client=http,
                    open_telemetry=False,  # spans cost 0.1 ms a call, and could be set to carry the prompt
                )
            )
        # One entry per allowed call. The last one given back is taken first, so that few calls use few connections.
        self._free = deque(client for client in reversed(self._clients) for _ in range(per_client))
        self._turn = itertools.count()

    def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            client.close()

    def send(self, call: Call, *, deadline: float, on_text: Callable[[str], None] | None = None) -> Reply | BrokenCall:
        """See :meth:`Provider.send`. A call also ends after ``call_seconds``, whatever the deadline."""
        from orchestration.deadline import hard_deadline

        started = time.monotonic()
        exchange = _Exchange(MessageStream(on_text), started)
        deadline = min(deadline, started + self._seconds)
        try:
            body = _body_of(call)
        except (ValueError, AssertionError) as error:
            return exchange.broken(_failure(FailureReason.BAD_REQUEST, f"The output schema cannot be sent: {error}"))
        with self._client() as client, hard_deadline(deadline):
            failure = exchange.run(client, body, deadline)
        return exchange.broken(failure) if failure else exchange.reply(call)

    @contextmanager
    def _client(self) -> "Iterator[Anthropic]":
        try:
            client = self._free.pop()
        except IndexError:  # more threads than slots: some pool queues, within the call's deadline
            yield self._clients[next(self._turn) % len(self._clients)]
            return
        try:
            yield client
        finally:
            self._free.append(client)


class _Exchange:
    """One request and what came back of it."""

    def __init__(self, stream: MessageStream, started: float) -> None:
        self._stream = stream
        self._started = started
        self._status: int | None = None
        self._request_id: str | None = None
        self._raw: dict[str, Any] = {}

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
            self._raw = _kept(error.body if isinstance(error.body, dict) else error.response.text)
            return from_status(error.status_code, error.body, error.response.headers)
        except anthropic.APIConnectionError as error:
            return _connection_failure(error.__cause__ or error, deadline)
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
            return _connection_failure(error, deadline)
        except anthropic.AnthropicError as error:
            return _failure(FailureReason.MISCONFIGURED, f"The model SDK refused to send ({type(error).__name__}).")

    def _read(self, response: "httpx2.Response") -> Failure | None:
        self._status = response.status_code
        self._request_id = response.headers.get("request-id")
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


def _body_of(call: Call) -> dict[str, Any]:
    """The request's JSON; ``effort`` belongs into the output configuration, other parameters to the top."""
    others = {name: value for name, value in call.parameters.items() if name != "effort"}
    config: dict[str, Any] = {}
    if call.output_schema:
        config["format"] = _wire_format(to_json(call.output_schema))
    if call.parameters.get("effort"):
        config["effort"] = call.parameters["effort"]
    return {
        **others,
        "model": call.model,
        "max_tokens": call.max_tokens,
        "system": call.system,
        "messages": call.messages,
        "output_config": config,
        "stream": True,
    }


@lru_cache(maxsize=256)
def _wire_format(schema: bytes) -> dict[str, Any]:
    """The output format that the provider's subset allows; its making costs half a millisecond."""
    from anthropic import transform_schema

    return {"type": "json_schema", "schema": transform_schema(from_json(schema))}


def _kept(body: object) -> dict[str, Any]:
    if isinstance(body, dict):
        return {"body": body}
    return {"body": body[:KEPT_BODY_CHARS] if isinstance(body, str) else body}


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _keep_documents_out_of_logs() -> None:
    """The SDK logs whole requests at DEBUG, and a worker may well run at that level."""
    for name in ("anthropic", "httpx2", "httpcore2"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))
