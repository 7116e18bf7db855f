"""``python -m stack.scripted --port 8100 --latency 0.2``: the scripted provider as a process of its own."""

import argparse
import asyncio
import signal
import sys

from stack.scripted.limiter import Limit
from stack.scripted.script import Script
from stack.scripted.server import serve


async def _main(port: int, script: Script) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    ready: asyncio.Future[int] = loop.create_future()
    ready.add_done_callback(lambda port: sys.stdout.write(f"http://127.0.0.1:{port.result()}\n") and sys.stdout.flush())
    await serve(script, port, ready, stop)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 is required")
    return int(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m stack.scripted", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free port; the URL is printed")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before the first byte of each answer")
    limited = parser.add_argument_group("limits, of each model; what is beyond gets a 429 with retry-after")
    limited.add_argument("--requests-per-minute", type=_count)
    limited.add_argument("--input-tokens-per-minute", type=_count)
    limited.add_argument("--output-tokens-per-minute", type=_count)
    limited.add_argument("--concurrent", type=_count, help="calls at a time")
    limited.add_argument("--burst", type=_count, help="requests within a second")
    limited.add_argument("--no-rate-headers", action="store_true", help="answers do not tell of the limits")
    arguments = parser.parse_args()
    script = Script(latency=arguments.latency)
    limit = Limit(
        requests_per_minute=arguments.requests_per_minute,
        input_tokens_per_minute=arguments.input_tokens_per_minute,
        output_tokens_per_minute=arguments.output_tokens_per_minute,
        concurrent=arguments.concurrent,
        burst=arguments.burst,
        headers=not arguments.no_rate_headers,
    )
    script.set_limit(limit if limit.is_one else None)
    asyncio.run(_main(arguments.port, script))
