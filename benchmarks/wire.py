"""Counts round trips on the wire between clients and a database, whatever driver they use.

A proxy passes bytes on as they are. A round trip is a client that speaks after the server has spoken: what was sent in
one go, however many statements that is, counts once.
"""

import asyncio
import threading
from types import TracebackType
from typing import Self

CHUNK = 65536


class CountingProxy:
    """A TCP proxy in a thread of this process, as a context.

    Attributes:
        port: where it listens, on 127.0.0.1.
        trips: round trips so far, those of connecting included.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="proxy", daemon=True)
        self._listening = threading.Event()
        self.port = 0
        self.trips = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        connections: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            connections.add(task)
            try:
                await self._connection(reader, writer)
            except asyncio.CancelledError:
                pass  # the proxy stops
            finally:
                connections.discard(task)
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._stop.wait()
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, downstream = await asyncio.open_connection(*self._target)
        turn = _Turn()

        async def ask() -> None:
            while data := await _read(reader):
                self.trips += turn.client_speaks()
                downstream.write(data)
                await downstream.drain()
            downstream.close()

        async def answer() -> None:
            while data := await _read(upstream):
                turn.server_speaks()
                writer.write(data)
                await writer.drain()
            writer.close()

        try:
            await asyncio.gather(ask(), answer(), return_exceptions=True)
        finally:
            downstream.close()


class _Turn:
    """Whose turn it is on one connection."""

    def __init__(self) -> None:
        self._client_last = False

    def client_speaks(self) -> int:
        new = int(not self._client_last)
        self._client_last = True
        return new

    def server_speaks(self) -> None:
        self._client_last = False


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(CHUNK)
    except ConnectionError:
        return b""
