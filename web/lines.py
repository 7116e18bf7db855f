"""The body of a request as lines, while it comes in: a worker thread asks for the next piece, and the client waits meanwhile.

So nothing is held but the piece in hand and what the server's own buffers take (64 KiB), however long the body is.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

import anyio
from anyio import from_thread, to_thread
from fastapi import Request
from starlette.requests import ClientDisconnect

from web.problems import Kind, Problem

Result = TypeVar("Result")

UPLOADS = 8
"""Uploads that one process receives at a time: each holds a thread."""
SILENCE_SECONDS = 60.0
"""A client that sends nothing for so long has gone, whatever its connection says."""
DRAIN_BYTES = 64 * 1024 * 1024
DRAIN_SECONDS = 10.0
"""What is read past after a refusal: a client that is cut off while it sends does not come to read why."""


class Receiver:
    """Receives bodies as lines, a bounded number at a time, and none tenant's more than half of them."""

    def __init__(self, uploads: int = UPLOADS) -> None:
        self._threads = anyio.CapacityLimiter(uploads)
        self._most_of_one = max(1, uploads // 2)
        self._of_whom: dict[str, int] = {}

    async def receive(
        self, request: Request, whose: str, longest: int, work: Callable[[Iterator[bytes]], Result]
    ) -> Result:
        """Run ``work`` in a thread over the lines of the body.

        Args:
            longest: bytes of a line; what is longer comes cut after one byte more.

        Raises:
            Problem: too many uploads at a time; or no data came for long; or what ``work`` raises.
            ClientDisconnect: the client has gone. ``work`` has met it too.
        """
        if self._threads.available_tokens < 1 or self._of_whom.get(whose, 0) >= self._most_of_one:
            raise Problem(Kind.UNAVAILABLE, "Too many uploads at a time.", headers={"Retry-After": "5"})
        body = request.stream()
        self._of_whom[whose] = self._of_whom.get(whose, 0) + 1
        try:
            return await to_thread.run_sync(
                lambda: work(lines_of(_pieces(body), longest)), limiter=self._threads, abandon_on_cancel=False
            )
        except Problem:
            await _drain(body)
            raise
        finally:
            self._of_whom[whose] -= 1
            if not self._of_whom[whose]:
                del self._of_whom[whose]


def lines_of(pieces: Iterable[bytes], longest: int) -> Iterator[bytes]:
    """Lines without their ends, from pieces that were cut anywhere. A longer line comes cut after ``longest + 1`` bytes, which
    whoever reads it will notice; its rest is not kept."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        first, *others = piece.split(b"\n")
        if size <= longest:
            held.append(first[: longest + 1 - size])
        size += len(first)
        for other in others:
            yield b"".join(held)
            held, size = [other[: longest + 1]], len(other)
    if size:
        yield b"".join(held)


def _pieces(body: AsyncIterator[bytes]) -> Iterator[bytes]:
    while (piece := from_thread.run(_next, body)) is not None:
        yield piece


async def _next(body: AsyncIterator[bytes]) -> bytes | None:
    try:
        with anyio.fail_after(SILENCE_SECONDS):
            return await anext(body, None)
    except TimeoutError:
        raise Problem(Kind.TIMEOUT, f"No data came for {SILENCE_SECONDS:.0f} s.") from None


async def _drain(body: AsyncIterator[bytes]) -> None:
    left = DRAIN_BYTES
    with suppress(ClientDisconnect), anyio.move_on_after(DRAIN_SECONDS):
        async for piece in body:
            left -= len(piece)
            if left < 0:
                return
