"""The scripted provider's HTTP server.

asyncio and h11 rather than a web framework: cutting a connection in the middle of a chunk, or dripping single bytes,
needs the bytes in one's own hands; and a benchmark sends many hundred calls a second through it.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

import h11
from pydantic_core import from_json, to_json

from stack.scripted import plays, wire
from stack.scripted.script import Performance, Script, ScriptError, Step

MAX_HEAD_BYTES = 64 * 1024


class _Connection(asyncio.Protocol):
    """One client connection: requests are answered one after the other."""

    def __init__(self, script: Script, open_connections: set[asyncio.Transport]) -> None:
        self._script = script
        self._open = open_connections
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._fresh(b"")

    def _fresh(self, leftover: bytes) -> None:
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._request: h11.Request | None = None
        self._body: list[bytes] = []
        if leftover:
            self._http.receive_data(leftover)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._open.discard(self._transport)
        if self._timer:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._http.receive_data(data)
        if not self._busy:
            self._read()

    def _read(self) -> None:
        try:
            while True:
                event = self._http.next_event()
                if isinstance(event, h11.Request):
                    self._request = event
                elif isinstance(event, h11.Data):
                    self._body.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    self._answer()
                    return
                else:
                    return
        except h11.RemoteProtocolError:
            self._transport.abort()

    def _answer(self) -> None:
        assert self._request is not None
        self._busy = True
        headers = {name.decode(): value.decode("latin-1") for name, value in self._request.headers}
        target = f"{self._request.method.decode()} {self._request.target.decode().partition('?')[0]}"
        performance = respond(self._script, target, headers, b"".join(self._body))
        if not performance.hangs:
            self._play(performance, 0)

    def _play(self, performance: Performance, at: int) -> None:
        while at < len(performance.steps):
            step = performance.steps[at]
            if step.delay > 0:
                self._timer = asyncio.get_running_loop().call_later(step.delay, self._step, performance, at)
                return
            at = self._write(performance, at)
        self._finished(performance)

    def _step(self, performance: Performance, at: int) -> None:
        self._play(performance, self._write(performance, at))

    def _write(self, performance: Performance, at: int) -> int:
        data = performance.steps[at].data
        if data is None:
            self._transport.abort()
        elif not self._transport.is_closing():
            self._transport.write(data)
        return at + 1

    def _finished(self, performance: Performance) -> None:
        if self._transport.is_closing():
            return
        if performance.charge:
            performance.charge.complete = True
        leftover, _ = self._http.trailing_data
        self._busy = False
        self._fresh(leftover)
        if leftover:
            self._read()


def respond(script: Script, target: str, headers: dict[str, str], body: bytes) -> Performance:
    """What goes out for one HTTP request.

    Args:
        target: method and path, e.g. ``POST /v1/messages``.
        headers: by lower-case name.
    """
    try:
        if target == "POST /v1/messages":
            return script.perform(wire.read_request(headers, body))
        return _json(_controlled(script, target, headers, body))
    except wire.Refused as refused:
        return _json_bytes(wire.error_body(refused.status, refused.message, "req_refused"), refused.status)
    except ScriptError as error:
        return _json({"error": str(error)}, 400)


def _controlled(script: Script, target: str, headers: dict[str, str], body: bytes) -> object:
    """The answer, as JSON, to anything that is not a message call."""
    answer: object = {}
    match target:
        case "POST /v1/messages/count_tokens":
            wire.read_request(headers, body, counting=True)
            answer = {"input_tokens": len(body) // 3 + 1}
        case "GET /healthz":
            answer = {"status": "ok"}
        case "GET /_invoice":
            answer = [asdict(charge) for charge in script.invoice]
        case "GET /_requests":
            answer = list(script.requests)
        case "POST /_script":
            script.add_rules(_rules(body))
        case "POST /_reset":
            script.reset()
        case _:
            raise wire.Refused(404, f"{target}: not found")
    return answer


def _rules(body: bytes) -> list[dict[str, Any]]:
    try:
        document = from_json(body)
    except ValueError as error:
        raise ScriptError(f"not JSON: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("rules"), list):
        raise ScriptError('send {"rules": [...]}')
    return [rule if isinstance(rule, dict) else {} for rule in document["rules"]]


def _json(value: object, status: int = 200) -> Performance:
    return _json_bytes(to_json(value), status)


def _json_bytes(body: bytes, status: int) -> Performance:
    head = wire.head(status, "req_control", length=len(body), kind=b"application/json", extra={})
    return Performance([Step(0, head + body)], None)


async def serve(script: Script, port: int, ready: asyncio.Future[int], stop: asyncio.Event) -> None:
    """Serve on 127.0.0.1 until told to stop; ``ready`` gets the port (0 asks for any free one)."""
    connections: set[asyncio.Transport] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(script, connections), "127.0.0.1", port, backlog=1024)
    ready.set_result(server.sockets[0].getsockname()[1])
    await stop.wait()
    server.close()
    for transport in list(connections):
        transport.abort()
    await server.wait_closed()
    await asyncio.sleep(0)  # one turn of the loop, in which the cut connections are told so


class ScriptedProvider:
    """The scripted provider in a thread of this process, for tests.

    Example::

        with ScriptedProvider() as provider:
            provider.play(plays.status(529), plays.answer(), contains="invoice 7")
            ...  # talk to provider.url
            provider.invoice()
    """

    def __init__(self, *, latency: float = 0.0) -> None:
        self._script = Script(latency=latency)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="scripted-provider", daemon=True)
        self._started = threading.Event()
        self.url = ""

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        ready: asyncio.Future[int] = self._loop.create_future()
        serving = self._loop.create_task(serve(self._script, 0, ready, self._stop))
        self.url = f"http://127.0.0.1:{await ready}"
        self._started.set()
        await serving

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def play(
        self, *shown: plays.Play, contains: str | None = None, model: str | None = None, nth: int | None = None
    ) -> None:
        """Add a rule; without a condition it matches every call that no earlier rule matches."""
        self._script.add_rules([{"plays": list(shown), "match": {"contains": contains, "model": model, "nth": nth}}])

    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Every answer takes this long while the block runs."""
        before, self._script.latency = self._script.latency, seconds
        try:
            yield
        finally:
            self._script.latency = before

    def invoice(self) -> list[dict[str, Any]]:
        """Every call that a play answered, in order of arrival."""
        return [asdict(charge) for charge in list(self._script.invoice)]

    def calls(self) -> list[dict[str, Any]]:
        """The request bodies received and accepted, oldest first."""
        return list(self._script.requests)

    def reset(self) -> None:
        """Forget rules, calls and invoice."""
        self._script.reset()
