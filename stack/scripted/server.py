"""The scripted provider's HTTP server.

asyncio and h11 rather than a web framework: cutting a connection in the middle of a chunk, or dripping single bytes,
needs the bytes in one's own hands; and a benchmark sends many hundred calls a second through it.
"""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import h11

from stack.scripted import plays
from stack.scripted.control import respond
from stack.scripted.invoice import Arrival
from stack.scripted.limiter import Limit
from stack.scripted.performance import Performance
from stack.scripted.script import Script

MAX_HEAD_BYTES = 64 * 1024


class _Connection(asyncio.Protocol):
    """One client connection: requests are answered one after the other."""

    def __init__(self, script: Script, open_connections: set[asyncio.Transport]) -> None:
        self._script = script
        self._open = open_connections
        self._performance: Performance | None = None
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
        self._over(complete=False)

    def data_received(self, data: bytes) -> None:
        self._http.receive_data(data)
        if self._performance is None:
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
        headers = {name.decode(): value.decode("latin-1") for name, value in self._request.headers}
        target = f"{self._request.method.decode()} {self._request.target.decode().partition('?')[0]}"
        performance = self._performance = respond(self._script, target, headers, b"".join(self._body))
        if not performance.hangs:
            self._play(performance, 0)

    def _play(self, performance: Performance, at: int) -> None:
        while at < len(performance.steps):
            step = performance.steps[at]
            if step.delay > 0:
                self._timer = asyncio.get_running_loop().call_later(step.delay, self._step, performance, at)
                return
            at = self._write(performance, at)
        self._finished()

    def _step(self, performance: Performance, at: int) -> None:
        self._play(performance, self._write(performance, at))

    def _write(self, performance: Performance, at: int) -> int:
        step = performance.steps[at]
        performance.writes(step)  # billed first: who has read an answer finds it on the invoice
        if step.data is None:
            self._transport.abort()
        elif not self._transport.is_closing():
            self._transport.write(step.data)
        return at + 1

    def _finished(self) -> None:
        if self._transport.is_closing():
            return
        self._over(complete=True)
        leftover, _ = self._http.trailing_data
        self._fresh(leftover)
        if leftover:
            self._read()

    def _over(self, *, complete: bool) -> None:
        performance, self._performance = self._performance, None
        if performance is not None:
            performance.ended(complete=complete)


async def serve(
    script: Script,
    port: int,
    ready: asyncio.Future[int],
    stop: asyncio.Event,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serve on 127.0.0.1 until told to stop; ``ready`` gets the port (0 asks for any free one)."""
    connections: set[asyncio.Transport] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Connection(script, connections), "127.0.0.1", port, backlog=1024, ssl=tls
    )
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

    def __init__(self, *, latency: float = 0.0, tls: ssl.SSLContext | None = None) -> None:
        self._script = Script(latency=latency)
        self._tls = tls
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="scripted-provider", daemon=True)
        self._started = threading.Event()
        self.url = ""

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        ready: asyncio.Future[int] = self._loop.create_future()
        serving = self._loop.create_task(serve(self._script, 0, ready, self._stop, self._tls))
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{await ready}"
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

    @contextmanager
    def storm(self, *shown: plays.Play, share: float = 1.0, seed: int | None = None) -> Iterator[None]:
        """This share of the calls gets one of these plays, in turn, while the block runs, whatever the rules say.

        Args:
            share: from 0 to 1.
            seed: decides which calls.
        """
        before = self._script.storm
        self._script.begin_storm(list(shown), share, seed)
        try:
            yield
        finally:
            self._script.storm = before

    @contextmanager
    def limit(
        self,
        *,
        requests_per_minute: int | None = None,
        input_tokens_per_minute: int | None = None,
        output_tokens_per_minute: int | None = None,
        concurrent: int | None = None,
        burst: int | None = None,
        headers: bool = True,
        minute: float = 60.0,
    ) -> Iterator[None]:
        """No more than this is accepted of each model while the block runs: see :class:`Limit`; the rest gets a 429."""
        before = self._script.limiter
        self._script.set_limit(
            Limit(
                requests_per_minute=requests_per_minute,
                input_tokens_per_minute=input_tokens_per_minute,
                output_tokens_per_minute=output_tokens_per_minute,
                concurrent=concurrent,
                burst=burst,
                headers=headers,
                minute=minute,
            )
        )
        try:
            yield
        finally:
            self._script.limiter = before

    def invoice(self) -> list[dict[str, Any]]:
        """Every accepted call, in order of arrival; :mod:`stack.scripted.invoice` says what is billed."""
        return [charge.as_row() for charge in list(self._script.invoice)]

    def arrivals(self) -> list[Arrival]:
        """When each call on the invoice came, and its status."""
        return self._script.arrivals()

    def count(self) -> int:
        """How many calls are on the invoice."""
        return len(self._script.invoice)

    def calls(self) -> list[dict[str, Any]]:
        """The request bodies received and accepted, oldest first: the last thousand."""
        return list(self._script.requests)

    def reset(self) -> None:
        """Forget rules, storm, calls and invoice; a limit stays, with empty windows."""
        self._script.reset()
