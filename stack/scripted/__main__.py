"""``python -m stack.scripted --port 8100 --latency 0.2``: the scripted provider as a process of its own."""

import argparse
import asyncio
import signal
import sys

from stack.scripted.script import Script
from stack.scripted.server import serve


async def _main(port: int, latency: float) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    ready: asyncio.Future[int] = loop.create_future()
    ready.add_done_callback(lambda port: sys.stdout.write(f"http://127.0.0.1:{port.result()}\n") and sys.stdout.flush())
    await serve(Script(latency=latency), port, ready, stop)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m stack.scripted", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free port; the URL is printed")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before the first byte of each answer")
    arguments = parser.parse_args()
    asyncio.run(_main(arguments.port, arguments.latency))
