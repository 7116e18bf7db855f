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

from orchestration.abort import Abort
from orchestration.exchange import Exchange
from schemas.attempt import BrokenCall, Call, Reply
from schemas.failure import Failure, FailureReason
from schemas.settings import PROVIDER_URL, Settings

if TYPE_CHECKING:
    from anthropic import Anthropic

CONNECT_SECONDS = 5.0
KEEPALIVE_SECONDS = 60.0
_NO_KEY = "no-key"


class Provider(Protocol):
    """A model provider."""

    def send(
        self,
        call: Call,
        *,
        deadline: float,
        on_text: Callable[[str], None] | None = None,
        abort: Abort | None = None,
    ) -> Reply | BrokenCall:
        """Make one call, without retries of its own.

        Args:
            deadline: when it must have ended, a ``time.monotonic()`` value.
            on_text: is given each piece of the answer's text as it arrives; what it raises is not caught.
            abort: set by another thread, it ends the call at once with its reason; what had arrived by then, and the
                tokens told of, stand in the broken call. A call whose message is whole by then has its reply.

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
        # No bound on connections: slots bound the calls, and a pool that queued them would heed neither the call's
        # deadline nor its abort.
        limits = httpx2.Limits(
            max_connections=None, max_keepalive_connections=per_client, keepalive_expiry=KEEPALIVE_SECONDS
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

    def send(
        self,
        call: Call,
        *,
        deadline: float,
        on_text: Callable[[str], None] | None = None,
        abort: Abort | None = None,
    ) -> Reply | BrokenCall:
        """See :meth:`Provider.send`. A call also ends after ``call_seconds``, whatever the deadline."""
        from orchestration.deadline import hard_deadline

        started = time.monotonic()
        exchange = Exchange(started, on_text=on_text, abort=abort)
        deadline = min(deadline, started + self._seconds)
        if abort is not None and abort.reason is not None:
            return exchange.broken(abort.reason)
        try:
            body = _body_of(call)
        except (ValueError, AssertionError) as error:
            return exchange.broken(
                Failure(reason=FailureReason.BAD_REQUEST, detail=f"The output schema cannot be sent: {error}")
            )
        with self._client() as client, hard_deadline(deadline, abort):
            failure = exchange.run(client, body, deadline)
        return exchange.broken(failure) if failure else exchange.reply(call)

    @contextmanager
    def _client(self) -> "Iterator[Anthropic]":
        try:
            client = self._free.pop()
        except IndexError:  # more threads than slots
            yield self._clients[next(self._turn) % len(self._clients)]
            return
        try:
            yield client
        finally:
            self._free.append(client)


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


def _keep_documents_out_of_logs() -> None:
    """The SDK logs whole requests at DEBUG, and a worker may well run at that level."""
    for name in ("anthropic", "httpx2", "httpcore2"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))
