"""``python -m benchmarks.engine.provider LEAST MOST``: the scripted provider with answers that take a varying time; it prints
its URL and when it started."""

import asyncio
import signal
import sys
from dataclasses import dataclass, field
from random import Random
from typing import Any

from stack.scripted.performance import Performance
from stack.scripted.script import Script
from stack.scripted.server import serve


@dataclass
class VaryingScript(Script):
    """Each answer takes from ``least`` to ``most`` seconds to its first byte, evenly spread; always the same sequence."""

    least: float = 0.0
    most: float = 0.0
    dice: Random = field(default_factory=lambda: Random(1))

    def perform(self, request: dict[str, Any]) -> Performance:
        """Choose the play and the time it takes."""
        self.latency = self.dice.uniform(self.least, self.most)
        return super().perform(request)


async def _main(least: float, most: float) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    ready: asyncio.Future[int] = loop.create_future()
    script = VaryingScript(least=least, most=most)
    # All processes of a machine have the same monotonic clock.
    ready.add_done_callback(lambda port: print(f"http://127.0.0.1:{port.result()} {script.started}", flush=True))
    await serve(script, 0, ready, stop)


if __name__ == "__main__":
    asyncio.run(_main(float(sys.argv[1]), float(sys.argv[2])))
