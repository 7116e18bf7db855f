"""Wakes coroutines from threads."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable


class Wake:
    """One client's alarm clock, made in its event loop. Whoever wakes it says nothing: the client looks for itself, so that
    no queue can overflow and a slow client misses nothing that still matters."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the client; in its loop only."""
        self._rung.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until somebody rings, which may have been before. False: nobody did for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            return False
        self._rung.clear()
        return True


def wake_all(wakes: Iterable[Wake]) -> None:
    """Wake clients from any thread, with one call for each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Wake]] = defaultdict(list)
    for wake in wakes:
        by_loop[wake.loop].append(wake)
    for loop, sleepers in by_loop.items():
        loop.call_soon_threadsafe(_ring_all, sleepers)


def _ring_all(wakes: list[Wake]) -> None:
    for wake in wakes:
        wake.ring()
